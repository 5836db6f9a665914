//! Writes a batch in one transaction.

use rusqlite::{Connection, Statement, Transaction, TransactionBehavior};
use skypunch_actors::domain::{Batch, Cause, NotifierNews, Status, TargetId, TargetNews, text};

use crate::store::{
    news,
    row::{count, time_text},
};

const CLAIM: &str = "
    INSERT INTO writers (id, sequence, last_write) VALUES (?1, ?2, strftime('%Y-%m-%d %H:%M:%f', 'now'))
    ON CONFLICT (id) DO UPDATE SET sequence = excluded.sequence, last_write = excluded.last_write
    WHERE sequence < excluded.sequence";

// A sum that would overflow stays at the greatest number: it would refuse the batch of all others.
const UPDATE_TARGET: &str = "
    UPDATE targets SET
        status = ?2,
        previous_status = COALESCE(?3, previous_status),
        status_description = ?4,
        cause = ?5,
        last_updated = ?6,
        pass_count = min(pass_count, 9223372036854775807 - ?7) + ?7,
        fail_count = min(fail_count, 9223372036854775807 - ?8) + ?8,
        count200 = min(count200, 9223372036854775807 - ?9) + ?9,
        count300 = min(count300, 9223372036854775807 - ?10) + ?10,
        count400 = min(count400, 9223372036854775807 - ?11) + ?11,
        count500 = min(count500, 9223372036854775807 - ?12) + ?12,
        network_fails = min(network_fails, 9223372036854775807 - ?13) + ?13,
        repeated_fails = CASE WHEN ?7 > 0 THEN ?14
                              ELSE min(repeated_fails, 9223372036854775807 - ?14) + ?14 END
    WHERE id = ?1";

const UPSERT_INCIDENT: &str = "
    INSERT INTO incidents (target_id, id, started_at, ended_at, cause, reason)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS (SELECT 1 FROM targets WHERE id = ?1)
    ON CONFLICT (target_id, id) DO UPDATE SET ended_at = COALESCE(excluded.ended_at, ended_at)";

const END_OTHERS: &str =
    "UPDATE incidents SET ended_at = ?3 WHERE target_id = ?1 AND id <> ?2 AND ended_at IS NULL";

const UPDATE_NOTIFIER: &str = "
    UPDATE notifiers SET
        pass_count = min(pass_count, 9223372036854775807 - ?2) + ?2,
        fail_count = min(fail_count, 9223372036854775807 - ?3) + ?3
    WHERE id = ?1";

pub(super) fn write(connection: &mut Connection, writer: &str, batch: &Batch) -> rusqlite::Result<()> {
    // Immediate, so that the wait for another process comes before the work, not in its middle.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if transaction.prepare_cached(CLAIM)?.execute((writer, count(batch.sequence)))? == 0 {
        return Ok(());
    }
    write_targets(&transaction, batch)?;
    write_notifiers(&transaction, batch)?;
    transaction.commit()
}

fn write_targets(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    let targets = news::targets(batch);
    let mut update = transaction.prepare_cached(UPDATE_TARGET)?;
    for (id, news) in &targets {
        update_target(&mut update, *id, news)?;
    }
    let (incidents, latest) = news::incidents(&targets);
    let mut upsert = transaction.prepare_cached(UPSERT_INCIDENT)?;
    for row in incidents {
        upsert.execute((
            count(row.target.0),
            count(row.incident.id),
            time_text(row.incident.started_at),
            row.incident.ended_at.map(time_text),
            row.cause.map(Cause::as_str),
            text::cut(row.reason, text::REASON_MAX),
        ))?;
    }
    let mut end_others = transaction.prepare_cached(END_OTHERS)?;
    for latest in latest {
        end_others.execute((count(latest.target.0), count(latest.incident), time_text(latest.at)))?;
    }
    Ok(())
}

fn update_target(update: &mut Statement<'_>, id: TargetId, news: &TargetNews) -> rusqlite::Result<usize> {
    let counted = &news.counted;
    update.execute((
        count(id.0),
        news.status.as_str(),
        news.previous_status.map(Status::as_str),
        text::cut(&news.status_description, text::REASON_MAX),
        news.cause.map(Cause::as_str),
        time_text(news.last_updated),
        count(counted.pass_count),
        count(counted.fail_count),
        count(counted.count200),
        count(counted.count300),
        count(counted.count400),
        count(counted.count500),
        count(counted.network_fails),
        count(counted.repeated_fails),
    ))
}

fn write_notifiers(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    let mut update = transaction.prepare_cached(UPDATE_NOTIFIER)?;
    for (id, NotifierNews { delivered, failed }) in &batch.notifiers {
        update.execute((count(id.0), count(*delivered), count(*failed)))?;
    }
    Ok(())
}

/// Deletes a target and its incidents; tells how many targets that were.
pub(super) fn delete_target(connection: &mut Connection, id: TargetId) -> rusqlite::Result<usize> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("DELETE FROM incidents WHERE target_id = ?1", (count(id.0),))?;
    let deleted = transaction.execute("DELETE FROM targets WHERE id = ?1", (count(id.0),))?;
    transaction.commit()?;
    Ok(deleted)
}
