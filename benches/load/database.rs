//! The database of a run: filled and read by plain SQL, as operators do.

use std::path::{Path, PathBuf};

use anyhow::Result;
use skypunch::settings::DatabaseUrl;

use crate::support::mariadb::{DATABASE, MariaDb, PASSWORD, USER};

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
    /// A new database: a file below `home`, or a private server.
    pub async fn start(mysql: bool, home: &Path) -> Self {
        if mysql { Self::Mysql(MariaDb::start().await) } else { Self::Sqlite(home.join("load.db")) }
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

    /// Adds a target with a frequency of one second for each URL; ids from 1.
    pub async fn fill(&self, urls: &[String]) -> Result<()> {
        let row = |(id, url)| format!("({id}, 'load {id}', '{url}', 1, 1)");
        let rows: Vec<String> = (1..).zip(urls).map(row).collect();
        for rows in rows.chunks(1_000) {
            let insert = "INSERT INTO targets (id, name, url, frequency, timeout) VALUES";
            let statement = format!("{insert} {}", rows.join(", "));
            match self {
                Self::Sqlite(path) => drop(rusqlite::Connection::open(path)?.execute(&statement, [])?),
                Self::Mysql(server) => server.sql(&statement).await,
            }
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

    /// Takes it away; only a server can be.
    pub fn stop(&mut self) {
        if let Self::Mysql(server) = self {
            server.stop();
        }
    }

    /// Brings it back.
    pub async fn start_again(&mut self) {
        if let Self::Mysql(server) = self {
            server.launch().await;
        }
    }
}
