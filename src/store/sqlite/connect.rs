//! Opens the file.

use std::{fs, io, os::unix::fs::OpenOptionsExt, path::Path};

use rusqlite::{Connection, OpenFlags};

use super::{BUSY_WITHIN, error, history};
use crate::store::error::OpenError;

/// Statements that stay prepared.
const STATEMENTS: usize = 64;

/// Opens a file that has the schema.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    let connection = connect(path)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    history::forget_orphans(&connection).map_err(error::open)?;
    Ok(connection)
}

/// Opens the file, and makes an empty one where there is none: for its owner alone, since it holds secrets.
pub(super) fn connect(path: &Path) -> Result<Connection, OpenError> {
    let made = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map_err(|e| OpenError::Denied(named(path, &e).into()))?;
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(error::open)?;
    connection.busy_timeout(BUSY_WITHIN).map_err(error::open)?;
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
        .map_err(error::open)?;
    Ok(connection)
}

/// Opens the file to look at it; `None` is no file.
pub(super) fn look(path: &Path) -> Result<Option<Connection>, OpenError> {
    match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(OpenError::Denied(named(path, &e).into())),
        Ok(file) if !file.is_file() => {
            return Err(OpenError::Denied(format!("{}: not a file", path.display()).into()));
        }
        Ok(_) => {}
    }
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(error::open)?;
    connection.busy_timeout(BUSY_WITHIN).map_err(error::open)?;
    Ok(Some(connection))
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
