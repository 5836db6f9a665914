//! Facts that several actors hear of.

use std::sync::Arc;

use actix::prelude::*;
use time::OffsetDateTime;

use crate::domain::{Edge, Incident, Outcome, Status, Tally, Target};

/// A target was looked at, or found impossible to look at.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ProbeCompleted {
    /// The target.
    pub target: Arc<Target>,
    /// When the probe began.
    pub at: OffsetDateTime,
    /// What it found.
    pub outcome: Arc<Outcome>,
    /// The target's status now.
    pub status: Status,
    /// The change of status that this result made.
    pub edge: Option<Edge>,
    /// The incident that an edge began or ended.
    pub incident: Option<Incident>,
    /// The target's counters, this result included.
    pub tally: Tally,
    /// What became of the slots since the last result.
    pub slots: Slots,
}

/// What became of due times.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Slots {
    /// Were probed.
    pub done: u64,
    /// Of these, began later than [`crate::domain::LATE_AFTER`].
    pub late: u64,
    /// Passed while the probe before still ran, or while the machine had no time.
    pub skipped: u64,
}

impl Slots {
    /// Adds later ones.
    pub fn add(&mut self, later: Self) {
        self.done += later.done;
        self.late += later.late;
        self.skipped += later.skipped;
    }
}
