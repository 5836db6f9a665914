//! Shows what happened to people: the history of a target, its incidents, and notifications.

use std::{
    collections::BTreeMap,
    time::{Duration, UNIX_EPOCH},
};

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
        "Start", "Uptime", "Observed", "Done", "Late", "Skipped", "Failed", "Causes", "p50 ms", "p90 ms",
        "p99 ms", "Max ms",
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

/// A stretch in cells. Times are those of probes that passed.
fn stretch(start: String, entry: &Value) -> Vec<String> {
    if entry["done"] == 0 && entry["observed"] == 0.0 {
        let unseen = match [&entry["start"], &entry["end"]].map(seconds) {
            [Some(start), Some(end)] => format!("… nobody looked for {} …", span(end.saturating_sub(start))),
            _ => "… nobody looked …".to_owned(),
        };
        let cells =
            [&start, "UNKNOWN", &percent(&entry["observed"]), "", "", "", "", &unseen, "", "", "", ""];
        return cells.map(str::to_owned).into();
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
        let mut states: BTreeMap<String, usize> = BTreeMap::new();
        for told in all(&incident["notifications"]) {
            *states.entry(field(told, "state")).or_default() += 1;
        }
        let told: Vec<_> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
        vec![
            field(incident, "started_at"),
            end,
            span(incident["duration_s"].as_u64().unwrap_or_default()),
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
            cells[0] = cells[0].chars().take(length).collect();
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

fn seconds(at: &Value) -> Option<u64> {
    let at = humantime::parse_rfc3339(at.as_str()?).ok()?;
    Some(at.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

fn span(seconds: u64) -> String {
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PIPE: Screen = Screen { colours: false, width: None };

    fn entry(start: &str, end: &str, done: u64, failed: u64, observed: f64) -> Value {
        let uptime = (done > 0).then(|| (done - failed) as f64 / done as f64);
        let time = |ms: f64| (done > failed).then_some(ms);
        let causes = if failed > 0 { json!({"dns": 1, "timeout": failed - 1}) } else { json!({}) };
        json!({
            "start": start, "end": end, "uptime": uptime, "observed": observed, "expected": done + 1, "done": done,
            "late": 2, "skipped": 1, "passed": done - failed, "failed": failed, "causes": causes,
            "min_ms": time(1.0), "mean_ms": time(2.0), "p50_ms": time(2.5), "p90_ms": time(10.0),
            "p99_ms": time(99.9), "max_ms": time(1234.5),
        })
    }

    #[test]
    fn a_history_with_a_gap() {
        let told = json!({
            "target": {"id": 1, "name": "home"}, "by": "hour",
            "total": entry("2026-01-02T00:00:00.000Z", "2026-01-02T05:00:00.000Z", 3601, 2, 0.999_999),
            "entries": [
                entry("2026-01-02T00:00:00.000Z", "2026-01-02T01:00:00.000Z", 60, 0, 1.0),
                entry("2026-01-02T01:00:00.000Z", "2026-01-02T03:00:00.000Z", 0, 0, 0.0),
                entry("2026-01-02T03:00:00.000Z", "2026-01-02T04:00:00.000Z", 10, 10, 0.17),
                entry("2026-01-02T04:00:00.000Z", "2026-01-02T05:00:00.000Z", 0, 0, 1.0),
            ],
            "recent": [{"status": "PASS"}, {"status": "UNKNOWN"}, {"status": "FAIL"}, {"status": "PASS"}],
        });
        insta::assert_snapshot!(history(PIPE, &told));
    }

    #[test]
    fn a_history_by_the_day_of_which_no_result_is_left() {
        let day = entry("2026-01-02T00:00:00.000Z", "2026-01-03T00:00:00.000Z", 1440, 0, 1.0);
        let told = json!({"by": "day", "total": day, "entries": [day], "recent": []});
        insta::assert_snapshot!(history(PIPE, &told));
    }

    #[test]
    fn incidents_and_the_trace_of_the_newest() {
        let told = json!([
            {
                "id": 2, "started_at": "2026-01-02T03:04:05.678Z", "ended_at": null, "duration_s": 3700,
                "failed_probes": 62, "cause": "connect", "reason": "connection refused by 127.0.0.1:81",
                "trace": ["03:04:05.678000 Connecting to http://localhost:81 ....", "\u{1b}[31mforged"],
                "notifications": [{"state": "delivered"}, {"state": "pending"}, {"state": "delivered"}],
            },
            {
                "id": 1, "started_at": "2026-01-01T03:04:05.678Z", "ended_at": "2026-01-01T03:04:06.000Z",
                "duration_s": 0, "failed_probes": 1, "cause": "dns", "reason": "no such name",
                "trace": ["not shown"], "notifications": [],
            },
        ]);
        insta::assert_snapshot!(incidents(PIPE, &told));
        assert_eq!(incidents(PIPE, &json!([])).lines().count(), 4);
    }

    fn told(id: &str) -> Value {
        json!({
            "id": id, "at": "2026-01-02T03:04:05.678Z", "event": "FAIL", "target": {"id": 1, "name": "home"},
            "notifier": {"id": 1, "name": "ops"}, "incident": 7, "state": "refused", "attempts": 3,
            "last_error": "550 no such user", "updated_at": "2026-01-02T03:05:00.000Z", "cause": "dns",
            "reason": "no such name", "trace": ["03:04:05.678000 Connecting to http://localhost:81 ...."],
        })
    }

    #[test]
    fn a_list_of_notifications_and_the_details_of_one() {
        let mut gone = told("019b7d4f-1b3b-7000-8000-000000000003");
        gone["notifier"]["name"] = Value::Null;
        gone["target"] = Value::Null;
        let rows = json!([told("019b7d4f-1b3b-7000-8000-000000000001"), gone]);
        insta::assert_snapshot!(format!(
            "{}{}",
            notifications(PIPE, &rows),
            notification_in_full(PIPE, &rows[0])
        ));
    }

    #[test]
    fn ids_are_shown_as_far_as_it_takes_to_tell_them_apart() {
        let same = "019b7d4f-1b3b-7000-8000-00000000000";
        assert_eq!(told_apart(&[]), 18);
        assert_eq!(
            told_apart(&["019b7d4f-1b3b-7000-8000-000000000001", "019b7d4f-1b3b-7001-8000-000000000001"]),
            18
        );
        assert_eq!(told_apart(&[&format!("{same}1"), "019c", &format!("{same}2")]), 36);
    }

    #[test]
    fn a_share_is_whole_only_if_nothing_is_missing() {
        let shown = |share| percent(&json!(share));
        assert_eq!(
            [shown(1.0), shown(0.999_999), shown(0.29), shown(0.0)],
            ["100.00 %", "99.99 %", "29.00 %", "0.00 %"]
        );
        assert_eq!(percent(&Value::Null), "-");
    }
}
