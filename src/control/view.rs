//! Rows, results and states as the objects that people and programs read. No secret gets in here.

use serde_json::{Map, Value, json};
use skypunch_actors::{
    domain::{
        Incident, MASK, NotifierOptions, NotifierRow, Params, Secret, Sighting, Status, TargetOptions,
        TargetRow, TimingsMs, text,
    },
    persister::{Away, Persistence},
};
use time::{OffsetDateTime, UtcOffset, format_description::BorrowedFormatItem, macros::format_description};

/// The parameters of an authentication that are no secrets.
pub(super) const PUBLIC_AUTHN: [&str; 20] = [
    "applicationcredentialid",
    "client_id",
    "interface",
    "osauthendpoint",
    "projectdomain",
    "projectdomainid",
    "projectid",
    "projectname",
    "region",
    "scope",
    "service",
    "tenantid",
    "tenantname",
    "token_url",
    "user",
    "userdomain",
    "userdomainid",
    "userid",
    "username",
    "version",
];

/// What of a notifier's row is no secret; its kind knows.
#[derive(Clone, Debug, Default)]
pub struct Public {
    /// Whether its address is none, unless it is a URL: that may hold a token.
    pub address: bool,
    /// The parameters that are none.
    pub params: Vec<String>,
}

const RFC3339: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A time as the API shows it: RFC 3339, UTC, milliseconds.
pub fn timestamp(at: OffsetDateTime) -> String {
    at.to_offset(UtcOffset::UTC).format(RFC3339).expect("every time has a date and a time of day")
}

/// A row of `targets`, its keys the columns in their order.
pub fn target(row: &TargetRow) -> Map<String, Value> {
    let (definition, state, tally) = (&row.definition, &row.state, &row.state.tally);
    object(json!({
        "id": row.id.0,
        "name": definition.name,
        "tenantid": definition.tenantid,
        "status": state.status,
        "status_description": state.status_description,
        "previous_status": state.previous_status,
        "last_updated": state.last_updated.map(timestamp),
        "url": text::mask_userinfo(definition.url.expose()),
        "method": definition.method,
        "authn": definition.authn,
        "authn_parms": definition.authn_parms.as_ref().map(|parms| params(parms, &PUBLIC_AUTHN)),
        "pass_result": definition.pass_result,
        "frequency": definition.frequency,
        "timeout": definition.timeout,
        "pass_count": tally.pass_count,
        "fail_count": tally.fail_count,
        "count200": tally.count200,
        "count300": tally.count300,
        "count400": tally.count400,
        "count500": tally.count500,
        "network_fails": tally.network_fails,
        "repeated_fails": tally.repeated_fails,
        "enabled": definition.enabled,
        "options": options(definition.options.as_ref(), if_among(&TargetOptions::KEYS)),
        "cause": state.cause,
    }))
}

/// A row of `notifiers`.
pub fn notifier(row: &NotifierRow, public: &Public) -> Map<String, Value> {
    let definition = &row.definition;
    let names: Vec<&str> = public.params.iter().map(String::as_str).collect();
    object(json!({
        "id": row.id.0,
        "name": definition.name,
        "type": definition.kind,
        "address": address(public, definition.address.expose()),
        "params": params(&definition.params, &names),
        "pass_count": row.pass_count,
        "fail_count": row.fail_count,
        "enabled": definition.enabled,
        "options": options(definition.options.as_ref(), if_among(&NotifierOptions::KEYS)),
    }))
}

/// What one probe found.
pub fn sighting(seen: &Sighting) -> Map<String, Value> {
    let outcome = &seen.outcome;
    let mut shown = object(json!({
        "at": timestamp(seen.at),
        "cause": outcome.failure,
        "reason": outcome.reason,
        "http_status": outcome.http_status,
    }));
    shown.extend(object(json!(TimingsMs::from(outcome.timings))));
    shown.insert("trace".to_owned(), outcome.trace.lines().collect());
    shown
}

/// What a probe found that was made to try a target out.
pub fn verdict(seen: &Sighting) -> Map<String, Value> {
    let status = if seen.outcome.passed() { Status::Pass } else { Status::Fail };
    let mut shown = object(json!({ "status": status }));
    shown.extend(sighting(seen));
    shown
}

/// The incident that goes on.
pub fn incident(incident: &Incident) -> Map<String, Value> {
    object(json!({
        "id": incident.id,
        "started_at": timestamp(incident.started_at),
        "failed_probes": incident.failed_probes,
    }))
}

/// The state of the database.
pub fn database(persistence: &Persistence) -> Map<String, Value> {
    let mut shown = object(json!({ "backend": persistence.backend }));
    shown.extend(presence(persistence.away.as_ref()));
    shown
}

/// The state of the journal.
pub fn journal(persistence: &Persistence) -> Map<String, Value> {
    let mut shown = object(json!({ "bytes": persistence.journal_bytes }));
    shown.extend(presence(persistence.journal_away.as_ref()));
    shown
}

fn presence(away: Option<&Away>) -> Map<String, Value> {
    object(match away {
        None => json!({ "state": "up" }),
        Some(Away { since, reason }) => {
            json!({ "state": "away", "since": timestamp(*since), "reason": reason })
        }
    })
}

/// How many enabled targets there are of each status.
pub fn statuses(persistence: &Persistence) -> Map<String, Value> {
    Status::ALL.iter().zip(persistence.targets).map(|(s, n)| (s.as_str().to_owned(), n.into())).collect()
}

/// An object as a map.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => unreachable!("the views are made of object literals and structs"),
    }
}

/// What cannot be read may be a secret as a whole.
fn params(column: &Secret, public: &[&str]) -> String {
    Params::parse(column.expose()).map_or_else(|_| MASK.to_owned(), |params| params.masked(public))
}

/// A column of options, each shown as `show` says.
pub(super) fn options(column: Option<&Secret>, show: impl Fn(&str, Value) -> Value) -> Value {
    let text = column.map_or("", Secret::expose).trim();
    if text.is_empty() {
        return Value::Null;
    }
    match serde_json::from_str(text) {
        Ok(Value::Null) => Value::Null,
        Ok(Value::Object(options)) => options
            .into_iter()
            .map(|(key, value)| {
                let shown = show(&key, value);
                (key, shown)
            })
            .collect(),
        _ => MASK.into(),
    }
}

/// Shows the options of the core; any other may hold a secret.
fn if_among(known: &[&str]) -> impl Fn(&str, Value) -> Value {
    |key, value| if known.contains(&key) { value } else { MASK.into() }
}

/// The address of a notifier, as far as it is no secret.
pub(super) fn address(public: &Public, address: &str) -> String {
    if public.address && !address.contains("://") {
        return address.to_owned();
    }
    // A URL that cannot be read may hold its token anywhere.
    url::Url::parse(address)
        .ok()
        .and_then(|url| {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            Some(format!("{}://{}{port}/{MASK}", url.scheme(), url.host_str()?))
        })
        .unwrap_or_else(|| if address.is_empty() { String::new() } else { MASK.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use skypunch_actors::domain::{
        Cause, NotifierDefinition, NotifierId, Outcome, TargetDefinition, TargetId, TargetState, Timings,
        Trace,
    };
    use time::macros::datetime;

    use super::*;

    const PLANTED: &str = "hunter2";

    fn home() -> TargetRow {
        let definition = TargetDefinition::new("home", "https://example.org/");
        TargetRow { id: TargetId(1), definition, state: TargetState::default() }
    }

    fn of_mail() -> Public {
        Public { address: true, params: vec!["server".to_owned()] }
    }

    fn secret(text: &str) -> Option<Secret> {
        Some(Secret::new(text))
    }

    #[test]
    fn a_target_has_the_columns_of_its_table_in_their_order() {
        let mut row = home();
        row.definition.authn_parms = secret("user=bob,password=hunter2");
        row.definition.options = secret(r#"{"tags":["a"],"headers":{"x-key":"hunter2"}}"#);
        row.state.status = Status::Fail;
        row.state.cause = Some(Cause::Timeout);
        row.state.last_updated = Some(datetime!(2026-01-02 04:04:05.678_9 +1));
        insta::assert_snapshot!(serde_json::to_string_pretty(&target(&row)).unwrap());
    }

    #[test]
    fn a_notifier_has_the_columns_of_its_table_in_their_order() {
        let mut definition = NotifierDefinition::new("ops", "smtp", "ops@example.org");
        definition.params = Secret::new("server=mail.example.org,password=hunter2");
        definition.options = secret(r#"{"tls":{"ca_file":"x"}}"#);
        let row = NotifierRow { id: NotifierId(1), definition, pass_count: 3, fail_count: 1 };
        insta::assert_snapshot!(serde_json::to_string_pretty(&notifier(&row, &of_mail())).unwrap());
    }

    #[test]
    fn a_verdict_is_a_sighting_with_its_status() {
        let mut trace = Trace::new(datetime!(2026-01-02 03:04:05 UTC));
        trace.push(Duration::ZERO, "Connecting to http://localhost ....");
        let outcome = Outcome {
            http_status: Some(503),
            timings: Timings { total: Duration::from_micros(12_345), ..Timings::default() },
            trace,
            ..Outcome::fail(Cause::Status, "status 503, expected 200")
        };
        let seen = Sighting { at: datetime!(2026-01-02 03:04:05 UTC), outcome: Arc::new(outcome) };
        insta::assert_snapshot!(serde_json::to_string_pretty(&verdict(&seen)).unwrap());
    }

    #[test]
    fn no_view_of_a_target_shows_a_secret() {
        let mut row = home();
        row.definition.url = Secret::new("https://bob:hunter2@example.org/");
        for parms in [
            "hunter2",
            "password=hunter2",
            r#"{"password":"hunter2""#,
            r#"user=bob,password="hunter2"#,
            "osauthendpoint=https://bob:hunter2@keystone/v3,applicationcredentialsecret=hunter2",
        ] {
            row.definition.authn_parms = secret(parms);
            for options in [
                "hunter2",
                r#""hunter2""#,
                r#"["hunter2"]"#,
                r#"{"body":"hunter2"}"#,
                r#"{"a":{"b":"hunter2"}}"#,
            ] {
                row.definition.options = secret(options);
                let shown = Value::from(target(&row)).to_string();
                assert!(!shown.contains(PLANTED), "{shown}");
                assert!(shown.contains(MASK));
            }
        }
    }

    #[test]
    fn no_view_of_a_notifier_shows_a_secret() {
        let hidden = Public { address: false, ..of_mail() };
        for (public, address) in [
            (&hidden, "https://bob:hunter2@example.org/x"),
            (&hidden, "https://example.org/services/hunter2?token=hunter2"),
            (&hidden, "example.org/hunter2"),
            (&of_mail(), "https://example.org/hunter2"),
            (&Public::default(), "hunter2"),
        ] {
            let mut definition = NotifierDefinition::new("ops", "WEBHOOK", address);
            definition.params = Secret::new("secret=hunter2");
            definition.options = secret(r#"{"tls":"hunter2"}"#);
            let row = NotifierRow { id: NotifierId(1), definition, pass_count: 0, fail_count: 0 };
            let shown = Value::from(notifier(&row, public)).to_string();
            assert!(!shown.contains(PLANTED), "{shown}");
        }
    }

    #[test]
    fn an_address_is_shown_as_far_as_it_is_no_secret() {
        assert_eq!(address(&of_mail(), "a@example.org, b@example.org"), "a@example.org, b@example.org");
        assert_eq!(address(&Public::default(), ""), "");
        assert_eq!(
            address(&Public::default(), "https://example.org:8443/token"),
            "https://example.org:8443/***"
        );
    }

    #[test]
    fn a_database_that_is_away_says_since_when_and_why() {
        let away = Away { since: datetime!(2026-01-02 03:04:05 UTC), reason: "connection refused".into() };
        let mut state = Persistence {
            backend: "mysql",
            away: None,
            journal_away: Some(away.clone()),
            journal_bytes: 12_345,
            results_dropped: 0,
            results_waiting: 0,
            targets: [0, 3, 1, 0],
        };
        assert_eq!(Value::from(database(&state)), json!({"backend": "mysql", "state": "up"}));
        state.away = Some(away);
        assert_eq!(database(&state)["since"], "2026-01-02T03:04:05.000Z");
        assert_eq!((&journal(&state)["bytes"], &journal(&state)["state"]), (&json!(12_345), &json!("away")));
        assert_eq!(Value::from(statuses(&state)), json!({"NEW": 0, "PASS": 3, "FAIL": 1, "UNKNOWN": 0}));
    }
}
