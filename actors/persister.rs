//! Knows the database, and is the only one who does.

use actix::prelude::*;
use time::OffsetDateTime;

use crate::{
    domain::{NotifierDefinition, NotifierId, NotifierRow, TargetDefinition, TargetId, TargetRow},
    port::StoreError,
};

/// A notification came to its end.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct DeliveryEnded {
    /// Whom it was for.
    pub notifier: NotifierId,
    /// Whether it was delivered; if not, it will not be.
    pub delivered: bool,
}

/// Read all rows as they stand in the database.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Rows, StoreError>")]
pub struct LoadRows;

/// Every row of the database.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// By id.
    pub targets: Vec<TargetRow>,
    /// By id.
    pub notifiers: Vec<NotifierRow>,
}

/// All rows with the results that wait to be written; of a database that is away, as last read.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Rows, StoreError>")]
pub struct ListRows;

/// An operator's change of one row.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), StoreError>")]
pub enum Change {
    /// Sets `enabled` of a target.
    EnableTarget(TargetId, bool),
    /// Deletes a target.
    DeleteTarget(TargetId),
    /// Sets `enabled` of a notifier.
    EnableNotifier(NotifierId, bool),
    /// Deletes a notifier.
    DeleteNotifier(NotifierId),
}

/// Add a target whose definition was checked.
#[derive(Debug, Message)]
#[rtype(result = "Result<TargetId, StoreError>")]
pub struct AddTarget(pub TargetDefinition);

/// Add a notifier whose definition was checked.
#[derive(Debug, Message)]
#[rtype(result = "Result<NotifierId, StoreError>")]
pub struct AddNotifier(pub NotifierDefinition);

/// How is the database, and what waits for it?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Persistence")]
pub struct GetPersistence;

/// The answer to [`GetPersistence`].
#[derive(Clone, Debug)]
pub struct Persistence {
    /// The name of the backend.
    pub backend: &'static str,
    /// Since when it is away, and why; `None` is up.
    pub away: Option<Away>,
    /// Targets with results that are not written yet.
    pub results_waiting: usize,
    /// Enabled targets by status, in the order of [`crate::domain::Status::ALL`].
    pub targets: [usize; 4],
}

/// A database that cannot be reached.
#[derive(Clone, Debug)]
pub struct Away {
    /// Since when.
    pub since: OffsetDateTime,
    /// Why, in words for people.
    pub reason: String,
}
