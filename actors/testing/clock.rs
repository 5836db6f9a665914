//! A clock that tests set.

use std::sync::{Mutex, PoisonError};

use time::OffsetDateTime;
use tokio::time::Instant;

use crate::port::Clock;

/// Shows the time it was set to, and goes on with tokio's clock: paused with it, advanced with it.
#[derive(Debug)]
pub struct TestClock {
    set: Mutex<(OffsetDateTime, Instant)>,
}

impl TestClock {
    /// A clock that shows `now`.
    pub fn new(now: OffsetDateTime) -> Self {
        Self { set: Mutex::new((now, Instant::now())) }
    }

    /// Steps to `now`, as a wall clock may.
    pub fn set(&self, now: OffsetDateTime) {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = (now, Instant::now());
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new(time::macros::datetime!(2026-01-02 03:04:05.678 UTC))
    }
}

impl Clock for TestClock {
    fn now(&self) -> OffsetDateTime {
        let (at, since) = *self.set.lock().unwrap_or_else(PoisonError::into_inner);
        at + since.elapsed()
    }
}
