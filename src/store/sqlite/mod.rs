//! The embedded backend: one SQLite file, one connection, one thread.
//!
//! The file is readable by its owner alone. It is in WAL mode, so that an operator's `sqlite3` beside the
//! daemon reads without waiting; one that holds a write lock makes a write wait for [`BUSY_WITHIN`], and
//! then fail as unavailable. With `synchronous = NORMAL` a killed process loses nothing that was
//! written, and a power failure may lose the newest transactions, but never half of one.

mod connect;
mod error;
mod history;
mod migrate;
mod node;
mod write;

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use rusqlite::{
    Connection, Row, Transaction, TransactionBehavior, params_from_iter,
    types::{Value, ValueRef},
};
use skypunch_actors::{
    domain::{NotifierDefinition, NotifierId, NotifierRow, Secret, TargetDefinition, TargetId, TargetRow},
    port::{Packet, Progress, Revision, Store, StoreError},
};
use uuid::Uuid;

pub(super) use migrate::{inspect, migrate};

use super::{
    error::OpenError,
    record::PURGE_ROWS,
    row::{self, Cell, SELECT_NOTIFIERS, SELECT_TARGETS},
};
use crate::own_thread::OwnThread;

/// How long a statement waits for another process that holds the lock.
const BUSY_WITHIN: Duration = Duration::from_secs(5);

const ADD_TARGET: &str = "
    INSERT INTO targets (name, tenantid, url, method, authn, authn_parms, pass_result, frequency, timeout,
                         enabled, options)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11
    WHERE NOT EXISTS (SELECT 1 FROM targets WHERE name = ?1)";

const UPDATE_TARGET: &str = "
    UPDATE targets
    SET name = ?1, tenantid = ?2, url = ?3, method = ?4, authn = ?5, authn_parms = ?6, pass_result = ?7,
        frequency = ?8, timeout = ?9, enabled = ?10, options = ?11
    WHERE id = ?12";

const ADD_NOTIFIER: &str = "
    INSERT INTO notifiers (name, type, address, params, enabled, options)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6
    WHERE NOT EXISTS (SELECT 1 FROM notifiers WHERE name = ?1)";

const UPDATE_NOTIFIER: &str = "
    UPDATE notifiers
    SET name = ?1, type = ?2, address = ?3, params = ?4, enabled = ?5, options = ?6
    WHERE id = ?7";

/// A store in one file.
pub(super) struct SqliteStore {
    thread: OwnThread<Connection>,
    /// Counts what this connection did to definitions.
    changes: AtomicU64,
}

impl SqliteStore {
    /// Opens a file that has the schema of this program.
    pub(super) async fn open(path: &Path) -> Result<Self, OpenError> {
        let path = path.to_owned();
        let (thread, ()) =
            OwnThread::start("sqlite", move || Ok::<_, OpenError>((connect::open(&path)?, ()))).await?;
        Ok(Self { thread, changes: AtomicU64::new(0) })
    }

    /// Runs `work` on the thread that owns the connection: SQLite blocks, the actors must not.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.thread.run(work).await.map_err(|ended| StoreError::Unavailable(ended.into()))?
    }

    /// Runs `work`, which may change a definition, even where nobody waits for its end.
    async fn define<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.run(work).await
    }

    /// Adds a row, unless its name is taken.
    async fn add(&self, sql: &'static str, values: Vec<Value>) -> Result<u64, StoreError> {
        self.define(move |connection| {
            let added =
                connection.prepare_cached(sql).and_then(|mut add| add.execute(params_from_iter(values)));
            match added.map_err(error::store)? {
                0 => Err(StoreError::Conflict),
                _ => Ok(u64::try_from(connection.last_insert_rowid()).expect("AUTOINCREMENT counts from 1")),
            }
        })
        .await
    }

    /// Runs a statement that is about the row of that id, which is the last of its values.
    async fn change(&self, sql: &'static str, mut values: Vec<Value>, id: u64) -> Result<(), StoreError> {
        values.push(row::count(id).into());
        self.define(move |connection| {
            let changed = connection
                .prepare_cached(sql)
                .and_then(|mut change| change.execute(params_from_iter(values)));
            found(changed.map_err(error::store)?)
        })
        .await
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn backend(&self) -> &'static str {
        "sqlite"
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        let changes = self.changes.load(Ordering::Relaxed);
        // Another one whenever somebody else has written to the file.
        let others = |connection: &mut Connection| {
            connection.query_row("PRAGMA data_version", (), |row| row.get::<_, i64>(0)).map_err(error::store)
        };
        Ok(Revision(format!("{changes} {}", self.run(others).await?)))
    }

    async fn load_targets(&self) -> Result<Vec<TargetRow>, StoreError> {
        let read =
            |connection: &mut Connection| select(connection, &SELECT_TARGETS, |cells| row::target(cells));
        Ok(row::one_each(self.run(read).await?))
    }

    async fn load_notifiers(&self) -> Result<Vec<NotifierRow>, StoreError> {
        self.run(|connection| select(connection, &SELECT_NOTIFIERS, |cells| row::notifier(cells))).await
    }

    async fn progress(&self, node: Uuid) -> Result<Progress, StoreError> {
        self.run(move |connection| node::progress(connection, node).map_err(error::store)).await
    }

    async fn write(&self, packet: &Packet) -> Result<Vec<String>, StoreError> {
        let packet = packet.clone();
        self.run(move |connection| write::write(connection, &packet)).await
    }

    async fn add_target(&self, definition: &TargetDefinition) -> Result<TargetId, StoreError> {
        self.add(ADD_TARGET, target(definition)).await.map(TargetId)
    }

    async fn update_target(&self, id: TargetId, definition: &TargetDefinition) -> Result<(), StoreError> {
        self.change(UPDATE_TARGET, target(definition), id.0).await
    }

    async fn enable_target(&self, id: TargetId, enabled: bool) -> Result<(), StoreError> {
        self.change("UPDATE targets SET enabled = ?1 WHERE id = ?2", vec![enabled.into()], id.0).await
    }

    async fn delete_target(&self, id: TargetId) -> Result<(), StoreError> {
        // A few rows at a time, since others wait; and the target last: who is cut off half-way can delete it
        // again.
        for (table, key) in history::TABLES {
            let some = move |connection: &mut Connection| {
                history::forget_some(connection, table, key, row::count(id.0)).map_err(error::store)
            };
            while self.run(some).await? >= PURGE_ROWS {}
        }
        let delete = move |connection: &mut Connection| {
            write::delete_target(connection, id).map_err(error::store).and_then(found)
        };
        self.define(delete).await
    }

    async fn add_notifier(&self, definition: &NotifierDefinition) -> Result<NotifierId, StoreError> {
        self.add(ADD_NOTIFIER, notifier(definition)).await.map(NotifierId)
    }

    async fn update_notifier(
        &self,
        id: NotifierId,
        definition: &NotifierDefinition,
    ) -> Result<(), StoreError> {
        self.change(UPDATE_NOTIFIER, notifier(definition), id.0).await
    }

    async fn enable_notifier(&self, id: NotifierId, enabled: bool) -> Result<(), StoreError> {
        self.change("UPDATE notifiers SET enabled = ?1 WHERE id = ?2", vec![enabled.into()], id.0).await
    }

    async fn delete_notifier(&self, id: NotifierId) -> Result<(), StoreError> {
        self.change("DELETE FROM notifiers WHERE id = ?1", Vec::new(), id.0).await
    }
}

/// The columns of a target that a person writes, in the order of the statements.
fn target(definition: &TargetDefinition) -> Vec<Value> {
    vec![
        definition.name.clone().into(),
        definition.tenantid.clone().into(),
        definition.url.expose().to_owned().into(),
        definition.method.clone().into(),
        definition.authn.clone().into(),
        secret(definition.authn_parms.as_ref()),
        definition.pass_result.clone().into(),
        definition.frequency.into(),
        definition.timeout.into(),
        definition.enabled.into(),
        secret(definition.options.as_ref()),
    ]
}

/// The same of a notifier.
fn notifier(definition: &NotifierDefinition) -> Vec<Value> {
    vec![
        definition.name.clone().into(),
        definition.kind.clone().into(),
        definition.address.expose().to_owned().into(),
        definition.params.expose().to_owned().into(),
        definition.enabled.into(),
        secret(definition.options.as_ref()),
    ]
}

fn secret(secret: Option<&Secret>) -> Value {
    secret.map(|secret| secret.expose().to_owned()).into()
}

/// A transaction that waits for another process before its work, not in its middle.
fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// Reads every row that can be read.
fn select<T>(
    connection: &Connection,
    sql: &str,
    read: impl Fn(&mut dyn Iterator<Item = Cell<'_>>) -> Option<T>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql).map_err(error::store)?;
    let columns = statement.column_count();
    let mut rows = statement.query(()).map_err(error::store)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().map_err(error::store)? {
        all.extend(read(&mut (0..columns).map(|column| cell(row, column))));
    }
    Ok(all)
}

fn cell<'a>(row: &'a Row<'_>, column: usize) -> Cell<'a> {
    match row.get_ref(column).unwrap_or(ValueRef::Null) {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Integer(number),
        ValueRef::Real(number) => Cell::Real(number),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Cell::Text(String::from_utf8_lossy(bytes)),
    }
}

fn found(rows: usize) -> Result<(), StoreError> {
    if rows == 0 { Err(StoreError::NotFound) } else { Ok(()) }
}
