//! Saves what can still be read of a damaged file into a new one.
//!
//! The new file is complete before the damaged one is moved out of its way, so that a process that is killed
//! in the middle does it again, or has done it. Of damaged files the newest is kept, for whoever wants to know.

use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use log::{error, warn};
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use uuid::Uuid;

use super::{
    JUMP,
    error::{Failure, OpenError},
    file::{self, StoredBatch, StoredNotification, TABLES},
};

/// How many numbers in a row are tried one by one where the way along them is broken.
const TRIED: u64 = 10_000;

const SELECT_UP: &str = "
    SELECT number, results, format, checksum, body FROM batches WHERE number > ?1 ORDER BY number";

const SELECT_DOWN: &str = "
    SELECT number, results, format, checksum, body FROM batches WHERE number < ?1 ORDER BY number DESC";

const SELECT_ONE: &str = "SELECT number, results, format, checksum, body FROM batches WHERE number = ?1";

const SELECT_OUTBOX: &str = "SELECT id, notifier, format, checksum, body FROM outbox ORDER BY place";

const SELECT_OUTBOX_DOWN: &str =
    "SELECT id, notifier, format, checksum, body FROM outbox ORDER BY place DESC";

/// The bytes of the first page that say how SQLite reads all others.
const FIRST_PAGE: usize = 4_096;

/// What came of it.
#[derive(Default)]
struct Saved {
    batches: u64,
    notifications: u64,
    unreadable: u64,
    whole: bool,
}

/// Ends what a process that was killed had begun.
pub(super) fn finish(directory: &Path) -> io::Result<()> {
    let new = new_path(directory);
    if !new.exists() {
        return Ok(());
    }
    // Without the other it is complete: that was moved away after it.
    if file::path(directory).exists() { remove(&new) } else { fs::rename(&new, file::path(directory)) }
}

/// Puts a new file in the place of a damaged one. `known` is who writes it, and the greatest number, where
/// somebody still knows.
pub(super) fn salvage(
    directory: &Path,
    damage: &Failure,
    known: Option<(Uuid, u64)>,
) -> Result<(), OpenError> {
    let explain = |failure: Failure| match failure {
        Failure::Io(error) => OpenError::Io(error),
        failure => OpenError::Sqlite { path: file::path(directory), source: failure.into() },
    };
    warn!("the journal is damaged: {}", file::told(damage));
    let saved = copy(directory, known).map_err(explain)?;
    let kept = set_aside(directory)?;
    fs::rename(new_path(directory), file::path(directory))?;
    sync(directory)?;
    let Saved { batches, notifications, unreadable, whole } = saved;
    let lost = if whole { format!("{unreadable}") } else { format!("{unreadable} or more") };
    error!(
        "the journal was damaged: {batches} batches and {notifications} undelivered notifications were saved, \
         {lost} could not be read; the damaged file is kept as {}",
        kept.display()
    );
    Ok(())
}

fn copy(directory: &Path, known: Option<(Uuid, u64)>) -> Result<Saved, Failure> {
    let new = new_path(directory);
    remove(&new)?;
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let mut to = Connection::open_with_flags(&new, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    to.execute_batch(&format!("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = MEMORY; {TABLES}"))?;
    let from = match open_damaged(&file::path(directory)) {
        Ok(from) => Some(from),
        // The first page says nothing any more; that of a new file says the same.
        Err(_) => graft(directory, &new).and_then(|()| open_damaged(&file::path(directory)).ok()),
    };
    let transaction = to.transaction()?;
    let mut saved = Saved { whole: true, ..Saved::default() };
    let mut last = 0;
    match &from {
        Some(from) => {
            last = copy_batches(from, &transaction, &mut saved)?;
            copy_outbox(from, &transaction, &mut saved)?;
        }
        None => saved.whole = false,
    }
    let read = from.as_ref().and_then(|from| file::read_meta(from).ok().flatten());
    let (node, known_last) = known.or(read).unwrap_or_else(|| (Uuid::now_v7(), 0));
    file::put_meta(&transaction, node, last.max(known_last) + JUMP)?;
    transaction.commit()?;
    to.close().map_err(|(_, error)| error)?;
    Ok(saved)
}

fn open_damaged(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // The log of SQLite is read, and left as it is.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.query_row("PRAGMA locking_mode = EXCLUSIVE", (), |_| Ok(()))?;
    connection.query_row("SELECT count(*) FROM meta", (), |_| Ok(()))?;
    Ok(connection)
}

/// Gives a file whose first page is damaged that of a new one: their tables begin at the same pages.
fn graft(directory: &Path, new: &Path) -> Option<()> {
    use std::os::unix::fs::FileExt;
    let mut page = vec![0; FIRST_PAGE];
    fs::File::open(new).ok()?.read_exact_at(&mut page, 0).ok()?;
    let damaged = fs::OpenOptions::new().write(true).open(file::path(directory)).ok()?;
    let pages = u32::try_from(damaged.metadata().ok()?.len() / FIRST_PAGE as u64).ok()?;
    // No free pages: none is written any more. The size: as the file has it.
    page[28..32].copy_from_slice(&pages.to_be_bytes());
    page[32..40].fill(0);
    damaged.write_all_at(&page, 0).ok()
}

/// Copies batches from both ends, and what lies between where the way along them is broken; tells the greatest
/// number.
fn copy_batches(from: &Connection, to: &Connection, saved: &mut Saved) -> Result<u64, Failure> {
    let Some(low) = copy_along(from, to, SELECT_UP, -1, saved)? else {
        return Ok(greatest(to)?);
    };
    saved.whole = false;
    let Some(high) = copy_along(from, to, SELECT_DOWN, i64::MAX, saved)? else {
        return Ok(greatest(to)?);
    };
    let between = (low + 1..high).take(usize::try_from(TRIED).unwrap_or(usize::MAX));
    for number in between {
        let row = from.query_row(SELECT_ONE, [number], StoredBatch::read);
        if let Ok(stored) = row {
            keep(to, &stored, saved)?;
        }
    }
    Ok(greatest(to)?)
}

fn greatest(to: &Connection) -> rusqlite::Result<u64> {
    let max = to.query_row("SELECT coalesce(max(number), 0) FROM batches", (), |row| row.get::<_, i64>(0));
    max.map(i64::cast_unsigned)
}

/// Copies row by row; `None` is to the end, else how far the rows could be read.
fn copy_along(
    from: &Connection,
    to: &Connection,
    select: &str,
    start: i64,
    saved: &mut Saved,
) -> Result<Option<i64>, Failure> {
    let mut reached = start;
    loop {
        let mut progress = false;
        let Ok(mut select) = from.prepare(select) else {
            return Ok(Some(reached));
        };
        let Ok(mut rows) = select.query([reached]) else {
            return Ok(Some(reached));
        };
        loop {
            match rows.next() {
                Ok(None) => return Ok(None),
                Ok(Some(row)) => {
                    let Ok(number) = row.get::<_, i64>(0) else {
                        return Ok(Some(reached));
                    };
                    (reached, progress) = (number, true);
                    match StoredBatch::read(row) {
                        Ok(stored) => keep(to, &stored, saved)?,
                        // Its body lies on pages that are broken; the next may not.
                        Err(_) => {
                            saved.unreadable += 1;
                            break;
                        }
                    }
                }
                Err(_) => {
                    progress = false;
                    break;
                }
            }
        }
        if !progress {
            return Ok(Some(reached));
        }
    }
}

fn keep(to: &Connection, stored: &StoredBatch, saved: &mut Saved) -> Result<(), Failure> {
    if !stored.is_whole() {
        saved.unreadable += 1;
        return Ok(());
    }
    let StoredBatch { number, results, format, checksum, body } = stored;
    let values = (number.cast_signed(), results.cast_signed(), format, checksum, body);
    to.prepare_cached(file::PUT_BATCH)?.execute(values)?;
    saved.batches += 1;
    Ok(())
}

/// Copies what is undelivered. Where not all of that can be read, what the batches tell of it is added.
fn copy_outbox(from: &Connection, to: &Connection, saved: &mut Saved) -> Result<(), Failure> {
    let mut found = Vec::new();
    let whole = read_outbox(from, SELECT_OUTBOX, &mut found, saved);
    if !whole {
        saved.whole = false;
        let mut rest = Vec::new();
        read_outbox(from, SELECT_OUTBOX_DOWN, &mut rest, saved);
        rest.reverse();
        found.append(&mut rest);
        replay(to)?;
    }
    for stored in &found {
        file::copy_notification(to, stored)?;
    }
    let count = to.query_row("SELECT count(*) FROM outbox", (), |row| row.get::<_, i64>(0))?;
    saved.notifications = count.cast_unsigned();
    Ok(())
}

fn read_outbox(
    from: &Connection,
    select: &str,
    found: &mut Vec<StoredNotification>,
    saved: &mut Saved,
) -> bool {
    let Ok(mut select) = from.prepare(select) else {
        return false;
    };
    let Ok(mut rows) = select.query(()) else {
        return false;
    };
    loop {
        match rows.next() {
            Ok(None) => return true,
            Ok(Some(row)) => match StoredNotification::read(row) {
                Ok(stored) if stored.is_whole() => found.push(stored),
                Ok(_) => saved.unreadable += 1,
                Err(_) => return false,
            },
            Err(_) => return false,
        }
    }
}

/// Takes the news of notifications from the batches, in order. One that has come to its end since may be told
/// twice, with the same id.
fn replay(to: &Connection) -> Result<(), Failure> {
    let mut select = to.prepare(SELECT_UP)?;
    let mut rows = select.query([-1])?;
    while let Some(row) = rows.next()? {
        let Ok(batch) = StoredBatch::read(row)?.decode() else {
            continue;
        };
        for (id, news) in &batch.notifications {
            file::put_notification(to, *id, news)?;
        }
    }
    Ok(())
}

/// Moves the damaged file away, and removes one that was moved before.
fn set_aside(directory: &Path) -> Result<PathBuf, OpenError> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("journal.db.damaged-") {
            remove(&entry.path())?;
        }
    }
    let modified = fs::metadata(file::path(directory))?.modified()?;
    let seconds = modified.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let kept = directory.join(format!("journal.db.damaged-{seconds}"));
    let log = directory.join(format!("journal.db.damaged-{seconds}-wal"));
    fs::rename(file::path(directory), &kept)?;
    match fs::rename(file::log_path(directory), log) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    remove(&directory.join("journal.db-shm"))?;
    Ok(kept)
}

fn new_path(directory: &Path) -> PathBuf {
    directory.join("journal.db.new")
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    fs::File::open(directory)?.sync_all()
}
