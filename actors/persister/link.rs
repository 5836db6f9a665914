//! Whether the database answers, told once a change.

use std::{sync::Arc, time::Duration};

use log::{info, warn};
use time::OffsetDateTime;
use tokio::time::{Instant, timeout};

use crate::{
    domain::text,
    port::{Clock, StoreError},
};

/// How long the database may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A database that does not do what it is asked to.
#[derive(Clone, Debug)]
pub struct Away {
    /// Since when.
    pub since: OffsetDateTime,
    /// Why, in words for people.
    pub reason: String,
}

/// One way to use the database: a database that is full can be read, and not written.
pub(super) struct Link {
    use_: &'static str,
    clock: Arc<dyn Clock>,
    away: Option<(Instant, Away)>,
    failures: u32,
}

impl Link {
    pub(super) fn new(use_: &'static str, clock: Arc<dyn Clock>) -> Self {
        Self { use_, clock, away: None, failures: 0 }
    }

    /// Takes in how an attempt went.
    pub(super) fn saw<T>(&mut self, result: &Result<T, StoreError>) {
        let Err(error) = result else {
            if let Some((since, _)) = self.away.take() {
                info!("the database can be {} again after {} s", self.use_, since.elapsed().as_secs());
            }
            self.failures = 0;
            return;
        };
        self.failures = self.failures.saturating_add(1);
        let reason = text::chain(error);
        if self.away.is_none() {
            warn!("the database cannot be {}: {reason}; probing and alerts go on", self.use_);
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

/// Gives the database its time, and no more. The store allows that a call is dropped half-way.
pub(super) async fn within_deadline<T>(
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match timeout(ANSWER_WITHIN, call).await {
        Ok(result) => result,
        Err(_elapsed) => {
            let reason = format!("no answer within {} s", ANSWER_WITHIN.as_secs());
            Err(StoreError::Unavailable(reason.into()))
        }
    }
}
