//! What happened, in the tables of the daemon.

use std::{collections::HashSet, ops::RangeInclusive};

use async_trait::async_trait;
use mysql_async::{Conn, Row, Transaction, TxOpts, Value, prelude::Queryable};
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
    MysqlStore, cell, error,
    node::{claim, number},
    statement::{ROWS, lists, split},
};
use crate::store::{
    claim::Kind,
    pack,
    record::{self, ORPHANS, PURGE_ROWS, ROLLUP_COLUMNS, add_up, select_incidents, select_notifications},
    row::{count, time_text},
};

/// The tables of the history, which grow with time.
const TABLES: [&str; 2] = ["result_packs", "rollups"];

#[async_trait]
impl History for MysqlStore {
    async fn write_minutes(
        &self,
        node: Uuid,
        batches: RangeInclusive<u64>,
        minutes: Vec<HistoryMinute>,
    ) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        let number = number(&mut connection, node).await.map_err(error::store)?;
        let transaction = connection.start_transaction(TxOpts::default()).await;
        let mut transaction = transaction.map_err(error::store)?;
        let (first, through) = (*batches.start(), *batches.end());
        let claim = claim(&mut transaction, number, Kind::History, first, through).await;
        if !claim.map_err(error::store)?.is_new()? {
            return transaction.rollback().await.map_err(error::store);
        }
        write_minutes(&mut transaction, number, through, &minutes).await.map_err(error::store)?;
        transaction.commit().await.map_err(error::store)
    }

    async fn stale(&self) -> Result<Vec<Stale>, StoreError> {
        let select = "SELECT resolution, start, mark FROM stale ORDER BY resolution, start";
        self.select(select, |cells| record::stale(cells)).await
    }

    async fn rollups(
        &self,
        resolution: Resolution,
        from: OffsetDateTime,
        until: OffsetDateTime,
        targets: Targets,
    ) -> Result<Vec<RollupRow>, StoreError> {
        let (mut after, most) = match targets {
            Targets::One(id) => return self.read_rollups(resolution, from, until, &[id]).await,
            Targets::After { id, most } => (id, most),
        };
        // Some targets may have no entries; no answer would be taken for no more targets.
        loop {
            let next = record::select_targets_after(after, most);
            let ids = self.select(&next, |cells| record::target_id(cells)).await?;
            let Some(last) = ids.last() else { return Ok(Vec::new()) };
            after = *last;
            let found = self.read_rollups(resolution, from, until, &ids).await?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
    }

    async fn write_rollups(&self, of: Stale, rows: &[(TargetId, Rollup)]) -> Result<bool, StoreError> {
        let mut connection = self.connection().await?;
        let written = async {
            let mut transaction = connection.start_transaction(TxOpts::default()).await?;
            if !holds(&mut transaction, of).await? {
                transaction.rollback().await?;
                return Ok(false);
            }
            let there = there(&mut transaction, rows.iter().map(|(target, _)| *target)).await?;
            let rows: Vec<_> = rows.iter().filter(|(target, _)| there.contains(target)).collect();
            for rows in split(&rows) {
                let values =
                    rows.iter().flat_map(|(target, rollup)| rollup_row(of.period, *target, 0, 0, rollup));
                write_rollups(&mut transaction, "REPLACE", rows.len(), values.collect()).await?;
            }
            transaction.commit().await?;
            Ok(true)
        };
        written.await.map_err(error::store)
    }

    async fn summed_up(&self, of: Stale) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        let done = async {
            let mut transaction = connection.start_transaction(TxOpts::default()).await?;
            if !holds(&mut transaction, of).await? {
                return transaction.rollback().await;
            }
            let Period { resolution, start } = of.period;
            let delete = "DELETE FROM stale WHERE resolution = ? AND start = ?";
            transaction.exec_drop(delete, (resolution.as_str(), time_text(start))).await?;
            if let Some(coarser) = resolution.coarser() {
                mark(&mut transaction, Period { resolution: coarser, start: coarser.start_of(start) })
                    .await?;
            }
            transaction.commit().await
        };
        done.await.map_err(error::store)
    }

    async fn purge(&self, what: Kept, before: OffsetDateTime) -> Result<bool, StoreError> {
        let last = |resolution: Resolution| time_text(record::last_start(resolution, before));
        let (delete, values): (_, Vec<Value>) = match what {
            Kept::Raw => (
                "DELETE FROM result_packs WHERE minute <= ? ORDER BY minute, target_id, node, part LIMIT ?",
                vec![last(Resolution::Minute).into(), PURGE_ROWS.into()],
            ),
            Kept::Rollup(resolution) => (
                "DELETE FROM rollups WHERE resolution = ? AND start <= ?
                 ORDER BY resolution, start, target_id, node, part LIMIT ?",
                vec![resolution.as_str().into(), last(resolution).into(), PURGE_ROWS.into()],
            ),
        };
        let mut connection = self.connection().await?;
        connection.exec_drop(delete, values).await.map_err(error::store)?;
        Ok(connection.affected_rows() >= PURGE_ROWS)
    }

    async fn results(
        &self,
        target: TargetId,
        from: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Vec<RawResult>, StoreError> {
        let select = format!(
            "SELECT minute, pack FROM result_packs WHERE target_id = {} AND minute >= '{}' AND minute < '{}'",
            count(target.0),
            time_text(Resolution::Minute.start_of(from)),
            time_text(until),
        );
        let packs = self.select(&select, |cells| record::pack(cells)).await?;
        Ok(record::results(target, packs, from, until))
    }

    async fn incidents(&self, target: TargetId, most: usize) -> Result<Vec<IncidentRow>, StoreError> {
        self.select(&select_incidents(target, most), |cells| record::incident(cells)).await
    }

    async fn notifications(&self, filter: &NotificationFilter) -> Result<Vec<NotificationRow>, StoreError> {
        self.select(&select_notifications(filter), |cells| record::notification(cells)).await
    }
}

impl MysqlStore {
    /// The entries of some targets, by target and time.
    async fn read_rollups(
        &self,
        resolution: Resolution,
        from: OffsetDateTime,
        until: OffsetDateTime,
        targets: &[TargetId],
    ) -> Result<Vec<RollupRow>, StoreError> {
        let ids: Vec<String> = targets.iter().map(|id| count(id.0).to_string()).collect();
        // As a list of numbers, each of which is a range of the key; joined with, they would be none.
        let select = format!(
            "SELECT target_id, start, {ROLLUP_COLUMNS}, sketch FROM rollups FORCE INDEX (of_target) \
             WHERE target_id IN ({}) AND resolution = '{resolution}' AND start >= '{}' AND start < '{}' \
             ORDER BY target_id, start",
            ids.join(","),
            time_text(from),
            time_text(until),
        );
        let rows: Vec<Row> = self.connection().await?.query(select).await.map_err(error::store)?;
        Ok(add_up(rows.iter().filter_map(|row| {
            let last = row.len() - 1;
            let sketch = match row.as_ref(last) {
                Some(Value::Bytes(bytes)) => Some(&bytes[..]),
                _ => None,
            };
            record::rollup_row((0..last).map(|column| cell(row, column)), sketch)
        })))
    }
}

async fn write_minutes(
    transaction: &mut Transaction<'_>,
    node: i64,
    part: u64,
    minutes: &[HistoryMinute],
) -> mysql_async::Result<()> {
    let there = there(transaction, minutes.iter().map(|minute| minute.target)).await?;
    let of_those: Vec<_> = minutes.iter().filter(|minute| there.contains(&minute.target)).collect();
    for minutes in split(&of_those) {
        let row = |minute: &&HistoryMinute| -> [Value; 5] {
            [
                time_text(minute.start).into(),
                count(minute.target.0).into(),
                node.into(),
                count(part).into(),
                pack::pack(minute.start, &minute.results).into(),
            ]
        };
        let insert = format!(
            "INSERT INTO result_packs (minute, target_id, node, part, pack) VALUES {}",
            lists(minutes.len(), 5)
        );
        transaction.exec_drop(insert, minutes.iter().flat_map(row).collect::<Vec<_>>()).await?;
        let row = |minute: &&HistoryMinute| {
            let period = Period { resolution: Resolution::Minute, start: minute.start };
            rollup_row(period, minute.target, node, count(part), &minute.rollup())
        };
        write_rollups(transaction, "INSERT", minutes.len(), minutes.iter().flat_map(row).collect()).await?;
    }
    // Last, since what is being summed up waits for this.
    for period in record::hours(minutes) {
        mark(transaction, period).await?;
    }
    Ok(())
}

fn rollup_row(period: Period, target: TargetId, node: i64, part: i64, rollup: &Rollup) -> [Value; 16] {
    [
        period.resolution.as_str().into(),
        time_text(period.start).into(),
        count(target.0).into(),
        node.into(),
        part.into(),
        count(rollup.done).into(),
        count(rollup.late).into(),
        count(rollup.skipped).into(),
        count(rollup.passed).into(),
        count(rollup.failed).into(),
        record::causes(rollup).into(),
        count(rollup.covered_s).into(),
        rollup.totals.min_us.map(count).into(),
        count(rollup.totals.sum_us).into(),
        rollup.totals.max_us.map(count).into(),
        record::sketch(rollup).into(),
    ]
}

async fn write_rollups(
    transaction: &mut Transaction<'_>,
    how: &str,
    rows: usize,
    values: Vec<Value>,
) -> mysql_async::Result<()> {
    let write = format!(
        "{how} INTO rollups (resolution, start, target_id, node, part, {ROLLUP_COLUMNS}, sketch) VALUES {}",
        lists(rows, 16)
    );
    transaction.exec_drop(write, values).await
}

/// Which of some targets there are. They are not locked, as that would hold up who writes their rows; what is
/// written of one that is deleted meanwhile goes at the next start.
async fn there(
    transaction: &mut Transaction<'_>,
    targets: impl Iterator<Item = TargetId> + Clone,
) -> mysql_async::Result<HashSet<TargetId>> {
    let (Some(first), Some(last)) = (targets.clone().min(), targets.max()) else {
        return Ok(HashSet::new());
    };
    let select = "SELECT id FROM targets WHERE id BETWEEN ? AND ?";
    let ids: Vec<u64> = transaction.exec(select, (count(first.0), count(last.0))).await?;
    Ok(ids.into_iter().map(TargetId).collect())
}

/// Notes that something finer was written to a period.
async fn mark(
    transaction: &mut Transaction<'_>,
    Period { resolution, start }: Period,
) -> mysql_async::Result<()> {
    let mark = "INSERT INTO stale (resolution, start, mark) VALUES (?, ?, ?)
                ON DUPLICATE KEY UPDATE mark = VALUES(mark)";
    let values = (resolution.as_str(), time_text(start), Uuid::now_v7().to_string());
    transaction.exec_drop(mark, values).await
}

/// Whether nothing finer was written to a stale period since; until the transaction ends, nothing is.
async fn holds(transaction: &mut Transaction<'_>, of: Stale) -> mysql_async::Result<bool> {
    let select = "SELECT mark FROM stale WHERE resolution = ? AND start = ? FOR UPDATE";
    let key = (of.period.resolution.as_str(), time_text(of.period.start));
    let mark: Option<String> = transaction.exec_first(select, key).await?;
    Ok(mark == Some(of.mark.to_string()))
}

/// Deletes the history of a target, a few rows at a time: there may be tens of thousands.
pub(super) async fn forget(connection: &mut Conn, target: TargetId) -> mysql_async::Result<()> {
    for table in TABLES {
        while forget_some(connection, table, count(target.0)).await? >= PURGE_ROWS {}
    }
    Ok(())
}

/// Deletes what is kept of targets that an operator deleted. Of their history not more than a start can wait for:
/// the rest is for the next one, or goes with its time.
pub(super) async fn forget_orphans(connection: &mut Conn) -> mysql_async::Result<()> {
    connection.query_drop("DELETE FROM incidents WHERE target_id NOT IN (SELECT id FROM targets)").await?;
    let targets: Vec<i64> = connection.query("SELECT id FROM targets ORDER BY id").await?;
    let mut deleted = 0;
    for table in TABLES {
        while deleted < ORPHANS {
            let orphans = orphans(connection, table, &targets).await?;
            if orphans.is_empty() {
                break;
            }
            for target in orphans {
                while deleted < ORPHANS {
                    let some = forget_some(connection, table, target).await?;
                    deleted += some;
                    if some < PURGE_ROWS {
                        break;
                    }
                }
            }
        }
    }
    Ok(())
}

/// Some targets of which a table keeps something although they are gone: of each gap between two of `targets` the
/// first. Each is one look at the key, where a search for all would be one through it.
async fn orphans(connection: &mut Conn, table: &str, targets: &[i64]) -> mysql_async::Result<Vec<i64>> {
    let after = std::iter::once(&i64::MIN).chain(targets);
    let before = targets.iter().chain([&i64::MAX]);
    let gaps: Vec<String> = after
        .zip(before)
        .filter(|(after, before)| after.saturating_add(1) < **before)
        .map(|(after, before)| {
            format!("(SELECT MIN(target_id) FROM {table} WHERE target_id > {after} AND target_id < {before})")
        })
        .collect();
    let mut orphans = Vec::new();
    for gaps in gaps.chunks(ROWS) {
        let first: Vec<Option<i64>> = connection.query(gaps.join(" UNION ALL ")).await?;
        orphans.extend(first.into_iter().flatten());
    }
    Ok(orphans)
}

/// Deletes a few rows of a target, and tells how many.
async fn forget_some(connection: &mut Conn, table: &str, target: i64) -> mysql_async::Result<u64> {
    let delete = format!("DELETE FROM {table} WHERE target_id = ? LIMIT ?");
    connection.exec_drop(delete, (target, PURGE_ROWS)).await?;
    Ok(connection.affected_rows())
}
