//! How the house is kept: its top level, its file lengths, its module docs.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What stands at the top, beside hidden files and what is built.
const TOP: [&str; 14] = [
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "README.md",
    "actors",
    "benches",
    "conf",
    "docs",
    "sql",
    "src",
    "target",
    "tests",
];

/// How long a file may be above its tests.
const MAX_LINES: usize = 400;

/// The top folder of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder.
pub fn sources(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A file without the tests at its foot.
pub fn above_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod ").next().unwrap_or(text)
}

#[test]
fn the_top_level_is_what_it_is() {
    let entries = fs::read_dir(root()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let strangers: Vec<String> =
        names.filter(|name| !name.starts_with('.') && !TOP.contains(&name.as_str())).collect();
    assert_eq!(strangers, [""; 0]);
}

#[test]
fn every_file_says_what_it_is() {
    for path in ["src", "actors", "tests"].into_iter().flat_map(sources) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{} begins with its //!", path.display());
    }
}

#[test]
fn no_file_is_long() {
    let mut long = Vec::new();
    for path in ["src", "actors"].into_iter().flat_map(sources) {
        let lines = above_tests(&fs::read_to_string(&path).unwrap()).lines().count();
        if lines > MAX_LINES {
            long.push(format!("{}: {lines} lines", path.display()));
        }
    }
    assert_eq!(long, [""; 0]);
}
