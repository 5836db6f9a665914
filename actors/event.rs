//! Facts that one actor tells others.

use std::{sync::Arc, time::Duration};

use actix::prelude::*;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::{
    Edge, Incident, Notification, NotificationNews, NotifierRow, Outcome, Slots, Status, Tally, Target,
};

/// How long those who hear of results may take to accept them before the targets go on without them.
pub const ACCEPT_WITHIN: Duration = Duration::from_secs(10);

/// A target was looked at, or found impossible to look at. Accepted once all who hear of it have accepted it.
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
    /// The incident that it began, went on with, or ended.
    pub incident: Option<Incident>,
    /// The target's counters, this result included.
    pub tally: Tally,
    /// Whether people who were told that it fails are to be reminded.
    pub reminder: bool,
    /// What became of the slots since the last result.
    pub slots: Slots,
}

/// Results of several targets, in the order in which they came.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct ProbesCompleted(pub Arc<[ProbeCompleted]>);

/// The notifiers as they stand in the database now.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct NotifiersLoaded(pub Vec<NotifierRow>);

/// Notifications became durable, and are to be delivered.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Announced(pub Vec<Notification>);

/// The delivery of a notification came further. Accepted once that is durable, or known not to be: the answer.
#[derive(Clone, Debug, Message)]
#[rtype(result = "bool")]
pub struct DeliveryChanged {
    /// Of which.
    pub id: Uuid,
    /// How far it has come.
    pub news: NotificationNews,
}

/// Tell me of notifications from now on.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Listen(pub Recipient<Announced>);
