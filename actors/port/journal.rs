//! Keeps what has happened until the database has it too.

use async_trait::async_trait;
use uuid::Uuid;

use crate::domain::{Batch, Parcel};

/// Batches in the order of their numbers, on a disk of this machine. Its guarantees are the tests of
/// `testing::journal_suite`.
///
/// What it takes outlasts the process; a batch that [is weighty](Batch::is_weighty) outlasts the loss of power
/// too. Every future may be dropped half-way: the call is then done or not, but never half.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Who writes it. The same after a restart, and no other journal has it.
    fn node(&self) -> Uuid;

    /// The greatest number that it ever took; 0 if none.
    fn last(&self) -> u64;

    /// Takes a batch under a number that is greater than all before. The last one again is taken for done; any other
    /// number that was passed already is an error.
    ///
    /// When it is full, it lets the oldest single results go, and nothing else; the batches that they were part of
    /// may become one, under the number of the last.
    async fn append(&self, number: u64, batch: &Batch) -> Result<Appended, JournalError>;

    /// The batches whose numbers are greater than `after`, in order, as many as come to about `bytes`, and one
    /// at least if there is any.
    async fn read(&self, after: u64, bytes: usize) -> Result<Vec<(u64, Batch)>, JournalError>;

    /// The database is about to be given the batches up to `through`, and none after it, or has them: those that
    /// become one later, to make room, lie all before or all behind that number. Holds at once, and outlasts the
    /// process with the next batch that is taken; a number that [`Journal::read`] ended with is marked by that.
    fn mark(&self, through: u64);

    /// Lets the batches up to `through` go: they stand in the database.
    async fn forget(&self, through: u64) -> Result<(), JournalError>;

    /// The notifications that have not come to their end: of each notifier the oldest `most`, in order.
    async fn undelivered(&self, most: usize) -> Result<Vec<Parcel>, JournalError>;
}

/// What a batch cost.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Appended {
    /// Single results that had to go to make room.
    pub dropped: u64,
    /// The bytes that it holds now.
    pub bytes: u64,
}

/// Why a journal did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[error("the journal failed")]
pub struct JournalError(#[source] pub Box<dyn std::error::Error + Send + Sync>);
