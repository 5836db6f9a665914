//! What happened, as the objects that people and programs read. No secret gets in here.

use std::time::Duration;

use serde_json::{Map, Value, json};
use skypunch_actors::{
    domain::{NotifierRow, RawResult, Resolution, Slot, Status, Stretch, TargetRow, TimingsMs, milliseconds},
    port::{IncidentRow, NotificationRow},
};
use time::OffsetDateTime;

use super::view::{object, timestamp};

/// The history of a target: what each stretch of time came to, all of it together, and the newest slots.
pub fn history(
    row: &TargetRow,
    by: Resolution,
    stretches: &[Stretch],
    sum: &Stretch,
    recent: &[Slot<'_>],
) -> Map<String, Value> {
    object(json!({
        "target": { "id": row.id.0, "name": row.definition.name },
        "by": by.as_str(),
        "total": stretch(sum),
        "entries": stretches.iter().map(stretch).collect::<Value>(),
        "recent": recent.iter().map(slot).collect::<Value>(),
    }))
}

/// What a stretch of time came to.
fn stretch(stretch: &Stretch) -> Map<String, Value> {
    let (rollup, totals) = (&stretch.rollup, &stretch.rollup.totals);
    let ms = |us| milliseconds(Duration::from_micros(us));
    let mean = totals.sum_us.checked_div(rollup.passed);
    let quantile = |share| totals.quantile_us(share).map(ms);
    object(json!({
        "start": timestamp(stretch.start),
        "end": timestamp(stretch.end),
        "uptime": rollup.uptime().map(share),
        "observed": share(stretch.observed),
        "expected": rollup.expected(),
        "done": rollup.done,
        "late": rollup.late,
        "skipped": rollup.skipped,
        "passed": rollup.passed,
        "failed": rollup.failed,
        "causes": rollup.causes,
        "min_ms": totals.min_us.map(ms),
        "mean_ms": mean.map(ms),
        "p50_ms": quantile(0.5),
        "p90_ms": quantile(0.9),
        "p99_ms": quantile(0.99),
        "max_ms": totals.max_us.map(ms),
    }))
}

/// A share with six digits, none of them rounded up: only what is whole is 1.
fn share(share: f64) -> f64 {
    (share * 1e6 + 1e-6).floor() / 1e6
}

/// One slot: what a probe found, or that nobody looked.
fn slot(slot: &Slot<'_>) -> Map<String, Value> {
    let (at, status, seen) = match slot {
        Slot::Seen(result) => {
            (result.at(), if result.cause.is_none() { Status::Pass } else { Status::Fail }, Some(*result))
        }
        Slot::Unseen(at) => (*at, Status::Unknown, None),
    };
    let mut shown = object(json!({
        "at": timestamp(at),
        "status": status,
        "cause": seen.and_then(|result| result.cause),
        "http_status": seen.and_then(|result| result.http_status),
    }));
    let timings = seen.map(RawResult::timings);
    shown.extend(
        ["dns_ms", "connect_ms", "tls_ms", "ttfb_ms", "total_ms"].map(|key| (key.to_owned(), Value::Null)),
    );
    shown.extend(timings.into_iter().flat_map(|timings| object(json!(TimingsMs::from(timings)))));
    shown
}

/// An incident, and what became of its notifications.
pub fn incident(
    row: &IncidentRow,
    told: &[NotificationRow],
    notifiers: &[NotifierRow],
    now: OffsetDateTime,
) -> Map<String, Value> {
    let IncidentRow { incident, cause, reason, trace } = row;
    object(json!({
        "id": incident.id,
        "started_at": timestamp(incident.started_at),
        "ended_at": incident.ended_at.map(timestamp),
        "duration_s": incident.duration(now).as_secs(),
        "failed_probes": incident.failed_probes,
        "cause": cause,
        "reason": reason,
        "trace": trace,
        "notifications": told.iter().map(|row| notification(row, notifiers)).collect::<Value>(),
    }))
}

/// A notification, and what became of it.
pub fn notification(row: &NotificationRow, notifiers: &[NotifierRow]) -> Map<String, Value> {
    let (alert, delivery) = (row.alert.as_ref(), &row.delivery);
    let notifier = notifiers.iter().find(|notifier| notifier.id == row.notifier);
    object(json!({
        "id": row.id,
        "at": alert.map(|alert| timestamp(alert.at)),
        "event": alert.map(|alert| alert.event.as_str()),
        "target": alert.map(|alert| json!({ "id": alert.target.id, "name": alert.target.name })),
        "notifier": { "id": row.notifier, "name": notifier.map(|notifier| &notifier.definition.name) },
        "incident": alert.and_then(|alert| alert.incident).map(|incident| incident.id),
        "state": delivery.state.as_str(),
        "attempts": delivery.attempts,
        "last_error": delivery.last_error,
        "updated_at": timestamp(delivery.at),
    }))
}

/// The same, and what it tells.
pub fn notification_in_full(row: &NotificationRow, notifiers: &[NotifierRow]) -> Map<String, Value> {
    let outcome = row.alert.as_ref().map(|alert| &alert.outcome);
    let mut shown = notification(row, notifiers);
    shown.extend(object(json!({
        "cause": outcome.and_then(|outcome| outcome.failure),
        "reason": outcome.map(|outcome| &outcome.reason),
        "trace": outcome.map(|outcome| outcome.trace.lines().collect::<Vec<_>>()),
    })));
    shown
}
