//! What a notifier is told.

use std::sync::Arc;

use serde::Serialize;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Edge, Incident, Outcome, Status, Tally, Target};

/// What happened to the target.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Event {
    /// It began to fail.
    Fail,
    /// It passes again.
    Recovery,
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

    /// The word in messages and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "FAIL",
            Self::Recovery => "RECOVERY",
            Self::Test => "TEST",
        }
    }
}

/// One event of one target, as every notifier is told it.
#[derive(Clone, Debug)]
pub struct Alert {
    /// What happened.
    pub event: Event,
    /// When: the time of the edge.
    pub at: OffsetDateTime,
    /// To which target.
    pub target: Arc<Target>,
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

/// One message to one notifier about one event.
#[derive(Clone, Debug)]
pub struct Notification {
    /// Stable over attempts, so that a receiver can drop a duplicate.
    pub id: Uuid,
    /// What it tells.
    pub alert: Arc<Alert>,
}

impl Notification {
    /// A notification with a new id, which sorts by `alert.at`.
    pub fn new(alert: Arc<Alert>) -> Self {
        let seconds = u64::try_from(alert.at.unix_timestamp()).unwrap_or(0);
        let now = uuid::Timestamp::from_unix(uuid::NoContext, seconds, alert.at.nanosecond());
        Self { id: Uuid::new_v7(now), alert }
    }
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
}
