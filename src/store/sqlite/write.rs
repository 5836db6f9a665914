//! Writes a packet in one transaction.

use std::fmt::Display;

use rusqlite::{Connection, Result, Statement, Transaction};
use skypunch_actors::{
    domain::{Batch, Cause, NotifierNews, Status, TargetId, TargetNews, text},
    port::{Packet, StoreError},
};

use super::{
    begin, error,
    node::{claim, number},
};
use crate::store::{
    claim::Kind,
    news,
    row::{count, time_text},
};

// A sum that would overflow stays at the greatest number: it would refuse the news of the row.
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
    INSERT INTO incidents (target_id, id, started_at, ended_at, failed_probes, cause, reason, trace)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, COALESCE(?7, ''), ?8 WHERE EXISTS (SELECT 1 FROM targets WHERE id = ?1)
    ON CONFLICT (target_id, id) DO UPDATE SET
        ended_at = COALESCE(excluded.ended_at, ended_at),
        failed_probes = excluded.failed_probes,
        cause = COALESCE(excluded.cause, cause),
        reason = COALESCE(NULLIF(excluded.reason, ''), reason),
        trace = COALESCE(excluded.trace, trace)";

const END_OTHERS: &str =
    "UPDATE incidents SET ended_at = ?3 WHERE target_id = ?1 AND id <> ?2 AND ended_at IS NULL";

const UPDATE_NOTIFIER: &str = "
    UPDATE notifiers SET
        pass_count = min(pass_count, 9223372036854775807 - ?2) + ?2,
        fail_count = min(fail_count, 9223372036854775807 - ?3) + ?3
    WHERE id = ?1";

const INSERT_NOTIFICATION: &str = "
    INSERT INTO notifications (id, notifier_id, target_id, incident_id, event, at, alert, node,
                               state, attempts, last_error, updated_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
    ON CONFLICT (id) DO UPDATE SET state = excluded.state, attempts = excluded.attempts,
        last_error = excluded.last_error, updated_at = excluded.updated_at";

const UPDATE_NOTIFICATION: &str =
    "UPDATE notifications SET state = ?2, attempts = ?3, last_error = ?4, updated_at = ?5 WHERE id = ?1";

/// Writes a packet; tells of what the database refused.
pub(super) fn write(
    connection: &mut Connection,
    packet: &Packet,
) -> std::result::Result<Vec<String>, StoreError> {
    let Packet { node, first, through, batch } = packet;
    let transaction = begin(connection).map_err(error::store)?;
    let node = number(&transaction, *node).map_err(error::store)?;
    if !claim(&transaction, node, Kind::Rows, *first, *through).map_err(error::store)?.is_new()? {
        return Ok(Vec::new());
    }
    let mut writer = Writer { transaction: &transaction, refused: Vec::new() };
    writer.write(node, batch).map_err(error::store)?;
    let refused = writer.refused;
    transaction.commit().map_err(error::store)?;
    Ok(refused)
}

/// A transaction, and what the database would not have in it.
struct Writer<'a> {
    transaction: &'a Transaction<'a>,
    refused: Vec<String>,
}

impl Writer<'_> {
    fn write(&mut self, node: i64, batch: &Batch) -> Result<()> {
        self.write_targets(batch)?;
        self.write_incidents(batch)?;
        self.write_notifiers(batch)?;
        self.write_notifications(node, batch)
    }

    fn write_targets(&mut self, batch: &Batch) -> Result<()> {
        let mut update = self.transaction.prepare_cached(UPDATE_TARGET)?;
        for (id, news) in &batch.targets {
            self.note("target", id, update_target(&mut update, *id, news))?;
        }
        Ok(())
    }

    fn write_incidents(&mut self, batch: &Batch) -> Result<()> {
        let (incidents, latest) = news::incidents(batch);
        let mut upsert = self.transaction.prepare_cached(UPSERT_INCIDENT)?;
        for row in incidents {
            let done = upsert.execute((
                count(row.target.0),
                count(row.incident.id),
                time_text(row.incident.started_at),
                row.incident.ended_at.map(time_text),
                count(row.incident.failed_probes),
                row.beginning.and_then(|begun| begun.cause).map(Cause::as_str),
                row.beginning.map(|begun| text::cut(&begun.reason, text::REASON_MAX)),
                row.beginning.map(|begun| begun.trace.join("\n")),
            ));
            self.note("incident of target", row.target, done)?;
        }
        let mut end_others = self.transaction.prepare_cached(END_OTHERS)?;
        for latest in latest {
            let row = (count(latest.target.0), count(latest.incident), time_text(latest.at));
            self.note("incident of target", latest.target, end_others.execute(row))?;
        }
        Ok(())
    }

    fn write_notifiers(&mut self, batch: &Batch) -> Result<()> {
        let mut update = self.transaction.prepare_cached(UPDATE_NOTIFIER)?;
        for (id, NotifierNews { delivered, failed }) in batch.notifiers() {
            self.note("notifier", id, update.execute((count(id.0), count(delivered), count(failed))))?;
        }
        Ok(())
    }

    fn write_notifications(&mut self, node: i64, batch: &Batch) -> Result<()> {
        let (new, known) = news::notifications(batch);
        let mut insert = self.transaction.prepare_cached(INSERT_NOTIFICATION)?;
        for news::NewNotification { id, notifier, alert, delivery } in new {
            let done = insert.execute((
                id.to_string(),
                count(notifier.0),
                count(alert.target.id.0),
                alert.incident.map(|incident| count(incident.id)),
                alert.event.as_str(),
                time_text(alert.at),
                serde_json::to_string(alert).expect("an alert is JSON"),
                node,
                delivery.state.as_str(),
                delivery.attempts,
                delivery.last_error.as_deref().map(|error| text::cut(error, text::REASON_MAX)),
                time_text(delivery.at),
            ));
            self.note("notification", id, done)?;
        }
        let mut update = self.transaction.prepare_cached(UPDATE_NOTIFICATION)?;
        for (id, delivery) in known {
            let done = update.execute((
                id.to_string(),
                delivery.state.as_str(),
                delivery.attempts,
                delivery.last_error.as_deref().map(|error| text::cut(error, text::REASON_MAX)),
                time_text(delivery.at),
            ));
            self.note("notification", id, done)?;
        }
        Ok(())
    }

    /// Passes over a row that the database refused: the others get what is theirs. What took the whole
    /// transaction back, as a trigger may, is an error.
    fn note(&mut self, whose: &str, id: impl Display, done: Result<usize>) -> Result<()> {
        match done {
            Err(e) if error::is_refusal(&e) && !self.transaction.is_autocommit() => {
                self.refused.push(format!("{whose} {id}: {}", text::chain(&e)));
                Ok(())
            }
            done => done.map(drop),
        }
    }
}

fn update_target(update: &mut Statement<'_>, id: TargetId, news: &TargetNews) -> Result<usize> {
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

/// Deletes a target, its incidents, and what came to its history meanwhile; tells how many targets that were.
pub(super) fn delete_target(connection: &mut Connection, id: TargetId) -> Result<usize> {
    let transaction = begin(connection)?;
    for table in ["incidents", "result_packs", "rollups"] {
        transaction.execute(&format!("DELETE FROM {table} WHERE target_id = ?1"), (count(id.0),))?;
    }
    let deleted = transaction.execute("DELETE FROM targets WHERE id = ?1", (count(id.0),))?;
    transaction.commit()?;
    Ok(deleted)
}
