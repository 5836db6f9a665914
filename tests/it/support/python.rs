//! Python environments with packages of PyPI, each installed once a build folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::fs::{FlockOperation, flock};

/// An environment with these packages, each with its version; `finish` does what else is done once.
pub fn environment(packages: &[&str], finish: impl FnOnce(&Path)) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = root.join(packages.join("-").replace("==", "-"));
    let lock = fs::File::create(folder.with_extension("lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    if folder.join("ready").exists() {
        return folder;
    }
    // What an installation left that was broken off.
    fs::remove_dir_all(&folder).ok();
    let mut python = Command::new("python3");
    run(python.args(["-m", "venv"]).arg(&folder), "python3 and python3-venv are installed: `make deps`");
    let mut pip = Command::new(folder.join("bin/pip"));
    run(
        pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(packages),
        "PyPI has the packages",
    );
    finish(&folder);
    fs::File::create(folder.join("ready")).unwrap();
    folder
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command, expected: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("{expected}: {error}"));
    assert!(output.status.success(), "{expected}: {output:?}");
}
