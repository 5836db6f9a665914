//! Why a journal cannot be opened, or did not do what it was asked to.

use std::{io, path::PathBuf};

use rusqlite::ErrorCode;
use skypunch_actors::port::JournalError;

use crate::own_thread::Ended;

/// Why the journal cannot be opened, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or the file cannot be written.
    #[error("the journal cannot be kept in {}: the daemon's user must be able to write there", directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// Why.
        source: Source,
    },
    /// Another process uses it.
    #[error("another process holds the journal {}: end it, then start the daemon again", path.display())]
    Held {
        /// The file.
        path: PathBuf,
    },
    /// There is no room for it.
    #[error("there is no room for the journal in {}: free some on that disk", directory.display())]
    Full {
        /// The directory.
        directory: PathBuf,
    },
    /// A newer skypunch made it. It was left as it is.
    #[error("the journal {} was made by a newer skypunch: use that one; nothing was changed", path.display())]
    TooNew {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("the journal cannot be opened")]
    Io(#[from] io::Error),
    /// SQLite refused.
    #[error("the journal {} cannot be opened", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Source,
    },
}

/// What a library says.
type Source = Box<dyn std::error::Error + Send + Sync>;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// SQLite refused.
    #[error("SQLite refused")]
    Sqlite(#[from] rusqlite::Error),
    /// It is no file of ours, or its header was damaged.
    #[error("the header is not that of a journal")]
    Foreign,
    /// The file was damaged, and a new one cannot be made.
    #[error("the file is damaged, and what can be read of it cannot be saved")]
    Open(#[from] Box<OpenError>),
    /// The disk refused.
    #[error("the disk refused")]
    Io(#[from] io::Error),
    /// No such numbers are given.
    #[error("{0} is no number of a batch")]
    Number(u64),
    /// The thread is gone.
    #[error(transparent)]
    Ended(#[from] Ended),
}

impl From<Failure> for JournalError {
    fn from(failure: Failure) -> Self {
        Self(failure.into())
    }
}

impl Failure {
    /// Whether the file is no longer what SQLite wrote.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Foreign => true,
            Self::Sqlite(error) => is_damage(error),
            _ => false,
        }
    }

    /// Whether the disk has no room.
    pub(super) fn is_full(&self) -> bool {
        let Self::Sqlite(error) = self else {
            return false;
        };
        error.sqlite_error_code() == Some(ErrorCode::DiskFull)
    }
}

/// Whether a file is no longer what SQLite wrote.
fn is_damage(error: &rusqlite::Error) -> bool {
    match error.sqlite_error() {
        // The file ends too soon.
        Some(error) if error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ => true,
        Some(error) => matches!(
            error.code,
            ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::ConstraintViolation
                | ErrorCode::SchemaChanged
                | ErrorCode::TypeMismatch
                // A table is missing, or has other columns.
                | ErrorCode::Unknown
        ),
        None => matches!(
            error,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::QueryReturnedNoRows
        ),
    }
}
