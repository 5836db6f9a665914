//! Rows for tests.

use std::sync::Arc;

use time::{OffsetDateTime, macros::datetime};

use crate::{
    domain::{
        Alert, AlertTarget, Cause, Event, Notification, NotifierDefinition, NotifierId, NotifierRow, Outcome,
        RawResult, Slots, Status, Tally, TargetDefinition, TargetId, TargetRow, TargetState,
    },
    event::{ProbeCompleted, ProbesCompleted},
};

/// An enabled target that is probed every minute and was never judged.
pub fn target_row(id: u64, name: &str) -> TargetRow {
    let definition = TargetDefinition::new(name, format!("http://{id}.example.org/"));
    TargetRow { id: TargetId(id), definition, state: TargetState::default() }
}

/// An enabled notifier that was told nothing yet.
pub fn notifier_row(id: u64, name: &str) -> NotifierRow {
    let definition = NotifierDefinition::new(name, "SMTP", format!("{id}@example.org"));
    NotifierRow { id: NotifierId(id), definition, pass_count: 0, fail_count: 0 }
}

/// A result of the target `home` of that id, in a slot of its own, that changed nothing.
pub fn probe_completed(id: u64, outcome: Outcome) -> ProbeCompleted {
    let (target, _) = TargetDefinition::new("home", "http://h/").read(TargetId(id));
    ProbeCompleted {
        target: Arc::new(target),
        at: datetime!(2026-01-02 03:04:05.678 UTC),
        status: if outcome.passed() { Status::Pass } else { Status::Fail },
        outcome: Arc::new(outcome),
        edge: None,
        incident: None,
        reminder: false,
        tally: Tally::default(),
        slots: Slots { done: 1, ..Slots::default() },
    }
}

/// A result that travels alone.
pub fn alone(event: ProbeCompleted) -> ProbesCompleted {
    ProbesCompleted([event].into())
}

/// What notifier 1 is told of target 8: that its connection failed at that time, for that reason.
pub fn failure(definition: &TargetDefinition, at: OffsetDateTime, reason: &str) -> Notification {
    let alert = Alert {
        event: Event::Fail,
        at,
        target: AlertTarget::from(&definition.read(TargetId(8)).0),
        status: Status::Fail,
        previous_status: Status::Pass,
        incident: None,
        outcome: Arc::new(Outcome::fail(Cause::Connect, reason)),
        tally: Tally::default(),
    };
    Notification::new(NotifierId(1), Arc::new(alert))
}

/// A probe on time that passed within 12 ms, of a target that is probed every second.
pub fn raw_result(target: TargetId, at_ms: i64) -> RawResult {
    RawResult {
        target,
        at_ms,
        status: Status::Pass,
        cause: None,
        http_status: Some(200),
        dns_us: None,
        connect_us: Some(2_104),
        tls_us: None,
        ttfb_us: Some(9_000),
        total_us: 12_345,
        late: false,
        skipped: 0,
        frequency_s: 1,
    }
}
