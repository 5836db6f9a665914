//! What the settings depend on beside their file: a value, so that tests need not change the process.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use super::SettingsError;

/// The variable that names the configuration file.
pub(super) const CONFIG_VARIABLE: &str = "SKYPUNCH_CONFIG";

/// What a process knows when it starts.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The environment.
    pub variables: BTreeMap<OsString, OsString>,
    /// The working directory.
    pub directory: PathBuf,
    /// The configuration of the whole system, used where there is no nearer one.
    pub system_file: PathBuf,
    /// Whether the process runs as root.
    pub root: bool,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process() -> Result<Self, SettingsError> {
        Ok(Self {
            variables: env::vars_os().collect(),
            directory: env::current_dir().map_err(SettingsError::WorkingDirectory)?,
            system_file: PathBuf::from("/etc/skypunch/skypunch.toml"),
            root: rustix::process::geteuid().is_root(),
        })
    }

    /// A variable; an empty one counts as not set.
    pub(super) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }
}
