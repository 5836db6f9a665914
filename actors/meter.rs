//! Counts.

use actix::prelude::*;

use crate::event::Slots;

/// What was measured so far?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Measures")]
pub struct GetMeasures;

/// The answer to [`GetMeasures`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Measures {
    /// Probes a second over the last ten seconds.
    pub probes_per_s: f64,
    /// What became of all slots since the daemon started.
    pub slots: Slots,
}
