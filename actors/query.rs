//! Questions that one actor asks another.

use std::sync::Arc;

use actix::prelude::*;

use crate::{
    domain::{NotifierRow, TargetRow},
    port::StoreError,
};

/// What stands in the database?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Arc<Rows>, StoreError>")]
pub struct LoadRows;

/// Every row of the database.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// By id.
    pub targets: Vec<TargetRow>,
    /// By id.
    pub notifiers: Vec<NotifierRow>,
}
