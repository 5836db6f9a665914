//! The backends of the database, and their migrations.
//!
//! # Design notes
//!
//! 2026-11: the history of a schema is its own table `versions`, which stood in the database of 2013
//! already, and the runner is `schema.rs` with some forty lines a backend. A migration library was
//! refused: it keeps a second history that can disagree with the first, takes a new connection from the
//! pool for every migration, so that neither the lock nor the session's `sql_mode` holds, and on SQLite
//! wants the transaction for itself that keeps two daemons apart.

mod claim;
mod error;
mod mysql;
mod news;
mod pack;
mod record;
mod row;
mod schema;
mod sqlite;

use std::sync::Arc;

use skypunch_actors::{
    domain::{NAME_MAX, text},
    port::Store,
};

pub use error::OpenError;
pub use schema::{Inspection, Migrated, SCHEMA, Version};

use crate::settings::{Database, DatabaseUrl};

/// Connects, migrates, and gives the store.
///
/// A password that the settings only name is looked up here, once. The store belongs to the runtime
/// that opens it, and to all that end before it.
pub async fn open(settings: &Database) -> Result<Arc<dyn Store>, OpenError> {
    migrate(settings).await?;
    match &settings.url {
        DatabaseUrl::Sqlite(path) => Ok(Arc::new(sqlite::SqliteStore::open(path).await?)),
        DatabaseUrl::Mysql { .. } => Ok(Arc::new(mysql::MysqlStore::connect(settings).await?)),
    }
}

/// Makes the database where there is none, and brings it to [`SCHEMA`]. Tells what was done.
pub async fn migrate(settings: &Database) -> Result<Migrated, OpenError> {
    match &settings.url {
        DatabaseUrl::Sqlite(path) => sqlite::migrate(path).await,
        DatabaseUrl::Mysql { .. } => mysql::migrate(settings).await,
    }
}

/// Connects, and looks which schema there is. Changes nothing, and makes no file.
pub async fn inspect(settings: &Database) -> Result<Inspection, OpenError> {
    match &settings.url {
        DatabaseUrl::Sqlite(path) => sqlite::inspect(path).await,
        DatabaseUrl::Mysql { .. } => mysql::inspect(settings).await,
    }
}

/// The name of this machine, for people who look at what several wrote.
fn host() -> String {
    let name = rustix::system::uname();
    text::cut(&name.nodename().to_string_lossy(), NAME_MAX).into_owned()
}
