//! How far the database has followed the journal of a node.

use mysql_async::{Conn, Result, Transaction, TxOpts, prelude::Queryable};
use skypunch_actors::port::Progress;
use uuid::Uuid;

use crate::store::{
    claim::{Claim, Kind},
    host,
    row::count,
};

/// The number under which the database knows a node; one that is new gets one.
pub(super) async fn number(connection: &mut Conn, journal: Uuid) -> Result<i64> {
    let find = "SELECT id FROM nodes WHERE journal = ?";
    if let Some(number) = connection.exec_first(find, (journal.to_string(),)).await? {
        return Ok(number);
    }
    let mut transaction = connection.start_transaction(TxOpts::default()).await?;
    let add = "INSERT IGNORE INTO nodes (journal, name, first_seen) VALUES (?, ?, UTC_TIMESTAMP(3))";
    transaction.exec_drop(add, (journal.to_string(), host())).await?;
    // Another connection may have been quicker: it holds the row until its own progress stands there.
    let find = "SELECT id FROM nodes WHERE journal = ? FOR UPDATE";
    let number: i64 = transaction.exec_first(find, (journal.to_string(),)).await?.unwrap_or_default();
    let begin = "INSERT IGNORE INTO progress (node, kind, batch, written_at)
                 VALUES (?, 'rows', 0, UTC_TIMESTAMP(3)), (?, 'history', 0, UTC_TIMESTAMP(3))";
    transaction.exec_drop(begin, (number, number)).await?;
    transaction.commit().await?;
    Ok(number)
}

/// Takes the progress down, and tells whether it is one. Its row stays locked, so that a second attempt waits
/// for the end of the first.
pub(super) async fn claim(
    transaction: &mut Transaction<'_>,
    node: i64,
    kind: Kind,
    first: u64,
    through: u64,
) -> Result<Claim> {
    let claim = "UPDATE progress SET batch = ?, written_at = UTC_TIMESTAMP(3)
                 WHERE node = ? AND kind = ? AND batch < ?";
    transaction.exec_drop(claim, (count(through), node, kind.as_str(), count(first))).await?;
    if transaction.affected_rows() > 0 {
        return Ok(Claim::New);
    }
    let select = "SELECT batch FROM progress WHERE node = ? AND kind = ?";
    let written: Option<u64> = transaction.exec_first(select, (node, kind.as_str())).await?;
    Ok(Claim::of(written.unwrap_or_default(), through))
}

pub(super) async fn progress(connection: &mut Conn, journal: Uuid) -> Result<Progress> {
    let select = "SELECT p.kind, p.batch FROM progress p JOIN nodes n ON n.id = p.node WHERE n.journal = ?";
    let rows: Vec<(String, u64)> = connection.exec(select, (journal.to_string(),)).await?;
    let of = |kind: Kind| rows.iter().find(|(word, _)| word == kind.as_str()).map_or(0, |(_, batch)| *batch);
    Ok(Progress { rows: of(Kind::Rows), history: of(Kind::History) })
}
