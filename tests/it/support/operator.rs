//! Whoever works on the database of a daemon with plain SQL.

use std::path::PathBuf;

use mysql_async::Value;
use rusqlite::{Connection, types::Value as SqliteValue};

use super::mariadb::{DATABASE, MariaDb, PASSWORD, USER};
use crate::harness::{CONFIG, Home};

/// A database that both the daemon and a person with a shell use.
pub enum Operator {
    Sqlite(PathBuf),
    MariaDb(MariaDb),
}

/// The embedded database of a home.
pub fn on_sqlite() -> (Operator, Home) {
    let home = Home::new();
    (Operator::Sqlite(home.state("skypunch.db")), home)
}

/// A server of its own, and a home that names it.
pub async fn on_mariadb() -> (Operator, Home) {
    let server = MariaDb::start().await;
    let url = format!("mysql://{USER}:env:DATABASE_PASSWORD@127.0.0.1:{}/{DATABASE}", server.port());
    let config = CONFIG.replace("[database]", &format!("[database]\nurl = {url:?}"));
    let mut home = Home::with_config(&config);
    home.env("DATABASE_PASSWORD", PASSWORD);
    (Operator::MariaDb(server), home)
}

impl Operator {
    /// Runs statements.
    pub async fn sql(&self, statements: &str) {
        match self {
            Self::Sqlite(path) => shell(path).execute_batch(statements).unwrap(),
            Self::MariaDb(server) => server.sql(statements).await,
        }
    }

    /// The first column of the first row, as text; nothing if there is no row.
    pub async fn ask(&self, query: &str) -> Option<String> {
        match self {
            Self::Sqlite(path) => {
                let value = shell(path).query_row(query, [], |row| row.get::<_, SqliteValue>(0));
                match value.ok()? {
                    SqliteValue::Null => Some("NULL".to_owned()),
                    SqliteValue::Integer(number) => Some(number.to_string()),
                    SqliteValue::Text(text) => Some(text),
                    other => Some(format!("{other:?}")),
                }
            }
            Self::MariaDb(server) => {
                let rows = server.query(query).await;
                rows.into_iter().next().map(|mut row| match row.take(0).unwrap() {
                    Value::NULL => "NULL".to_owned(),
                    Value::Bytes(text) => String::from_utf8(text).unwrap(),
                    Value::Int(number) => number.to_string(),
                    other => format!("{other:?}"),
                })
            }
        }
    }

    /// Asks until the answer is `expected`.
    pub async fn wait_for(&self, query: &str, expected: &str) {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            let answer = self.ask(query).await;
            if answer.as_deref() == Some(expected) {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "{query} is {answer:?}, not {expected}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

fn shell(path: &PathBuf) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    connection
}
