//! Keeps targets, notifiers and what became of them.

use async_trait::async_trait;
use uuid::Uuid;

use super::{History, JournalError};
use crate::domain::{
    Batch, NotifierDefinition, NotifierId, NotifierRow, TargetDefinition, TargetId, TargetRow,
};

/// A database. Its guarantees are the tests of `testing::store_suite`.
///
/// Every future may be dropped half-way, at a deadline of the caller, without harm to later calls. No
/// call waits by itself for a database that is away: it fails with [`StoreError::Unavailable`], and
/// the next call tries anew.
#[async_trait]
pub trait Store: History + Send + Sync {
    /// The name of the backend: `sqlite`, `mysql`.
    fn backend(&self) -> &'static str;

    /// Stands for the definitions of all targets as they are now.
    async fn revision(&self) -> Result<Revision, StoreError>;

    /// Every target, by id, with the incident that goes on.
    async fn load_targets(&self) -> Result<Vec<TargetRow>, StoreError>;

    /// Every notifier, by id.
    async fn load_notifiers(&self) -> Result<Vec<NotifierRow>, StoreError>;

    /// How far the database has followed the journal of `node`.
    async fn progress(&self, node: Uuid) -> Result<Progress, StoreError>;

    /// Writes a packet in one transaction, unless it was written before; tells of the rows that the database
    /// refused, whose news are lost.
    ///
    /// Only columns that the daemon owns are written; counters are added to; rows that are gone stay
    /// gone.
    async fn write(&self, packet: &Packet) -> Result<Vec<String>, StoreError>;

    /// Adds a target. The name must not be taken: [`StoreError::Conflict`].
    async fn add_target(&self, definition: &TargetDefinition) -> Result<TargetId, StoreError>;

    /// Gives a target another definition, and leaves what the daemon owns as it is.
    async fn update_target(&self, id: TargetId, definition: &TargetDefinition) -> Result<(), StoreError>;

    /// Sets `enabled` of a target.
    async fn enable_target(&self, id: TargetId, enabled: bool) -> Result<(), StoreError>;

    /// Deletes a target, with all that the daemon kept of it.
    async fn delete_target(&self, id: TargetId) -> Result<(), StoreError>;

    /// Adds a notifier. The name must not be taken: [`StoreError::Conflict`].
    async fn add_notifier(&self, definition: &NotifierDefinition) -> Result<NotifierId, StoreError>;

    /// Gives a notifier another definition, and leaves what the daemon owns as it is.
    async fn update_notifier(
        &self,
        id: NotifierId,
        definition: &NotifierDefinition,
    ) -> Result<(), StoreError>;

    /// Sets `enabled` of a notifier.
    async fn enable_notifier(&self, id: NotifierId, enabled: bool) -> Result<(), StoreError>;

    /// Deletes a notifier.
    async fn delete_notifier(&self, id: NotifierId) -> Result<(), StoreError>;
}

/// The definitions of all targets, in brief: it costs far less than to read them.
///
/// Another one stands for other definitions, or, where the backend can tell, for counters that somebody else wrote. The
/// same one hardly ever stands for other definitions: who goes by it reads the rows themselves now and then.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Revision(pub String);

/// Some batches of one journal, merged into one.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Whose journal it is.
    pub node: Uuid,
    /// The number of the first batch.
    pub first: u64,
    /// The number of the last batch. A packet whose last batch was written before was written as a whole.
    pub through: u64,
    /// What the batches come to. Its single results are not looked at: they are history.
    pub batch: Batch,
}

/// How far a database has followed a journal.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Progress {
    /// The last batch that was [written](Store::write).
    pub rows: u64,
    /// The last batch whose results were [written](super::History::write_minutes).
    pub history: u64,
}

/// Why a store did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, or not now: try again.
    #[error("the database is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database refused the statement: the same again will not help.
    #[error("the database refused")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There is no such row.
    #[error("there is no such row")]
    NotFound,
    /// The name is taken.
    #[error("the name is taken")]
    Conflict,
}

/// The database follows the journal: without it, there is no way on.
impl From<JournalError> for StoreError {
    fn from(error: JournalError) -> Self {
        Self::Unavailable(error.into())
    }
}
