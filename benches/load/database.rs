//! The database of a run: filled and read by plain SQL, as operators do.

use std::path::{Path, PathBuf};

use anyhow::Result;

const INSERT: &str = "INSERT INTO targets (id, name, url, frequency, timeout) VALUES (?, ?, ?, 1, 1)";
const SELECT: &str = "SELECT id, status, pass_count + fail_count FROM targets ORDER BY id";

/// A database that the daemon has prepared.
pub enum Database {
    Sqlite(PathBuf),
}

/// A row of `targets`, as far as it is compared.
pub struct Row {
    pub id: i64,
    pub status: String,
    pub probes: i64,
}

impl Database {
    /// A new database: a file below `home`, or a private server.
    pub async fn start(mysql: bool, home: &Path) -> Result<Self> {
        anyhow::ensure!(!mysql, "mysql is not there yet");
        Ok(Self::Sqlite(home.join("load.db")))
    }

    pub async fn stop(&mut self) -> Result<()> {
        Ok(())
    }

    pub async fn start_again(&mut self) -> Result<()> {
        Ok(())
    }

    /// What `database.url` says.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
        }
    }

    /// Adds a target with a frequency of one second for each URL; ids from 1.
    pub async fn fill(&self, urls: &[String]) -> Result<()> {
        match self {
            Self::Sqlite(path) => {
                let mut connection = rusqlite::Connection::open(path)?;
                let transaction = connection.transaction()?;
                for (id, url) in (1_i64..).zip(urls) {
                    transaction.execute(INSERT, rusqlite::params![id, format!("load {id}"), url])?;
                }
                Ok(transaction.commit()?)
            }
        }
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
        }
    }
}
