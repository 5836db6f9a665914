//! Keeps one [`TargetActor`](crate::target::TargetActor) running for each enabled row.

use actix::prelude::*;

use crate::{domain::TargetId, port::StoreError};

/// Read the database and act on what changed, now.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Reloaded, StoreError>")]
pub struct Reload;

/// What a [`Reload`] did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Reloaded {
    /// Targets that were new, or enabled.
    pub started: usize,
    /// Targets whose row changed.
    pub replaced: usize,
    /// Targets that were deleted, or disabled.
    pub stopped: usize,
}

/// What did the last probes of a target find? `None`: nobody watches it.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<crate::target::Evidence>")]
pub struct GetEvidence(pub TargetId);
