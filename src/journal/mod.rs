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
//! 2026-11: batches are merged when results go, since what they say of targets takes up as much room as the results
//! do, and comes to one entry a target. That must not cross the number up to which the database has them,
//! or it would count some twice: hence the marks, which are kept in a table for the time after a restart.

pub mod codec;
mod connect;
mod error;
mod file;
mod fold;
mod salvage;
mod spare;
mod stored;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

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

/// A journal in one file.
pub struct FileJournal {
    file: OwnThread<File>,
    node: Uuid,
    last: AtomicU64,
    marks: Marks,
}

/// Numbers that were marked, and are not in the file yet.
type Marks = Arc<Mutex<BTreeSet<u64>>>;

impl FileJournal {
    /// Opens the journal in `directory`, and makes one where there is none. It may hold `max_bytes`.
    pub async fn open(directory: &Path, max_bytes: u64) -> Result<Self, OpenError> {
        let (directory, marks) = (directory.to_owned(), Marks::default());
        let of_file = marks.clone();
        let open = move || {
            let file = File::open(&directory, max_bytes, of_file)?;
            let known = (file.node(), file.last());
            Ok::<_, OpenError>((file, known))
        };
        let (file, (node, last)) = OwnThread::start("journal", open).await?;
        Ok(Self { file, node, last: AtomicU64::new(last), marks })
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

    fn last(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }

    async fn append(&self, number: u64, batch: &Batch) -> Result<Appended, JournalError> {
        let entry = Entry::new(number, batch);
        let appended = self.run(move |file| file.append(&entry)).await?;
        self.last.fetch_max(number, Ordering::Relaxed);
        Ok(appended)
    }

    async fn read(&self, after: u64, bytes: usize) -> Result<Vec<(u64, Batch)>, JournalError> {
        self.run(move |file| file.read(after, bytes)).await
    }

    fn mark(&self, through: u64) {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).insert(through);
    }

    async fn forget(&self, through: u64) -> Result<(), JournalError> {
        self.run(move |file| file.forget(through)).await
    }

    async fn undelivered(&self, most: usize) -> Result<Vec<Parcel>, JournalError> {
        self.run(move |file| file.undelivered(most)).await
    }
}
