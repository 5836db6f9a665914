//! What a notifier wants to be told, and when: the options of its row that hold for every kind.

use std::{str::FromStr, time::Duration};

use jiff::{Timestamp, civil, tz::TimeZone};
use serde::Deserialize;
use serde_json::Value;
use time::OffsetDateTime;

use super::{Alert, AlertTarget, Event, Fault, Secret};

/// The options that the core knows.
#[derive(Clone, Debug, Default)]
pub struct NotifierOptions {
    /// The events that are told; empty is all.
    events: Vec<Event>,
    /// Only targets that have one of these tags; empty is all.
    tags: Vec<String>,
    /// Only targets of these names; empty is all.
    targets: Vec<String>,
    /// How long a target must have failed.
    min_duration: Duration,
    /// When nothing is told.
    quiet_hours: Option<QuietHours>,
}

/// The options as they stand in the row.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Column {
    events: Option<Vec<Event>>,
    tags: Vec<String>,
    targets: Vec<String>,
    min_duration_s: u32,
    quiet_hours: Option<QuietColumn>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuietColumn {
    from: String,
    until: String,
    #[serde(default = "utc")]
    zone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

impl NotifierOptions {
    /// Their names.
    pub const KEYS: [&str; 5] = ["events", "tags", "targets", "min_duration_s", "quiet_hours"];

    /// Reads them from the column, which may have others that the kind knows.
    pub fn read(column: Option<&Secret>) -> Result<Self, Fault> {
        let text = column.map_or("", Secret::expose).trim();
        if text.is_empty() || text == "null" {
            return Ok(Self::default());
        }
        let fault = |problem: String| Fault::new("options", problem);
        // What is no JSON object at all is told by the kind.
        let Ok(value @ Value::Object(_)) = serde_json::from_str(text) else {
            return Ok(Self::default());
        };
        let Column { events, tags, targets, min_duration_s, quiet_hours } =
            serde_json::from_value(value).map_err(|_| {
                fault(
                    "events are FAIL, RECOVERY, REMINDER; tags and targets lists of texts; min_duration_s a whole \
                     number; quiet_hours {\"from\": \"22:00\", \"until\": \"07:00\", \"zone\": \"Europe/Zurich\"}"
                        .to_owned(),
                )
            })?;
        let nothing = events.as_ref().is_some_and(Vec::is_empty);
        let events = events.unwrap_or_default();
        if nothing {
            return Err(fault("events: is empty; leave it out to be told of all".to_owned()));
        }
        if !events.is_empty() && !events.contains(&Event::Fail) {
            return Err(fault(
                "events: only who is told of FAIL is told of RECOVERY and REMINDER".to_owned(),
            ));
        }
        let quiet_hours = quiet_hours.map(QuietHours::read).transpose().map_err(fault)?;
        let min_duration = Duration::from_secs(min_duration_s.into());
        Ok(Self { events, tags, targets, min_duration, quiet_hours })
    }

    /// Whether events of the target are told at all.
    pub fn wants(&self, event: Event, target: &AlertTarget) -> bool {
        let named = self.targets.is_empty() || self.targets.contains(&target.name);
        let tagged = self.tags.is_empty() || self.tags.iter().any(|tag| target.tags.contains(tag));
        let wanted = self.events.is_empty() || self.events.contains(&event) || event == Event::Test;
        named && tagged && wanted
    }

    /// When an event is told; `None` is never: a reminder that falls into quiet hours, or of a failure that is not
    /// told yet.
    pub fn told_at(&self, alert: &Alert) -> Option<OffsetDateTime> {
        match alert.event {
            Event::Fail => Some(self.failure_told_at(alert.at)),
            Event::Recovery => Some(self.quiet_until(alert.at)),
            Event::Reminder => {
                let failure = alert.incident.map(|incident| self.failure_told_at(incident.started_at));
                let is_due = failure.is_none_or(|failure| failure <= alert.at);
                (is_due && self.quiet_until(alert.at) == alert.at).then_some(alert.at)
            }
            Event::Test => Some(alert.at),
        }
    }

    fn failure_told_at(&self, began: OffsetDateTime) -> OffsetDateTime {
        self.quiet_until(began + self.min_duration)
    }

    /// The end of the quiet hours that `at` falls into, or `at`.
    fn quiet_until(&self, at: OffsetDateTime) -> OffsetDateTime {
        self.quiet_hours.as_ref().and_then(|quiet| quiet.end(at)).unwrap_or(at)
    }
}

/// Hours of the day, in a time zone.
#[derive(Clone, Debug)]
struct QuietHours {
    from: civil::Time,
    until: civil::Time,
    zone: TimeZone,
}

impl QuietHours {
    fn read(column: QuietColumn) -> Result<Self, String> {
        let QuietColumn { from, until, zone } = column;
        let time = |text: &str| {
            civil::Time::from_str(text).map_err(|_| "quiet_hours: a time is written 22:00".to_owned())
        };
        let (from, until) = (time(&from)?, time(&until)?);
        if from == until {
            return Err("quiet_hours: from and until are the same".to_owned());
        }
        let zone = TimeZone::get(&zone)
            .map_err(|_| "quiet_hours: zone is a name such as Europe/Zurich or UTC".to_owned())?;
        Ok(Self { from, until, zone })
    }

    /// When they end, if `at` falls into them.
    fn end(&self, at: OffsetDateTime) -> Option<OffsetDateTime> {
        let local = Timestamp::from_second(at.unix_timestamp()).ok()?.to_zoned_datetime(self.zone.clone());
        let (date, time) = (local.date(), local.time());
        let within = match self.from < self.until {
            true => self.from <= time && time < self.until,
            false => self.from <= time || time < self.until,
        };
        let last = if time < self.until { date } else { date.tomorrow().ok()? };
        // In autumn an hour comes twice: within its second time, that is the one meant.
        let ends = self.zone.to_ambiguous_zoned_datetime(last.to_datetime(self.until));
        let (first, second) = (ends.clone().compatible().ok()?, ends.later().ok()?);
        let ends = [first, second].map(|end| end.timestamp().as_second());
        let end = ends.into_iter().find(|end| *end > at.unix_timestamp())?;
        within.then(|| OffsetDateTime::from_unix_timestamp(end).ok())?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;
    use crate::domain::{Incident, Outcome, Status, Tally, TargetId};

    const NIGHT: &str = r#"{"quiet_hours": {"from": "22:00", "until": "07:00", "zone": "Europe/Zurich"}}"#;

    fn options(column: &str) -> NotifierOptions {
        NotifierOptions::read(Some(&Secret::new(column))).unwrap()
    }

    fn fault(column: &str) -> String {
        NotifierOptions::read(Some(&Secret::new(column))).unwrap_err().to_string()
    }

    fn target(name: &str, tags: &[&str]) -> AlertTarget {
        let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        let (url, method) = ("http://h/".to_owned(), "GET".to_owned());
        AlertTarget { id: TargetId(1), name: name.to_owned(), url, method, tags }
    }

    fn alert(event: Event, began: OffsetDateTime, at: OffsetDateTime) -> Alert {
        Alert {
            event,
            at,
            target: target("home", &[]),
            status: Status::Fail,
            previous_status: Status::Pass,
            incident: Some(Incident::begin(began, 1)),
            outcome: Arc::new(Outcome::pass("")),
            tally: Tally::default(),
        }
    }

    #[test]
    fn whom_and_what_an_operator_does_not_name_is_not_told() {
        let of_shop = options(r#"{"tags": ["shop"], "events": ["FAIL"]}"#);
        assert!(of_shop.wants(Event::Fail, &target("a", &["eu", "shop"])));
        assert!(!of_shop.wants(Event::Fail, &target("a", &["eu"])));
        assert!(!of_shop.wants(Event::Recovery, &target("a", &["shop"])));
        let of_home = options(r#"{"targets": ["home"]}"#);
        assert!(of_home.wants(Event::Recovery, &target("home", &[])));
        assert!(!of_home.wants(Event::Recovery, &target("shop", &[])));
        assert!(options("").wants(Event::Reminder, &target("x", &[])));
    }

    #[test]
    fn a_failure_is_told_once_it_has_lasted_and_reminded_of_after_that() {
        let patient = options(r#"{"min_duration_s": 300}"#);
        let began = datetime!(2026-01-02 12:00 UTC);
        let after = |seconds: i64| began + time::Duration::seconds(seconds);
        assert_eq!(patient.told_at(&alert(Event::Fail, began, began)), Some(after(300)));
        assert_eq!(patient.told_at(&alert(Event::Reminder, began, after(60))), None);
        assert_eq!(patient.told_at(&alert(Event::Reminder, began, after(600))), Some(after(600)));
    }

    #[test]
    fn what_falls_into_quiet_hours_is_told_at_their_end() {
        let night = options(NIGHT);
        let told = |event, at| night.told_at(&alert(event, at, at));
        // In winter, Zurich is an hour ahead.
        let (evening, morning) = (datetime!(2026-01-02 20:59:59 UTC), datetime!(2026-01-03 6:00 UTC));
        assert_eq!(told(Event::Fail, evening), Some(evening));
        assert_eq!(told(Event::Fail, datetime!(2026-01-02 21:00 UTC)), Some(morning));
        assert_eq!(told(Event::Fail, datetime!(2026-01-03 5:59:59 UTC)), Some(morning));
        assert_eq!(told(Event::Fail, morning), Some(morning));
        assert_eq!(told(Event::Reminder, datetime!(2026-01-03 1:00 UTC)), None);
        let recovery = alert(Event::Recovery, evening, datetime!(2026-01-03 1:00 UTC));
        assert_eq!(night.told_at(&recovery), Some(morning));
    }

    #[test]
    fn quiet_hours_are_those_of_the_wall_when_clocks_are_changed() {
        let night = options(NIGHT);
        // In the night to 29 March 2026, clocks go from 2 to 3.
        let at = datetime!(2026-03-28 22:00 UTC);
        assert_eq!(night.told_at(&alert(Event::Fail, at, at)), Some(datetime!(2026-03-29 5:00 UTC)));
        // In the night to 25 October, they go from 3 to 2, and half past two comes twice.
        let late =
            options(r#"{"quiet_hours": {"from": "01:00", "until": "02:30", "zone": "Europe/Zurich"}}"#);
        let told = |at| late.told_at(&alert(Event::Fail, at, at));
        assert_eq!(told(datetime!(2026-10-25 0:15 UTC)), Some(datetime!(2026-10-25 0:30 UTC)));
        assert_eq!(told(datetime!(2026-10-25 1:15 UTC)), Some(datetime!(2026-10-25 1:30 UTC)));
        let noon = options(r#"{"quiet_hours": {"from": "12:00", "until": "13:30"}}"#);
        let at = datetime!(2026-01-02 13:00 UTC);
        assert_eq!(noon.told_at(&alert(Event::Fail, at, at)), Some(datetime!(2026-01-02 13:30 UTC)));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        assert!(fault(r#"{"events": ["RECOVERY"]}"#).contains("only who is told of FAIL"));
        assert!(fault(r#"{"events": []}"#).contains("leave it out"));
        assert!(fault(r#"{"events": ["PASS"]}"#).contains("events are FAIL"));
        assert!(fault(r#"{"quiet_hours": {"from": "ten", "until": "07:00"}}"#).contains("written 22:00"));
        assert!(fault(r#"{"quiet_hours": {"from": "07:00", "until": "07:00"}}"#).contains("the same"));
        let mars = r#"{"quiet_hours": {"from": "22:00", "until": "07:00", "zone": "Mars/Olympus"}}"#;
        assert!(fault(mars).contains("zone is a name"));
        assert!(NotifierOptions::read(Some(&Secret::new(r#"{"template": "x"}"#))).is_ok());
    }

    proptest! {
        #[test]
        fn nothing_is_told_before_it_happened_nor_within_quiet_hours(second in 0i64..100_000_000) {
            let night = options(NIGHT);
            let at = datetime!(2026-01-01 0:00 UTC) + time::Duration::seconds(second);
            let told = night.told_at(&alert(Event::Fail, at, at)).unwrap();
            prop_assert!(told >= at && told - at <= time::Duration::hours(10));
            prop_assert_eq!(night.told_at(&alert(Event::Fail, told, told)), Some(told));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            drop(NotifierOptions::read(Some(&Secret::new(text))));
        }
    }
}
