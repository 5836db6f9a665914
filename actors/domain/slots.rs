//! What became of due times.

use serde::Serialize;

/// Slots of one or many targets.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Slots {
    /// Were probed.
    pub done: u64,
    /// Of these, began later than [`super::LATE_AFTER`].
    pub late: u64,
    /// Passed while the probe before still ran, or while the machine had no time.
    pub skipped: u64,
    /// Of these, passed while the machine had no time.
    pub shed: u64,
}

impl Slots {
    /// Adds later ones.
    pub fn add(&mut self, later: Self) {
        self.done += later.done;
        self.late += later.late;
        self.skipped += later.skipped;
        self.shed += later.shed;
    }
}
