//! How far the database has followed the journal of a node.

use rusqlite::{Connection, OptionalExtension, Result, Transaction};
use skypunch_actors::port::Progress;
use uuid::Uuid;

use super::cell;
use crate::store::{
    claim::{Claim, Kind},
    host,
    row::count,
};

/// The number under which the database knows a node; one that is new gets one.
pub(super) fn number(transaction: &Transaction<'_>, journal: Uuid) -> Result<i64> {
    let journal = journal.to_string();
    let find = "SELECT id FROM nodes WHERE journal = ?1";
    if let Some(number) =
        transaction.prepare_cached(find)?.query_row((&journal,), |row| row.get(0)).optional()?
    {
        return Ok(number);
    }
    let add = "INSERT INTO nodes (journal, name, first_seen)
               VALUES (?1, ?2, strftime('%Y-%m-%d %H:%M:%f', 'now'))";
    transaction.execute(add, (&journal, host()))?;
    Ok(transaction.last_insert_rowid())
}

/// Takes the progress down, and tells whether it is one.
pub(super) fn claim(
    transaction: &Transaction<'_>,
    node: i64,
    kind: Kind,
    first: u64,
    through: u64,
) -> Result<Claim> {
    let claim = "INSERT INTO progress (node, kind, batch, written_at)
                 VALUES (?1, ?2, ?3, strftime('%Y-%m-%d %H:%M:%f', 'now'))
                 ON CONFLICT (node, kind) DO UPDATE SET batch = excluded.batch, written_at = excluded.written_at
                 WHERE batch < ?4";
    if transaction.prepare_cached(claim)?.execute((node, kind.as_str(), count(through), count(first)))? > 0 {
        return Ok(Claim::New);
    }
    let select = "SELECT batch FROM progress WHERE node = ?1 AND kind = ?2";
    let written = transaction.query_row(select, (node, kind.as_str()), |row| Ok(cell(row, 0).count()))?;
    Ok(Claim::of(written, through))
}

pub(super) fn progress(connection: &Connection, journal: Uuid) -> Result<Progress> {
    let select =
        "SELECT batch FROM progress p JOIN nodes n ON n.id = p.node WHERE n.journal = ?1 AND p.kind = ?2";
    let of = |kind: Kind| -> Result<u64> {
        let asked = (journal.to_string(), kind.as_str());
        let found = connection.query_row(select, asked, |row| Ok(cell(row, 0).count()));
        Ok(found.optional()?.unwrap_or_default())
    };
    Ok(Progress { rows: of(Kind::Rows)?, history: of(Kind::History)? })
}
