//! Shows the objects of the control socket to people.

use serde_json::Value;
use skypunch_actors::domain::text;

use super::table::{self, Screen};

/// All targets, a line each.
pub fn targets(screen: Screen, rows: &Value) -> String {
    let header = ["ID", "Name", "Status", "LastUpdated", "Enabled", "Pass Count", "Fail Count"];
    let columns = ["id", "name", "status", "last_updated", "enabled", "pass_count", "fail_count"];
    table::list(screen, &header, all(rows).map(|row| columns.map(|column| field(row, column)).into()))
}

/// All notifiers, a line each.
pub fn notifiers(screen: Screen, rows: &Value) -> String {
    let header = ["ID", "Name", "Type", "Address", "Enabled", "Pass Count", "Fail Count"];
    let columns = ["id", "name", "type", "address", "enabled", "pass_count", "fail_count"];
    table::list(screen, &header, all(rows).map(|row| columns.map(|column| field(row, column)).into()))
}

/// Everything about one target: what the program of 2013 showed, in its order, and then what is new.
pub fn target(screen: Screen, row: &Value) -> String {
    let columns = [
        ("ID", "id"),
        ("Name", "name"),
        ("Status", "status"),
        ("Enabled", "enabled"),
        ("Status Description", "status_description"),
        ("Last Updated", "last_updated"),
        ("Target URL", "url"),
        ("Target Method", "method"),
        ("Authentication", "authn"),
        ("Expected Value", "pass_result"),
        ("Frequency (sec)", "frequency"),
        ("Timeout (sec)", "timeout"),
        ("Pass Count", "pass_count"),
        ("Fail Count", "fail_count"),
        ("200 Status Count", "count200"),
        ("300 Status Count", "count300"),
        ("400 Status Count", "count400"),
        ("500 Status Count", "count500"),
        ("Network Fail Count", "network_fails"),
        ("Repeated Fail Count", "repeated_fails"),
        ("Cause", "cause"),
        ("Previous Status", "previous_status"),
        ("Authentication Parameters", "authn_parms"),
        ("Tenant ID", "tenantid"),
        ("Options", "options"),
    ];
    let results = [("Last Success", "last_success"), ("Last Failure", "last_failure")];
    let results = results.map(|(name, key)| (name, sighting(&row[key])));
    let incident = match &row["incident"] {
        Value::Null => "-".to_owned(),
        incident => {
            format!(
                "since {}, {} failed probes",
                field(incident, "started_at"),
                field(incident, "failed_probes")
            )
        }
    };
    let columns = columns.map(|(name, column)| (name, field(row, column)));
    table::pairs(screen, columns.into_iter().chain(results).chain([("Incident", incident)]))
}

/// Everything about one notifier.
pub fn notifier(screen: Screen, row: &Value) -> String {
    let columns = [
        ("ID", "id"),
        ("Name", "name"),
        ("Type", "type"),
        ("Enabled", "enabled"),
        ("Address", "address"),
        ("Parameters", "params"),
        ("Pass Count", "pass_count"),
        ("Fail Count", "fail_count"),
        ("Options", "options"),
    ];
    table::pairs(screen, columns.map(|(name, column)| (name, field(row, column))))
}

/// How the daemon is.
pub fn status(screen: Screen, status: &Value) -> String {
    let database = &status["database"];
    let journal = &status["journal"];
    let bytes = journal["bytes"].as_f64().unwrap_or_default();
    let targets = ["NEW", "PASS", "FAIL", "UNKNOWN"].map(|s| format!("{} {s}", field(&status["targets"], s)));
    let slots = ["done", "late", "skipped"].map(|s| format!("{} {s}", field(&status["slots"], s)));
    let load = match &status["overload"] {
        Value::Null => "within what this machine can do".to_owned(),
        overload => format!("overloaded: {} slots skipped within 10 s", field(overload, "slots_skipped")),
    };
    table::pairs(
        screen,
        [
            ("Version", field(status, "version")),
            ("Process", field(status, "pid")),
            ("Up Since", field(status, "started_at")),
            ("Database", format!("{}, {}", field(database, "backend"), presence(database))),
            ("Targets", targets.join(", ")),
            ("Probes per Second", field(status, "probes_per_s")),
            ("Slots", slots.join(", ")),
            ("Load", load),
            ("Results Waiting", field(status, "results_waiting")),
            ("Notifications Waiting", field(status, "notifications_waiting")),
            ("Journal", format!("{:.1} MiB, {}", bytes / f64::from(1 << 20), presence(journal))),
            ("Results Dropped", field(status, "results_dropped")),
        ],
    )
}

/// Whether something is there; if not, since when and why.
fn presence(part: &Value) -> String {
    match &part["since"] {
        Value::Null => field(part, "state"),
        _ => format!("{} since {}: {}", field(part, "state"), field(part, "since"), field(part, "reason")),
    }
}

/// A row in a sentence: `target home (id 1)`.
pub fn row(what: &str, row: &Value) -> String {
    format!("{what} {} (id {})", field(row, "name"), field(row, "id"))
}

/// What a probe found, in a line: `FAIL connection refused by 127.0.0.1:81 (connect, 0.2 ms)`.
pub fn verdict(seen: &Value) -> String {
    let cause = seen["cause"].as_str().map(|cause| format!("{cause}, ")).unwrap_or_default();
    let total = field(seen, "total_ms");
    format!("{} {} ({cause}{total} ms)", field(seen, "status"), field(seen, "reason"))
}

/// A result in a cell: when, what and why, and its trace.
fn sighting(seen: &Value) -> String {
    if seen.is_null() {
        return field(seen, "");
    }
    let cause = seen["cause"].as_str().map(|cause| format!("{cause}, ")).unwrap_or_default();
    let head =
        format!("{} {} ({cause}{} ms)", field(seen, "at"), field(seen, "reason"), field(seen, "total_ms"));
    let trace = all(&seen["trace"]).map(shown);
    std::iter::once(head).chain(trace).collect::<Vec<_>>().join("\n")
}

/// The elements of a list; none of what is no list.
pub fn all(rows: &Value) -> impl Iterator<Item = &Value> {
    rows.as_array().into_iter().flatten()
}

/// A field as one printable line.
pub fn field(row: &Value, key: &str) -> String {
    shown(&row[key])
}

/// A value as one printable line.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(value) => text::escape_controls(value).into_owned(),
        other => text::escape_controls(&other.to_string()).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PIPE: Screen = Screen { colours: false, width: None };

    fn home() -> Value {
        json!({
            "id": 1, "name": "home", "tenantid": "0", "status": "FAIL",
            "status_description": "connection refused by 127.0.0.1:81", "previous_status": "PASS",
            "last_updated": "2026-01-02T03:04:05.678Z", "url": "http://localhost:81/", "method": "GET",
            "authn": "BASIC", "authn_parms": "password=***,user=bob", "pass_result": "200", "frequency": 60,
            "timeout": 10, "pass_count": 12, "fail_count": 3, "count200": 12, "count300": 0, "count400": 1,
            "count500": 0, "network_fails": 2, "repeated_fails": 2, "enabled": true,
            "options": {"tags": ["a"]}, "cause": "connect",
            "last_success": {
                "at": "2026-01-02T03:03:05.678Z", "cause": null, "reason": "200 OK", "total_ms": 12.3,
                "trace": [
                    "03:03:05.678000 Connecting to http://localhost:81 ....",
                    "03:03:05.690300 Response [OK] 200 OK",
                ],
            },
            "incident": {"id": 1, "started_at": "2026-01-02T03:03:35.000Z", "failed_probes": 2},
            "last_failure": {
                "at": "2026-01-02T03:04:05.678Z", "cause": "connect",
                "reason": "connection refused by 127.0.0.1:81", "total_ms": 0.2,
                "trace": [
                    "03:04:05.678000 Connecting to http://localhost:81 ....",
                    "03:04:05.678200 Connection [FAIL] reason: connection refused by 127.0.0.1:81",
                ],
            },
        })
    }

    #[test]
    fn a_list_of_targets() {
        let forged = json!({
            "id": 2, "name": "shop\n| 3 | \u{1b}[32mforged | PASS |", "status": "NEW", "last_updated": null,
            "enabled": false, "pass_count": 0, "fail_count": 0,
        });
        let long = json!({
            "id": 1000, "name": "x".repeat(300), "status": "PASS", "last_updated": null,
            "enabled": true, "pass_count": 1, "fail_count": 0,
        });
        insta::assert_snapshot!(targets(PIPE, &json!([home(), forged, long])));
    }

    #[test]
    fn an_empty_list_is_its_header() {
        insta::assert_snapshot!(targets(PIPE, &json!([])));
    }

    #[test]
    fn the_details_of_a_target() {
        insta::assert_snapshot!(target(PIPE, &home()));
    }

    #[test]
    fn a_list_of_notifiers_and_the_details_of_one() {
        let ops = json!({
            "id": 1, "name": "ops", "type": "SMTP", "address": "ops@example.org",
            "params": "password=***,server=mail.example.org", "pass_count": 3, "fail_count": 1,
            "enabled": true, "options": null,
        });
        insta::assert_snapshot!(format!("{}{}", notifiers(PIPE, &json!([ops])), notifier(PIPE, &ops)));
    }

    #[test]
    fn the_status_of_the_daemon() {
        let mut daemon = json!({
            "version": "2.0.0", "pid": 4711, "started_at": "2026-01-02T03:04:05.000Z",
            "database": {"backend": "sqlite", "state": "up"},
            "targets": {"NEW": 0, "PASS": 997, "FAIL": 3, "UNKNOWN": 0}, "probes_per_s": 999.9,
            "slots": {"done": 123456, "late": 2, "skipped": 1}, "overload": null, "results_waiting": 12,
            "notifications_waiting": 0, "journal": {"bytes": 1_500_000, "state": "up"}, "results_dropped": 0,
        });
        let up = status(PIPE, &daemon);
        daemon["database"] = json!({
            "backend": "mysql", "state": "away", "since": "2026-01-02T03:04:05.000Z",
            "reason": "the database is not available: connection refused",
        });
        daemon["journal"] = json!({
            "bytes": 0, "state": "away", "since": "2026-01-02T03:04:05.000Z",
            "reason": "the journal failed: no space left on device",
        });
        daemon["overload"] = json!({"slots_skipped": 321});
        insta::assert_snapshot!(format!("{up}{}", status(PIPE, &daemon)));
    }

    #[test]
    fn a_verdict_is_a_line() {
        let seen = json!({"status": "PASS", "cause": null, "reason": "200 OK", "total_ms": 12.3});
        assert_eq!(verdict(&seen), "PASS 200 OK (12.3 ms)");
        let seen = json!({"status": "FAIL", "cause": "dns", "reason": "no such\nname", "total_ms": 1.0});
        assert_eq!(verdict(&seen), r"FAIL no such\nname (dns, 1.0 ms)");
    }

    #[test]
    fn colours_are_for_terminals() {
        let rows = json!([home()]);
        let screen = Screen { colours: true, width: Some(80) };
        assert!(
            targets(screen, &rows).contains("\u{1b}[38;5;9m FAIL"),
            "{}",
            targets(screen, &rows).escape_debug()
        );
        assert!(!targets(PIPE, &rows).contains('\u{1b}'));
    }

    #[test]
    fn a_terminal_that_does_not_know_its_width_is_taken_for_endless() {
        let wide = status(PIPE, &json!({"version": "2.0.0"}));
        assert_eq!(status(Screen { width: Some(0), ..PIPE }, &json!({"version": "2.0.0"})), wide);
        let narrow = status(Screen { width: Some(20), ..PIPE }, &json!({"version": "2.0.0"}));
        assert!(narrow.lines().all(|line| line.len() <= 20), "{narrow}");
    }
}
