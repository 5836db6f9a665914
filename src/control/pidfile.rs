//! The pid file: a lock that lasts as long as the daemon, and says which process that is.
//!
//! # Design notes
//!
//! 2026-11-23: the lock tells whether a daemon runs, the number in the file only which one. The system lets
//! go of the lock whatever a process dies of, so a file that was left behind is harmless, and a number that
//! another process has by now misleads nobody.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Held for as long as the process is the daemon; gives the file up when it is dropped.
#[derive(Debug)]
pub struct Pidfile {
    path: PathBuf,
    _locked: File,
}

/// Why the file is not ours.
#[derive(Debug, thiserror::Error)]
pub enum PidfileError {
    /// Another daemon runs.
    #[error("another daemon runs on {}{}", directory(path), process(*pid))]
    Held {
        /// The file.
        path: PathBuf,
        /// The other's process, unless it has not said so yet.
        pid: Option<u32>,
    },
    /// The system refused.
    #[error("cannot lock {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn directory(path: &Path) -> std::path::Display<'_> {
    path.parent().unwrap_or(path).display()
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (pid {pid})"))
}

impl Pidfile {
    /// Locks the file for this process, and writes its number there.
    pub fn lock(path: &Path) -> Result<Self, PidfileError> {
        let failed = |source| PidfileError::Io { path: path.to_owned(), source };
        loop {
            // Not truncated: until it is locked, the number in it is another's.
            let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
            let mut file = opened.map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(PidfileError::Held { path: path.to_owned(), pid: read_pid(&mut file) });
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            // A daemon that ended just now removed the file that we had opened: its lock protects nothing.
            if !is_at(&file, path).map_err(failed)? {
                continue;
            }
            file.set_len(0).map_err(failed)?;
            writeln!(file, "{}", std::process::id()).map_err(failed)?;
            return Ok(Self { path: path.to_owned(), _locked: file });
        }
    }

    /// Whether a daemon runs: [`PidfileError::Held`] is the answer yes.
    pub fn check_free(path: &Path) -> Result<(), PidfileError> {
        let failed = |source| PidfileError::Io { path: path.to_owned(), source };
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(()),
            Err(TryLockError::WouldBlock) => {
                Err(PidfileError::Held { path: path.to_owned(), pid: read_pid(&mut file) })
            }
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        // Removed while it is locked, so that nobody else's file is. One that stays is harmless.
        fs::remove_file(&self.path).ok();
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("skypunch.pid");
        assert!(Pidfile::check_free(&path).is_ok());
        let first = Pidfile::lock(&path).unwrap();
        for refused in [Pidfile::lock(&path).map(drop), Pidfile::check_free(&path)] {
            let told = refused.unwrap_err().to_string();
            let pid = std::process::id();
            assert_eq!(told, format!("another daemon runs on {} (pid {pid})", dir.path().display()));
        }
        drop(first);
        assert!(!path.exists());
        assert!(Pidfile::lock(&path).is_ok());
    }

    #[test]
    fn a_file_that_was_left_behind_is_harmless() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("skypunch.pid");
        fs::write(&path, "1\nnonsense").unwrap();
        assert!(Pidfile::check_free(&path).is_ok());
        let _lock = Pidfile::lock(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
    }

    #[test]
    fn a_directory_that_is_missing_is_an_error() {
        let error = Pidfile::lock(Path::new("/no/such/directory/skypunch.pid")).unwrap_err();
        assert!(matches!(error, PidfileError::Io { .. }), "{error}");
    }
}
