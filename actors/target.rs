//! Watches one target.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::domain::Outcome;

/// The last results of a target, each kept until one of its kind replaces it.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The last probe that passed.
    pub last_success: Option<Sighting>,
    /// The last probe that failed.
    pub last_failure: Option<Sighting>,
}

/// What one probe found, and when.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// When it began.
    pub at: OffsetDateTime,
    /// What it found.
    pub outcome: Arc<Outcome>,
}
