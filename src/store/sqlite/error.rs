//! What SQLite's errors mean to the callers.

use rusqlite::{Error, ErrorCode};
use skypunch_actors::port::StoreError;

use crate::store::error::OpenError;

pub(super) fn store(error: Error) -> StoreError {
    if is_refusal(&error) { StoreError::Refused(error.into()) } else { StoreError::Unavailable(error.into()) }
}

/// Whether the same statement will be refused again.
pub(super) fn is_refusal(error: &Error) -> bool {
    match error.sqlite_error_code() {
        Some(code) => {
            matches!(code, ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig)
        }
        None => matches!(error, Error::ToSqlConversionFailure(_)),
    }
}

pub(super) fn open(error: Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly,
        ) => OpenError::Denied(error.into()),
        _ => OpenError::Unavailable(error.into()),
    }
}
