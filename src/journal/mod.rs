//! The journal: keeps on the disk what has happened until the database has it too.
//!
//! One SQLite file, `journal.db`, for its owner alone and for one process, on a thread of its own. A batch is
//! a blob under its number; a notification stands in a table of its own until it has come to its end, so that
//! what is undelivered is found without reading a single batch.
//!
//! - **Durable.** In WAL mode with `synchronous = NORMAL` a killed process loses nothing. A weighty batch is
//!   committed with `synchronous = FULL`, which syncs the log up to and with it, and so all batches before it.
//! - **Bounded.** Above `max_bytes` the oldest batches are folded into one without their single results, see
//!   `fold`. A file beside it keeps some room free, without which a full disk would not even let it fold.
//! - **Salvaged.** What cannot be read is skipped, and told once. A file that SQLite finds damaged is replaced
//!   by one with all that can still be read, see `salvage`.
//!
//! # Design notes
//!
//! 2026-11: SQLite is embedded already, and was chosen over libraries of append-only logs: they have the log, but
//! neither the table of what is undelivered in the same transaction, nor the folding in the middle, nor twenty
//! years of torn files behind them.
//!
//! 2026-11: numbers jump by [`JUMP`] when the last process did not end in good order. After a loss of power the
//! newest batches may be gone here and yet stand in the database, which would take new ones under their
//! numbers for written.

pub mod codec;
mod error;
mod file;
mod fold;
mod salvage;
mod spare;

use std::path::Path;

use async_trait::async_trait;
use skypunch_actors::{
    domain::{Batch, Parcel},
    port::{Appended, Journal, JournalError},
};
use uuid::Uuid;

pub use error::OpenError;

use crate::own_thread::OwnThread;
use error::Failure;
use file::{Entry, File};

/// More numbers than a loss of power can take away: what was not synced fits into the log of SQLite.
const JUMP: u64 = 1_000_000;

/// A journal in one file.
pub struct FileJournal {
    file: OwnThread<File>,
    node: Uuid,
}

impl FileJournal {
    /// Opens the journal in `directory`, and makes one where there is none. It may hold `max_bytes`.
    pub async fn open(directory: &Path, max_bytes: u64) -> Result<Self, OpenError> {
        let directory = directory.to_owned();
        let open = move || {
            let file = File::open(&directory, max_bytes)?;
            let node = file.node();
            Ok::<_, OpenError>((file, node))
        };
        let (file, node) = OwnThread::start("journal", open).await?;
        Ok(Self { file, node })
    }

    async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut File) -> Result<R, Failure> + Send + 'static,
    ) -> Result<R, JournalError> {
        Ok(self.file.run(work).await.map_err(Failure::from)??)
    }
}

#[async_trait]
impl Journal for FileJournal {
    fn node(&self) -> Uuid {
        self.node
    }

    async fn last(&self) -> Result<u64, JournalError> {
        self.run(|file| Ok(file.last())).await
    }

    async fn append(&self, number: u64, batch: &Batch) -> Result<Appended, JournalError> {
        let entry = Entry::new(number, batch);
        self.run(move |file| file.append(&entry)).await
    }

    async fn read(&self, after: u64, bytes: usize) -> Result<Vec<(u64, Batch)>, JournalError> {
        self.run(move |file| file.read(after, bytes)).await
    }

    async fn forget(&self, through: u64) -> Result<(), JournalError> {
        self.run(move |file| file.forget(through)).await
    }

    async fn undelivered(&self, most: usize) -> Result<Vec<Parcel>, JournalError> {
        self.run(move |file| file.undelivered(most)).await
    }
}
