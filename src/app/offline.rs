//! The journal of a command that works without a daemon: there is none, since nothing is probed.

use async_trait::async_trait;
use skypunch_actors::{
    domain::{Batch, Parcel},
    port::{Appended, Journal, JournalError},
};
use uuid::Uuid;

/// Holds nothing, and takes nothing: the daemon's own journal is for the daemon alone.
#[derive(Debug)]
pub(super) struct NoJournal;

#[async_trait]
impl Journal for NoJournal {
    fn node(&self) -> Uuid {
        Uuid::nil()
    }

    fn last(&self) -> u64 {
        0
    }

    async fn append(&self, _: u64, _: &Batch) -> Result<Appended, JournalError> {
        Err(JournalError("no daemon is running".into()))
    }

    async fn read(&self, _: u64, _: usize) -> Result<Vec<(u64, Batch)>, JournalError> {
        Ok(Vec::new())
    }

    fn mark(&self, _: u64) {}

    async fn forget(&self, _: u64) -> Result<(), JournalError> {
        Ok(())
    }

    async fn undelivered(&self, _: usize) -> Result<Vec<Parcel>, JournalError> {
        Ok(Vec::new())
    }
}
