//! Opens the file, and makes its tables.

use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row};
use uuid::Uuid;

use super::{
    codec,
    error::{Failure, OpenError},
};

/// The version of the tables, in `user_version`.
const SCHEMA: u32 = 1;

/// What `application_id` is above that: `skyp`, with room below.
const KIND: u32 = 0x736b_0000;

/// `batches.checksum` covers number, results, format and body; `outbox.checksum` id, notifier, format and body;
/// `meta.checksum` node and last. `aside` holds what a newer skypunch wrote, which this one cannot read.
pub(super) const TABLES: &str = "
    PRAGMA user_version = 1;
    PRAGMA application_id = 0x736b0001;
    CREATE TABLE meta (
        id INTEGER PRIMARY KEY CHECK (id = 1), node BLOB NOT NULL, last INTEGER NOT NULL, checksum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE batches (
        number INTEGER PRIMARY KEY, results INTEGER NOT NULL, format INTEGER NOT NULL, checksum INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    CREATE INDEX batches_with_results ON batches (number) WHERE results > 0;
    CREATE TABLE marks (number INTEGER PRIMARY KEY) STRICT;
    CREATE TABLE outbox (
        place INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE, notifier INTEGER NOT NULL,
        format INTEGER NOT NULL, checksum INTEGER NOT NULL, body BLOB NOT NULL
    ) STRICT;
    CREATE INDEX outbox_by_notifier ON outbox (notifier, place);
    CREATE TABLE aside (
        number INTEGER PRIMARY KEY, results INTEGER NOT NULL, format INTEGER NOT NULL, checksum INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT;";

const PUT_META: &str = "INSERT OR REPLACE INTO meta (id, node, last, checksum) VALUES (1, ?1, ?2, ?3)";

/// How long a process that looks into the file may keep others from it.
const BUSY_WITHIN: Duration = Duration::from_secs(2);

/// The log of SQLite is cut to this when it has been written back.
const LOG_KEPT: u64 = 4 << 20;

pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join("journal.db")
}

pub(super) fn log_path(directory: &Path) -> PathBuf {
    directory.join("journal.db-wal")
}

/// Opens the file for this process alone, and makes an empty one where there is none.
pub(super) fn open(directory: &Path) -> Result<Connection, Failure> {
    let path = path(directory);
    let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    made.map_err(|error| {
        Box::new(OpenError::Directory { directory: directory.to_owned(), source: error.into() })
    })?;
    let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(BUSY_WITHIN)?;
    connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA cell_size_check = ON;")?;
    let is_empty = is_empty(&connection, &path)?;
    if is_empty {
        connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL;")?;
    }
    connection.query_row("PRAGMA journal_mode = WAL", (), |_| Ok(()))?;
    connection.query_row(&format!("PRAGMA journal_size_limit = {LOG_KEPT}"), (), |_| Ok(()))?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;")?;
    if is_empty {
        connection.execute_batch(&format!("BEGIN IMMEDIATE; {TABLES} COMMIT;"))?;
    }
    Ok(connection)
}

/// Whether the file is to be made; if it is there, it must be a journal of this version.
fn is_empty(connection: &Connection, path: &Path) -> Result<bool, Failure> {
    let number = |pragma: &str| connection.query_row(&format!("PRAGMA {pragma}"), (), |row| row.get(0));
    let (kind, version): (u32, u32) = (number("application_id")?, number("user_version")?);
    if connection.query_row("SELECT count(*) = 0 FROM sqlite_master", (), |row| row.get(0))? {
        return Ok(true);
    }
    // Said twice, so that a flipped bit is not taken for a newer version.
    match version {
        _ if kind.checked_sub(version) != Some(KIND) => Err(Failure::Foreign),
        SCHEMA => Ok(false),
        ..SCHEMA => Err(Failure::Foreign),
        _ => Err(Box::new(OpenError::TooNew { path: path.to_owned() }).into()),
    }
}

/// What can be done about a file that cannot be opened.
pub(super) fn explain(directory: &Path, failure: Failure) -> OpenError {
    let path = path(directory);
    match failure {
        Failure::Open(error) => *error,
        Failure::Io(error) => error.into(),
        Failure::Sqlite(error) => match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Held { path },
            Some(ErrorCode::DiskFull) => OpenError::Full { directory: directory.to_owned() },
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                OpenError::Directory { directory: directory.to_owned(), source: error.into() }
            }
            _ => OpenError::Sqlite { path, source: error.into() },
        },
        failure @ (Failure::Foreign | Failure::Number(_) | Failure::Ended(_)) => {
            OpenError::Sqlite { path, source: failure.into() }
        }
    }
}

/// Who writes the file, and the greatest number; `None` in a file that is new.
pub(super) fn read_meta(connection: &Connection) -> rusqlite::Result<Option<(Uuid, u64)>> {
    let read = |row: &Row<'_>| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?, row.get::<_, u32>(2)?));
    let meta = connection.query_row("SELECT node, last, checksum FROM meta", (), read).optional()?;
    let Some((node, last, checksum)) = meta else {
        return Ok(None);
    };
    let node = Uuid::from_slice(&node).ok().filter(|node| meta_checksum(*node, last) == checksum);
    let damaged = || rusqlite::Error::IntegralValueOutOfRange(2, checksum.into());
    Ok(Some((node.ok_or_else(damaged)?, last.cast_unsigned())))
}

pub(super) fn put_meta(connection: &Connection, node: Uuid, last: u64) -> rusqlite::Result<()> {
    let last = last.cast_signed();
    let checksum = meta_checksum(node, last);
    connection.prepare_cached(PUT_META)?.execute((node.as_bytes(), last, checksum))?;
    Ok(())
}

fn meta_checksum(node: Uuid, last: i64) -> u32 {
    codec::checksum(node.as_bytes(), SCHEMA, &last.to_le_bytes())
}
