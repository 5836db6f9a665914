//! What can be wrong with a configuration.

use std::{fmt, io, path::PathBuf};

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not TOML. The line is not quoted: it may hold a password.
    #[error("{}, line {line}, column {column}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault, from 1.
        column: usize,
        /// The fault.
        message: String,
    },
    /// Settings are wrong: all of them, a line each.
    #[error("{}", lines(.0))]
    Invalid(Vec<Fault>),
    /// Nobody says where the state is kept.
    #[error(
        "no directory to keep the state in: HOME is not set; name one with --state-dir or SKYPUNCH_STATE_DIR"
    )]
    NoStateDir,
    /// The directory of the state cannot be made.
    #[error("cannot create the state directory {}", path.display())]
    CreateStateDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The process has no working directory.
    #[error("cannot tell the working directory")]
    WorkingDirectory(#[source] io::Error),
}

/// One wrong setting.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// Where it was said: file and key, or variable, or option.
    pub place: String,
    /// What is wrong, and what is allowed.
    pub problem: String,
}

impl Fault {
    pub(super) fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { place: place.into(), problem: problem.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n")
}
