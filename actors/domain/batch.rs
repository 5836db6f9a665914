//! What is written to the database in one transaction.

use std::collections::HashMap;

use time::OffsetDateTime;

use super::{Cause, Edge, Incident, NotifierId, Outcome, Status, Tally, TargetId};

/// How many news of incidents of one target are kept while they cannot be written.
const INCIDENTS_MAX: usize = 100;

/// Everything that a store writes at once, or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Counts the batches of one writer from 1. A store ignores one that it has already written, so
    /// that a batch whose answer was lost can be sent again.
    pub sequence: u64,
    /// News of targets, one entry a target.
    pub targets: HashMap<TargetId, TargetNews>,
    /// News of notifiers, one entry a notifier.
    pub notifiers: HashMap<NotifierId, NotifierNews>,
}

impl Batch {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty() && self.notifiers.is_empty()
    }
}

impl Batch {
    /// The same news in two batches that are yet to be sent; a single row is given back as it is.
    pub fn halves(self) -> Result<[Self; 2], Self> {
        let rows = self.targets.len() + self.notifiers.len();
        if rows < 2 {
            return Err(self);
        }
        let mut halves = [Self::default(), Self::default()];
        for (n, (id, news)) in self.targets.into_iter().enumerate() {
            halves[n % 2].targets.insert(id, news);
        }
        for (n, (id, news)) in self.notifiers.into_iter().enumerate() {
            // From the other end, so that one of each kind is two halves.
            halves[(n + 1) % 2].notifiers.insert(id, news);
        }
        Ok(halves)
    }
}

/// What one or more results change in a target's row.
#[derive(Clone, Debug)]
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
    /// Incidents that began or ended, oldest first; of very many, the newest.
    pub incidents: Vec<IncidentNews>,
}

/// An incident that began, or that ended.
#[derive(Clone, Debug)]
pub struct IncidentNews {
    /// The incident, as it stands after the news.
    pub incident: Incident,
    /// Why the target failed.
    pub cause: Option<Cause>,
    /// The same in words.
    pub reason: String,
}

impl TargetNews {
    /// The news of one result.
    pub fn of(
        outcome: &Outcome,
        at: OffsetDateTime,
        status: Status,
        edge: Option<(Edge, Option<Incident>)>,
    ) -> Self {
        let mut counted = Tally::default();
        counted.count(outcome);
        let incident = edge.and_then(|(_, incident)| incident).map(|incident| IncidentNews {
            incident,
            cause: outcome.failure,
            reason: outcome.reason.clone(),
        });
        Self {
            status,
            previous_status: edge.map(|(edge, _)| edge.from),
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
        incidents.extend(later.incidents);
        // A target that flaps for as long as the database is away must not fill the memory. A store ends
        // what lost its end when it writes a later one.
        incidents.drain(..incidents.len().saturating_sub(INCIDENTS_MAX));
        *self = Self {
            previous_status: later.previous_status.or(self.previous_status),
            counted,
            incidents,
            ..later
        };
    }

    /// Changes a row's state as writing this would.
    pub fn apply(&self, state: &mut super::TargetState) {
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

/// What one or more notifications change in a notifier's row.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct NotifierNews {
    /// Notifications that were delivered.
    pub delivered: u64,
    /// Notifications that were not, and will not be.
    pub failed: u64,
}

impl NotifierNews {
    /// Takes in later news of the same notifier.
    pub fn merge(&mut self, later: Self) {
        self.delivered += later.delivered;
        self.failed += later.failed;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;
    use crate::domain::TargetState;

    fn news(passed: bool, edge: bool) -> TargetNews {
        let outcome = if passed { Outcome::pass("") } else { Outcome::fail(Cause::Dns, "") };
        let edge = edge.then_some((Edge { from: Status::Pass, to: Status::Fail }, None));
        TargetNews::of(&outcome, datetime!(2026-01-01 0:00 UTC), Status::Pass, edge)
    }

    #[test]
    fn halves_hold_every_row_once_and_end_with_single_rows() {
        let mut whole = Batch { sequence: 7, ..Batch::default() };
        (0..5).for_each(|id| drop(whole.targets.insert(TargetId(id), news(true, false))));
        whole.notifiers.insert(NotifierId(1), NotifierNews { delivered: 1, failed: 0 });
        let (mut open, mut single) = (vec![whole], Vec::new());
        while let Some(batch) = open.pop() {
            match batch.halves() {
                Ok(halves) => open.extend(halves),
                Err(row) => single.push(row),
            }
        }
        assert_eq!(single.len(), 6);
        assert!(single.iter().all(|row| row.sequence == 0 && !row.is_empty()));
    }

    #[test]
    fn a_later_result_without_an_edge_keeps_the_earlier_edge() {
        let mut merged = news(false, true);
        merged.merge(news(false, false));
        assert_eq!(merged.previous_status, Some(Status::Pass));
    }

    #[test]
    fn however_long_a_target_flaps_its_news_stay_few_and_end_as_it_did() {
        let mut merged = news(true, false);
        for second in 0..10_000 {
            let begun = Incident::begin(datetime!(2026-01-01 0:00 UTC) + time::Duration::seconds(second), 1);
            for incident in [begun, begun.end(begun.started_at)] {
                let edge = Edge { from: Status::Pass, to: Status::Fail };
                merged.merge(TargetNews::of(
                    &Outcome::pass(""),
                    begun.started_at,
                    Status::Pass,
                    Some((edge, Some(incident))),
                ));
            }
        }
        assert_eq!(merged.incidents.len(), INCIDENTS_MAX);
        let last = merged.incidents.last().unwrap().incident;
        assert_eq!(last.ended_at, Some(datetime!(2026-01-01 2:46:39 UTC)));
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
