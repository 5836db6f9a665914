//! What is known of a target: from its results, and from those before them.

use std::sync::Arc;

use time::OffsetDateTime;

use crate::{
    domain::{
        Cause, Edge, Evidence, Health, Incident, Outcome, Sighting, Slots, Status, Tally, Target, TargetId,
        TargetState,
    },
    event::ProbeCompleted,
};

/// What a target's actor knows, and hands on to its successor.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub(super) health: Health,
    pub(super) tally: Tally,
    incident: Option<Incident>,
    evidence: Evidence,
    /// The last reason why the row cannot be probed; it is told once.
    config_reason: Option<String>,
    /// The reminders of the incident that were due; `None` until that is known.
    reminders: Option<u64>,
}

impl Memory {
    /// What the store last knew, so that a restart forgets no failure.
    pub fn stored(state: &TargetState) -> Self {
        Self {
            health: Health::known(state.status),
            tally: state.tally,
            incident: state.incident,
            ..Self::default()
        }
    }

    /// Takes a result in and says what it means, unless it is a fault of the row that was told before.
    pub fn take_in(
        &mut self,
        target: &Arc<Target>,
        at: OffsetDateTime,
        outcome: Outcome,
        slots: Slots,
    ) -> Option<ProbeCompleted> {
        let config_reason = (outcome.failure == Some(Cause::Config)).then(|| outcome.reason.clone());
        if config_reason.is_some() && config_reason == self.config_reason {
            return None;
        }
        self.config_reason = config_reason;

        let edge = self.health.apply(&outcome, target.options.thresholds());
        self.tally.count(&outcome);
        let incident = self.follow(edge, &outcome, target.id, at);
        let outcome = Arc::new(outcome);
        let sighting = Some(Sighting { at, outcome: outcome.clone() });
        if outcome.passed() {
            self.evidence.last_success = sighting;
        } else {
            self.evidence.last_failure = sighting;
        }
        let status = self.health.status();
        let reminder = self.reminds(incident, edge, at, target.options.reminder_interval_s);
        let target = target.clone();
        let tally = self.tally;
        Some(ProbeCompleted { target, at, outcome, status, edge, incident, reminder, tally, slots })
    }

    /// Whether a result falls due for a reminder: they are due at multiples of `interval_s` after the edge.
    fn reminds(
        &mut self,
        incident: Option<Incident>,
        edge: Option<Edge>,
        at: OffsetDateTime,
        interval_s: u64,
    ) -> bool {
        let (Some(incident), None) = (incident, edge) else {
            // An edge begins anew; a pass that does not end the incident yet is no time for reminders.
            self.reminders = edge.map(|_| 0).or(self.reminders);
            return false;
        };
        let Some(due) = incident.duration(at).as_secs().checked_div(interval_s) else {
            return false;
        };
        // After a restart, those that were due before were told before.
        let before = self.reminders.replace(due);
        before.is_some_and(|before| due > before)
    }

    /// Goes on counting from there.
    pub fn recount(&mut self, tally: Tally) {
        self.tally = tally;
    }

    /// The last results.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Begins the incident that goes with a result, goes on with it, or ends it.
    fn follow(
        &mut self,
        edge: Option<Edge>,
        outcome: &Outcome,
        target: TargetId,
        at: OffsetDateTime,
    ) -> Option<Incident> {
        match edge.map(|edge| edge.to) {
            Some(Status::Fail) => {
                let failed_probes = self.tally.repeated_fails;
                self.incident = Some(Incident { failed_probes, ..Incident::begin(at, target.0) });
            }
            Some(_) => return self.incident.take().map(|incident| incident.end(at)),
            None if outcome.passed() || self.health.status() != Status::Fail => return None,
            None => {
                self.incident.iter_mut().for_each(|incident| incident.failed_probes += 1);
            }
        }
        self.incident
    }
}
