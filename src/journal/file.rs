//! The open file, and what is done with it.

use std::{
    borrow::Cow,
    fs::DirBuilder,
    mem,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::PoisonError,
};

use log::warn;
use rusqlite::{Connection, TransactionBehavior};
use skypunch_actors::{
    domain::{Batch, Notification, NotificationNews, Parcel},
    port::Appended,
};
use uuid::Uuid;

use super::{
    Marks,
    codec::{self, CodecError, FORMAT},
    connect::{self, put_meta},
    error::{Failure, OpenError},
    fold, salvage,
    spare::Spare,
    stored::{PUT_MARK, StoredBatch, StoredNotification, put_batch, put_marks, put_notification, skip},
};

const SELECT_BATCHES: &str =
    "SELECT number, results, format, checksum, body FROM batches WHERE number > ?1 ORDER BY number";

// The inner query needs the index alone; what a newer skypunch wrote waits for that one.
const SELECT_UNDELIVERED: &str = "
    SELECT id, notifier, format, checksum, body FROM outbox WHERE format <= ?2 AND place IN (
        SELECT place FROM (
            SELECT place, row_number() OVER (PARTITION BY notifier ORDER BY place) AS nth FROM outbox
        ) WHERE nth <= ?1
    ) ORDER BY place";

/// Free pages that are kept for what comes next, and how many beyond them go at a time.
const PAGES_KEPT: u64 = 4_096;
const PAGES_FREED: u64 = 512;

/// Things by the numbers of their batches.
type Numbered<T> = Vec<(u64, T)>;

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
                    .map_err(|failure| connect::explain(directory, failure))
            }
            opened => opened.map_err(|failure| connect::explain(directory, failure)),
        }
    }

    fn open_as_it_is(directory: &Path, max_bytes: u64, marks: Marks) -> Result<Self, Failure> {
        let connection = connect::open(directory)?;
        let (node, last) = connect::read_meta(&connection)?.unwrap_or_else(|| (Uuid::now_v7(), 0));
        let sum = |table| -> rusqlite::Result<u64> {
            let sql = format!("SELECT coalesce(sum(length(body)), 0) FROM {table}");
            connection.query_row(&sql, (), |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
        };
        let bytes = sum("batches")? + sum("outbox")?;
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
        if entry.number < self.last {
            return Err(Failure::Number(entry.number));
        }
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
    ) -> Result<(Numbered<Batch>, Numbered<CodecError>), Failure> {
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
                // A page a step.
                let mut vacuum =
                    file.connection.prepare_cached(&format!("PRAGMA incremental_vacuum({PAGES_FREED})"))?;
                let mut pages = vacuum.query(())?;
                while pages.next()?.is_some() {}
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

fn parcel(id: Uuid, news: NotificationNews) -> Option<Parcel> {
    let notification = Notification { id, notifier: news.notifier, alert: news.alert? };
    Some(Parcel { notification, delivery: news.delivery })
}
