//! The wording of an alert, the same for every sink: subject, plain text, HTML.

use std::time::Duration;

use minijinja::{Environment, syntax::SyntaxConfig, value::Serde};
use serde::Serialize;
use skypunch_actors::domain::{Alert, Event, Notification, Tally, Timings, milliseconds, text};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use super::{facts::Facts, own::Own};

/// The longest subject, in characters; the body has all of it.
const SUBJECT_MAX: usize = 200;

const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");

/// An alert as a mail. Nothing in it can break a line or a header: control characters are escaped.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// One line.
    pub subject: String,
    /// Lines short enough for a phone.
    pub text: String,
    /// The same as a page, for light and dark screens.
    pub html: String,
}

impl Message {
    /// Words an alert, as its notifier wants it.
    pub fn of(notification: &Notification, own: &Own) -> Self {
        let alert = &*notification.alert;
        // The time of the event, so that every attempt sends the same.
        let facts = own.word(Facts::of(notification, alert.at));
        let subject = match own.has_title() {
            true => text::cut(&facts.title, SUBJECT_MAX).into_owned(),
            false => text::cut(&format!("[skypunch] {}", facts.title), SUBJECT_MAX).into_owned(),
        };
        let view = match own.has_text() {
            true => View { lines: facts.text.lines().map(str::to_owned).collect(), ..View::head(alert) },
            false => View::of(alert),
        };
        Self {
            subject,
            text: render("message.txt", include_str!("message.txt"), &view),
            html: render("message.html", include_str!("message.html"), &view),
        }
    }
}

/// What happened to what, and why, in a line.
pub(super) fn title(alert: &Alert) -> String {
    let reason = &alert.outcome.reason;
    let failed_for = lasted(alert).map(|lasted| format!(" (was failing for {lasted})")).unwrap_or_default();
    let title = format!("{} {}: {reason}{failed_for}", alert.event.as_str(), alert.target.name);
    text::escape_controls(&title).into_owned()
}

/// What a small screen has room for: the reason, and then the rest.
pub(super) fn brief(alert: &Alert) -> Vec<(&'static str, String)> {
    const SHOWN: [&str; 7] = ["Reason", "Cause", "When", "Failed since", "Failed for", "URL", "Tags"];
    details(alert).into_iter().filter(|(label, _)| SHOWN.contains(label)).collect()
}

/// Renders a template; what ends in `.html` is escaped.
fn render(name: &str, template: &str, view: &View) -> String {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).build();
    environment.set_syntax(syntax.expect("these are the usual delimiters"));
    let rendered = environment.render_named_str(name, template, Serde(view));
    rendered.expect("the templates take every alert")
}

/// What the templates show.
#[derive(Serialize)]
struct View {
    event: &'static str,
    colour: &'static str,
    headline: String,
    /// A notifier's own text.
    lines: Vec<String>,
    sections: Vec<Section>,
    trace: Vec<String>,
}

#[derive(Serialize)]
struct Section {
    title: &'static str,
    rows: Vec<(&'static str, String)>,
}

impl View {
    /// Only what happened to what.
    fn head(alert: &Alert) -> Self {
        let name = text::escape_controls(&alert.target.name);
        let (colour, headline) = match alert.event {
            Event::Fail => ("#b3261e", format!("{name} fails")),
            Event::Recovery => ("#146c2e", format!("{name} works again")),
            Event::Test => ("#475569", format!("This is a test. Nothing happened to {name}")),
        };
        Self {
            event: alert.event.as_str(),
            colour,
            headline,
            lines: Vec::new(),
            sections: Vec::new(),
            trace: Vec::new(),
        }
    }

    fn of(alert: &Alert) -> Self {
        let sections = vec![
            Section { title: "Target", rows: details(alert) },
            Section { title: "Timings", rows: timings(alert.outcome.timings) },
            Section { title: "Statistics", rows: statistics(alert.tally) },
        ];
        Self { sections, trace: alert.outcome.trace.lines().collect(), ..Self::head(alert) }
    }
}

fn details(alert: &Alert) -> Vec<(&'static str, String)> {
    let Alert { target, outcome, .. } = alert;
    let escaped = |text: &str| text::escape_controls(text).into_owned();
    let since = alert.incident.filter(|_| alert.event == Event::Recovery);
    let status = match alert.status {
        status if status == alert.previous_status => status.to_string(),
        status => format!("{status} (was {})", alert.previous_status),
    };
    let rows = [
        ("Reason", Some(escaped(&outcome.reason))),
        ("Cause", outcome.failure.map(|cause| cause.to_string())),
        ("When", Some(moment(alert.at))),
        ("Failed since", since.map(|incident| moment(incident.started_at))),
        ("Failed for", lasted(alert)),
        ("Status", Some(status)),
        ("HTTP status", outcome.http_status.map(|status| status.to_string())),
        ("URL", Some(escaped(&target.url))),
        ("Method", Some(escaped(&target.method))),
        ("Name", Some(escaped(&target.name))),
        ("ID", Some(target.id.to_string())),
        ("Tags", Some(escaped(&target.tags.join(", ")))),
    ];
    let known = rows.into_iter().filter_map(|(label, value)| Some((label, value?)));
    known.filter(|(_, value)| !value.is_empty()).collect()
}

fn timings(timings: Timings) -> Vec<(&'static str, String)> {
    let phases = [
        ("DNS", timings.dns),
        ("Connect", timings.connect),
        ("TLS", timings.tls),
        ("First byte", timings.ttfb),
        ("Total", Some(timings.total)),
    ];
    let reached = phases.into_iter().filter_map(|(label, time)| Some((label, time?)));
    reached.map(|(label, time)| (label, format!("{:.1} ms", milliseconds(time)))).collect()
}

fn statistics(tally: Tally) -> Vec<(&'static str, String)> {
    let counters = [
        ("Passed", tally.pass_count),
        ("Failed", tally.fail_count),
        ("Failed in a row", tally.repeated_fails),
        ("Status 2xx", tally.count200),
        ("Status 3xx", tally.count300),
        ("Status 4xx", tally.count400),
        ("Status 5xx", tally.count500),
        ("No answer", tally.network_fails),
    ];
    counters.map(|(label, count)| (label, count.to_string())).into()
}

/// How long the incident was that a recovery ends.
fn lasted(alert: &Alert) -> Option<String> {
    let incident = alert.incident.filter(|_| alert.event == Event::Recovery)?;
    Some(span(incident.duration(alert.at)))
}

fn moment(at: OffsetDateTime) -> String {
    at.to_offset(time::UtcOffset::UTC).format(TIME).expect("every time has these parts")
}

/// A duration in its two largest units: `3 min 20 s`.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [("d", 86_400, u64::MAX), ("h", 3_600, 24), ("min", 60, 60), ("s", 1, 60)];
    let mut parts = units
        .map(|(unit, length, wrap)| (seconds / length % wrap, unit))
        .into_iter()
        .skip_while(|(count, _)| *count == 0);
    let largest = parts.next().map(|(count, unit)| format!("{count} {unit}"));
    let next = parts.next().filter(|(count, _)| *count > 0);
    match (largest, next) {
        (None, _) => "less than 1 s".to_owned(),
        (Some(largest), None) => largest,
        (Some(largest), Some((count, unit))) => format!("{largest} {count} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use skypunch_actors::domain::{
        AlertTarget, Cause, Incident, NotifierId, Outcome, Status, TargetDefinition, TargetId, Trace,
    };
    use time::macros::datetime;

    use super::*;

    const BEGAN: OffsetDateTime = datetime!(2026-11-22 06:10:58.061 UTC);

    fn target(name: &str) -> AlertTarget {
        let mut definition = TargetDefinition::new(name, "https://www.google.com/search?a=1&b=<2>");
        definition.options = Some(skypunch_actors::domain::Secret::new(r#"{"tags":["web","dmz"]}"#));
        AlertTarget::from(&definition.read(TargetId(8)).0)
    }

    fn outcome(failure: Option<Cause>, reason: &str) -> Outcome {
        let milliseconds = |ms| Some(Duration::from_millis(ms));
        let mut trace = Trace::new(BEGAN);
        trace.push(Duration::ZERO, "Connecting to https://www.google.com ....");
        trace.push(Duration::from_micros(2_345), format!("Response reason: {reason}"));
        Outcome {
            failure,
            timings: Timings {
                dns: milliseconds(1),
                connect: milliseconds(2),
                total: Duration::from_micros(3_450),
                ..Timings::default()
            },
            trace,
            ..Outcome::pass(reason)
        }
    }

    fn alert(event: Event, name: &str, outcome: Outcome) -> Alert {
        let incident = Incident::begin(BEGAN, 0);
        let recovered = BEGAN + Duration::from_secs(200);
        let (at, status, previous_status, incident) = match event {
            Event::Fail => (BEGAN, Status::Fail, Status::Pass, Some(incident)),
            Event::Recovery => (recovered, Status::Pass, Status::Fail, Some(incident.end(recovered))),
            Event::Test => (BEGAN, Status::Pass, Status::Pass, None),
        };
        let tally = Tally {
            pass_count: 120,
            fail_count: 3,
            count200: 120,
            network_fails: 3,
            repeated_fails: 3,
            ..Tally::default()
        };
        let (target, outcome) = (target(name), Arc::new(outcome));
        Alert { event, at, target, status, previous_status, incident, outcome, tally }
    }

    fn message(alert: Alert) -> Message {
        Message::of(&Notification::new(NotifierId(1), Arc::new(alert)), &Own::default())
    }

    fn failed() -> Alert {
        let outcome = outcome(Some(Cause::Connect), "connection refused by 127.0.0.1:81");
        alert(Event::Fail, "Google Dot COM", outcome)
    }

    fn recovered() -> Alert {
        let outcome = Outcome { http_status: Some(200), ..outcome(None, "200 OK") };
        alert(Event::Recovery, "Google Dot COM", outcome)
    }

    fn tried() -> Alert {
        alert(Event::Test, "Zürich 東京", Outcome { http_status: Some(200), ..outcome(None, "200 OK") })
    }

    #[test]
    fn the_subject_says_what_and_why() {
        let subject = |alert| message(alert).subject;
        assert_eq!(subject(failed()), "[skypunch] FAIL Google Dot COM: connection refused by 127.0.0.1:81");
        assert_eq!(
            subject(recovered()),
            "[skypunch] RECOVERY Google Dot COM: 200 OK (was failing for 3 min 20 s)"
        );
        assert_eq!(subject(tried()), "[skypunch] TEST Zürich 東京: 200 OK");
    }

    #[test]
    fn the_text_of_each_event() {
        insta::assert_snapshot!("text_fail", message(failed()).text);
        insta::assert_snapshot!("text_recovery", message(recovered()).text);
        insta::assert_snapshot!("text_test", message(tried()).text);
    }

    #[test]
    fn the_page_of_each_event() {
        insta::assert_snapshot!("html_fail", message(failed()).html);
        insta::assert_snapshot!("html_recovery", message(recovered()).html);
        insta::assert_snapshot!("html_test", message(tried()).html);
    }

    #[test]
    fn nothing_from_outside_breaks_a_line_or_the_page() {
        let evil = "<img src=x>\r\nBcc: eve@example.org\u{202e}\0";
        let outcome = Outcome { reason: evil.to_owned(), ..outcome(Some(Cause::Protocol), evil) };
        let honest = message(failed());
        let Message { subject, text, html } = message(alert(Event::Fail, evil, outcome));
        assert!(!subject.contains(char::is_control), "{subject:?}");
        assert_eq!(text.lines().count(), honest.text.lines().count());
        assert!(!html.contains("<img"), "{html}");
        assert_eq!(html.lines().count(), honest.html.lines().count());
    }

    #[test]
    fn an_own_wording_replaces_the_usual_one() {
        let template = serde_json::json!({"title": "{{ target.name }} <b>", "text": "1 < 2\n{{ reason }}"});
        let options = serde_json::json!({ "template": template });
        let own = Own::read(&mut crate::fields::Fields::of(options.as_object().unwrap()));
        let Message { subject, text, html } =
            Message::of(&Notification::new(NotifierId(1), Arc::new(failed())), &own);
        assert_eq!(subject, "Google Dot COM <b>");
        assert_eq!(text, "1 < 2\nconnection refused by 127.0.0.1:81\n");
        assert!(html.contains("1 &lt; 2\nconnection refused") && !html.contains("Timings"), "{html}");
    }

    #[test]
    fn what_a_small_screen_shows() {
        let brief = brief(&recovered());
        let labels: Vec<&str> = brief.iter().map(|(label, _)| *label).collect();
        assert_eq!(labels, ["Reason", "When", "Failed since", "Failed for", "URL", "Tags"]);
    }

    #[test]
    fn an_endless_name_leaves_a_readable_subject() {
        let subject = message(alert(Event::Fail, &"x".repeat(255), outcome(None, "y"))).subject;
        assert_eq!(subject.chars().count(), SUBJECT_MAX);
    }

    #[test]
    fn a_span_has_its_two_largest_units() {
        let span = |seconds| span(Duration::from_secs(seconds));
        assert_eq!(span(0), "less than 1 s");
        assert_eq!(span(59), "59 s");
        assert_eq!(span(120), "2 min");
        assert_eq!(span(200), "3 min 20 s");
        assert_eq!(span(3_601), "1 h");
        assert_eq!(span(90_000), "1 d 1 h");
        assert_eq!(span(86_400 * 400), "400 d");
    }
}
