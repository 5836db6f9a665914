//! The rows of what happened: as they are asked for, read, and written, on either backend.

use std::collections::BTreeSet;

use skypunch_actors::{
    domain::{
        Delivery, HistoryMinute, Incident, NotifierId, Period, RawResult, Resolution, Rollup, Sketch,
        TargetId, Totals,
    },
    port::{IncidentRow, NotificationFilter, NotificationRow, RollupRow, Stale},
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    pack::unpack,
    row::{Cell, count},
};

/// The most rows that are deleted at once: others wait meanwhile.
pub(super) const PURGE_ROWS: u64 = 1_000;

/// The most rows of targets that an operator deleted that are deleted at a start: it waits meanwhile.
pub(super) const ORPHANS: u64 = 20_000;

/// The columns of `rollups` that hold a [`Rollup`], but for `sketch`.
pub(super) const ROLLUP_COLUMNS: &str = "done, late, skipped, passed, failed, causes, covered_s, \
     total_min_us, total_sum_us, total_max_us";

/// Asks for the incidents of a target, the newest first.
pub(super) fn select_incidents(target: TargetId, most: usize) -> String {
    format!(
        "SELECT id, started_at, ended_at, failed_probes, cause, reason, trace FROM incidents \
         WHERE target_id = {} ORDER BY id DESC LIMIT {}",
        count(target.0),
        limit(most),
    )
}

/// Reads a row of [`select_incidents`].
pub(super) fn incident<'a>(cells: impl IntoIterator<Item = Cell<'a>>) -> Option<IncidentRow> {
    let mut cells = cells.into_iter();
    let mut next = || cells.next().unwrap_or(Cell::Null);
    let incident = Incident {
        id: next().count(),
        started_at: next().time()?,
        ended_at: next().time(),
        failed_probes: next().count(),
    };
    Some(IncidentRow {
        incident,
        cause: next().text().and_then(|word| word.parse().ok()),
        reason: next().text().unwrap_or_default(),
        trace: next().text().unwrap_or_default().lines().map(str::to_owned).collect(),
    })
}

/// Asks for notifications, the newest first: their ids begin with their time.
pub(super) fn select_notifications(filter: &NotificationFilter) -> String {
    let NotificationFilter { ids, target, incident, failed, most } = filter;
    let conditions = [
        ids.as_ref().map(|ids| format!("id BETWEEN '{}' AND '{}'", ids.start(), ids.end())),
        target.map(|target| format!("target_id = {}", count(target.0))),
        incident.map(|incident| format!("incident_id = {}", count(incident))),
        failed.then(|| "state IN ('refused', 'expired')".to_owned()),
    ];
    let conditions: Vec<String> = conditions.into_iter().flatten().collect();
    let filter = match conditions.is_empty() {
        true => String::new(),
        false => format!("WHERE {}", conditions.join(" AND ")),
    };
    format!(
        "SELECT id, notifier_id, alert, state, attempts, last_error, updated_at FROM notifications {filter} \
         ORDER BY id DESC LIMIT {}",
        limit(*most),
    )
}

/// Reads a row of [`select_notifications`]. What an operator made of it is read as something.
pub(super) fn notification<'a>(cells: impl IntoIterator<Item = Cell<'a>>) -> Option<NotificationRow> {
    let mut cells = cells.into_iter();
    let mut next = || cells.next().unwrap_or(Cell::Null);
    Some(NotificationRow {
        id: Uuid::parse_str(&next().text()?).ok()?,
        notifier: NotifierId(next().count()),
        alert: next().text().and_then(|json| serde_json::from_str(&json).ok()),
        delivery: Delivery {
            state: next().text().and_then(|word| word.parse().ok()).unwrap_or_default(),
            attempts: u32::try_from(next().count()).unwrap_or(u32::MAX),
            last_error: next().text(),
            at: next().time()?,
        },
    })
}

/// Reads `target_id, start,` [`ROLLUP_COLUMNS`], and a sketch. One that cannot be read costs the quantiles only.
pub(super) fn rollup_row<'a>(
    cells: impl IntoIterator<Item = Cell<'a>>,
    sketch: Option<&[u8]>,
) -> Option<RollupRow> {
    let mut cells = cells.into_iter();
    let mut next = || cells.next().unwrap_or(Cell::Null);
    let (target, start) = (TargetId(next().optional_count()?), next().time()?);
    let rollup = Rollup {
        done: next().count(),
        late: next().count(),
        skipped: next().count(),
        passed: next().count(),
        failed: next().count(),
        causes: next().text().and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default(),
        covered_s: next().count(),
        totals: Totals {
            min_us: next().optional_count(),
            sum_us: next().count(),
            max_us: next().optional_count(),
            sketch: sketch.and_then(|bytes| Sketch::from_bytes(bytes).ok()).unwrap_or_default(),
        },
    };
    Some(RollupRow { target, start, rollup })
}

/// Reads `resolution, start, mark`.
pub(super) fn stale<'a>(cells: impl IntoIterator<Item = Cell<'a>>) -> Option<Stale> {
    let mut cells = cells.into_iter();
    let mut next = || cells.next().unwrap_or(Cell::Null);
    let (resolution, start) = (next().text()?.parse().ok()?, next().time()?);
    let mark = Uuid::parse_str(&next().text()?).ok()?;
    Some(Stale { period: Period { resolution, start }, mark })
}

/// Reads `minute, pack`.
pub(super) fn pack<'a>(cells: impl IntoIterator<Item = Cell<'a>>) -> Option<(OffsetDateTime, String)> {
    let mut cells = cells.into_iter();
    Some((cells.next()?.time()?, cells.next()?.text()?))
}

/// Asks for the targets that come after one.
pub(super) fn select_targets_after(after: TargetId, most: usize) -> String {
    format!("SELECT id FROM targets WHERE id > {} ORDER BY id LIMIT {}", count(after.0), limit(most))
}

/// Reads a row of [`select_targets_after`].
pub(super) fn target_id<'a>(cells: impl IntoIterator<Item = Cell<'a>>) -> Option<TargetId> {
    cells.into_iter().next()?.optional_count().map(TargetId)
}

/// Puts the parts of one entry together; they follow each other.
pub(super) fn add_up(parts: impl IntoIterator<Item = RollupRow>) -> Vec<RollupRow> {
    let mut whole: Vec<RollupRow> = Vec::new();
    for part in parts {
        match whole.last_mut() {
            Some(last) if (last.target, last.start) == (part.target, part.start) => {
                last.rollup.merge(&part.rollup);
            }
            _ => whole.push(part),
        }
    }
    whole
}

/// The hours in which some minutes lie.
pub(super) fn hours(minutes: &[HistoryMinute]) -> BTreeSet<Period> {
    let resolution = Resolution::Hour;
    minutes.iter().map(|minute| Period { resolution, start: resolution.start_of(minute.start) }).collect()
}

/// The latest start of an entry that ended before `before`.
pub(super) fn last_start(resolution: Resolution, before: OffsetDateTime) -> OffsetDateTime {
    let length = resolution.length().try_into().expect("a day is not too long");
    before.saturating_sub(length)
}

/// What the column `causes` holds: `{"timeout":2}`, or NULL.
pub(super) fn causes(rollup: &Rollup) -> Option<String> {
    let json = || serde_json::to_string(&rollup.causes).expect("words and numbers are JSON");
    (!rollup.causes.is_empty()).then(json)
}

/// What the column `sketch` holds; NULL where nothing passed.
pub(super) fn sketch(rollup: &Rollup) -> Option<Vec<u8>> {
    (rollup.passed > 0).then(|| rollup.totals.sketch.to_bytes())
}

/// The results of some packs, by time, from `from` until before `until`.
pub(super) fn results(
    target: TargetId,
    packs: impl IntoIterator<Item = (OffsetDateTime, String)>,
    from: OffsetDateTime,
    until: OffsetDateTime,
) -> Vec<RawResult> {
    let unpacked = packs.into_iter().flat_map(|(minute, pack)| unpack(target, minute, &pack));
    let mut results: Vec<_> = unpacked.filter(|result| (from..until).contains(&result.at())).collect();
    results.sort_by_key(|result| result.at_ms);
    results
}

/// A number of rows as SQL takes it.
pub(super) fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}
