//! Delivers notifications of one kind.

use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use crate::domain::{Fault, Notification, NotifierDefinition, NotifierRow, Params};

/// Delivers to one notifier. Lives and stays on the thread of its worker.
pub trait Sink {
    /// Tries once. The caller sets the deadline and drops the future when it has passed.
    fn deliver<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> LocalBoxFuture<'a, Result<Receipt, SinkError>>;
}

/// What the receiver answered when it took the notification, in words for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt(pub String);

/// Why an attempt failed, and whether another is worth it. The text holds no secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SinkError {
    /// Another attempt may succeed, but not before `retry_after`, where the receiver said so.
    #[error("{reason}")]
    Transient {
        /// In words for people.
        reason: String,
        /// What the receiver asked for.
        retry_after: Option<Duration>,
    },
    /// The receiver will not take this notification.
    #[error("{0}")]
    Permanent(String),
}

/// Makes the sink on the thread where it will live; all that can be wrong was found before.
pub type SinkBuilder = Box<dyn FnOnce() -> Box<dyn Sink> + Send>;

/// Knows the kinds of sinks.
pub trait SinkFactory: Send + Sync {
    /// Chooses and prepares the sink of a row, or names all that its kind finds wrong with it.
    fn prepare(&self, definition: &NotifierDefinition, params: &Params) -> Result<SinkBuilder, Vec<Fault>>;
}

/// Reads a row to the end: its sink, or all faults of the row at once.
pub fn plan_sink(factory: &dyn SinkFactory, row: &NotifierRow) -> Result<SinkBuilder, Vec<Fault>> {
    let (params, mut faults) = row.definition.read();
    let unread = faults.iter().any(|fault| fault.column == "params");
    match factory.prepare(&row.definition, &params) {
        Ok(builder) if faults.is_empty() => Ok(builder),
        // Parameters that could not be read are not missing as well.
        Ok(_) => Err(faults),
        Err(_) if unread => Err(faults),
        Err(of_kind) => {
            faults.extend(of_kind);
            Err(faults)
        }
    }
}
