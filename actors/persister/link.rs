//! Whether something answers that may fail for a while, told once a change.

use std::{error::Error, sync::Arc};

use log::{info, warn};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::{domain::text, port::Clock};

/// A database, or a journal, that does not do what it is asked to.
#[derive(Clone, Debug)]
pub struct Away {
    /// Since when.
    pub since: OffsetDateTime,
    /// Why, in words for people.
    pub reason: String,
}

/// One way to use something: a database that is full can be read, and not written.
pub(super) struct Link {
    /// What can be done, and what it means that it cannot.
    words: Words,
    clock: Arc<dyn Clock>,
    away: Option<(Instant, Away)>,
    failures: u32,
}

/// How a [`Link`] tells of itself.
#[derive(Clone, Copy)]
pub(super) struct Words {
    /// As in "the database".
    pub subject: &'static str,
    /// As in "written".
    pub done: &'static str,
    /// What follows from a failure.
    pub meanwhile: &'static str,
}

impl Link {
    pub(super) fn new(words: Words, clock: Arc<dyn Clock>) -> Self {
        Self { words, clock, away: None, failures: 0 }
    }

    /// Takes in how an attempt went.
    pub(super) fn saw<T, E: Error>(&mut self, result: &Result<T, E>) {
        let Words { subject, done, meanwhile } = self.words;
        let Err(error) = result else {
            if let Some((since, _)) = self.away.take() {
                info!("{subject} can be {done} again after {} s", since.elapsed().as_secs());
            }
            self.failures = 0;
            return;
        };
        self.failures = self.failures.saturating_add(1);
        let reason = text::chain(error);
        if self.away.is_none() {
            warn!("{subject} cannot be {done}: {reason}; {meanwhile}");
        }
        let (since, at) = match &self.away {
            Some((since, away)) => (*since, away.since),
            None => (Instant::now(), self.clock.now()),
        };
        self.away = Some((since, Away { since: at, reason }));
    }

    /// Since when and why it does not work; `None` if it does.
    pub(super) fn away(&self) -> Option<&Away> {
        self.away.as_ref().map(|(_, away)| away)
    }

    /// Failed attempts in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }
}
