//! The time that the database and the journal get for one call.

use std::time::Duration;

use tokio::time::timeout;

use super::{JournalError, StoreError};

/// How long one call may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Gives a call its time, and no more: stores and journals allow that a call is dropped half-way.
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
