//! Rows of the tables: what stands in them is checked before it is believed.

use std::sync::PoisonError;

use log::warn;
use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use skypunch_actors::domain::{Batch, NotificationNews};
use uuid::Uuid;

use super::{
    Marks,
    codec::{self, CodecError, FORMAT},
};

pub(super) const PUT_BATCH: &str = "
    INSERT OR REPLACE INTO batches (number, results, format, checksum, body) VALUES (?1, ?2, ?3, ?4, ?5)";

pub(super) const PUT_MARK: &str = "INSERT OR IGNORE INTO marks (number) VALUES (?1)";

const SET_ASIDE: &str = "INSERT OR REPLACE INTO aside SELECT * FROM batches WHERE number = ?1";

const SELECT_NOTIFICATION: &str = "SELECT id, notifier, format, checksum, body FROM outbox WHERE id = ?1";

const PUT_NOTIFICATION: &str = "
    INSERT INTO outbox (id, notifier, format, checksum, body) VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (id) DO UPDATE SET format = excluded.format, checksum = excluded.checksum, body = excluded.body";

/// Writes the marks that wait, and tells which they are.
pub(super) fn put_marks(transaction: &Transaction<'_>, marks: &Marks) -> rusqlite::Result<Vec<u64>> {
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

    pub(super) fn decode(&self) -> Result<NotificationNews, CodecError> {
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
