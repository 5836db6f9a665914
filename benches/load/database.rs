//! The database of a run: filled and read by plain SQL, as operators do.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use skypunch::settings::DatabaseUrl;

use super::{
    process::mib,
    scenario::{Backend, Scenario, TIMEOUT_S},
    server::Server,
    support::mariadb::{DATABASE, MariaDb, PASSWORD, USER},
};

const SELECT: &str = "SELECT id, status, pass_count + fail_count FROM targets ORDER BY id";

/// A database of one run.
pub enum Database {
    Sqlite(PathBuf),
    Mysql(MariaDb),
}

/// A row of `targets`, as far as it is compared.
pub struct Row {
    pub id: i64,
    pub status: String,
    pub probes: i64,
}

impl Database {
    /// A new database: a file in a folder of its own below `home`, or a private server.
    pub async fn start(backend: Backend, home: &Path) -> Result<Self> {
        match backend {
            Backend::Sqlite => {
                fs::create_dir(home.join("database"))?;
                Ok(Self::Sqlite(home.join("database/load.db")))
            }
            Backend::Mysql => Ok(Self::Mysql(MariaDb::start().await)),
        }
    }

    /// What `database.url` says.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Mysql(server) => {
                let DatabaseUrl::Mysql { port, .. } = server.settings().url else {
                    unreachable!("the server is one of MySQL's kind");
                };
                format!("mysql://{USER}:{PASSWORD}@127.0.0.1:{port}/{DATABASE}")
            }
        }
    }

    /// Adds the targets of a scenario, ids from 1, and whom to tell if somebody is told.
    pub async fn fill(&self, scenario: &Scenario, server: &Server, ca_file: &Path) -> Result<()> {
        let options = scenario.options(&ca_file.display().to_string());
        let options = options.map_or("NULL".to_owned(), |json| format!("'{json}'"));
        let row = |id: usize| {
            let (url, enabled) = (server.url(id), u8::from(scenario.begins_enabled(id)));
            let frequency = scenario.frequency_s;
            format!("({id}, 'load {id}', '{url}', {frequency}, {TIMEOUT_S}, {enabled}, {options})")
        };
        let rows: Vec<String> = (1..=scenario.targets).map(row).collect();
        for rows in rows.chunks(1_000) {
            let insert = "INSERT INTO targets (id, name, url, frequency, timeout, enabled, options) VALUES";
            self.execute(&format!("{insert} {}", rows.join(", "))).await?;
        }
        if scenario.tells() {
            let insert = "INSERT INTO notifiers (name, type, address) VALUES";
            self.execute(&format!("{insert} ('load', 'WEBHOOK', '{}')", server.told_url())).await?;
        }
        Ok(())
    }

    /// Runs one statement.
    pub async fn execute(&self, statement: &str) -> Result<()> {
        match self {
            Self::Sqlite(path) => drop(rusqlite::Connection::open(path)?.execute(statement, [])?),
            Self::Mysql(server) => server.sql(statement).await,
        }
        Ok(())
    }

    /// All targets, by id.
    pub async fn rows(&self) -> Result<Vec<Row>> {
        match self {
            Self::Sqlite(path) => {
                let connection = rusqlite::Connection::open(path)?;
                let mut query = connection.prepare(SELECT)?;
                let rows = query.query_map([], |row| {
                    Ok(Row { id: row.get(0)?, status: row.get(1)?, probes: row.get(2)? })
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
            }
            Self::Mysql(server) => {
                let rows = server.query(SELECT).await.into_iter().map(mysql_async::from_row);
                Ok(rows.map(|(id, status, probes)| Row { id, status, probes }).collect())
            }
        }
    }

    /// The process of a server that is there.
    pub fn pid(&self) -> Option<u32> {
        let Self::Mysql(server) = self else { return None };
        let pid = fs::read_to_string(server.socket().with_file_name("pid")).ok()?;
        pid.trim().parse().ok()
    }

    /// How much there is on disk.
    pub fn mib(&self) -> f64 {
        match self {
            Self::Sqlite(path) => path.parent().map_or(0.0, mib),
            Self::Mysql(server) => mib(&server.socket().with_file_name("data")),
        }
    }

    /// Takes a server away.
    pub fn stop(&mut self) {
        if let Self::Mysql(server) = self {
            server.stop();
        }
    }

    /// Brings a server back.
    pub async fn start_again(&mut self) {
        if let Self::Mysql(server) = self {
            server.launch().await;
        }
    }
}
