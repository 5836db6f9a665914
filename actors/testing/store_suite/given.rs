//! What the guarantees are tried with: news, batches, and calls that must succeed.

use std::{sync::Arc, time::Duration};

use time::macros::datetime;

use crate::{
    domain::{
        Batch, Cause, Edge, Incident, NotifierDefinition, NotifierId, NotifierRow, Outcome, Status,
        TargetDefinition, TargetId, TargetNews, TargetRow,
    },
    port::Store,
};

pub(super) fn answered(status: u16, failure: Option<Cause>) -> TargetNews {
    let outcome = Outcome { failure, http_status: Some(status), ..Outcome::pass(format!("status {status}")) };
    let now = if outcome.passed() { Status::Pass } else { Status::Fail };
    TargetNews::of(&outcome, datetime!(2026-01-01 12:00 UTC), now, None)
}

pub(super) fn failed(reason: &str) -> TargetNews {
    let outcome = Outcome::fail(Cause::Connect, reason);
    TargetNews::of(&outcome, datetime!(2026-01-01 12:00 UTC), Status::Fail, None)
}

pub(super) fn edge_to_fail(begun: Incident) -> TargetNews {
    let edge = Edge { from: Status::Pass, to: Status::Fail };
    TargetNews::of(
        &Outcome::fail(Cause::Dns, "no such host"),
        begun.started_at,
        edge.to,
        Some((edge, Some(begun))),
    )
}

pub(super) fn edge_to_pass(ended: Incident) -> TargetNews {
    let edge = Edge { from: Status::Fail, to: Status::Pass };
    let at = ended.ended_at.expect("an edge to PASS ends its incident");
    TargetNews::of(&Outcome::pass("200 OK"), at, edge.to, Some((edge, Some(ended))))
}

/// The incident of that minute, as it begins and as it ends.
pub(super) fn incident(minute: u64) -> (Incident, Incident) {
    let at = datetime!(2026-01-01 12:00:00.123 UTC) + Duration::from_secs(60 * minute);
    let begun = Incident::begin(at, minute);
    (begun, begun.end(at + Duration::from_secs(30)))
}

pub(super) fn batch(sequence: u64, targets: impl IntoIterator<Item = (TargetId, TargetNews)>) -> Batch {
    Batch { sequence, targets: targets.into_iter().collect(), ..Batch::default() }
}

pub(super) async fn write(
    store: &Arc<dyn Store>,
    sequence: u64,
    targets: impl IntoIterator<Item = (TargetId, TargetNews)>,
) {
    store.write(&batch(sequence, targets)).await.expect("a batch is written");
}

pub(super) async fn targets(store: &Arc<dyn Store>) -> Vec<TargetRow> {
    store.load_targets().await.expect("targets can be read")
}

pub(super) async fn notifiers(store: &Arc<dyn Store>) -> Vec<NotifierRow> {
    store.load_notifiers().await.expect("notifiers can be read")
}

pub(super) async fn add_target(store: &Arc<dyn Store>, name: &str) -> TargetId {
    store.add_target(&TargetDefinition::new(name, "http://example.org/")).await.expect("the name is free")
}

pub(super) async fn add_notifier(store: &Arc<dyn Store>, name: &str) -> NotifierId {
    let definition = NotifierDefinition::new(name, "SMTP", "ops@example.org");
    store.add_notifier(&definition).await.expect("the name is free")
}

pub(super) fn only<T>(rows: Vec<T>) -> T {
    let [row] = <[T; 1]>::try_from(rows).unwrap_or_else(|rows| panic!("{} rows, not one", rows.len()));
    row
}
