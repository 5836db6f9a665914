//! Tries a row out, apart from the schedule: nothing is stored, nobody else is told.
//!
//! - hears: [`TestTarget`], [`TestNotifier`]
//! - says: nothing; the asker gets the answer, and the steps of a probe as they happen
//! - owns: the kinds of probes and sinks
//! - timer: none; each try has a deadline

use actix::prelude::*;
use tokio::sync::mpsc::UnboundedSender;

use crate::{
    domain::{NotifierRow, TargetRow},
    port::{Receipt, SinkError},
    target::Sighting,
};

/// Probe a target once, enabled or not.
#[derive(Debug, Message)]
#[rtype(result = "Sighting")]
pub struct TestTarget {
    /// Its row; one that cannot be probed is an outcome of cause `config`.
    pub row: TargetRow,
    /// Is told each step as it happens.
    pub watcher: UnboundedSender<String>,
}

/// Send a `TEST` event to a notifier, enabled or not.
#[derive(Debug, Message)]
#[rtype(result = "Result<Receipt, SinkError>")]
pub struct TestNotifier(pub NotifierRow);
