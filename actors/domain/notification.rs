//! What a notifier is told, and what becomes of it.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Edge, Incident, NotifierId, Outcome, Status, Tally, Target, TargetId};

/// What happened to the target.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Event {
    /// It began to fail.
    Fail,
    /// It passes again.
    Recovery,
    /// It still fails.
    Reminder,
    /// Nothing: somebody tries the notifier out.
    Test,
}

impl Event {
    /// The event that an edge is, if people are told of it.
    pub fn of(edge: Edge) -> Option<Self> {
        match (edge.from, edge.to) {
            (_, Status::Fail) => Some(Self::Fail),
            (Status::New, Status::Pass) => None,
            (_, Status::Pass) => Some(Self::Recovery),
            (_, Status::New | Status::Unknown) => None,
        }
    }

    /// The word in messages, the database and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "FAIL",
            Self::Recovery => "RECOVERY",
            Self::Reminder => "REMINDER",
            Self::Test => "TEST",
        }
    }
}

/// One event of one target, as every notifier is told it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Alert {
    /// What happened.
    pub event: Event,
    /// When: the time of the edge.
    pub at: OffsetDateTime,
    /// To which target.
    pub target: AlertTarget,
    /// The status since then.
    pub status: Status,
    /// The status before.
    pub previous_status: Status,
    /// The incident that began or ended.
    pub incident: Option<Incident>,
    /// The result that made the edge.
    pub outcome: Arc<Outcome>,
    /// The target's counters, that result included.
    pub tally: Tally,
}

/// A target as alerts name it, which outlive its row.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AlertTarget {
    /// See [`Target::id`].
    pub id: TargetId,
    /// See [`Target::name`].
    pub name: String,
    /// See [`Target::url`].
    pub url: String,
    /// See [`Target::method`].
    pub method: String,
    /// The words that alerts carry.
    pub tags: Vec<String>,
}

impl From<&Target> for AlertTarget {
    fn from(target: &Target) -> Self {
        Self {
            id: target.id,
            name: target.name.clone(),
            url: target.url.clone(),
            method: target.method.clone(),
            tags: target.options.tags.clone(),
        }
    }
}

/// One message to one notifier about one event.
#[derive(Clone, Debug)]
pub struct Notification {
    /// Stable over attempts and restarts, so that a receiver can drop a duplicate.
    pub id: Uuid,
    /// Whom it is for.
    pub notifier: NotifierId,
    /// What it tells.
    pub alert: Arc<Alert>,
}

impl Notification {
    /// The notification of that event to that notifier.
    pub fn new(notifier: NotifierId, alert: Arc<Alert>) -> Self {
        let id = Self::id(notifier, alert.target.id, alert.event, alert.at);
        Self { id, notifier, alert }
    }

    /// Its id, which sorts by time: it follows from what happened when to whom, so that it need not be looked up.
    pub fn id(notifier: NotifierId, target: TargetId, event: Event, at: OffsetDateTime) -> Uuid {
        let milliseconds = u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
        let (notifier, target) = (notifier.0.to_be_bytes(), target.0.to_be_bytes());
        // The form of a UUID takes the upper half of the first byte, and two bits of the third.
        let rest = [
            event as u8,
            notifier[7],
            0,
            notifier[4],
            notifier[5],
            notifier[6],
            target[4],
            target[5],
            target[6],
            target[7],
        ];
        uuid::Builder::from_unix_timestamp_millis(milliseconds, &rest).into_uuid()
    }
}

/// How far the delivery of a notification has come.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// It waits for its first or its next attempt.
    #[default]
    Pending,
    /// An attempt is under way.
    Sending,
    /// The receiver took it.
    Delivered,
    /// The receiver will never take it, or there is nobody to tell any more.
    Refused,
    /// It found no way in time.
    Expired,
    /// The target had recovered before anybody was to be told.
    Withdrawn,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Sending, Self::Delivered, Self::Refused, Self::Expired, Self::Withdrawn];

    /// The word in the database and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Whether there will be no further attempt.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Delivered | Self::Refused | Self::Expired | Self::Withdrawn)
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The word is not one of [`DeliveryState::ALL`].
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a state of a delivery")]
pub struct UnknownDeliveryState(String);

impl FromStr for DeliveryState {
    type Err = UnknownDeliveryState;

    fn from_str(word: &str) -> Result<Self, UnknownDeliveryState> {
        let known = Self::ALL.into_iter().find(|state| state.as_str() == word);
        known.ok_or_else(|| UnknownDeliveryState(word.to_owned()))
    }
}

/// What has become of a notification so far.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Delivery {
    /// How far it has come.
    pub state: DeliveryState,
    /// Attempts that have ended.
    pub attempts: u32,
    /// Why the last attempt failed: one printable line of at most 512 characters.
    pub last_error: Option<String>,
    /// When that was so.
    pub at: OffsetDateTime,
}

impl Delivery {
    /// The delivery of a notification that is new.
    pub fn pending(at: OffsetDateTime) -> Self {
        Self { state: DeliveryState::Pending, attempts: 0, last_error: None, at }
    }
}

/// A notification and its delivery.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// What is delivered.
    pub notification: Notification,
    /// How far that has come.
    pub delivery: Delivery,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_pass_is_silent() {
        let told = |from, to| Event::of(Edge { from, to });
        assert_eq!(told(Status::New, Status::Pass), None);
        assert_eq!(told(Status::New, Status::Fail), Some(Event::Fail));
        assert_eq!(told(Status::Pass, Status::Fail), Some(Event::Fail));
        assert_eq!(told(Status::Unknown, Status::Pass), Some(Event::Recovery));
        assert_eq!(told(Status::Fail, Status::Pass), Some(Event::Recovery));
    }

    #[test]
    fn an_id_tells_apart_who_is_told_of_what_and_sorts_by_time() {
        let at = time::macros::datetime!(2026-01-02 03:04:05.678 UTC);
        let id =
            |notifier, target, event, at| Notification::id(NotifierId(notifier), TargetId(target), event, at);
        let first = id(1, 1, Event::Fail, at);
        assert_eq!(first, id(1, 1, Event::Fail, at));
        let others = [
            id(2, 1, Event::Fail, at),
            id(257, 1, Event::Fail, at),
            id(1, 2, Event::Fail, at),
            id(1, 1 << 31, Event::Fail, at),
            id(1, 1, Event::Recovery, at),
            id(1, 1, Event::Reminder, at),
        ];
        assert!(others.iter().all(|other| *other != first && other.get_version_num() == 7));
        assert!(
            others.iter().all(|other| *other < id(1, 1, Event::Fail, at + time::Duration::milliseconds(1)))
        );
    }

    #[test]
    fn every_state_of_a_delivery_reads_back_as_itself() {
        assert!(DeliveryState::ALL.into_iter().all(|s| s.as_str().parse::<DeliveryState>().unwrap() == s));
    }
}
