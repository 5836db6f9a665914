//! Shows what happened to people: the history of a target, its incidents, and notifications.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::{
    bar,
    show::{all, field, shown},
    table::{self, Screen},
};

/// The shortest id that is shown: the millisecond, and a part of what is by chance.
const ID_SHOWN: usize = 18;

/// What a target came to over time, a line a stretch, all of it together, and the newest slots.
pub fn history(screen: Screen, history: &Value) -> String {
    let header = [
        "Start", "Uptime", "Observed", "Done", "Late", "Skipped", "Failed", "Causes", "p50", "p90", "p99",
        "Max",
    ];
    let by = history["by"].as_str().unwrap_or_default();
    let entries = all(&history["entries"]).map(|entry| stretch(instant(entry, "start", by), entry));
    let total = stretch("Total".to_owned(), &history["total"]);
    let table = table::list(screen, &header, entries.chain([total]));
    let slots = history["recent"].as_array().map_or(&[][..], Vec::as_slice);
    match bar::draw(screen, slots) {
        none if none.is_empty() => table,
        bar => format!("{table}{bar}\n{}\n", bar::LEGEND),
    }
}

/// A stretch in cells. Times are of probes that passed, in milliseconds.
fn stretch(start: String, entry: &Value) -> Vec<String> {
    if entry["done"] == 0 && entry["observed"].as_f64() == Some(0.0) {
        let mut cells = vec![String::new(); 12];
        let unseen = ["start", "end"].map(|key| seconds(&entry[key]));
        cells[0] = start;
        cells[1] = "UNKNOWN".to_owned();
        cells[2] = percent(&entry["observed"]);
        cells[7] = match unseen {
            [Some(start), Some(end)] => format!("… nobody looked for {} …", span(end - start)),
            _ => "… nobody looked …".to_owned(),
        };
        return cells;
    }
    let causes = entry["causes"].as_object().into_iter().flatten();
    let causes: Vec<_> = causes.map(|(cause, count)| format!("{cause} {count}")).collect();
    let counts = ["done", "late", "skipped", "failed"].map(|key| field(entry, key));
    let times = ["p50_ms", "p90_ms", "p99_ms", "max_ms"].map(|key| field(entry, key));
    let shares = ["uptime", "observed"].map(|key| percent(&entry[key]));
    [start].into_iter().chain(shares).chain(counts).chain([causes.join(", ")]).chain(times).collect()
}

/// The incidents of a target, and the trace of the newest.
pub fn incidents(screen: Screen, incidents: &Value) -> String {
    let header = ["Start", "End", "Duration", "Failed Probes", "Cause", "Reason", "Notifications"];
    let rows = all(incidents).map(|incident| {
        let end =
            if incident["ended_at"].is_null() { "goes on".to_owned() } else { field(incident, "ended_at") };
        let mut states: BTreeMap<&str, usize> = BTreeMap::new();
        for told in all(&incident["notifications"]) {
            *states.entry(told["state"].as_str().unwrap_or_default()).or_default() += 1;
        }
        let told: Vec<_> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
        vec![
            field(incident, "started_at"),
            end,
            span(incident["duration_s"].as_i64().unwrap_or_default()),
            field(incident, "failed_probes"),
            field(incident, "cause"),
            field(incident, "reason"),
            if told.is_empty() { "-".to_owned() } else { told.join(", ") },
        ]
    });
    let mut text = table::list(screen, &header, rows);
    let trace: Vec<_> = all(&incidents[0]["trace"]).map(shown).collect();
    if !trace.is_empty() {
        text += &format!("The first failure of the newest:\n{}\n", trace.join("\n"));
    }
    text
}

/// Notifications, a line each.
pub fn notifications(screen: Screen, rows: &Value) -> String {
    let header = ["ID", "At", "Event", "Target", "Notifier", "State", "Attempts", "Last Error"];
    let ids: Vec<&str> = all(rows).filter_map(|row| row["id"].as_str()).collect();
    let length = told_apart(&ids);
    table::list(
        screen,
        &header,
        all(rows).map(|row| {
            let mut cells = notification(row);
            cells[0].truncate(length);
            cells.into()
        }),
    )
}

/// Everything about one notification.
pub fn notification_in_full(screen: Screen, row: &Value) -> String {
    let [id, at, event, target, notifier, state, attempts, last_error] = notification(row);
    let trace: Vec<_> = all(&row["trace"]).map(shown).collect();
    table::pairs(
        screen,
        [
            ("ID", id),
            ("At", at),
            ("Event", event),
            ("Target", target),
            ("Incident", field(row, "incident")),
            ("Cause", field(row, "cause")),
            ("Reason", field(row, "reason")),
            ("Notifier", notifier),
            ("State", state),
            ("Attempts", attempts),
            ("Last Error", last_error),
            ("Last Changed", field(row, "updated_at")),
            ("Trace", if trace.is_empty() { "-".to_owned() } else { trace.join("\n") }),
        ],
    )
}

fn notification(row: &Value) -> [String; 8] {
    let name = |who: &Value| if who["name"].is_null() { field(who, "id") } else { field(who, "name") };
    [
        field(row, "id"),
        field(row, "at"),
        field(row, "event"),
        name(&row["target"]),
        name(&row["notifier"]),
        field(row, "state"),
        field(row, "attempts"),
        field(row, "last_error"),
    ]
}

/// How much of these ids tells each from the others.
fn told_apart(ids: &[&str]) -> usize {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    let same = |(a, b): (&&str, &&str)| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count() + 1;
    sorted.iter().zip(sorted.iter().skip(1)).map(same).fold(ID_SHOWN, usize::max)
}

/// A share in percent, rounded down: only what is whole is 100.
fn percent(share: &Value) -> String {
    match share.as_f64() {
        Some(share) => format!("{:.2} %", (share * 10_000.0 + 1e-6).floor() / 100.0),
        None => "-".to_owned(),
    }
}

/// A moment as precisely as the entries of a history begin.
fn instant(entry: &Value, key: &str, by: &str) -> String {
    let instant = field(entry, key);
    match (by, instant.get(..10), instant.get(..16)) {
        ("day", Some(date), _) => date.to_owned(),
        (_, _, Some(minute)) => format!("{minute}Z"),
        _ => instant,
    }
}

fn seconds(at: &Value) -> Option<i64> {
    let at = humantime::parse_rfc3339(at.as_str()?).ok()?;
    i64::try_from(at.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs()).ok()
}

fn span(seconds: i64) -> String {
    humantime::format_duration(Duration::from_secs(seconds.unsigned_abs())).to_string()
}
