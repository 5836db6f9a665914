//! Brings a database to the schema, under a lock, statement by statement.
//!
//! MySQL commits each statement that defines something, so a migration that was cut off is run again
//! from its beginning; `sql/README.md` says how its statements bear that.

use mysql_async::{Conn, prelude::Queryable};

use super::{connect, error};
use crate::{
    settings::Database,
    store::{
        error::OpenError,
        schema::{self, Inspection, MYSQL, Migrated, Migration, Version},
    },
};

/// Locks are the server's, so the name has the database in it; at most 64 characters.
const LOCK: &str = "SELECT GET_LOCK(CONCAT('skypunch migrate ', MD5(DATABASE())), 60)";

/// Strict, but for zero dates, which only the old schema may hold. A table that somebody else uses is
/// not waited for without end.
const SESSION: &str = "SET SESSION sql_mode = 'STRICT_ALL_TABLES', lock_wait_timeout = 60";

const SELECT_VERSION: &str = "SELECT major, minor FROM versions ORDER BY major DESC, minor DESC LIMIT 1";

pub(in crate::store) async fn migrate(settings: &Database) -> Result<Migrated, OpenError> {
    let mut connection = connect::connect_or_create(settings).await?;
    let found = version(&mut connection).await?;
    if schema::plan(&MYSQL, found)?.is_empty() {
        return Ok(schema::done(found, &[]));
    }
    let locked: Option<Option<u8>> = connection.query_first(LOCK).await.map_err(error::open)?;
    if locked.flatten() != Some(1) {
        return Err(OpenError::Unavailable("another skypunch is upgrading the database".into()));
    }
    // Another daemon may have been here while we waited for the lock.
    let found = version(&mut connection).await?;
    let planned = schema::plan(&MYSQL, found)?;
    connection.query_drop(SESSION).await.map_err(error::open)?;
    for migration in &planned {
        apply(&mut connection, migration).await?;
    }
    // The lock ends with the connection, however that ends: here, or where a failure drops it.
    drop(connection.disconnect().await);
    Ok(schema::done(found, &planned))
}

pub(in crate::store) async fn inspect(settings: &Database) -> Result<Inspection, OpenError> {
    let schema = match connect::look(settings).await? {
        Some(mut connection) => version(&mut connection).await?,
        None => None,
    };
    schema::plan(&MYSQL, schema)?;
    Ok(Inspection { backend: "mysql", schema })
}

async fn apply(connection: &mut Conn, migration: &Migration) -> Result<(), OpenError> {
    for (index, sql) in migration.statements().enumerate() {
        match connection.query_drop(sql).await {
            Err(e) if error::is_done_already(&e) => {}
            done => done.map_err(|source| OpenError::Migration {
                migration: migration.name,
                statement: index + 1,
                source: source.into(),
            })?,
        }
    }
    Ok(())
}

async fn version(connection: &mut Conn) -> Result<Option<Version>, OpenError> {
    match connection.query_first(SELECT_VERSION).await {
        Ok(row) => Ok(row.map(|(major, minor)| Version { major, minor })),
        Err(e) if error::has_no_table(&e) => Ok(None),
        Err(e) => Err(error::open(e)),
    }
}
