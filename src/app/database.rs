//! The database of the settings; errors say which one that is.

use std::sync::Arc;

use skypunch_actors::port::Store;

use crate::{
    settings::Settings,
    store::{self, Inspection, Migrated, OpenError, SCHEMA, Version},
};

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It cannot be opened.
    #[error("{database}")]
    Open {
        /// Which, without the password.
        database: String,
        /// Why.
        source: OpenError,
    },
    /// Its schema is old, and whoever asks must not change it.
    #[error(
        "{database} has schema {found}: run `skypunch migrate`, or start the daemon, to make it {SCHEMA}"
    )]
    Old {
        /// Which, without the password.
        database: String,
        /// Its schema.
        found: Version,
    },
}

fn named(settings: &Settings) -> impl FnOnce(OpenError) -> DatabaseError {
    let database = settings.database.url.to_string();
    |source| DatabaseError::Open { database, source }
}

/// Brings the database to the schema of this program, and opens it.
pub(super) async fn open(settings: &Settings) -> Result<Arc<dyn Store>, DatabaseError> {
    store::open(&settings.database).await.map_err(named(settings))
}

/// Opens the database unless that would change the schema of one that is there.
pub(super) async fn open_as_it_is(settings: &Settings) -> Result<Arc<dyn Store>, DatabaseError> {
    match inspect(settings).await?.schema {
        Some(found) if found < SCHEMA => {
            Err(DatabaseError::Old { database: settings.database.url.to_string(), found })
        }
        _ => open(settings).await,
    }
}

/// Brings the database to the schema of this program.
pub(super) async fn migrate(settings: &Settings) -> Result<Migrated, DatabaseError> {
    store::migrate(&settings.database).await.map_err(named(settings))
}

/// Looks which schema there is, and changes nothing.
pub(super) async fn inspect(settings: &Settings) -> Result<Inspection, DatabaseError> {
    let found = store::inspect(&settings.database).await.map_err(named(settings))?;
    match found.schema {
        Some(found) if found > SCHEMA => Err(named(settings)(OpenError::TooNew { found, known: SCHEMA })),
        _ => Ok(found),
    }
}
