//! Whether something answers that may fail for a while, told once a change.

use std::{error::Error, sync::Arc, time::Duration};

use log::{info, warn};
use time::OffsetDateTime;
use tokio::time::{Instant, timeout};

use crate::{
    domain::text,
    port::{Clock, JournalError, StoreError},
};

/// How long the database or the journal may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A database, or a journal, that does not do what it is asked to.
#[derive(Clone, Debug)]
pub struct Away {
    /// Since when.
    pub since: OffsetDateTime,
    /// Why, in words for people.
    pub reason: String,
}

/// One way to use something: a database that is full can be read, and not written.
pub(crate) struct Link {
    /// What can be done, and what it means that it cannot.
    words: Words,
    clock: Arc<dyn Clock>,
    away: Option<(Instant, Away)>,
    failures: u32,
}

/// How a [`Link`] tells of itself.
#[derive(Clone, Copy)]
pub(crate) struct Words {
    /// As in "the database".
    pub subject: &'static str,
    /// As in "written".
    pub done: &'static str,
    /// What follows from a failure.
    pub meanwhile: &'static str,
}

impl Link {
    pub(crate) fn new(words: Words, clock: Arc<dyn Clock>) -> Self {
        Self { words, clock, away: None, failures: 0 }
    }

    /// Takes in how an attempt went.
    pub(crate) fn saw<T, E: Error>(&mut self, result: &Result<T, E>) {
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
    pub(crate) fn away(&self) -> Option<&Away> {
        self.away.as_ref().map(|(_, away)| away)
    }

    /// Failed attempts in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

/// Gives a call its time, and no more. Stores and journals allow that a call is dropped half-way.
pub(crate) async fn within_deadline<T, E: From<Overdue>>(
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    timeout(ANSWER_WITHIN, call).await.unwrap_or_else(|_elapsed| Err(Overdue.into()))
}

/// There was no answer in time.
pub(crate) struct Overdue;

impl Overdue {
    fn reason() -> String {
        format!("no answer within {} s", ANSWER_WITHIN.as_secs())
    }
}

impl From<Overdue> for StoreError {
    fn from(_: Overdue) -> Self {
        Self::Unavailable(Overdue::reason().into())
    }
}

impl From<Overdue> for JournalError {
    fn from(_: Overdue) -> Self {
        Self(Overdue::reason().into())
    }
}
