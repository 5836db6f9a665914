//! The rules of who knows whom, read from the sources.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::repository::{above_tests, root, sources};

/// The rooms of `src` that speak with the world outside. They do not know each other.
const ADAPTERS: [&str; 6] = ["probe", "sink", "journal", "store", "web", "control"];

/// The rooms of `src` that everybody may use, and which use none but each other.
const BASE: [&str; 7] = ["settings", "secret", "fields", "net", "logging", "own_thread", "clock"];

/// The modules of `actors` that hold one actor each. They know each other's messages by what they share:
/// `event`, `lifecycle`, `query`.
const ACTORS: [&str; 9] =
    ["supervisor", "target", "courier", "persister", "historian", "logger", "notifier", "meter", "tester"];

/// What an actor may know beside the shared modules: its own children.
const CHILDREN: [(&str, &str); 1] = [("supervisor", "target")];

/// What the core is made of: nothing that speaks HTTP, SQL or mail, or reads a configuration.
const CORE_CRATES: [&str; 12] = [
    "actix",
    "async-trait",
    "futures-util",
    "jiff",
    "log",
    "serde",
    "serde_json",
    "sketches-ddsketch",
    "thiserror",
    "time",
    "tokio",
    "uuid",
];

/// One source file of a package, and the rooms of the package that it imports.
struct Source {
    path: PathBuf,
    room: String,
    imports: BTreeSet<String>,
}

/// The files of a package without their tests.
fn package(folder: &str) -> Vec<Source> {
    let top = root().join(folder);
    let mut read = Vec::new();
    for path in sources(folder) {
        let inside = path.strip_prefix(&top).unwrap().with_extension("");
        let mut modules: Vec<&str> = inside.iter().map(|part| part.to_str().unwrap()).collect();
        modules.retain(|module| !matches!(*module, "mod" | "lib" | "main"));
        let room = modules.first().copied().unwrap_or_default().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let imports = imports(above_tests(&text), modules.len());
        read.push(Source { path, room, imports });
    }
    assert!(read.len() > 10, "{folder} has sources");
    read
}

/// The modules right below the crate's root that a text names, in a module `depth` below the root.
fn imports(text: &str, depth: usize) -> BTreeSet<String> {
    let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap()).collect();
    let code = code.join("\n");
    let climb = "super::".repeat(depth);
    let mut prefixes = vec!["crate::"];
    if depth > 0 {
        prefixes.push(&climb);
    }
    let mut found = BTreeSet::new();
    for prefix in prefixes {
        for (at, _) in code.match_indices(prefix) {
            found.extend(heads(&code[at + prefix.len()..]).into_iter().filter(|head| !head.is_empty()));
        }
    }
    found
}

/// The first names of what follows a `crate::`: one, or those of a group.
fn heads(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut heads = vec![name(group)];
    let mut depth = 1;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => heads.push(name(&group[at + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

/// Says which imports break a rule.
fn broken(sources: &[Source], forbidden: impl Fn(&Source, &str) -> bool) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources {
        for import in source.imports.iter().filter(|import| **import != source.room) {
            if forbidden(source, import) {
                let path = source.path.strip_prefix(root()).unwrap().display();
                broken.push(format!("{path} imports {import}"));
            }
        }
    }
    broken
}

#[test]
fn adapters_do_not_know_each_other() {
    let above = |import: &str| ADAPTERS.contains(&import) || matches!(import, "cli" | "app");
    let rule = |source: &Source, import: &str| {
        let room = source.room.as_str();
        (ADAPTERS.contains(&room) || BASE.contains(&room)) && above(import)
    };
    assert_eq!(broken(&package("src"), rule), [""; 0]);
}

#[test]
fn the_command_line_knows_only_the_socket_and_the_settings() {
    let rooms: BTreeSet<String> = package("src").into_iter().map(|source| source.room).collect();
    let rule = |source: &Source, import: &str| {
        source.room == "cli" && rooms.contains(import) && !matches!(import, "control" | "settings")
    };
    assert_eq!(broken(&package("src"), rule), [""; 0]);
}

#[test]
fn an_actor_knows_no_other_actor() {
    let rule = |source: &Source, import: &str| {
        let room = source.room.as_str();
        ACTORS.contains(&room) && ACTORS.contains(&import) && !CHILDREN.contains(&(room, import))
    };
    assert_eq!(broken(&package("actors"), rule), [""; 0]);
}

#[test]
fn what_actors_share_knows_no_actor_and_the_domain_only_itself() {
    let known = |room: &str| match room {
        "domain" | "gate" => Some(&[][..]),
        "port" => Some(&["domain"][..]),
        "event" | "lifecycle" | "query" => Some(&["domain", "port", "event", "lifecycle", "query"][..]),
        _ => None,
    };
    let rule =
        |source: &Source, import: &str| known(&source.room).is_some_and(|known| !known.contains(&import));
    assert_eq!(broken(&package("actors"), rule), [""; 0]);
}

#[test]
fn the_doubles_stay_in_tests() {
    let rule = |source: &Source, import: &str| import == "testing" && !source.room.is_empty();
    assert_eq!(broken(&package("actors"), rule), [""; 0]);
}

#[test]
fn every_actor_and_room_is_named_here() {
    let actors =
        [&ACTORS[..], &["", "domain", "port", "event", "lifecycle", "query", "gate", "testing"]].concat();
    let rooms = [&ADAPTERS[..], &BASE, &["", "cli", "app"]].concat();
    for (folder, named) in [("actors", actors), ("src", rooms)] {
        for source in package(folder) {
            assert!(named.contains(&source.room.as_str()), "{} has no rule", source.path.display());
        }
    }
}

#[test]
fn the_core_is_made_of_nothing_that_speaks_with_the_world() {
    let manifest: toml::Table = toml::from_str(&read(&root().join("actors/Cargo.toml"))).unwrap();
    let crates: Vec<&str> = manifest["dependencies"].as_table().unwrap().keys().map(String::as_str).collect();
    assert_eq!(crates, CORE_CRATES);
}

#[test]
fn imports_are_found_in_every_way_of_writing_them() {
    let text =
        "use crate::{\n    a::{x, y},\n    b, // crate::hidden\n};\nfn f() -> crate::c::T { super::d::g() }";
    assert_eq!(imports(text, 1).into_iter().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    assert_eq!(imports("use super::super::{e, f::g};", 2).into_iter().collect::<Vec<_>>(), ["e", "f"]);
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}
