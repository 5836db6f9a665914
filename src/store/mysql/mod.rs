//! MySQL, MariaDB, and what speaks like them: a pool of connections.
//!
//! A call whose future is dropped half-way costs its connection: the driver closes one that waits for an
//! answer, so that no later call gets an answer that is not its own. Statements run strictly, in UTC and
//! in UTF-8, whatever the server's defaults are.

mod connect;
mod error;
mod history;
mod migrate;
mod node;
mod statement;
mod write;

use async_trait::async_trait;
use mysql_async::{Conn, Pool, Row, TxOpts, Value, prelude::Queryable};
use skypunch_actors::{
    domain::{NotifierDefinition, NotifierId, NotifierRow, Secret, TargetDefinition, TargetId, TargetRow},
    port::{Packet, Progress, Revision, Store, StoreError},
};
use uuid::Uuid;

pub(super) use migrate::{inspect, migrate};

use super::{
    error::OpenError,
    row::{self, Cell, SELECT_NOTIFIERS, SELECT_TARGETS},
};
use crate::settings::Database;

// Each row weighs in with a factor of its own: else the same edit of two rows may cancel out.
const REVISION: &str = r"
    SELECT CONCAT(COUNT(*), ' ', COALESCE(SUM((1 + id % 97) * CRC32(CONCAT_WS('\0', id, name, tenantid, url,
           method, authn, authn_parms IS NULL, COALESCE(LEFT(authn_parms, 65536), ''), pass_result, frequency, timeout,
           enabled, options IS NULL, COALESCE(LEFT(options, 65536), '')))), 0))
    FROM targets";

// The names are compared byte by byte, as routing does: no collation takes `Home` for `home`.
const TARGET_NAMED: &str = "SELECT 1 FROM targets WHERE CAST(name AS BINARY) = CAST(? AS BINARY) LIMIT 1";
const ADD_TARGET: &str = "
    INSERT INTO targets (name, tenantid, url, method, authn, authn_parms, pass_result, frequency, timeout,
                         enabled, options)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const UPDATE_TARGET: &str = "
    UPDATE targets
    SET name = ?, tenantid = ?, url = ?, method = ?, authn = ?, authn_parms = ?, pass_result = ?,
        frequency = ?, timeout = ?, enabled = ?, options = ?
    WHERE id = ?";

const NOTIFIER_NAMED: &str = "SELECT 1 FROM notifiers WHERE CAST(name AS BINARY) = CAST(? AS BINARY) LIMIT 1";
const ADD_NOTIFIER: &str =
    "INSERT INTO notifiers (name, type, address, params, enabled, options) VALUES (?, ?, ?, ?, ?, ?)";

const UPDATE_NOTIFIER: &str = "
    UPDATE notifiers SET name = ?, type = ?, address = ?, params = ?, enabled = ?, options = ? WHERE id = ?";

/// A store on a server.
pub(super) struct MysqlStore {
    pool: Pool,
}

impl MysqlStore {
    /// Opens a database that has the schema of this program.
    pub(super) async fn connect(settings: &Database) -> Result<Self, OpenError> {
        Ok(Self { pool: connect::open(settings).await? })
    }

    async fn connection(&self) -> Result<Conn, StoreError> {
        self.pool.get_conn().await.map_err(error::store)
    }

    /// Reads every row that can be read. In the text protocol every value comes as the text that an
    /// operator sees, whatever the type of its column.
    async fn select<T>(
        &self,
        sql: &str,
        read: impl Fn(&mut dyn Iterator<Item = Cell<'_>>) -> Option<T>,
    ) -> Result<Vec<T>, StoreError> {
        let rows: Vec<Row> = self.connection().await?.query(sql).await.map_err(error::store)?;
        Ok(rows.iter().filter_map(|row| read(&mut (0..row.len()).map(|column| cell(row, column)))).collect())
    }

    /// Adds a row unless `named` finds one of that name.
    async fn add(&self, named: &str, name: &str, add: &str, row: Vec<Value>) -> Result<u64, StoreError> {
        let mut connection = self.connection().await?;
        let added = async {
            let mut transaction = connection.start_transaction(TxOpts::default()).await?;
            // Whoever adds holds this row, so that of two who add one name the second sees the first.
            transaction.query_drop("SELECT major FROM versions FOR UPDATE").await?;
            let taken: Option<u8> = transaction.exec_first(named, (name,)).await?;
            if taken.is_some() {
                transaction.rollback().await?;
                return Ok(None);
            }
            transaction.exec_drop(add, row).await?;
            let id = transaction.last_insert_id();
            transaction.commit().await?;
            Ok(id)
        };
        added.await.map_err(error::store)?.ok_or(StoreError::Conflict)
    }

    /// Runs a statement that is about one row.
    async fn change(&self, sql: &str, row: Vec<Value>) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        let result = connection.exec_iter(sql, row).await.map_err(error::store)?;
        let matched = result.affected_rows();
        result.drop_result().await.map_err(error::store)?;
        found(matched)
    }
}

#[async_trait]
impl Store for MysqlStore {
    fn backend(&self) -> &'static str {
        "mysql"
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        let revision = self.connection().await?.query_first(REVISION).await.map_err(error::store)?;
        Ok(Revision(revision.unwrap_or_default()))
    }

    async fn load_targets(&self) -> Result<Vec<TargetRow>, StoreError> {
        Ok(row::one_each(self.select(&SELECT_TARGETS, |cells| row::target(cells)).await?))
    }

    async fn load_notifiers(&self) -> Result<Vec<NotifierRow>, StoreError> {
        self.select(&SELECT_NOTIFIERS, |cells| row::notifier(cells)).await
    }

    async fn progress(&self, node: Uuid) -> Result<Progress, StoreError> {
        node::progress(&mut self.connection().await?, node).await.map_err(error::store)
    }

    async fn write(&self, packet: &Packet) -> Result<Vec<String>, StoreError> {
        write::write(&mut self.connection().await?, packet).await
    }

    async fn add_target(&self, definition: &TargetDefinition) -> Result<TargetId, StoreError> {
        self.add(TARGET_NAMED, &definition.name, ADD_TARGET, target(definition)).await.map(TargetId)
    }

    async fn update_target(&self, id: TargetId, definition: &TargetDefinition) -> Result<(), StoreError> {
        let mut row = target(definition);
        row.push(id.0.into());
        self.change(UPDATE_TARGET, row).await
    }

    async fn enable_target(&self, id: TargetId, enabled: bool) -> Result<(), StoreError> {
        self.change("UPDATE targets SET enabled = ? WHERE id = ?", vec![enabled.into(), id.0.into()]).await
    }

    async fn delete_target(&self, id: TargetId) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        // The target last: who is cut off half-way can delete it again.
        history::forget(&mut connection, id).await.map_err(error::store)?;
        found(write::delete_target(&mut connection, id).await.map_err(error::store)?)
    }

    async fn add_notifier(&self, definition: &NotifierDefinition) -> Result<NotifierId, StoreError> {
        self.add(NOTIFIER_NAMED, &definition.name, ADD_NOTIFIER, notifier(definition)).await.map(NotifierId)
    }

    async fn update_notifier(
        &self,
        id: NotifierId,
        definition: &NotifierDefinition,
    ) -> Result<(), StoreError> {
        let mut row = notifier(definition);
        row.push(id.0.into());
        self.change(UPDATE_NOTIFIER, row).await
    }

    async fn enable_notifier(&self, id: NotifierId, enabled: bool) -> Result<(), StoreError> {
        self.change("UPDATE notifiers SET enabled = ? WHERE id = ?", vec![enabled.into(), id.0.into()]).await
    }

    async fn delete_notifier(&self, id: NotifierId) -> Result<(), StoreError> {
        self.change("DELETE FROM notifiers WHERE id = ?", vec![id.0.into()]).await
    }
}

/// The columns of a definition, in the order of the statements.
fn target(definition: &TargetDefinition) -> Vec<Value> {
    vec![
        definition.name.as_str().into(),
        definition.tenantid.as_str().into(),
        definition.url.expose().into(),
        definition.method.as_str().into(),
        definition.authn.as_str().into(),
        definition.authn_parms.as_ref().map(Secret::expose).into(),
        definition.pass_result.as_str().into(),
        definition.frequency.into(),
        definition.timeout.into(),
        definition.enabled.into(),
        definition.options.as_ref().map(Secret::expose).into(),
    ]
}

/// The same of a notifier.
fn notifier(definition: &NotifierDefinition) -> Vec<Value> {
    vec![
        definition.name.as_str().into(),
        definition.kind.as_str().into(),
        definition.address.expose().into(),
        definition.params.expose().into(),
        definition.enabled.into(),
        definition.options.as_ref().map(Secret::expose).into(),
    ]
}

fn cell(row: &Row, column: usize) -> Cell<'_> {
    match row.as_ref(column) {
        Some(Value::Bytes(bytes)) => Cell::Text(String::from_utf8_lossy(bytes)),
        _ => Cell::Null,
    }
}

fn found(rows: u64) -> Result<(), StoreError> {
    if rows == 0 { Err(StoreError::NotFound) } else { Ok(()) }
}
