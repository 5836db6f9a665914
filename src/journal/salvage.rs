//! Saves what can still be read of a damaged file into a new one.
//!
//! The new file is complete before the damaged one is moved out of its way, so that a process that is killed
//! in the middle does it again, or has done it. Of damaged files the newest is kept, for whoever wants to know.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use log::{error, warn};
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use skypunch_actors::domain::text;
use uuid::Uuid;

use super::{
    connect::{self, TABLES},
    error::{Failure, OpenError},
    stored::{self, StoredBatch, StoredNotification},
};

/// How many keys in a row are tried one by one where the way along them is broken.
const GUESSED: usize = 10_000;

const SELECT_BATCH: &str = "SELECT number, results, format, checksum, body FROM batches WHERE number = ?1";

const SELECT_NOTIFICATION: &str = "SELECT id, notifier, format, checksum, body FROM outbox WHERE place = ?1";

const SELECT_SAVED: &str = "SELECT number, results, format, checksum, body FROM batches ORDER BY number";

/// The bytes of the first page that say how SQLite reads all others.
const FIRST_PAGE: usize = 4_096;

/// What came of it.
#[derive(Debug, Default)]
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
    if connect::path(directory).exists() { remove(&new) } else { fs::rename(&new, connect::path(directory)) }
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
        failure => OpenError::Sqlite { path: connect::path(directory), source: failure.into() },
    };
    finish(directory)?;
    warn!("the journal is damaged: {}", text::chain(damage));
    let saved = copy(directory, known).map_err(explain)?;
    let kept = set_aside(directory)?;
    fs::rename(new_path(directory), connect::path(directory))?;
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
    let from = match open_damaged(&connect::path(directory)) {
        Ok(from) => Some(from),
        // The first page says nothing any more; that of a new file says the same.
        Err(_) => graft(directory, &new).and_then(|()| open_damaged(&connect::path(directory)).ok()),
    };
    let transaction = to.transaction()?;
    let mut saved = Saved { whole: true, ..Saved::default() };
    let mut last = 0;
    match &from {
        Some(from) => {
            last = copy_batches(from, &transaction, &mut saved)?;
            copy_marks(from, &transaction)?;
            copy_outbox(from, &transaction, &mut saved)?;
        }
        None => saved.whole = false,
    }
    let read = from.as_ref().and_then(|from| connect::read_meta(from).ok().flatten());
    let (node, known_last) = known.or(read).unwrap_or_else(|| (Uuid::now_v7(), 0));
    connect::put_meta(&transaction, node, last.max(known_last))?;
    transaction.commit()?;
    to.close().map_err(|(_, error)| error)?;
    Ok(saved)
}

fn open_damaged(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // The log of SQLite is read, and left as it is.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.query_row("PRAGMA locking_mode = EXCLUSIVE", (), |_| Ok(()))?;
    // What is prepared from the first page alone.
    connection.prepare(SELECT_BATCH)?;
    connection.prepare(SELECT_NOTIFICATION)?;
    Ok(connection)
}

/// Gives a file whose first page is damaged that of a new one: their tables begin at the same pages.
fn graft(directory: &Path, new: &Path) -> Option<()> {
    let mut page = vec![0; FIRST_PAGE];
    fs::File::open(new).ok()?.read_exact_at(&mut page, 0).ok()?;
    let damaged = fs::OpenOptions::new().write(true).open(connect::path(directory)).ok()?;
    let pages = u32::try_from(damaged.metadata().ok()?.len() / FIRST_PAGE as u64).ok()?;
    // No free pages: none is written any more. The size: as the file has it.
    page[28..32].copy_from_slice(&pages.to_be_bytes());
    page[32..40].fill(0);
    damaged.write_all_at(&page, 0).ok()
}

/// The keys of a table as far as the way along them leads, from both ends, and whether that is all of them. Of
/// what lies between, where it is broken, some are guessed.
fn keys(from: &Connection, table: &str, key: &str) -> (BTreeSet<i64>, bool) {
    let mut up = BTreeSet::new();
    if walk(from, table, key, "ASC", &mut up).is_ok() {
        return (up, true);
    }
    let mut down = BTreeSet::new();
    // It breaks as the other did, after what can be read.
    walk(from, table, key, "DESC", &mut down).ok();
    let (low, high) = (up.last().copied(), down.first().copied());
    up.append(&mut down);
    let between = low.map_or(0, |low| low + 1)..high.unwrap_or(i64::MAX);
    up.extend(between.take(GUESSED));
    (up, false)
}

fn walk(
    from: &Connection,
    table: &str,
    key: &str,
    order: &str,
    keys: &mut BTreeSet<i64>,
) -> rusqlite::Result<()> {
    // Along the rows themselves: an index may say something else.
    let sql = format!("SELECT {key} FROM {table} NOT INDEXED ORDER BY {key} {order}");
    let mut select = from.prepare(&sql)?;
    let mut rows = select.query(())?;
    while let Some(row) = rows.next()? {
        keys.insert(row.get(0)?);
    }
    Ok(())
}

/// Copies the batches that are whole, and tells the greatest number.
fn copy_batches(from: &Connection, to: &Connection, saved: &mut Saved) -> Result<u64, Failure> {
    let (numbers, whole) = keys(from, "batches", "number");
    saved.whole &= whole;
    let mut last = 0;
    let mut put = to.prepare(stored::PUT_BATCH)?;
    for &number in &numbers {
        match from.query_row(SELECT_BATCH, [number], StoredBatch::read) {
            Ok(stored) if stored.is_whole() => {
                last = stored.number;
                let StoredBatch { results, format, checksum, body, .. } = stored;
                put.execute((number, results.cast_signed(), format, checksum, body))?;
                saved.batches += 1;
            }
            Err(rusqlite::Error::QueryReturnedNoRows) => {}
            Ok(_) | Err(_) => saved.unreadable += 1,
        }
    }
    Ok(last)
}

/// Copies the marks; where they cannot be read, every number is one.
fn copy_marks(from: &Connection, to: &Connection) -> Result<(), Failure> {
    let read = || -> rusqlite::Result<Vec<i64>> {
        from.prepare("SELECT number FROM marks")?.query_map((), |row| row.get(0))?.collect()
    };
    match read() {
        Ok(marks) => {
            let mut put = to.prepare(stored::PUT_MARK)?;
            marks.into_iter().try_for_each(|mark| put.execute([mark]).map(drop))?;
        }
        Err(_) => to.execute_batch("INSERT OR IGNORE INTO marks SELECT number FROM batches")?,
    }
    Ok(())
}

/// Copies what is undelivered. Where not all of that can be read, what the batches tell of it comes first.
fn copy_outbox(from: &Connection, to: &Connection, saved: &mut Saved) -> Result<(), Failure> {
    let (places, mut whole) = keys(from, "outbox", "place");
    let mut found = Vec::new();
    for place in places {
        match from.query_row(SELECT_NOTIFICATION, [place], StoredNotification::read) {
            Ok(stored) if stored.is_whole() => found.push(stored),
            Err(rusqlite::Error::QueryReturnedNoRows) => {}
            Ok(_) | Err(_) => {
                saved.unreadable += 1;
                whole = false;
            }
        }
    }
    if !whole {
        saved.whole = false;
        replay(to)?;
    }
    for stored in &found {
        stored.put(to)?;
    }
    let count = to.query_row("SELECT count(*) FROM outbox", (), |row| row.get::<_, i64>(0))?;
    saved.notifications = count.cast_unsigned();
    Ok(())
}

/// Takes the news of notifications from the batches, in order. One that has come to its end since may be told
/// twice, with the same id.
fn replay(to: &Connection) -> Result<(), Failure> {
    let mut select = to.prepare(SELECT_SAVED)?;
    let mut rows = select.query(())?;
    while let Some(row) = rows.next()? {
        let Ok(batch) = StoredBatch::read(row)?.decode() else {
            continue;
        };
        for (id, news) in &batch.notifications {
            stored::put_notification(to, *id, news)?;
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
    let modified = fs::metadata(connect::path(directory))?.modified()?;
    let seconds = modified.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let kept = directory.join(format!("journal.db.damaged-{seconds}"));
    let log = directory.join(format!("journal.db.damaged-{seconds}-wal"));
    fs::rename(connect::path(directory), &kept)?;
    match fs::rename(connect::log_path(directory), log) {
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
