//! A file that takes up room, which it gives up when the disk is full: SQLite needs some even to delete.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FallocateFlags, fallocate};

/// Enough for the log of SQLite up to where it is written back, and for a few batches.
const BYTES: u64 = 8 << 20;

/// Room for bad times.
pub(super) struct Spare {
    path: PathBuf,
    taken: bool,
}

impl Spare {
    /// Takes up the room, if there is any.
    pub(super) fn take(directory: &Path) -> Self {
        let mut spare = Self { path: directory.join("spare"), taken: false };
        spare.retake();
        spare
    }

    /// Takes up the room again, if there is any by now.
    pub(super) fn retake(&mut self) {
        if !self.taken {
            self.taken = allocate(&self.path).is_ok();
            if !self.taken {
                // Half of it would be of no use.
                fs::remove_file(&self.path).ok();
            }
        }
    }

    /// Gives the room up; tells whether there was any.
    pub(super) fn give_up(&mut self) -> bool {
        std::mem::take(&mut self.taken) && fs::remove_file(&self.path).is_ok()
    }
}

fn allocate(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if file.metadata()?.len() < BYTES {
        fallocate(&file, FallocateFlags::empty(), 0, BYTES)?;
    }
    Ok(())
}
