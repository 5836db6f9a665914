//! What the guarantees are tried with: news, packets, and calls that must succeed.

use std::{sync::Arc, time::Duration};

use time::{OffsetDateTime, macros::datetime};
use uuid::{Uuid, uuid};

use crate::{
    domain::{
        Alert, AlertTarget, Batch, Cause, Delivery, Edge, Event, HistoryMinute, Incident, Minutes,
        Notification, NotificationNews, NotifierDefinition, NotifierId, NotifierRow, Outcome, Parcel,
        RawResult, Resolution, Status, Tally, TargetDefinition, TargetId, TargetNews, TargetRow,
    },
    port::{NotificationFilter, NotificationRow, Packet, RollupRow, Store, Targets},
    testing::fixtures::raw_result,
};

/// The daemon that writes unless said otherwise.
pub(super) const NODE: Uuid = uuid!("0197a4f0-0000-7000-8000-000000000001");
/// Another one.
pub(super) const OTHER_NODE: Uuid = uuid!("0197a4f0-0000-7000-8000-000000000002");

/// When things happen: the beginning of an hour.
pub(super) const NOON: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);

pub(super) fn answered(status: u16, failure: Option<Cause>) -> TargetNews {
    let outcome = Outcome { failure, http_status: Some(status), ..Outcome::pass(format!("status {status}")) };
    let now = if outcome.passed() { Status::Pass } else { Status::Fail };
    TargetNews::of(&outcome, NOON, now, None, None)
}

pub(super) fn failed(reason: &str) -> TargetNews {
    let outcome = Outcome::fail(Cause::Connect, reason);
    TargetNews::of(&outcome, NOON, Status::Fail, None, None)
}

pub(super) fn edge_to_fail(begun: Incident) -> TargetNews {
    let edge = Edge { from: Status::Pass, to: Status::Fail };
    let mut outcome = Outcome::fail(Cause::Dns, "no such host");
    outcome.trace.push(Duration::ZERO, "Resolving example.org ....");
    outcome.trace.push(Duration::from_millis(2), "no such host");
    TargetNews::of(&outcome, begun.started_at, edge.to, Some(edge), Some(begun))
}

pub(super) fn edge_to_pass(ended: Incident) -> TargetNews {
    let edge = Edge { from: Status::Fail, to: Status::Pass };
    let at = ended.ended_at.expect("an edge to PASS ends its incident");
    TargetNews::of(&Outcome::pass("200 OK"), at, edge.to, Some(edge), Some(ended))
}

/// The incident of that minute, as it begins and as it ends.
pub(super) fn incident(minute: u64) -> (Incident, Incident) {
    let at = datetime!(2026-01-01 12:00:00.123 UTC) + Duration::from_secs(60 * minute);
    let begun = Incident { failed_probes: 1, ..Incident::begin(at, minute) };
    (begun, begun.end(at + Duration::from_secs(30)))
}

pub(super) fn packet(number: u64, targets: impl IntoIterator<Item = (TargetId, TargetNews)>) -> Packet {
    let batch = Batch { targets: targets.into_iter().collect(), ..Batch::default() };
    Packet { node: NODE, first: number, through: number, batch }
}

/// Writes the batch of that number, of which nothing is refused.
pub(super) async fn write(
    store: &Arc<dyn Store>,
    number: u64,
    targets: impl IntoIterator<Item = (TargetId, TargetNews)>,
) {
    write_packet(store, &packet(number, targets)).await;
}

pub(super) async fn write_packet(store: &Arc<dyn Store>, packet: &Packet) {
    let refused = store.write(packet).await.expect("a packet is written");
    assert!(refused.is_empty(), "{refused:?}");
}

/// Results as they are written.
pub(super) fn minutes(results: impl IntoIterator<Item = RawResult>) -> Vec<HistoryMinute> {
    Minutes::from_iter(results).sorted()
}

/// A notification about the edge of a target so many minutes after [`NOON`].
pub(super) fn notification(notifier: NotifierId, target: TargetId, minute: u64) -> Notification {
    let (begun, _) = incident(minute);
    let alert = Alert {
        event: Event::Fail,
        at: begun.started_at,
        target: AlertTarget {
            id: target,
            name: "home \"🗼\"".to_owned(),
            url: "http://example.org/".to_owned(),
            method: "GET".to_owned(),
            tags: vec!["a".to_owned()],
        },
        status: Status::Fail,
        previous_status: Status::Pass,
        incident: Some(begun),
        outcome: Arc::new(Outcome::fail(Cause::Dns, "no such host")),
        tally: Tally { fail_count: 1, ..Tally::default() },
    };
    Notification::new(notifier, Arc::new(alert))
}

/// Writes the batch of that number, with new notifications.
pub(super) async fn notify(store: &Arc<dyn Store>, number: u64, new: &[Notification]) {
    let mut packet = packet(number, []);
    new.iter().for_each(|new| packet.batch.tell(new.id, NotificationNews::new(new)));
    write_packet(store, &packet).await;
}

/// Writes the batch of that number, with what has become of a notification.
pub(super) async fn deliver(store: &Arc<dyn Store>, number: u64, known: &Notification, delivery: Delivery) {
    let mut packet = packet(number, []);
    let parcel = Parcel { notification: known.clone(), delivery };
    packet.batch.tell(known.id, NotificationNews::of(&parcel));
    write_packet(store, &packet).await;
}

pub(super) async fn notifications(
    store: &Arc<dyn Store>,
    filter: NotificationFilter,
) -> Vec<NotificationRow> {
    store.notifications(&filter).await.expect("notifications can be read")
}

/// A result so long after [`NOON`]: a pass, whose total time follows from the time.
pub(super) fn result(target: TargetId, after: Duration) -> RawResult {
    let after_ms = i64::try_from(after.as_millis()).expect("not so long");
    RawResult {
        dns_us: Some(0),
        total_us: 10_000 + u32::try_from(after_ms % 60_000).expect("it is less"),
        ..raw_result(target, NOON.unix_timestamp() * 1_000 + after_ms)
    }
}

/// Writes results into the history, as the batch of that number.
pub(super) async fn record(store: &Arc<dyn Store>, number: u64, results: &[RawResult]) {
    store
        .write_minutes(NODE, number..=number, minutes(results.iter().cloned()))
        .await
        .expect("minutes are written");
}

/// The entries of one target, of all times.
pub(super) async fn rollups(
    store: &Arc<dyn Store>,
    resolution: Resolution,
    target: TargetId,
) -> Vec<RollupRow> {
    let (from, until) = (NOON - Duration::from_secs(86_400 * 400), NOON + Duration::from_secs(86_400 * 400));
    store.rollups(resolution, from, until, Targets::One(target)).await.expect("rollups can be read")
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
