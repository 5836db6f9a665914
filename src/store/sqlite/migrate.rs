//! Brings a file to the schema: everything in one transaction, or nothing.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior};

use super::{connect, error};
use crate::store::{
    error::OpenError,
    schema::{self, Inspection, Migrated, Migration, SQLITE, Version},
};

const HAS_VERSIONS: &str = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'versions'";
const SELECT_VERSION: &str = "SELECT major, minor FROM versions ORDER BY major DESC, minor DESC LIMIT 1";

pub(in crate::store) async fn migrate(path: &Path) -> Result<Migrated, OpenError> {
    let path = path.to_owned();
    blocking(move || {
        // A file that is too new is not even opened for writing.
        if let Some(connection) = connect::look(&path)? {
            schema::plan(&SQLITE, version(&connection)?)?;
        }
        run(&mut connect::connect(&path)?)
    })
    .await
}

pub(in crate::store) async fn inspect(path: &Path) -> Result<Inspection, OpenError> {
    let path = path.to_owned();
    blocking(move || {
        let schema = match connect::look(&path)? {
            Some(connection) => version(&connection)?,
            None => None,
        };
        schema::plan(&SQLITE, schema)?;
        Ok(Inspection { backend: "sqlite", schema })
    })
    .await
}

fn run(connection: &mut Connection) -> Result<Migrated, OpenError> {
    let found = version(connection)?;
    if schema::plan(&SQLITE, found)?.is_empty() {
        return Ok(schema::done(found, &[]));
    }
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Exclusive).map_err(error::open)?;
    // Another daemon may have been here while we waited for the lock.
    let found = version(&transaction)?;
    let planned = schema::plan(&SQLITE, found)?;
    for migration in &planned {
        apply(&transaction, migration)?;
    }
    transaction.commit().map_err(error::open)?;
    Ok(schema::done(found, &planned))
}

fn apply(connection: &Connection, migration: &Migration) -> Result<(), OpenError> {
    for (index, sql) in migration.statements().enumerate() {
        connection.execute_batch(sql).map_err(|source| OpenError::Migration {
            migration: migration.name,
            statement: index + 1,
            source: source.into(),
        })?;
    }
    Ok(())
}

fn version(connection: &Connection) -> Result<Option<Version>, OpenError> {
    let read = || {
        if connection.query_row(HAS_VERSIONS, (), |_| Ok(())).optional()?.is_none() {
            return Ok(None);
        }
        let version = |row: &Row<'_>| Ok(Version { major: row.get(0)?, minor: row.get(1)? });
        connection.query_row(SELECT_VERSION, (), version).optional()
    };
    read().map_err(error::open)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| OpenError::Unavailable(e.into()))?
}
