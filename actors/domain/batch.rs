//! What becomes durable together.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Alert, Cause, Delivery, DeliveryState, Edge, Incident, Notification, NotifierId, Outcome, Parcel,
    RawResult, Status, Tally, TargetId, TargetState,
};

/// Everything that is kept at once, or not at all: first in the journal, then in the database.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Batch {
    /// News of targets, one entry a target.
    pub targets: BTreeMap<TargetId, TargetNews>,
    /// News of notifications, one entry a notification; ids sort by time.
    pub notifications: BTreeMap<Uuid, NotificationNews>,
    /// The results that the news of targets come from, for the history.
    pub results: Vec<RawResult>,
}

impl Batch {
    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty() && self.notifications.is_empty() && self.results.is_empty()
    }

    /// Whether it must outlast even the loss of power: somebody is to be told, or was.
    pub fn is_weighty(&self) -> bool {
        !self.notifications.is_empty()
    }

    /// Takes in the news of one target.
    pub fn add(&mut self, target: TargetId, news: TargetNews) {
        match self.targets.entry(target) {
            Entry::Occupied(mut earlier) => earlier.get_mut().merge(news),
            Entry::Vacant(free) => {
                free.insert(news);
            }
        }
    }

    /// Takes in the news of one notification.
    pub fn tell(&mut self, id: Uuid, news: NotificationNews) {
        match self.notifications.entry(id) {
            Entry::Occupied(mut earlier) => earlier.get_mut().merge(news),
            Entry::Vacant(free) => {
                free.insert(news);
            }
        }
    }

    /// Takes in a whole later batch.
    pub fn merge(&mut self, later: Self) {
        later.targets.into_iter().for_each(|(id, news)| self.add(id, news));
        later.notifications.into_iter().for_each(|(id, news)| self.tell(id, news));
        self.results.extend(later.results);
    }

    /// What is added to the counters of notifiers.
    pub fn notifiers(&self) -> BTreeMap<NotifierId, NotifierNews> {
        let mut counted: BTreeMap<NotifierId, NotifierNews> = BTreeMap::new();
        for news in self.notifications.values() {
            match news.delivery.state {
                DeliveryState::Delivered => counted.entry(news.notifier).or_default().delivered += 1,
                DeliveryState::Refused | DeliveryState::Expired => {
                    counted.entry(news.notifier).or_default().failed += 1;
                }
                DeliveryState::Pending | DeliveryState::Sending | DeliveryState::Withdrawn => {}
            }
        }
        counted
    }
}

/// What one or more results change in a target's row.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct TargetNews {
    /// The status after the newest result.
    pub status: Status,
    /// The status before the newest edge, where there was one.
    pub previous_status: Option<Status>,
    /// The reason of the newest result.
    pub status_description: String,
    /// The cause of the newest result.
    pub cause: Option<Cause>,
    /// The time of the newest result.
    pub last_updated: OffsetDateTime,
    /// What is added to the counters. [`Tally::add`] says what becomes of `repeated_fails`.
    pub counted: Tally,
    /// Incidents that began, went on or ended, oldest first, one entry an incident.
    pub incidents: Vec<IncidentNews>,
}

/// An incident that began, went on or ended.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct IncidentNews {
    /// The incident, as it stands after the news.
    pub incident: Incident,
    /// Why the target failed at first, if that is part of the news.
    pub beginning: Option<Beginning>,
}

/// What an incident began with.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Beginning {
    /// Why the target failed.
    pub cause: Option<Cause>,
    /// The same in words.
    pub reason: String,
    /// The trace of that probe, line by line.
    pub trace: Vec<String>,
}

impl TargetNews {
    /// The news of one result; `incident` is the one that it began, went on with, or ended.
    pub fn of(
        outcome: &Outcome,
        at: OffsetDateTime,
        status: Status,
        edge: Option<Edge>,
        incident: Option<Incident>,
    ) -> Self {
        let mut counted = Tally::default();
        counted.count(outcome);
        let begins = edge.is_some_and(|edge| edge.to == Status::Fail);
        let incident = incident.map(|incident| IncidentNews {
            incident,
            beginning: begins.then(|| Beginning {
                cause: outcome.failure,
                reason: outcome.reason.clone(),
                trace: outcome.trace.lines().collect(),
            }),
        });
        Self {
            status,
            previous_status: edge.map(|edge| edge.from),
            status_description: outcome.reason.clone(),
            cause: outcome.failure,
            last_updated: at,
            counted,
            incidents: incident.into_iter().collect(),
        }
    }

    /// Takes in later news of the same target.
    pub fn merge(&mut self, later: Self) {
        let mut counted = self.counted;
        counted.add(&later.counted);
        let mut incidents = std::mem::take(&mut self.incidents);
        for news in later.incidents {
            match incidents.last_mut() {
                Some(last) if last.incident.id == news.incident.id => last.incident = news.incident,
                _ => incidents.push(news),
            }
        }
        *self = Self {
            previous_status: later.previous_status.or(self.previous_status),
            counted,
            incidents,
            ..later
        };
    }

    /// Changes a row's state as writing this would.
    pub fn apply(&self, state: &mut TargetState) {
        state.status = self.status;
        state.previous_status = self.previous_status.unwrap_or(state.previous_status);
        state.status_description.clone_from(&self.status_description);
        state.cause = self.cause;
        state.last_updated = Some(self.last_updated);
        state.tally.add(&self.counted);
        if let Some(news) = self.incidents.last() {
            state.incident = Some(news.incident).filter(|incident| incident.ended_at.is_none());
        }
    }
}

/// A notification that is new, or whose delivery has come further.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct NotificationNews {
    /// Whom it is for.
    pub notifier: NotifierId,
    /// What it tells; only of one that is new.
    pub alert: Option<Arc<Alert>>,
    /// What has become of it.
    pub delivery: Delivery,
}

impl NotificationNews {
    /// The news of a notification that is new.
    pub fn new(notification: &Notification) -> Self {
        Self {
            notifier: notification.notifier,
            alert: Some(notification.alert.clone()),
            delivery: Delivery::pending(notification.alert.at),
        }
    }

    /// The news of a delivery that has come further.
    pub fn of(parcel: &Parcel) -> Self {
        Self { notifier: parcel.notification.notifier, alert: None, delivery: parcel.delivery.clone() }
    }

    /// What has come to its end stays there, unless it begins anew.
    fn merge(&mut self, later: Self) {
        if self.delivery.state.is_final() && !later.delivery.state.is_final() && later.alert.is_none() {
            return;
        }
        self.delivery = later.delivery;
        self.alert = self.alert.take().or(later.alert);
    }
}

/// What notifications change in a notifier's row.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NotifierNews {
    /// Notifications that were delivered.
    pub delivered: u64,
    /// Notifications that were not, and will not be.
    pub failed: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    fn news(passed: bool, edge: bool) -> TargetNews {
        let outcome = if passed { Outcome::pass("") } else { Outcome::fail(Cause::Dns, "") };
        let edge = edge.then_some(Edge { from: Status::Pass, to: Status::Fail });
        TargetNews::of(&outcome, datetime!(2026-01-01 0:00 UTC), Status::Pass, edge, None)
    }

    #[test]
    fn a_later_result_without_an_edge_keeps_the_earlier_edge() {
        let mut merged = news(false, true);
        merged.merge(news(false, false));
        assert_eq!(merged.previous_status, Some(Status::Pass));
    }

    #[test]
    fn an_incident_is_one_entry_however_long_it_goes_on() {
        let at = datetime!(2026-01-01 0:00 UTC);
        let outcome = Outcome::fail(Cause::Dns, "no such host");
        let edge = Edge { from: Status::Pass, to: Status::Fail };
        let mut incident = Incident::begin(at, 1);
        let mut merged = TargetNews::of(&outcome, at, Status::Fail, Some(edge), Some(incident));
        for probe in 2..100 {
            incident.failed_probes = probe;
            merged.merge(TargetNews::of(&outcome, at, Status::Fail, None, Some(incident)));
        }
        let [only] = &merged.incidents[..] else { panic!("one incident, one entry") };
        assert_eq!(only.incident.failed_probes, 99);
        assert_eq!(only.beginning.as_ref().unwrap().reason, "no such host");
    }

    #[test]
    fn a_notification_counts_when_it_has_come_to_its_end() {
        let mut batch = Batch::default();
        let states = [DeliveryState::Pending, DeliveryState::Delivered, DeliveryState::Expired];
        for (id, state) in (1..).zip(states) {
            let delivery = Delivery { state, ..Delivery::pending(datetime!(2026-01-01 0:00 UTC)) };
            let news = NotificationNews { notifier: NotifierId(7), alert: None, delivery };
            batch.tell(Uuid::from_u128(id), news);
        }
        let expected = NotifierNews { delivered: 1, failed: 1 };
        assert_eq!(batch.notifiers().into_iter().collect::<Vec<_>>(), [(NotifierId(7), expected)]);
    }

    proptest! {
        #[test]
        fn merged_news_change_a_row_as_each_of_them_in_turn(results: Vec<(bool, bool)>) {
            let mut one_by_one = TargetState::default();
            let mut merged: Option<TargetNews> = None;
            for (passed, edge) in results {
                news(passed, edge).apply(&mut one_by_one);
                match &mut merged {
                    Some(merged) => merged.merge(news(passed, edge)),
                    None => merged = Some(news(passed, edge)),
                }
            }
            let mut at_once = TargetState::default();
            merged.iter().for_each(|news| news.apply(&mut at_once));
            prop_assert_eq!(format!("{at_once:?}"), format!("{one_by_one:?}"));
        }
    }
}
