//! Questions that one actor asks another.

use std::sync::Arc;

use actix::prelude::*;

use crate::{
    domain::{NotifierRow, Parcel, TargetRow},
    port::{JournalError, Progress, StoreError},
};

/// What stands in the database?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Arc<Rows>, StoreError>")]
pub struct LoadRows;

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
