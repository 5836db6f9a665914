//! The file: its tables, and what is done with them.

use std::{
    borrow::Cow,
    fs::{DirBuilder, OpenOptions},
    io, mem,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::PoisonError,
    time::Duration,
};

use log::warn;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior};
use skypunch_actors::{
    domain::{Batch, Notification, NotificationNews, Parcel},
    port::Appended,
};
use uuid::Uuid;

use super::{
    Marks,
    codec::{self, CodecError, FORMAT},
    error::{Failure, OpenError},
    fold, salvage,
    spare::Spare,
};

/// The version of the tables, in `user_version`.
const SCHEMA: u32 = 1;

/// `batches.checksum` covers number, results, format and body; `outbox.checksum` id, notifier, format and body;
/// `meta.checksum` node and last. `aside` holds what a newer skypunch wrote, which this one cannot read.
pub(super) const TABLES: &str = "
    PRAGMA user_version = 1;
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

pub(super) const PUT_BATCH: &str = "
    INSERT OR REPLACE INTO batches (number, results, format, checksum, body) VALUES (?1, ?2, ?3, ?4, ?5)";

pub(super) const PUT_MARK: &str = "INSERT OR IGNORE INTO marks (number) VALUES (?1)";

const SELECT_BATCHES: &str =
    "SELECT number, results, format, checksum, body FROM batches WHERE number > ?1 ORDER BY number";

const SET_ASIDE: &str = "INSERT OR REPLACE INTO aside SELECT * FROM batches WHERE number = ?1";

const SELECT_NOTIFICATION: &str = "SELECT id, notifier, format, checksum, body FROM outbox WHERE id = ?1";

const PUT_NOTIFICATION: &str = "
    INSERT INTO outbox (id, notifier, format, checksum, body) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (id) DO UPDATE SET format = excluded.format, checksum = excluded.checksum, body = excluded.body";

// The inner query needs the index alone; what a newer skypunch wrote waits for that one.
const SELECT_UNDELIVERED: &str = "
    SELECT id, notifier, format, checksum, body FROM outbox WHERE format <= ?2 AND place IN (
        SELECT place FROM (
            SELECT place, row_number() OVER (PARTITION BY notifier ORDER BY place) AS nth FROM outbox
        ) WHERE nth <= ?1
    ) ORDER BY place";

/// How long a process that looks into the file may keep others from it.
const BUSY_WITHIN: Duration = Duration::from_secs(2);

/// The log of SQLite is cut to this when it has been written back.
const LOG_KEPT: u64 = 4 << 20;

/// Free pages that are kept for what comes next, and how many beyond them go at a time.
const PAGES_KEPT: u64 = 4_096;
const PAGES_FREED: u64 = 512;

/// A batch on its way into the file.
#[derive(Clone)]
pub(super) struct Entry {
    number: u64,
    results: usize,
    body: Vec<u8>,
    notifications: Vec<(Uuid, NotificationNews)>,
}

impl Entry {
    pub(super) fn new(number: u64, batch: &Batch) -> Self {
        let notifications = batch.notifications.iter().map(|(id, news)| (*id, news.clone())).collect();
        Self { number, results: batch.results.len(), body: codec::write_batch(batch), notifications }
    }

    fn is_weighty(&self) -> bool {
        !self.notifications.is_empty()
    }

    /// The same without its single results.
    fn without_results(&self) -> Self {
        let mut batch = codec::read_batch(FORMAT, &self.body).expect("it was written above");
        batch.results.clear();
        Self { notifications: self.notifications.clone(), ..Self::new(self.number, &batch) }
    }
}

/// The open file.
pub(super) struct File {
    connection: Connection,
    directory: PathBuf,
    max_bytes: u64,
    node: Uuid,
    last: u64,
    bytes: u64,
    synced: bool,
    spare: Spare,
    /// Single results that went in calls that failed afterwards.
    dropped: u64,
    marks: Marks,
}

impl File {
    /// Opens the file in `directory`; makes it, or mends it, where that is needed.
    pub(super) fn open(directory: &Path, max_bytes: u64, marks: Marks) -> Result<Self, OpenError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|e| OpenError::Directory { directory: directory.to_owned(), source: e.into() })?;
        salvage::finish(directory)?;
        match Self::open_as_it_is(directory, max_bytes, marks.clone()) {
            Err(Failure::Open(error)) => Err(*error),
            Err(failure) if failure.is_damage() => {
                salvage::salvage(directory, &failure, None)?;
                Self::open_as_it_is(directory, max_bytes, marks)
                    .map_err(|failure| explain(directory, failure))
            }
            opened => opened.map_err(|failure| explain(directory, failure)),
        }
    }

    fn open_as_it_is(directory: &Path, max_bytes: u64, marks: Marks) -> Result<Self, Failure> {
        let path = path(directory);
        let connection = connect(&path, directory)?;
        let (node, last) = read_meta(&connection)?.unwrap_or_else(|| (Uuid::now_v7(), 0));
        let sum = |table| -> rusqlite::Result<u64> {
            let sql = format!("SELECT coalesce(sum(length(body)), 0) FROM {table}");
            connection.query_row(&sql, (), |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
        };
        let bytes = sum("batches")? + sum("outbox")?;
        let greatest: Option<i64> =
            connection.query_row("SELECT max(number) FROM batches", (), |row| row.get(0))?;
        let last = last.max(greatest.unwrap_or(0).cast_unsigned());
        let file = Self {
            connection,
            directory: directory.to_owned(),
            max_bytes,
            node,
            last,
            bytes,
            synced: true,
            spare: Spare::take(directory),
            dropped: 0,
            marks,
        };
        // Who it is must be known for ever once anybody has been told.
        put_meta(&file.connection, file.node, file.last)?;
        Ok(file)
    }

    pub(super) fn node(&self) -> Uuid {
        self.node
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// See [`Journal::append`](skypunch_actors::port::Journal::append).
    pub(super) fn append(&mut self, entry: &Entry) -> Result<Appended, Failure> {
        if entry.number > self.last {
            i64::try_from(entry.number).map_err(|_| Failure::Number(entry.number))?;
            match self.mending(|file| file.try_append(entry)) {
                Err(failure) if failure.is_full() => self.append_to_full_disk(entry)?,
                appended => {
                    appended?;
                    self.spare.retake();
                }
            }
        }
        Ok(Appended { dropped: mem::take(&mut self.dropped), bytes: self.bytes })
    }

    /// Makes do with the room that the file has.
    fn append_to_full_disk(&mut self, entry: &Entry) -> Result<(), Failure> {
        if self.spare.give_up() {
            warn!("the disk of the journal is full: the oldest single results make room for what is new");
        }
        let mut entry = Cow::Borrowed(entry);
        loop {
            self.write_back();
            let before = self.dropped;
            match self.mending(|file| file.make_room(2 * entry.body.len() as u64)) {
                Err(error) if !error.is_full() => return Err(error),
                _ => {}
            }
            let made = self.dropped > before;
            if !made && entry.results > 0 {
                self.dropped += entry.results as u64;
                entry = Cow::Owned(entry.without_results());
            }
            match self.mending(|file| file.try_append(&entry)) {
                Err(error) if error.is_full() && made => {}
                done => return done,
            }
        }
    }

    fn try_append(&mut self, entry: &Entry) -> Result<(), Failure> {
        self.sync(entry.is_weighty())?;
        let mut bytes = self.bytes;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let size = entry.body.len() as u64;
        let marks = put_marks(&transaction, &self.marks)?;
        let mut dropped =
            fold::fold(&transaction, &mut bytes, self.max_bytes.saturating_sub(size), self.max_bytes)?;
        let mut entry = Cow::Borrowed(entry);
        if bytes + size > self.max_bytes && entry.results > 0 {
            dropped += entry.results as u64;
            entry = Cow::Owned(entry.without_results());
        }
        put_batch(&transaction, entry.number, entry.results as u64, &entry.body)?;
        bytes += entry.body.len() as u64;
        for (id, news) in &entry.notifications {
            bytes = bytes.saturating_add_signed(put_notification(&transaction, *id, news)?);
        }
        put_meta(&transaction, self.node, entry.number)?;
        transaction.commit()?;
        (self.bytes, self.last) = (bytes, entry.number);
        self.marked(&marks);
        self.dropped += dropped;
        Ok(())
    }

    /// Folds until `needed` bytes are free within the file.
    fn make_room(&mut self, needed: u64) -> Result<(), Failure> {
        let mut bytes = self.bytes;
        let limit = bytes.saturating_sub(needed);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let marks = put_marks(&transaction, &self.marks)?;
        let dropped = fold::fold(&transaction, &mut bytes, limit, self.max_bytes)?;
        transaction.commit()?;
        self.bytes = bytes;
        self.marked(&marks);
        self.dropped += dropped;
        Ok(())
    }

    /// See [`Journal::read`](skypunch_actors::port::Journal::read).
    pub(super) fn read(&mut self, after: u64, bytes: usize) -> Result<Vec<(u64, Batch)>, Failure> {
        self.mending(|file| {
            loop {
                let (batches, unreadable) = file.read_some(after, bytes)?;
                if let Some((last, _)) = batches.last() {
                    file.mark(*last);
                }
                let again = batches.is_empty() && !unreadable.is_empty();
                file.skip(&unreadable)?;
                if !again {
                    return Ok(batches);
                }
            }
        })
    }

    fn read_some(
        &self,
        after: u64,
        bytes: usize,
    ) -> Result<(Vec<(u64, Batch)>, Vec<(u64, CodecError)>), Failure> {
        let (mut batches, mut unreadable, mut size) = (Vec::new(), Vec::new(), 0);
        let mut select = self.connection.prepare_cached(SELECT_BATCHES)?;
        let mut rows = select.query([i64::try_from(after).unwrap_or(i64::MAX)])?;
        while let Some(row) = rows.next()? {
            let batch = StoredBatch::read(row)?;
            size += batch.body.len();
            match batch.decode() {
                Ok(decoded) => batches.push((batch.number, decoded)),
                Err(error) => unreadable.push((batch.number, error)),
            }
            if size >= bytes && !batches.is_empty() {
                break;
            }
        }
        Ok((batches, unreadable))
    }

    /// Takes batches out that cannot be read.
    fn skip(&mut self, unreadable: &[(u64, CodecError)]) -> Result<(), Failure> {
        if unreadable.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let freed = skip(&transaction, unreadable)?;
        transaction.commit()?;
        self.bytes = self.bytes.saturating_sub(freed);
        Ok(())
    }

    /// See [`Journal::forget`](skypunch_actors::port::Journal::forget).
    pub(super) fn forget(&mut self, through: u64) -> Result<(), Failure> {
        let through = i64::try_from(through).unwrap_or(i64::MAX);
        self.mending(|file| {
            let freed: i64 = file.connection.query_row(
                "SELECT coalesce(sum(length(body)), 0) FROM batches WHERE number <= ?1",
                [through],
                |row| row.get(0),
            )?;
            file.connection.execute("DELETE FROM batches WHERE number <= ?1", [through])?;
            file.connection.execute("DELETE FROM marks WHERE number < ?1", [through])?;
            file.bytes = file.bytes.saturating_sub(freed.cast_unsigned());
            let free: u64 = file
                .connection
                .query_row("PRAGMA freelist_count", (), |row| row.get::<_, i64>(0))?
                .cast_unsigned();
            if free > PAGES_KEPT {
                file.connection.execute_batch(&format!("PRAGMA incremental_vacuum({PAGES_FREED})"))?;
            }
            Ok(())
        })
    }

    /// See [`Journal::undelivered`](skypunch_actors::port::Journal::undelivered).
    pub(super) fn undelivered(&mut self, most: usize) -> Result<Vec<Parcel>, Failure> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.mending(|file| {
            loop {
                let (mut parcels, mut unreadable) = (Vec::new(), Vec::new());
                let mut select = file.connection.prepare_cached(SELECT_UNDELIVERED)?;
                let mut rows = select.query((most, FORMAT))?;
                while let Some(row) = rows.next()? {
                    let stored = StoredNotification::read(row)?;
                    match stored.decode().map(|news| parcel(stored.id, news)) {
                        Ok(Some(parcel)) => parcels.push(parcel),
                        Ok(None) => unreadable.push((stored.id, CodecError::Malformed)),
                        Err(error) => unreadable.push((stored.id, error)),
                    }
                }
                drop(rows);
                drop(select);
                if unreadable.is_empty() {
                    return Ok(parcels);
                }
                for (id, error) in unreadable {
                    warn!("a notification in the journal cannot be read and is lost ({error}): {id}");
                    file.connection.execute("DELETE FROM outbox WHERE id = ?1", [id.as_bytes()])?;
                }
            }
        })
    }

    /// Does `work`; where the file turns out to be damaged, mends it and does it again.
    fn mending<T>(&mut self, mut work: impl FnMut(&mut Self) -> Result<T, Failure>) -> Result<T, Failure> {
        match work(self) {
            Err(failure) if failure.is_damage() => {
                // The file must be closed before it is moved.
                self.connection = Connection::open_in_memory()?;
                salvage::salvage(&self.directory, &failure, Some((self.node, self.last)))
                    .map_err(Box::new)?;
                let opened = Self::open_as_it_is(&self.directory, self.max_bytes, self.marks.clone())?;
                *self = Self { dropped: self.dropped, ..opened };
                work(self)
            }
            done => done,
        }
    }

    /// Marks a number at once, or with the next batch if the disk has no room for that.
    fn mark(&self, number: u64) {
        let put = || self.connection.prepare_cached(PUT_MARK)?.execute([number.cast_signed()]);
        if put().is_err() {
            self.marks.lock().unwrap_or_else(PoisonError::into_inner).insert(number);
        }
    }

    /// Those marks are in the file now.
    fn marked(&self, marks: &[u64]) {
        let mut waiting = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|mark| !marks.contains(mark));
    }

    /// Sets whether a commit waits for the disk. SQLite takes that outside of a transaction only.
    fn sync(&mut self, full: bool) -> Result<(), Failure> {
        if self.synced != full {
            let level = if full { "FULL" } else { "NORMAL" };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.synced = full;
        }
        Ok(())
    }

    /// Has the log written back, so that its room is used again. If that fails there is just less room.
    fn write_back(&self) {
        self.connection.query_row("PRAGMA wal_checkpoint(RESTART)", (), |_| Ok(())).ok();
    }
}

pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join("journal.db")
}

pub(super) fn log_path(directory: &Path) -> PathBuf {
    directory.join("journal.db-wal")
}

/// Opens the file for this process alone, and makes an empty one where there is none.
fn connect(path: &Path, directory: &Path) -> Result<Connection, Failure> {
    let refused = |source| Box::new(OpenError::Directory { directory: directory.to_owned(), source });
    let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map_err(|e: io::Error| refused(e.into()))?;
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(BUSY_WITHIN)?;
    connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA cell_size_check = ON;")?;
    let schema: u32 = connection.query_row("PRAGMA user_version", (), |row| row.get(0))?;
    let is_empty: bool =
        connection.query_row("SELECT count(*) = 0 FROM sqlite_master", (), |row| row.get(0))?;
    if schema > SCHEMA {
        return Err(Box::new(OpenError::TooNew { path: path.to_owned() }).into());
    }
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

/// What can be done about a file that cannot be opened.
fn explain(directory: &Path, failure: Failure) -> OpenError {
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
        failure @ (Failure::Number(_) | Failure::Ended(_)) => {
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

/// Writes the marks that wait, and tells which they are.
fn put_marks(transaction: &Transaction<'_>, marks: &Marks) -> rusqlite::Result<Vec<u64>> {
    let waiting: Vec<u64> = marks.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
    let mut put = transaction.prepare_cached(PUT_MARK)?;
    for mark in &waiting {
        put.execute([mark.cast_signed()])?;
    }
    Ok(waiting)
}

/// A row of `batches`.
pub(super) struct StoredBatch {
    pub(super) number: u64,
    pub(super) results: u64,
    pub(super) format: u32,
    pub(super) checksum: u32,
    pub(super) body: Vec<u8>,
}

impl StoredBatch {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get::<_, i64>(0)?.cast_unsigned(),
            results: row.get::<_, i64>(1)?.cast_unsigned(),
            format: row.get(2)?,
            checksum: row.get(3)?,
            body: row.get(4)?,
        })
    }

    pub(super) fn is_whole(&self) -> bool {
        codec::checksum(&batch_key(self.number, self.results), self.format, &self.body) == self.checksum
    }

    pub(super) fn decode(&self) -> Result<Batch, CodecError> {
        if !self.is_whole() {
            return Err(CodecError::Checksum);
        }
        codec::read_batch(self.format, &self.body)
    }
}

fn batch_key(number: u64, results: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.to_le_bytes());
    key[8..].copy_from_slice(&results.to_le_bytes());
    key
}

pub(super) fn put_batch(
    connection: &Connection,
    number: u64,
    results: u64,
    body: &[u8],
) -> rusqlite::Result<()> {
    let checksum = codec::checksum(&batch_key(number, results), FORMAT, body);
    let values = (number.cast_signed(), results.cast_signed(), FORMAT, checksum, body);
    connection.prepare_cached(PUT_BATCH)?.execute(values)?;
    Ok(())
}

/// Takes batches out that cannot be read, and says so; tells how many bytes that were.
pub(super) fn skip(transaction: &Transaction<'_>, unreadable: &[(u64, CodecError)]) -> rusqlite::Result<u64> {
    let mut freed: u64 = 0;
    for (number, error) in unreadable {
        let key = [number.cast_signed()];
        let length = "SELECT length(body) FROM batches WHERE number = ?1";
        freed += transaction.query_row(length, key, |row| row.get::<_, i64>(0))?.cast_unsigned();
        if let CodecError::Newer(_) = error {
            warn!("batch {number} of the journal is set aside: {error}");
            transaction.execute(SET_ASIDE, key)?;
        } else {
            warn!("batch {number} of the journal is lost: {error}");
        }
        transaction.execute("DELETE FROM batches WHERE number = ?1", key)?;
    }
    Ok(freed)
}

/// A row of `outbox`.
pub(super) struct StoredNotification {
    pub(super) id: Uuid,
    pub(super) notifier: u64,
    pub(super) format: u32,
    pub(super) checksum: u32,
    pub(super) body: Vec<u8>,
}

impl StoredNotification {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: Uuid::from_bytes(row.get(0)?),
            notifier: row.get::<_, i64>(1)?.cast_unsigned(),
            format: row.get(2)?,
            checksum: row.get(3)?,
            body: row.get(4)?,
        })
    }

    pub(super) fn is_whole(&self) -> bool {
        codec::checksum(&notification_key(self.id, self.notifier), self.format, &self.body) == self.checksum
    }

    fn decode(&self) -> Result<NotificationNews, CodecError> {
        if !self.is_whole() {
            return Err(CodecError::Checksum);
        }
        codec::read_notification(self.format, &self.body)
    }

    pub(super) fn put(&self, connection: &Connection) -> rusqlite::Result<()> {
        let values =
            (self.id.as_bytes(), self.notifier.cast_signed(), self.format, self.checksum, &self.body);
        connection.prepare_cached(PUT_NOTIFICATION)?.execute(values)?;
        Ok(())
    }
}

fn notification_key(id: Uuid, notifier: u64) -> [u8; 24] {
    let mut key = [0; 24];
    key[..16].copy_from_slice(id.as_bytes());
    key[16..].copy_from_slice(&notifier.to_le_bytes());
    key
}

/// Takes in the news of a notification; tells by how many bytes the outbox grew.
pub(super) fn put_notification(
    connection: &Connection,
    id: Uuid,
    news: &NotificationNews,
) -> rusqlite::Result<i64> {
    let mut select = connection.prepare_cached(SELECT_NOTIFICATION)?;
    let earlier = select.query_row([id.as_bytes()], StoredNotification::read).optional()?;
    let before = earlier.as_ref().map_or(0, |stored| size(&stored.body));
    if news.delivery.state.is_final() {
        connection.prepare_cached("DELETE FROM outbox WHERE id = ?1")?.execute([id.as_bytes()])?;
        return Ok(-before);
    }
    let mut batch = Batch::default();
    match earlier.map(|stored| stored.decode()) {
        Some(Ok(earlier)) => batch.tell(id, earlier),
        // What it told is lost, and with it the notification: said when it is asked for.
        Some(Err(_)) if news.alert.is_none() => return Ok(0),
        // It has come to its end before, or what it tells is unknown.
        None if news.alert.is_none() => return Ok(0),
        Some(Err(_)) | None => {}
    }
    batch.tell(id, news.clone());
    let merged = batch.notifications.remove(&id).expect("it was told just now");
    let body = codec::write_notification(&merged);
    let after = size(&body);
    let checksum = codec::checksum(&notification_key(id, merged.notifier.0), FORMAT, &body);
    let stored = StoredNotification { id, notifier: merged.notifier.0, format: FORMAT, checksum, body };
    stored.put(connection)?;
    Ok(after - before)
}

fn size(body: &[u8]) -> i64 {
    i64::try_from(body.len()).unwrap_or(i64::MAX)
}

fn parcel(id: Uuid, news: NotificationNews) -> Option<Parcel> {
    let notification = Notification { id, notifier: news.notifier, alert: news.alert? };
    Some(Parcel { notification, delivery: news.delivery })
}
