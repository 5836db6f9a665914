//! Writes a packet in one transaction.

use mysql_async::{Conn, Result, Transaction, TxOpts, Value, prelude::Queryable};
use skypunch_actors::{
    domain::{Batch, Cause, Delivery, NotifierNews, Status, TargetId, TargetNews, text},
    port::{Packet, StoreError},
};

use super::{
    error,
    node::{claim, number},
    statement::Rows,
};
use crate::store::{
    claim::Kind,
    news,
    row::{count, time_text},
};

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
    ("failed_probes", "SIGNED"),
    ("cause", "CHAR(32)"),
    ("reason", "CHAR(512)"),
    ("trace", "CHAR"),
];

const LATEST_COLUMNS: &[(&str, &str)] = &[("target_id", "SIGNED"), ("id", "SIGNED"), ("at", "DATETIME(3)")];

const NOTIFIER_COLUMNS: &[(&str, &str)] =
    &[("id", "SIGNED"), ("pass_count", "SIGNED"), ("fail_count", "SIGNED")];

const NOTIFICATION_COLUMNS: &[(&str, &str)] = &[
    ("id", "CHAR(36)"),
    ("notifier_id", "SIGNED"),
    ("target_id", "SIGNED"),
    ("incident_id", "SIGNED"),
    ("event", "CHAR(32)"),
    ("at", "DATETIME(3)"),
    ("state", "CHAR(32)"),
    ("attempts", "SIGNED"),
    ("last_error", "CHAR(512)"),
    ("updated_at", "DATETIME(3)"),
    ("alert", "CHAR"),
    ("node", "SIGNED"),
];

const DELIVERY_COLUMNS: &[(&str, &str)] = &[
    ("id", "CHAR(36)"),
    ("state", "CHAR(32)"),
    ("attempts", "SIGNED"),
    ("last_error", "CHAR(512)"),
    ("updated_at", "DATETIME(3)"),
];

/// Writes a packet; tells of what the database refused.
pub(super) async fn write(
    connection: &mut Conn,
    packet: &Packet,
) -> std::result::Result<Vec<String>, StoreError> {
    let Packet { node, first, through, batch } = packet;
    let number = number(connection, *node).await.map_err(error::store)?;
    let transaction = connection.start_transaction(TxOpts::default()).await;
    let mut transaction = transaction.map_err(error::store)?;
    let claim = claim(&mut transaction, number, Kind::Rows, *first, *through).await.map_err(error::store)?;
    if !claim.is_new()? {
        transaction.rollback().await.map_err(error::store)?;
        return Ok(Vec::new());
    }
    let mut writer = Writer { transaction, node: number, refused: Vec::new() };
    writer.write(batch).await.map_err(error::store)?;
    writer.transaction.commit().await.map_err(error::store)?;
    Ok(writer.refused)
}

/// A transaction, and what the database would not have in it.
struct Writer<'a> {
    transaction: Transaction<'a>,
    node: i64,
    refused: Vec<String>,
}

impl Writer<'_> {
    async fn write(&mut self, batch: &Batch) -> Result<()> {
        self.write_targets(batch).await?;
        self.write_incidents(batch).await?;
        self.write_notifiers(batch).await?;
        self.write_notifications(batch).await
    }

    async fn write_targets(&mut self, batch: &Batch) -> Result<()> {
        let mut updates = Rows::new(TARGET_COLUMNS);
        // By id: transactions that lock rows in one order do not wait for each other in a ring.
        batch.targets.iter().for_each(|(id, news)| updates.push(target_row(*id, news)));
        let update = |v: &str| format!("UPDATE targets t JOIN {v} ON t.id = v.id{SET_TARGET}");
        self.run("target", &updates, update).await
    }

    async fn write_incidents(&mut self, batch: &Batch) -> Result<()> {
        let (incidents, latest) = news::incidents(batch);
        let mut upserts = Rows::new(INCIDENT_COLUMNS);
        for row in incidents {
            let beginning = row.beginning;
            let reason = beginning.map(|begun| text::cut(&begun.reason, text::REASON_MAX));
            upserts.push([
                count(row.target.0).into(),
                count(row.incident.id).into(),
                time_text(row.incident.started_at).into(),
                row.incident.ended_at.map(time_text).into(),
                count(row.incident.failed_probes).into(),
                beginning.and_then(|begun| begun.cause).map(Cause::as_str).into(),
                reason.as_deref().into(),
                beginning.map(|begun| begun.trace.join("\n")).into(),
            ]);
        }
        let upsert = |v: &str| {
            format!(
                "INSERT INTO incidents (target_id, id, started_at, ended_at, failed_probes, cause, reason, trace) \
                 SELECT v.target_id, v.id, v.started_at, v.ended_at, v.failed_probes, v.cause, \
                 COALESCE(v.reason, ''), v.trace FROM {v} JOIN targets t ON t.id = v.target_id \
                 ON DUPLICATE KEY UPDATE ended_at = COALESCE(VALUES(ended_at), incidents.ended_at), \
                 failed_probes = VALUES(failed_probes), cause = COALESCE(VALUES(cause), incidents.cause), \
                 reason = COALESCE(NULLIF(VALUES(reason), ''), incidents.reason), \
                 trace = COALESCE(VALUES(trace), incidents.trace)"
            )
        };
        self.run("incident of target", &upserts, upsert).await?;
        let mut others = Rows::new(LATEST_COLUMNS);
        for latest in latest {
            others.push([
                count(latest.target.0).into(),
                count(latest.incident).into(),
                time_text(latest.at).into(),
            ]);
        }
        let end = |v: &str| {
            format!(
                "UPDATE incidents i JOIN {v} ON i.target_id = v.target_id SET i.ended_at = v.at \
                 WHERE i.ended_at IS NULL AND i.id <> v.id"
            )
        };
        self.run("incident of target", &others, end).await
    }

    async fn write_notifiers(&mut self, batch: &Batch) -> Result<()> {
        let mut updates = Rows::new(NOTIFIER_COLUMNS);
        for (id, NotifierNews { delivered, failed }) in batch.notifiers() {
            updates.push([count(id.0).into(), count(delivered).into(), count(failed).into()]);
        }
        let update = |v: &str| {
            format!(
                "UPDATE notifiers t JOIN {v} ON t.id = v.id SET \
                 t.pass_count = LEAST(t.pass_count, 9223372036854775807 - v.pass_count) + v.pass_count, \
                 t.fail_count = LEAST(t.fail_count, 9223372036854775807 - v.fail_count) + v.fail_count"
            )
        };
        self.run("notifier", &updates, update).await
    }

    async fn write_notifications(&mut self, batch: &Batch) -> Result<()> {
        let (new, known) = news::notifications(batch);
        let mut inserts = Rows::new(NOTIFICATION_COLUMNS);
        for news::NewNotification { id, notifier, alert, delivery } in new {
            let [state, attempts, last_error, updated_at] = delivery_row(delivery);
            inserts.push([
                id.to_string().into(),
                count(notifier.0).into(),
                count(alert.target.id.0).into(),
                alert.incident.map(|incident| count(incident.id)).into(),
                alert.event.as_str().into(),
                time_text(alert.at).into(),
                state,
                attempts,
                last_error,
                updated_at,
                serde_json::to_string(alert).expect("an alert is JSON").into(),
                self.node.into(),
            ]);
        }
        let insert = |v: &str| {
            format!(
                "INSERT INTO notifications (id, notifier_id, target_id, incident_id, event, at, state, attempts, \
                 last_error, updated_at, alert, node) \
                 SELECT v.id, v.notifier_id, v.target_id, v.incident_id, v.event, v.at, v.state, v.attempts, \
                 v.last_error, v.updated_at, v.alert, v.node FROM {v} WHERE v.id IS NOT NULL \
                 ON DUPLICATE KEY UPDATE state = VALUES(state), attempts = VALUES(attempts), \
                 last_error = VALUES(last_error), updated_at = VALUES(updated_at)"
            )
        };
        self.run("notification", &inserts, insert).await?;
        let mut updates = Rows::new(DELIVERY_COLUMNS);
        for (id, delivery) in known {
            let [state, attempts, last_error, updated_at] = delivery_row(delivery);
            updates.push([id.to_string().into(), state, attempts, last_error, updated_at]);
        }
        let update = |v: &str| {
            format!(
                "UPDATE notifications n JOIN {v} ON n.id = v.id SET n.state = v.state, \
                 n.attempts = v.attempts, n.last_error = v.last_error, n.updated_at = v.updated_at"
            )
        };
        self.run("notification", &updates, update).await
    }

    /// Runs a statement over rows. Where the database refuses one of them, it takes each on its own, and the
    /// others get what is theirs.
    async fn run(&mut self, whose: &str, rows: &Rows, statement: impl Fn(&str) -> String) -> Result<()> {
        for chunk in rows.chunks() {
            let (v, values) = chunk.derived_table();
            match self.transaction.exec_drop(statement(&v), values).await {
                Err(e) if error::is_refusal(&e) => {}
                done => {
                    done?;
                    continue;
                }
            }
            for row in chunk.rows() {
                let (v, values) = row.derived_table();
                match self.transaction.exec_drop(statement(&v), values).await {
                    Err(e) if error::is_refusal(&e) => {
                        self.refused.push(format!("{whose} {}: {}", row.id(), text::chain(&e)));
                    }
                    done => done?,
                }
            }
        }
        Ok(())
    }
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

fn delivery_row(delivery: &Delivery) -> [Value; 4] {
    let last_error = delivery.last_error.as_deref().map(|error| text::cut(error, text::REASON_MAX));
    [
        delivery.state.as_str().into(),
        delivery.attempts.into(),
        last_error.as_deref().into(),
        time_text(delivery.at).into(),
    ]
}

/// Deletes a target, its incidents, and what came to its history meanwhile; tells how many targets that were.
/// The target goes first, as in a packet: who locks rows in another order may wait for one that waits for him.
pub(super) async fn delete_target(connection: &mut Conn, id: TargetId) -> Result<u64> {
    let mut transaction = connection.start_transaction(TxOpts::default()).await?;
    transaction.exec_drop("DELETE FROM targets WHERE id = ?", (id.0,)).await?;
    let deleted = transaction.affected_rows();
    for table in ["incidents", "result_packs", "rollups"] {
        transaction.exec_drop(format!("DELETE FROM {table} WHERE target_id = ?"), (id.0,)).await?;
    }
    transaction.commit().await?;
    Ok(deleted)
}
