//! Questions that one actor asks another.

use actix::prelude::*;

use crate::{
    domain::{NotifierRow, Parcel, TargetId, TargetRow, TargetState},
    port::{JournalError, Progress, Revision, StoreError},
};

/// What stands in the database? Who knows the targets of a revision is not told them again while it is the current one.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Loaded, StoreError>")]
pub struct LoadRows {
    /// Which targets are known.
    pub known: Option<Revision>,
}

/// The answer to [`LoadRows`].
#[derive(Clone, Debug)]
pub struct Loaded {
    /// Which targets there are.
    pub revision: Revision,
    /// They; `None` where they are known.
    pub targets: Option<Targets>,
    /// Every notifier.
    pub notifiers: Vec<NotifierRow>,
}

/// The targets as they stand in the database, with all that has happened.
#[derive(Clone, Debug)]
pub struct Targets {
    /// Every one, by id.
    pub rows: Vec<TargetRow>,
    /// Those whose counters somebody reset since they were read last.
    pub reset: Vec<TargetId>,
}

/// How do these targets stand, as far as is known without asking the database?
#[derive(Clone, Debug, Message)]
#[rtype(result = "Vec<(TargetId, TargetState)>")]
pub struct LoadStates(pub Vec<TargetId>);

/// Which notifications have not come to their end? Of each notifier the oldest `most`, in order.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Vec<Parcel>, JournalError>")]
pub struct LoadUndelivered {
    /// How many of each notifier.
    pub most: usize,
}

/// How far has the database followed the journal? `None`: that could not be found out yet.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<Progress>")]
pub struct GetProgress;

/// Every row of the database.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// By id.
    pub targets: Vec<TargetRow>,
    /// By id.
    pub notifiers: Vec<NotifierRow>,
}
