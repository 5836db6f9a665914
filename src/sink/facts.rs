//! An alert as templates see it.

use serde::Serialize;
use skypunch_actors::domain::{Notification, milliseconds, text};
use time::OffsetDateTime;

use super::{
    http::rfc3339,
    message::{self, span},
};

/// The words of all events. A template is tried with each of them when it is read.
pub(super) const EVENTS: [&str; 4] = ["FAIL", "RECOVERY", "REMINDER", "TEST"];

/// What templates know of an alert: printable lines and numbers; what there is not is an empty text.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Facts {
    /// Of the notification; the same at each attempt.
    pub id: String,
    /// The same in every event of one incident.
    pub key: String,
    pub event: &'static str,
    /// What and why, in a line.
    pub title: String,
    /// What is known, a line each.
    pub text: String,
    /// Both, for receivers that have one field.
    pub message: String,
    pub target: TargetFacts,
    pub status: String,
    pub previous_status: String,
    pub cause: String,
    pub reason: String,
    pub http_status: String,
    pub total_ms: f64,
    pub trace: Vec<String>,
    /// When it happened.
    pub at: String,
    pub at_unix: i64,
    /// When the incident began.
    pub since: String,
    pub since_unix: i64,
    /// When the incident ended.
    pub until: String,
    /// How long the incident lasted, as people say it.
    pub lasted: String,
    /// The time of the attempt.
    pub now_unix: i64,
    pub now_unix_ms: i64,
}

/// What templates know of a target.
#[derive(Clone, Debug, Serialize)]
pub(super) struct TargetFacts {
    pub id: u64,
    pub name: String,
    pub url: String,
    pub method: String,
    pub tags: Vec<String>,
}

impl Facts {
    /// What an attempt at `now` tells.
    pub fn of(notification: &Notification, now: OffsetDateTime) -> Self {
        let alert = &*notification.alert;
        let (target, outcome) = (&alert.target, &*alert.outcome);
        let escaped = |text: &str| text::escape_controls(text).into_owned();
        let key = match alert.incident {
            Some(incident) => format!("skypunch-{}", incident.id),
            None => format!("skypunch-{}", notification.id),
        };
        let since = alert.incident.map_or(alert.at, |incident| incident.started_at);
        let ended = alert.incident.filter(|incident| incident.ended_at.is_some());
        let (title, lines) = (message::title(alert), message::brief(alert));
        let text = |lines: &[(&str, String)]| {
            let lines = lines.iter().map(|(label, value)| format!("{label}: {value}"));
            lines.collect::<Vec<_>>().join("\n")
        };
        // The title has the reason already.
        let message = format!("{title}\n{}", text(lines.get(1..).unwrap_or_default()));
        Self {
            id: notification.id.to_string(),
            key,
            event: alert.event.as_str(),
            text: text(&lines),
            message,
            title,
            target: TargetFacts {
                id: target.id.0,
                name: escaped(&target.name),
                url: escaped(&target.url),
                method: escaped(&target.method),
                tags: target.tags.iter().map(|tag| escaped(tag)).collect(),
            },
            status: alert.status.to_string(),
            previous_status: alert.previous_status.to_string(),
            cause: outcome.failure.map(|cause| cause.to_string()).unwrap_or_default(),
            reason: escaped(&outcome.reason),
            http_status: outcome.http_status.map(|status| status.to_string()).unwrap_or_default(),
            total_ms: milliseconds(outcome.timings.total),
            trace: outcome.trace.lines().collect(),
            at: rfc3339(alert.at),
            at_unix: alert.at.unix_timestamp(),
            since: rfc3339(since),
            since_unix: since.unix_timestamp(),
            until: ended.and_then(|incident| incident.ended_at).map(rfc3339).unwrap_or_default(),
            lasted: ended.map(|incident| span(incident.duration(now))).unwrap_or_default(),
            now_unix: now.unix_timestamp(),
            now_unix_ms: i64::try_from(now.unix_timestamp_nanos() / 1_000_000).unwrap_or_default(),
        }
    }

    /// An example of an event, full of what templates must cope with.
    pub fn example(event: &'static str) -> Self {
        let over = event == "RECOVERY";
        let test = event == "TEST";
        let (cause, reason) = match event {
            "RECOVERY" | "TEST" => ("", "200 OK"),
            _ => ("assertion", r#"body holds no `"up": true`, but </b> @here & {{ *this* }}"#),
        };
        let name = r#"Shop "EU" <!all> @everyone \ 東京"#;
        let ending = if over { " (was failing for 3 min 20 s)" } else { "" };
        let title = format!("{event} {name}: {reason}{ending}");
        let rest = "When: 2026-11-22 06:14:18 UTC\nURL: https://shop.example.org/a_b?c=d&e=<f>";
        Self {
            id: "019aaa3b-7c5d-7000-8000-000000000007".to_owned(),
            key: if test {
                "skypunch-019aaa3b-7c5d-7000-8000-000000000007"
            } else {
                "skypunch-1795327858000008"
            }
            .to_owned(),
            event,
            text: format!("Reason: {reason}\n{rest}"),
            message: format!("{title}\n{rest}"),
            title,
            target: TargetFacts {
                id: 8,
                name: name.to_owned(),
                url: "https://shop.example.org/a_b?c=d&e=<f>".to_owned(),
                method: "GET".to_owned(),
                tags: vec!["shop".to_owned(), r#"e"u"#.to_owned()],
            },
            status: if over || test { "PASS" } else { "FAIL" }.to_owned(),
            previous_status: if over { "FAIL" } else { "PASS" }.to_owned(),
            cause: cause.to_owned(),
            reason: reason.to_owned(),
            http_status: "200".to_owned(),
            total_ms: 12.3,
            trace: vec![
                "06:14:18.000000 Connecting to https://shop.example.org ....".to_owned(),
                r#"06:14:18.012300 Response "200" [OK]"#.to_owned(),
            ],
            at: "2026-11-22T06:14:18.000Z".to_owned(),
            at_unix: 1_795_328_058,
            since: if test { "2026-11-22T06:14:18.000Z" } else { "2026-11-22T06:10:58.000Z" }.to_owned(),
            since_unix: if test { 1_795_328_058 } else { 1_795_327_858 },
            until: if over { "2026-11-22T06:14:18.000Z" } else { "" }.to_owned(),
            lasted: if over { "3 min 20 s" } else { "" }.to_owned(),
            now_unix: 1_795_328_060,
            now_unix_ms: 1_795_328_060_250,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use serde_json::Value;
    use skypunch_actors::domain::Event;

    use super::*;

    /// The names of an object's fields, with those of the objects in it.
    fn names(value: &Value, before: &str) -> Vec<String> {
        let fields = value.as_object().into_iter().flatten();
        fields
            .flat_map(|(name, value)| match value {
                Value::Object(_) => names(value, &format!("{before}{name}.")),
                _ => vec![format!("{before}{name}")],
            })
            .collect()
    }

    #[test]
    fn templates_know_every_event() {
        for event in [Event::Fail, Event::Recovery, Event::Test] {
            assert!(EVENTS.contains(&event.as_str()));
        }
    }

    #[test]
    fn the_reference_knows_every_variable_and_no_other() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/notifiers.md");
        let reference = fs::read_to_string(path).unwrap();
        let (_, table) = reference.split_once("\n| variable | what |\n|---|---|\n").unwrap();
        let rows = table.lines().take_while(|line| line.starts_with("| `"));
        let cells = rows.filter_map(|row| row.split('|').nth(1));
        let mut told: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
        let facts = serde_json::to_value(Facts::example("FAIL")).unwrap();
        let mut known = names(&facts, "");
        told.sort_unstable();
        known.sort_unstable();
        assert_eq!(told, known);
    }
}
