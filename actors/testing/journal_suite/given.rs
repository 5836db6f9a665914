//! What the guarantees are tried with: batches, notifications, and calls that must succeed.

use std::{sync::Arc, time::Duration};

use time::{OffsetDateTime, macros::datetime};
use uuid::Uuid;

use crate::{
    domain::{
        Alert, AlertTarget, Batch, Cause, Delivery, DeliveryState, Edge, Event, Incident, Notification,
        NotificationNews, NotifierId, Outcome, Parcel, RawResult, Status, Tally, TargetId, TargetNews,
    },
    port::Journal,
    testing::fixtures::raw_result,
};

const AT: OffsetDateTime = datetime!(2026-01-01 12:00:00.123_456_789 UTC);

/// A batch with one result of each of so many targets, which fail in odd batches and pass in even ones.
pub fn batch(number: u64, targets: u64) -> Batch {
    let mut batch = Batch::default();
    for id in 1..=targets {
        let at = AT + Duration::from_secs(number % 100_000);
        let incident = Incident { failed_probes: number, ..Incident::begin(at, id) };
        let (outcome, edge, status) = if number % 2 == 1 {
            let edge = Edge { from: Status::Pass, to: Status::Fail };
            (Outcome::fail(Cause::Connect, format!("refused {number} {id}")), Some(edge), Status::Fail)
        } else {
            (Outcome { http_status: Some(200), ..Outcome::pass("200 OK") }, None, Status::Pass)
        };
        let incident = edge.map(|_| incident);
        batch.add(TargetId(id), TargetNews::of(&outcome, at, status, edge, incident));
        let at_ms = i64::try_from(number).expect("a test counts not that far") * 1_000;
        batch.results.push(RawResult {
            status,
            cause: outcome.failure,
            http_status: outcome.http_status,
            ttfb_us: Some(u32::MAX),
            ..raw_result(TargetId(id), at_ms)
        });
    }
    batch
}

/// A notification of a failure at that second, to that notifier.
pub fn notification(notifier: u64, second: u64) -> Notification {
    let at = AT + Duration::from_secs(second);
    let alert = Alert {
        event: Event::Fail,
        at,
        target: AlertTarget {
            id: TargetId(1),
            name: "home".to_owned(),
            url: "http://h/".to_owned(),
            method: "GET".to_owned(),
            tags: vec!["a".to_owned()],
        },
        status: Status::Fail,
        previous_status: Status::Pass,
        incident: Some(Incident::begin(at, second)),
        outcome: Arc::new(Outcome::fail(Cause::Dns, format!("no such host {second}"))),
        tally: Tally::default(),
    };
    Notification::new(NotifierId(notifier), Arc::new(alert))
}

/// A batch that says that a notification is new.
pub fn announcing(notification: &Notification) -> Batch {
    let mut batch = Batch::default();
    batch.tell(notification.id, NotificationNews::new(notification));
    batch
}

pub(super) fn come_to(notification: &Notification, state: DeliveryState, attempts: u32) -> Batch {
    let last_error = Some(format!("attempt {attempts}"));
    let delivery = Delivery { state, attempts, last_error, at: AT };
    let parcel = Parcel { notification: notification.clone(), delivery };
    let mut batch = Batch::default();
    batch.tell(notification.id, NotificationNews::of(&parcel));
    batch
}

pub(super) async fn append(journal: &Arc<dyn Journal>, number: u64, batch: &Batch) -> u64 {
    journal.append(number, batch).await.expect("a batch is taken").dropped
}

/// Every batch after that number.
pub async fn rest(journal: &Arc<dyn Journal>, mut after: u64) -> Vec<(u64, Batch)> {
    let mut all = Vec::new();
    loop {
        let read = journal.read(after, 10_000).await.expect("batches can be read");
        let Some((last, _)) = read.last() else {
            return all;
        };
        after = *last;
        all.extend(read);
    }
}

pub(super) async fn ids(journal: &Arc<dyn Journal>, most: usize) -> Vec<Uuid> {
    let parcels = journal.undelivered(most).await.expect("the outbox can be read");
    parcels.iter().map(|parcel| parcel.notification.id).collect()
}

pub(super) fn numbers(batches: &[(u64, Batch)]) -> Vec<u64> {
    batches.iter().map(|(number, _)| *number).collect()
}

/// What batches come to, without their single results.
pub fn sum<'a>(batches: impl IntoIterator<Item = &'a Batch>) -> String {
    let mut sum = Batch::default();
    batches.into_iter().for_each(|batch| sum.merge(batch.clone()));
    format!("{:?} {:?}", sum.targets, sum.notifications)
}
