//! Makes room: the oldest batches become one without their single results.
//!
//! Each fold takes up about [`part`] of the journal, so that an append folds seldom, and reads what it folds
//! batch by batch. What was folded before is folded in as long as it is small beside that part: each result is
//! read once to be dropped, and all else a bounded number of times.

use rusqlite::{OptionalExtension, Transaction};
use skypunch_actors::domain::Batch;

use super::{
    codec,
    error::Failure,
    stored::{self, StoredBatch},
};

const OLDEST_WITH_RESULTS: &str = "SELECT number FROM batches WHERE results > 0 ORDER BY number LIMIT 1";

const BEFORE: &str =
    "SELECT number, length(body) FROM batches WHERE number < ?1 ORDER BY number DESC LIMIT 1";

/// The mark from that number on which ends what may become one with it.
const NEXT_MARK: &str = "SELECT min(number) FROM marks WHERE number >= ?1";

const SELECT_RANGE: &str = "
    SELECT number, results, format, checksum, body FROM batches WHERE number BETWEEN ?1 AND ?2 ORDER BY number";

/// How much is folded at a time.
fn part(max_bytes: u64) -> u64 {
    (max_bytes / 16).clamp(64 << 10, 8 << 20)
}

/// Folds until the file holds `limit` bytes, or no single results any more; keeps `bytes` in step, and tells
/// how many results went.
pub(super) fn fold(
    transaction: &Transaction<'_>,
    bytes: &mut u64,
    limit: u64,
    max_bytes: u64,
) -> Result<u64, Failure> {
    let mut dropped = 0;
    while *bytes > limit {
        let oldest = transaction.query_row(OLDEST_WITH_RESULTS, (), |row| row.get::<_, i64>(0)).optional()?;
        let Some(oldest) = oldest else {
            break;
        };
        dropped += fold_from(transaction, bytes, oldest, part(max_bytes))?;
    }
    Ok(dropped)
}

/// Folds what comes to about `part`, from the batch `oldest` on and up to the next mark.
fn fold_from(transaction: &Transaction<'_>, bytes: &mut u64, oldest: i64, part: u64) -> Result<u64, Failure> {
    let next_mark = |number: i64| -> rusqlite::Result<i64> {
        let mark: Option<i64> = transaction.query_row(NEXT_MARK, [number], |row| row.get(0))?;
        Ok(mark.unwrap_or(i64::MAX))
    };
    let through = next_mark(oldest)?;
    let before: Option<(i64, i64)> =
        transaction.query_row(BEFORE, [oldest], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let from = match before {
        Some((number, size)) if size.cast_unsigned() <= part / 8 && next_mark(number)? == through => number,
        _ => oldest,
    };

    let (mut folded, mut dropped, mut taken) = (Batch::default(), 0, 0);
    let (mut numbers, mut unreadable) = (Vec::new(), Vec::new());
    let mut select = transaction.prepare_cached(SELECT_RANGE)?;
    let mut rows = select.query([from, through])?;
    while let Some(row) = rows.next()? {
        let stored = StoredBatch::read(row)?;
        let size = stored.body.len() as u64;
        match stored.decode() {
            Ok(mut batch) => {
                dropped += batch.results.len() as u64;
                batch.results = Vec::new();
                folded.merge(batch);
                numbers.push(stored.number);
                *bytes = bytes.saturating_sub(size);
            }
            Err(error) => unreadable.push((stored.number, error)),
        }
        taken += size;
        if taken >= part {
            break;
        }
    }
    drop(rows);
    *bytes = bytes.saturating_sub(stored::skip(transaction, &unreadable)?);
    if let Some(last) = numbers.last() {
        let mut delete = transaction.prepare_cached("DELETE FROM batches WHERE number = ?1")?;
        for number in &numbers {
            delete.execute([number.cast_signed()])?;
        }
        let body = codec::write_batch(&folded);
        stored::put_batch(transaction, *last, 0, &body)?;
        *bytes += body.len() as u64;
    }
    Ok(dropped)
}
