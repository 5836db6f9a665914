//! A target: its row, what it says, and what is wrong with it.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::{Cause, Fault, Incident, Secret, Status, Tally, Thresholds, text};

/// The longest name, in characters.
pub const NAME_MAX: usize = 255;
/// The longest URL, in characters.
pub const URL_MAX: usize = 2_048;
/// The longest of the other texts of a row, in characters.
pub const TEXT_MAX: usize = 65_535;
/// The range of `frequency`, in seconds: up to 31 days.
pub const FREQUENCY: std::ops::RangeInclusive<i64> = 1..=2_678_400;
/// The range of `timeout`, in seconds.
pub const TIMEOUT: std::ops::RangeInclusive<i64> = 1..=3_600;

/// The shortest `retry_interval_ms`.
const RETRY_INTERVAL_MIN_MS: u64 = 100;

/// The id of a row of `targets`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct TargetId(pub u64);

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The columns that operators own, just as they stand in the row.
///
/// Stores cut each text one character above its limit, so that an endless one costs little and is
/// still seen to be too long.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TargetDefinition {
    /// `name`
    pub name: String,
    /// `tenantid`
    pub tenantid: String,
    /// `url`; may hold credentials by mistake, so print [`Target::url`] instead.
    pub url: Secret,
    /// `method`
    pub method: String,
    /// `authn`
    pub authn: String,
    /// `authn_parms`
    pub authn_parms: Option<Secret>,
    /// `pass_result`
    pub pass_result: String,
    /// `frequency`, in seconds
    pub frequency: i64,
    /// `timeout`, in seconds
    pub timeout: i64,
    /// `enabled`
    pub enabled: bool,
    /// `options`, a JSON object
    pub options: Option<Secret>,
}

impl TargetDefinition {
    /// A definition with the defaults of the schema.
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            tenantid: "0".to_owned(),
            url: Secret::new(url),
            method: "GET".to_owned(),
            authn: "NONE".to_owned(),
            authn_parms: None,
            pass_result: "200".to_owned(),
            frequency: 60,
            timeout: 10,
            enabled: true,
            options: None,
        }
    }

    /// Reads the row as the target `id`, with all that is wrong with it.
    ///
    /// The target is complete even then: it is named in the log, and alerts are routed by it.
    pub fn read(&self, id: TargetId) -> (Target, Vec<Fault>) {
        let mut faults = Vec::new();
        check_name(&self.name, &mut faults);
        check_length("url", self.url.expose(), URL_MAX, &mut faults);
        check_length("tenantid", &self.tenantid, NAME_MAX, &mut faults);
        check_length("method", &self.method, NAME_MAX, &mut faults);
        check_length("authn", &self.authn, NAME_MAX, &mut faults);
        check_length("pass_result", &self.pass_result, NAME_MAX, &mut faults);
        for (column, value) in [("authn_parms", &self.authn_parms), ("options", &self.options)] {
            let value = value.as_ref().map_or("", Secret::expose);
            check_length(column, value, TEXT_MAX, &mut faults);
        }
        let frequency = seconds("frequency", self.frequency, FREQUENCY, &mut faults);
        let timeout = seconds("timeout", self.timeout, TIMEOUT, &mut faults);
        let options = TargetOptions::read(self.options.as_ref()).unwrap_or_else(|fault| {
            faults.push(fault);
            TargetOptions::default()
        });
        let target = Target {
            id,
            name: text::cut(&self.name, NAME_MAX).into_owned(),
            url: text::cut(&text::mask_userinfo(self.url.expose()), URL_MAX).into_owned(),
            method: text::cut(&self.method, NAME_MAX).to_uppercase(),
            frequency,
            timeout,
            options,
        };
        (target, faults)
    }
}

/// A row of `targets`.
#[derive(Clone, Debug)]
pub struct TargetRow {
    /// `id`
    pub id: TargetId,
    /// What operators own.
    pub definition: TargetDefinition,
    /// What the daemon owns.
    pub state: TargetState,
}

/// The columns that the daemon owns.
#[derive(Clone, Debug, Default)]
pub struct TargetState {
    /// `status`
    pub status: Status,
    /// `status_description`: the reason of the last result.
    pub status_description: String,
    /// `cause` of the last result; `None` is a pass.
    pub cause: Option<Cause>,
    /// `previous_status`: the status before the last edge.
    pub previous_status: Status,
    /// `last_updated`
    pub last_updated: Option<OffsetDateTime>,
    /// The counters.
    pub tally: Tally,
    /// The incident that goes on now, from the daemon's own table.
    pub incident: Option<Incident>,
}

/// A target as everybody but its prober needs it.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its row.
    pub id: TargetId,
    /// Its name, not escaped.
    pub name: String,
    /// Its URL without credentials, not escaped.
    pub url: String,
    /// Its method, in upper case.
    pub method: String,
    /// The time between two probes.
    pub frequency: Duration,
    /// The longest that a probe may take.
    pub timeout: Duration,
    /// The options that the core knows, and those of its kind.
    pub options: TargetOptions,
}

/// The `options` column.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct TargetOptions {
    /// Words that alerts carry.
    pub tags: Vec<String>,
    /// The names of the notifiers that are told; empty is all.
    pub notify: Vec<String>,
    /// Failing probes in a row before the status is `FAIL`.
    pub failure_threshold: Option<u32>,
    /// Passing probes in a row before the status is `PASS`.
    pub success_threshold: Option<u32>,
    /// How soon a failure is looked at again until it is confirmed.
    pub retry_interval_ms: Option<u64>,
    /// How often people are reminded while it fails; 0 is never.
    pub reminder_interval_s: u64,
    /// What the core does not know: the options of the probe's kind, which refuses those it does not.
    #[serde(flatten)]
    pub of_kind: Map<String, Value>,
}

impl TargetOptions {
    /// The options that the core knows.
    pub const KEYS: [&str; 6] = [
        "tags",
        "notify",
        "failure_threshold",
        "success_threshold",
        "retry_interval_ms",
        "reminder_interval_s",
    ];

    fn read(column: Option<&Secret>) -> Result<Self, Fault> {
        let text = column.map_or("", Secret::expose).trim();
        if text.is_empty() || text == "null" {
            return Ok(Self::default());
        }
        let fault = |problem| Fault::new("options", problem);
        let value: Value = serde_json::from_str(text)
            .map_err(|e| fault(format!("not JSON (line {}, column {})", e.line(), e.column())))?;
        if !value.is_object() {
            return Err(fault("must be a JSON object".to_owned()));
        }
        let options: Self = serde_json::from_value(value).map_err(|_| {
            fault(
                "tags and notify are lists of texts; failure_threshold, success_threshold, retry_interval_ms and \
                 reminder_interval_s whole numbers"
                    .to_owned(),
            )
        })?;
        if [options.failure_threshold, options.success_threshold].contains(&Some(0)) {
            return Err(fault("failure_threshold and success_threshold must be at least 1".to_owned()));
        }
        if options.retry_interval_ms.is_some_and(|ms| ms < RETRY_INTERVAL_MIN_MS) {
            return Err(fault(format!("retry_interval_ms must be at least {RETRY_INTERVAL_MIN_MS}")));
        }
        Ok(options)
    }

    /// The thresholds of the status.
    pub fn thresholds(&self) -> Thresholds {
        let default = Thresholds::default();
        Thresholds {
            failure: self.failure_threshold.unwrap_or(default.failure),
            success: self.success_threshold.unwrap_or(default.success),
        }
    }
}

/// Names are chosen by people and shown in tables and lines.
pub(super) fn check_name(name: &str, faults: &mut Vec<Fault>) {
    if name.trim().is_empty() {
        faults.push(Fault::new("name", "is empty"));
    }
    check_length("name", name, NAME_MAX, faults);
}

pub(super) fn check_length(column: &'static str, text: &str, max: usize, faults: &mut Vec<Fault>) {
    if text.len() > max && text.chars().nth(max).is_some() {
        faults.push(Fault::new(column, format!("is longer than {max} characters")));
    }
}

/// Takes the nearest allowed number where the row has none, so that the target is complete.
fn seconds(
    column: &'static str,
    value: i64,
    allowed: std::ops::RangeInclusive<i64>,
    faults: &mut Vec<Fault>,
) -> Duration {
    if !allowed.contains(&value) {
        let (min, max) = (allowed.start(), allowed.end());
        faults.push(Fault::new(column, format!("{value} is not allowed: {min} to {max} seconds")));
    }
    let nearest = value.clamp(*allowed.start(), *allowed.end());
    Duration::from_secs(nearest.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn faults(change: impl FnOnce(&mut TargetDefinition)) -> String {
        let mut definition = TargetDefinition::new("home", "https://example.org/");
        change(&mut definition);
        Fault::join(&definition.read(TargetId(1)).1)
    }

    #[test]
    fn the_defaults_of_the_schema_are_a_target() {
        assert_eq!(faults(|_| ()), "");
    }

    #[test]
    fn each_way_to_be_wrong_is_named() {
        assert_eq!(faults(|d| d.name = " ".into()), "name: is empty");
        assert_eq!(faults(|d| d.name = "x".repeat(256)), "name: is longer than 255 characters");
        assert_eq!(faults(|d| d.frequency = 0), "frequency: 0 is not allowed: 1 to 2678400 seconds");
        assert_eq!(faults(|d| d.timeout = -1), "timeout: -1 is not allowed: 1 to 3600 seconds");
        let options = |json: &str| faults(|d| d.options = Some(Secret::new(json)));
        assert_eq!(options("{"), "options: not JSON (line 1, column 1)");
        assert_eq!(options("[]"), "options: must be a JSON object");
        assert!(options(r#"{"failure_threshold":0}"#).contains("at least 1"));
        assert!(options(r#"{"tags":"x"}"#).contains("lists of texts"));
    }

    #[test]
    fn options_of_the_kind_are_kept_for_its_prober() {
        let mut definition = TargetDefinition::new("home", "https://example.org/");
        definition.options = Some(Secret::new(r#"{"tags":["a"],"body":"x"}"#));
        let (target, faults) = definition.read(TargetId(1));
        assert!(faults.is_empty());
        assert_eq!(target.options.tags, ["a"]);
        assert_eq!(target.options.of_kind.keys().collect::<Vec<_>>(), ["body"]);
    }

    #[test]
    fn credentials_in_the_url_are_not_shown() {
        let definition = TargetDefinition::new("home", "https://bob:hunter2@example.org/");
        assert_eq!(definition.read(TargetId(1)).0.url, "https://***@example.org/");
        assert!(!format!("{definition:?}").contains("hunter2"));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        let key = "tags|notify|failure_threshold|success_threshold|[a-z]{1,3}";
        leaf.prop_recursive(3, 16, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(key, inner, 0..4)
                    .prop_map(|object| Value::Object(object.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_text_is_options_or_a_fault(text: String) {
            drop(faults(|d| d.options = Some(Secret::new(text))));
        }

        #[test]
        fn any_json_is_options_or_a_fault_and_the_target_is_complete(value in json()) {
            let mut definition = TargetDefinition::new("home", "https://example.org/");
            definition.options = Some(Secret::new(value.to_string()));
            let (target, faults) = definition.read(TargetId(1));
            prop_assert!(faults.len() <= 1);
            prop_assert!(target.options.thresholds().failure >= 1);
            prop_assert!(target.options.thresholds().success >= 1);
        }
    }
}
