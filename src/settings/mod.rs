//! The configuration.

use std::{path::PathBuf, time::Duration};

use serde::Deserialize;
use skypunch_actors::domain::Secret;

/// Every setting, complete and in range.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Holds all that the daemon writes unless configured otherwise.
    pub state_dir: PathBuf,
    /// The database.
    pub database: Database,
    /// The daemon.
    pub daemon: Daemon,
    /// How targets are probed.
    pub probe: Probe,
    /// The log.
    pub log: Log,
    /// The HTTP server.
    pub web: Web,
}

/// `[database]`
#[derive(Clone, Debug)]
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

/// Where the database is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum DatabaseUrl {
    /// `sqlite:PATH`
    Sqlite(PathBuf),
    /// `mysql://user:password@host:3306/skypunch`
    Mysql {
        /// Host name or address, without the brackets of IPv6.
        host: String,
        /// Port.
        port: u16,
        /// User.
        user: String,
        /// Password, or where to find it.
        password: Option<Secret>,
        /// Name of the database.
        database: String,
        /// The server's Unix socket (`?socket=PATH`), in place of host and port.
        socket: Option<PathBuf>,
    },
}

/// Whether the connection to MySQL is encrypted.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
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

/// `[daemon]`
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
pub struct Probe {
    /// Threads that probe; at least 1.
    pub threads: usize,
    /// What probes call themselves.
    pub user_agent: String,
}

/// `[log]`
#[derive(Clone, Debug)]
pub struct Log {
    /// A log4rs YAML file; `None` is built in.
    pub config: Option<PathBuf>,
}

/// `[web]`
#[derive(Clone, Debug)]
pub struct Web {
    /// Where it listens; `None` is nowhere.
    pub listen: Option<std::net::SocketAddr>,
}
