//! Writes a batch in one transaction.

use mysql_async::{Conn, Result, Transaction, TxOpts, Value, prelude::Queryable};
use skypunch_actors::domain::{Batch, Cause, NotifierNews, Status, TargetId, TargetNews, text};

use super::statement::Rows;
use crate::store::{
    news,
    row::{count, time_text},
};

const CLAIM: &str = "
    UPDATE writers SET sequence = ?, last_write = UTC_TIMESTAMP(3) WHERE id = ? AND sequence < ?";

const INTRODUCE: &str =
    "INSERT IGNORE INTO writers (id, sequence, last_write) VALUES (?, 0, UTC_TIMESTAMP(3))";

const TARGET_COLUMNS: &[(&str, &str)] = &[
    ("id", "SIGNED"),
    ("status", "CHAR(32)"),
    ("previous_status", "CHAR(32)"),
    ("status_description", "CHAR(512)"),
    ("cause", "CHAR(32)"),
    ("last_updated", "DATETIME(3)"),
    ("pass_count", "SIGNED"),
    ("fail_count", "SIGNED"),
    ("count200", "SIGNED"),
    ("count300", "SIGNED"),
    ("count400", "SIGNED"),
    ("count500", "SIGNED"),
    ("network_fails", "SIGNED"),
    ("repeated_fails", "SIGNED"),
];

// A sum that would overflow stays at the greatest number: it would refuse the batch of all others.
const SET_TARGET: &str = "
    SET t.status = v.status,
        t.previous_status = COALESCE(v.previous_status, t.previous_status),
        t.status_description = v.status_description,
        t.cause = v.cause,
        t.last_updated = v.last_updated,
        t.pass_count = LEAST(t.pass_count, 9223372036854775807 - v.pass_count) + v.pass_count,
        t.fail_count = LEAST(t.fail_count, 9223372036854775807 - v.fail_count) + v.fail_count,
        t.count200 = LEAST(t.count200, 9223372036854775807 - v.count200) + v.count200,
        t.count300 = LEAST(t.count300, 9223372036854775807 - v.count300) + v.count300,
        t.count400 = LEAST(t.count400, 9223372036854775807 - v.count400) + v.count400,
        t.count500 = LEAST(t.count500, 9223372036854775807 - v.count500) + v.count500,
        t.network_fails = LEAST(t.network_fails, 9223372036854775807 - v.network_fails) + v.network_fails,
        t.repeated_fails = IF(v.pass_count > 0, v.repeated_fails,
            LEAST(t.repeated_fails, 9223372036854775807 - v.repeated_fails) + v.repeated_fails)";

const INCIDENT_COLUMNS: &[(&str, &str)] = &[
    ("target_id", "SIGNED"),
    ("id", "SIGNED"),
    ("started_at", "DATETIME(3)"),
    ("ended_at", "DATETIME(3)"),
    ("cause", "CHAR(32)"),
    ("reason", "CHAR(512)"),
];

const LATEST_COLUMNS: &[(&str, &str)] = &[("target_id", "SIGNED"), ("id", "SIGNED"), ("at", "DATETIME(3)")];

const NOTIFIER_COLUMNS: &[(&str, &str)] =
    &[("id", "SIGNED"), ("pass_count", "SIGNED"), ("fail_count", "SIGNED")];

pub(super) async fn write(connection: &mut Conn, writer: &str, batch: &Batch) -> Result<()> {
    let mut transaction = connection.start_transaction(TxOpts::default()).await?;
    if !claim(&mut transaction, writer, count(batch.sequence)).await? {
        return transaction.rollback().await;
    }
    write_targets(&mut transaction, batch).await?;
    write_notifiers(&mut transaction, batch).await?;
    transaction.commit().await
}

/// Takes the sequence down, and tells whether it is new. The row of the writer stays locked, so that a
/// second attempt waits for the end of the first.
async fn claim(transaction: &mut Transaction<'_>, writer: &str, sequence: i64) -> Result<bool> {
    for introduced in [false, true] {
        transaction.exec_drop(CLAIM, (sequence, writer, sequence)).await?;
        if transaction.affected_rows() > 0 {
            return Ok(true);
        }
        if !introduced {
            transaction.exec_drop(INTRODUCE, (writer,)).await?;
        }
    }
    Ok(false)
}

async fn write_targets(transaction: &mut Transaction<'_>, batch: &Batch) -> Result<()> {
    let targets = news::targets(batch);
    let mut updates = Rows::new(TARGET_COLUMNS);
    targets.iter().for_each(|(id, news)| updates.push(target_row(*id, news)));
    for (v, values) in updates.chunks() {
        transaction
            .exec_drop(format!("UPDATE targets t JOIN {v} ON t.id = v.id{SET_TARGET}"), values)
            .await?;
    }
    let (incidents, latest) = news::incidents(&targets);
    let mut upserts = Rows::new(INCIDENT_COLUMNS);
    for row in incidents {
        upserts.push([
            count(row.target.0).into(),
            count(row.incident.id).into(),
            time_text(row.incident.started_at).into(),
            row.incident.ended_at.map(time_text).into(),
            row.cause.map(Cause::as_str).into(),
            text::cut(row.reason, text::REASON_MAX).as_ref().into(),
        ]);
    }
    for (v, values) in upserts.chunks() {
        let upsert = format!(
            "INSERT INTO incidents (target_id, id, started_at, ended_at, cause, reason) \
             SELECT v.target_id, v.id, v.started_at, v.ended_at, v.cause, v.reason \
             FROM {v} JOIN targets t ON t.id = v.target_id \
             ON DUPLICATE KEY UPDATE ended_at = COALESCE(VALUES(ended_at), incidents.ended_at)"
        );
        transaction.exec_drop(upsert, values).await?;
    }
    let mut others = Rows::new(LATEST_COLUMNS);
    for latest in latest {
        others.push([
            count(latest.target.0).into(),
            count(latest.incident).into(),
            time_text(latest.at).into(),
        ]);
    }
    for (v, values) in others.chunks() {
        let end = format!(
            "UPDATE incidents i JOIN {v} ON i.target_id = v.target_id SET i.ended_at = v.at \
             WHERE i.ended_at IS NULL AND i.id <> v.id"
        );
        transaction.exec_drop(end, values).await?;
    }
    Ok(())
}

fn target_row(id: TargetId, news: &TargetNews) -> [Value; TARGET_COLUMNS.len()] {
    let counted = &news.counted;
    [
        count(id.0).into(),
        news.status.as_str().into(),
        news.previous_status.map(Status::as_str).into(),
        text::cut(&news.status_description, text::REASON_MAX).as_ref().into(),
        news.cause.map(Cause::as_str).into(),
        time_text(news.last_updated).into(),
        count(counted.pass_count).into(),
        count(counted.fail_count).into(),
        count(counted.count200).into(),
        count(counted.count300).into(),
        count(counted.count400).into(),
        count(counted.count500).into(),
        count(counted.network_fails).into(),
        count(counted.repeated_fails).into(),
    ]
}

async fn write_notifiers(transaction: &mut Transaction<'_>, batch: &Batch) -> Result<()> {
    let mut updates = Rows::new(NOTIFIER_COLUMNS);
    for (id, NotifierNews { delivered, failed }) in &batch.notifiers {
        updates.push([count(id.0).into(), count(*delivered).into(), count(*failed).into()]);
    }
    for (v, values) in updates.chunks() {
        let update = format!(
            "UPDATE notifiers t JOIN {v} ON t.id = v.id SET \
             t.pass_count = LEAST(t.pass_count, 9223372036854775807 - v.pass_count) + v.pass_count, \
             t.fail_count = LEAST(t.fail_count, 9223372036854775807 - v.fail_count) + v.fail_count"
        );
        transaction.exec_drop(update, values).await?;
    }
    Ok(())
}

/// Deletes a target and its incidents; tells how many targets that were. The target goes first, as in a
/// batch: who locks rows in another order may wait for one that waits for him.
pub(super) async fn delete_target(connection: &mut Conn, id: TargetId) -> Result<u64> {
    let mut transaction = connection.start_transaction(TxOpts::default()).await?;
    transaction.exec_drop("DELETE FROM targets WHERE id = ?", (id.0,)).await?;
    let deleted = transaction.affected_rows();
    transaction.exec_drop("DELETE FROM incidents WHERE target_id = ?", (id.0,)).await?;
    transaction.commit().await?;
    Ok(deleted)
}
