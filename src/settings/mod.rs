//! The configuration: built-in defaults, then the file, the environment and the command line.
//!
//! `conf/skypunch.toml` documents every key. All faults of a configuration are found at once, and none
//! shows a password.
//!
//! # Design notes
//!
//! 2026-11: the layers are figment's, but its TOML and environment providers are not used. The first quotes
//! the faulty line, which may hold a password; the second guesses types, and takes `0600` for a number.
//! Each key is read by its own rule instead of one serde struct, which would stop at the first fault.

mod database_url;
mod error;
mod key;
mod layer;
mod load;
mod state_dir;
mod surroundings;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use skypunch_actors::domain::Retention;

pub use self::{
    database_url::DatabaseUrl,
    error::{Fault, SettingsError},
    state_dir::create_state_dir,
    surroundings::Surroundings,
};

/// Every setting, complete and in range; relative paths are resolved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Holds all that the daemon writes unless configured otherwise.
    pub state_dir: PathBuf,
    /// The database.
    pub database: Database,
    /// The journal.
    pub journal: Journal,
    /// The daemon.
    pub daemon: Daemon,
    /// How targets are probed.
    pub probe: Probe,
    /// How long the past is kept.
    pub history: Retention,
    /// The log.
    pub log: Log,
    /// The HTTP server.
    pub web: Web,
    /// How people are told.
    pub notify: Notify,
}

/// `[database]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Database {
    /// Which, and how to get in; a password named by `env:` or `file:` is not resolved yet.
    pub url: DatabaseUrl,
    /// Whether the connection to MySQL is encrypted.
    pub tls: DatabaseTls,
    /// Certificates that are trusted beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// The longest time that a result waits before it is written.
    pub flush_interval: Duration,
}

/// Whether the connection to MySQL is encrypted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DatabaseTls {
    /// Never.
    Off,
    /// Where the server can; any certificate.
    Prefer,
    /// Always; any certificate.
    Require,
    /// Always; the certificate is verified.
    Verify,
}

/// `[journal]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Journal {
    /// What it may hold, in bytes.
    pub max_bytes: u64,
}

/// `[daemon]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Daemon {
    /// How soon a changed row is acted on.
    pub reload_interval: Duration,
    /// The control socket.
    pub socket: PathBuf,
    /// Its permissions.
    pub socket_mode: u32,
    /// The longest time that a shutdown takes.
    pub shutdown_timeout: Duration,
}

/// `[probe]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Probe {
    /// Threads that probe; at least 1.
    pub threads: usize,
    /// What probes call themselves.
    pub user_agent: String,
}

/// `[log]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Log {
    /// A log4rs YAML file; `None` is built in.
    pub config: Option<PathBuf>,
}

/// `[web]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Web {
    /// Where it listens; `None` is nowhere.
    pub listen: Option<SocketAddr>,
}

/// `[notify]`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notify {
    /// When a notification that finds no way has expired.
    pub give_up_after: Duration,
    /// A directory of further kinds of notifiers.
    pub sinks_dir: Option<PathBuf>,
    /// Whether rows may name commands.
    pub allow_exec: bool,
}

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--state-dir`
    pub state_dir: Option<PathBuf>,
}

/// Settings, and where they came from.
#[derive(Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// The file that was read; `None` where there is none.
    pub file: Option<PathBuf>,
    /// What is odd and yet no fault.
    pub warnings: Vec<String>,
}

impl Settings {
    /// Loads the settings of this process.
    pub fn load(overrides: &Overrides) -> Result<Loaded, SettingsError> {
        Self::load_in(overrides, &Surroundings::of_process()?)
    }

    /// Loads the settings that a process would have in these surroundings.
    pub fn load_in(overrides: &Overrides, surroundings: &Surroundings) -> Result<Loaded, SettingsError> {
        load::load(overrides, surroundings)
    }

    /// The names of all settings.
    pub fn keys() -> impl Iterator<Item = &'static str> {
        key::names()
    }

    /// The pid file.
    pub fn pid_file(&self) -> PathBuf {
        self.state_dir.join("skypunch.pid")
    }

    /// Where the journal is kept.
    pub fn journal_dir(&self) -> PathBuf {
        self.state_dir.join("journal")
    }

    /// The built-in log.
    pub fn log_file(&self) -> PathBuf {
        self.state_dir.join("log/skypunch.log")
    }
}
