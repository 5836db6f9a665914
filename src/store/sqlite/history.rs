//! What happened, in the tables of the daemon. Times of the history are seconds since 1970: they stand in every
//! row and key of it.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use rusqlite::{Connection, ToSql, Transaction};
use skypunch_actors::{
    domain::{HistoryMinute, Period, RawResult, Resolution, Rollup, TargetId},
    port::{
        History, IncidentRow, Kept, NotificationFilter, NotificationRow, RollupRow, Stale, StoreError,
        Targets,
    },
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    SqliteStore, begin, cell, error,
    node::{claim, number},
    select,
};
use crate::store::{
    claim::Kind,
    pack,
    record::{self, ORPHANS, PURGE_ROWS, add_up, select_incidents, select_notifications},
    row::count,
};

const INSERT_PACK: &str = "
    INSERT INTO result_packs (minute, target_id, node, part, pack)
    SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM targets WHERE id = ?2)";

const WRITE_ROLLUP: &str = "
    INSERT OR REPLACE INTO rollups (resolution, start, target_id, node, part, done, late, skipped, passed, failed,
                                    causes, covered_s, total_min_us, total_sum_us, total_max_us, sketch)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16
    WHERE EXISTS (SELECT 1 FROM targets WHERE id = ?3)";

// By itself SQLite would rather read the time of all targets than all times of one.
const READ_ROLLUPS: &str = "
    SELECT target_id, datetime(start, 'unixepoch'), done, late, skipped, passed, failed, causes, covered_s,
           total_min_us, total_sum_us, total_max_us, sketch
    FROM rollups INDEXED BY rollups_of_target
    WHERE target_id = ?1 AND resolution = ?2 AND start >= ?3 AND start < ?4 ORDER BY start";

const MARK: &str = "
    INSERT INTO stale (resolution, start, mark) VALUES (?1, ?2, ?3)
    ON CONFLICT (resolution, start) DO UPDATE SET mark = excluded.mark";

/// The tables of the history, and what tells their rows apart.
pub(super) const TABLES: [(&str, &str); 2] =
    [("result_packs", "rowid"), ("rollups", "resolution, start, target_id, node, part")];

#[async_trait]
impl History for SqliteStore {
    async fn write_minutes(
        &self,
        node: Uuid,
        batches: RangeInclusive<u64>,
        minutes: Vec<HistoryMinute>,
    ) -> Result<(), StoreError> {
        self.run(move |connection| {
            let transaction = begin(connection).map_err(error::store)?;
            let node = number(&transaction, node).map_err(error::store)?;
            let (first, through) = (*batches.start(), *batches.end());
            let claim = claim(&transaction, node, Kind::History, first, through).map_err(error::store)?;
            if claim.is_new()? {
                write_minutes(&transaction, node, through, &minutes).map_err(error::store)?;
                transaction.commit().map_err(error::store)?;
            }
            Ok(())
        })
        .await
    }

    async fn stale(&self) -> Result<Vec<Stale>, StoreError> {
        // An hour before the day in which it lies.
        let query = "SELECT resolution, datetime(start, 'unixepoch'), mark FROM stale
                     ORDER BY resolution = 'day', start";
        self.run(|connection| select(connection, query, |cells| record::stale(cells))).await
    }

    async fn rollups(
        &self,
        resolution: Resolution,
        from: OffsetDateTime,
        until: OffsetDateTime,
        targets: Targets,
    ) -> Result<Vec<RollupRow>, StoreError> {
        self.run(move |connection| {
            let (mut after, most) = match targets {
                Targets::One(id) => {
                    return read_rollups(connection, resolution, from, until, &[id]).map_err(error::store);
                }
                Targets::After { id, most } => (id, most),
            };
            // Some targets may have no entries; no answer would be taken for no more targets.
            loop {
                let next = record::select_targets_after(after, most);
                let ids = select(connection, &next, |cells| record::target_id(cells))?;
                let Some(last) = ids.last() else { return Ok(Vec::new()) };
                after = *last;
                let found = read_rollups(connection, resolution, from, until, &ids).map_err(error::store)?;
                if !found.is_empty() {
                    return Ok(found);
                }
            }
        })
        .await
    }

    async fn write_rollups(&self, of: Stale, rows: &[(TargetId, Rollup)]) -> Result<bool, StoreError> {
        let rows = rows.to_vec();
        let written = move |connection: &mut Connection| {
            let transaction = begin(connection)?;
            if !holds(&transaction, of)? {
                return Ok(false);
            }
            for (target, rollup) in &rows {
                write_rollup(&transaction, of.period, *target, 0, 0, rollup)?;
            }
            transaction.commit()?;
            Ok(true)
        };
        self.run(move |connection| written(connection).map_err(error::store)).await
    }

    async fn summed_up(&self, of: Stale) -> Result<(), StoreError> {
        let done = move |connection: &mut Connection| {
            let transaction = begin(connection)?;
            if !holds(&transaction, of)? {
                return Ok(());
            }
            let Period { resolution, start } = of.period;
            let delete = "DELETE FROM stale WHERE resolution = ?1 AND start = ?2";
            transaction.execute(delete, (resolution.as_str(), start.unix_timestamp()))?;
            if let Some(coarser) = resolution.coarser() {
                mark(&transaction, Period { resolution: coarser, start: coarser.start_of(start) })?;
            }
            transaction.commit()
        };
        self.run(move |connection| done(connection).map_err(error::store)).await
    }

    async fn purge(&self, what: Kept, before: OffsetDateTime) -> Result<bool, StoreError> {
        let last = move |resolution| record::last_start(resolution, before).unix_timestamp();
        let purged = move |connection: &mut Connection| {
            let [(packs, rowid), (rollups, key)] = TABLES;
            match what {
                Kept::Raw => {
                    let old = "minute <= ?2 ORDER BY minute";
                    delete_some(connection, packs, rowid, old, &[&last(Resolution::Minute)])
                }
                Kept::Rollup(resolution) => {
                    let old = format!("resolution = ?2 AND start <= ?3 ORDER BY {key}");
                    delete_some(connection, rollups, key, &old, &[&resolution.as_str(), &last(resolution)])
                }
            }
        };
        let purged = self.run(move |connection| purged(connection).map_err(error::store)).await?;
        Ok(purged >= PURGE_ROWS)
    }

    async fn results(
        &self,
        target: TargetId,
        from: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Vec<RawResult>, StoreError> {
        let query = format!(
            "SELECT datetime(minute, 'unixepoch'), pack FROM result_packs \
             WHERE target_id = {} AND minute >= {} AND minute < {}",
            count(target.0),
            Resolution::Minute.start_of(from).unix_timestamp(),
            seconds_up(until),
        );
        let packs =
            self.run(move |connection| select(connection, &query, |cells| record::pack(cells))).await?;
        Ok(record::results(target, packs, from, until))
    }

    async fn incidents(&self, target: TargetId, most: usize) -> Result<Vec<IncidentRow>, StoreError> {
        let query = select_incidents(target, most);
        self.run(move |connection| select(connection, &query, |cells| record::incident(cells))).await
    }

    async fn notifications(&self, filter: &NotificationFilter) -> Result<Vec<NotificationRow>, StoreError> {
        let query = select_notifications(filter);
        self.run(move |connection| select(connection, &query, |cells| record::notification(cells))).await
    }
}

fn write_minutes(
    transaction: &Transaction<'_>,
    node: i64,
    part: u64,
    minutes: &[HistoryMinute],
) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare_cached(INSERT_PACK)?;
    for minute in minutes {
        let period = Period { resolution: Resolution::Minute, start: minute.start };
        let pack = pack::pack(minute.start, &minute.results);
        insert.execute((minute.start.unix_timestamp(), count(minute.target.0), node, count(part), pack))?;
        write_rollup(transaction, period, minute.target, node, count(part), &minute.rollup())?;
    }
    record::hours(minutes).into_iter().try_for_each(|period| mark(transaction, period))
}

fn write_rollup(
    transaction: &Transaction<'_>,
    period: Period,
    target: TargetId,
    node: i64,
    part: i64,
    rollup: &Rollup,
) -> rusqlite::Result<()> {
    let mut write = transaction.prepare_cached(WRITE_ROLLUP)?;
    write.execute((
        period.resolution.as_str(),
        period.start.unix_timestamp(),
        count(target.0),
        node,
        part,
        count(rollup.done),
        count(rollup.late),
        count(rollup.skipped),
        count(rollup.passed),
        count(rollup.failed),
        record::causes(rollup),
        count(rollup.covered_s),
        rollup.totals.min_us.map(count),
        count(rollup.totals.sum_us),
        rollup.totals.max_us.map(count),
        record::sketch(rollup),
    ))?;
    Ok(())
}

/// The entries of some targets, by target and time.
fn read_rollups(
    connection: &Connection,
    resolution: Resolution,
    from: OffsetDateTime,
    until: OffsetDateTime,
    targets: &[TargetId],
) -> rusqlite::Result<Vec<RollupRow>> {
    let mut statement = connection.prepare_cached(READ_ROLLUPS)?;
    let last = statement.column_count() - 1;
    let mut parts = Vec::new();
    for target in targets {
        let asked = (count(target.0), resolution.as_str(), seconds_up(from), seconds_up(until));
        let mut rows = statement.query(asked)?;
        while let Some(row) = rows.next()? {
            let sketch = row.get_ref(last)?.as_blob_or_null()?;
            parts.extend(record::rollup_row((0..last).map(|column| cell(row, column)), sketch));
        }
    }
    Ok(add_up(parts))
}

/// Notes that something finer was written to a period.
fn mark(transaction: &Transaction<'_>, Period { resolution, start }: Period) -> rusqlite::Result<()> {
    let values = (resolution.as_str(), start.unix_timestamp(), Uuid::now_v7().to_string());
    transaction.prepare_cached(MARK)?.execute(values).map(drop)
}

/// Whether nothing finer was written to a stale period since.
fn holds(transaction: &Transaction<'_>, of: Stale) -> rusqlite::Result<bool> {
    let select = "SELECT 1 FROM stale WHERE resolution = ?1 AND start = ?2 AND mark = ?3";
    let key = (of.period.resolution.as_str(), of.period.start.unix_timestamp(), of.mark.to_string());
    transaction.prepare_cached(select)?.exists(key)
}

/// The first whole second that is not before `at`.
fn seconds_up(at: OffsetDateTime) -> i64 {
    at.unix_timestamp() + i64::from(at.nanosecond() > 0)
}

/// Deletes what is kept of targets that an operator deleted. Of their history not more than a start can wait for:
/// the rest is for the next one, or goes with its time.
pub(super) fn forget_orphans(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM incidents WHERE target_id NOT IN (SELECT id FROM targets)", ())?;
    let mut deleted = 0;
    for (table, key) in TABLES {
        // Jumps from one target to the next on the key; what it skips is the table.
        let orphans = format!(
            "WITH RECURSIVE kept (id) AS (
                SELECT min(target_id) FROM {table}
                UNION ALL
                SELECT (SELECT min(target_id) FROM {table} WHERE target_id > kept.id) FROM kept
                WHERE kept.id IS NOT NULL)
             SELECT id FROM kept WHERE id IS NOT NULL AND id NOT IN (SELECT id FROM targets)"
        );
        let mut statement = connection.prepare(&orphans)?;
        let ids: Vec<i64> = statement.query_map((), |row| row.get(0))?.collect::<Result<_, _>>()?;
        for id in ids {
            while deleted < ORPHANS {
                let some = forget_some(connection, table, key, id)?;
                deleted += some;
                if some < PURGE_ROWS {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Deletes a few rows of a target, and tells how many.
pub(super) fn forget_some(
    connection: &Connection,
    table: &str,
    key: &str,
    target: i64,
) -> rusqlite::Result<u64> {
    delete_some(connection, table, key, "target_id = ?2", &[&target])
}

/// Deletes a few rows, and tells how many. SQLite's own `DELETE … LIMIT` is rarely built in.
fn delete_some(
    connection: &Connection,
    table: &str,
    key: &str,
    which: &str,
    values: &[&dyn ToSql],
) -> rusqlite::Result<u64> {
    let delete =
        format!("DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {which} LIMIT ?1)");
    let most = count(PURGE_ROWS);
    let values: Vec<&dyn ToSql> =
        std::iter::once(&most as &dyn ToSql).chain(values.iter().copied()).collect();
    let deleted = connection.prepare_cached(&delete)?.execute(&values[..])?;
    Ok(deleted as u64)
}
