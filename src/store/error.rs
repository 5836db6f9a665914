//! Why a database cannot be opened.

use super::schema::Version;
use crate::secret::SecretError;

/// What a driver says.
pub(super) type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a database cannot be opened, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be reached, or not now: try again.
    #[error("the database is not available")]
    Unavailable(#[source] Source),
    /// It does not let us in, or is no database: the same again will not help.
    #[error("the database cannot be used")]
    Denied(#[source] Source),
    /// There is no such database, and we may not make one.
    #[error(
        "there is no database `{database}` that this user may use; let an administrator run: {statements}"
    )]
    Missing {
        /// Its name.
        database: String,
        /// What makes it, and lets us in.
        statements: String,
    },
    /// A newer skypunch has upgraded it. It was left as it is.
    #[error(
        "the database has schema {found}, this skypunch knows only {known}: use a newer skypunch; nothing was changed"
    )]
    TooNew {
        /// The version of the database.
        found: Version,
        /// The newest that we know.
        known: Version,
    },
    /// A statement of a migration failed. The next attempt begins with the same migration.
    #[error("the migration {migration} failed at its statement {statement}")]
    Migration {
        /// The file's name.
        migration: &'static str,
        /// Which statement, from 1.
        statement: usize,
        /// Why.
        source: Source,
    },
    /// The password is not where the settings say.
    #[error("the password of the database cannot be had")]
    Secret(#[from] SecretError),
}

/// No thread could be started.
impl From<std::io::Error> for OpenError {
    fn from(error: std::io::Error) -> Self {
        Self::Unavailable(error.into())
    }
}
