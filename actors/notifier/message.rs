//! What the Notifier and its workers tell each other.

use actix::prelude::*;
use uuid::Uuid;

use crate::{
    domain::{Delivery, Fault, NotifierId, NotifierOptions, Parcel},
    port::SinkBuilder,
};

/// Deliver this, after what the same target had to tell before.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Deliver(pub Parcel);

/// Deliver through this sink from now on, or not at all while the row is at fault.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Refit {
    /// How the notifier is called in the log.
    pub label: String,
    /// What it wants to be told when.
    pub wishes: NotifierOptions,
    /// Its sink, or what is wrong with its row.
    pub sink: Result<SinkBuilder, Vec<Fault>>,
}

/// Try this one now, whatever its notifier wants, and whatever else is held by nothing but a back-off.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Hurry(pub Uuid);

/// The delivery of a notification came further.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Attempted {
    /// Whom it is for.
    pub notifier: NotifierId,
    /// Which.
    pub id: Uuid,
    /// How far it has come.
    pub delivery: Delivery,
}
