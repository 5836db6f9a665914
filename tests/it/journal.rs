//! The contract of a journal on a real file, and what only a file can go through.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use rusqlite::Connection;
use skypunch::journal::FileJournal;
use skypunch_actors::{
    journal_contract,
    port::Journal,
    testing::journal_suite::{Disk, ROOMY, announcing, batch, notification, rest, sum},
};
use tempfile::TempDir;

journal_contract!(file, Folder::new());

/// A folder that holds a journal.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn directory(&self) -> PathBuf {
        self.0.path().join("journal")
    }

    fn file(&self) -> PathBuf {
        self.directory().join("journal.db")
    }
}

#[async_trait]
impl Disk for Folder {
    async fn open(&self, max_bytes: u64) -> Arc<dyn Journal> {
        Arc::new(FileJournal::open(&self.directory(), max_bytes).await.unwrap())
    }

    async fn spoil(&self, number: u64) {
        let connection = Connection::open(self.file()).unwrap();
        let spoilt = "UPDATE batches SET body = zeroblob(length(body)) WHERE number = ?1";
        assert_eq!(connection.execute(spoilt, [number.cast_signed()]).unwrap(), 1);
    }
}
