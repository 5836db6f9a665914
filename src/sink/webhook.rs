//! `KIND` WEBHOOK: posts the notification as JSON, signed as the Standard Webhooks specification has it.
//!
//! - The body is [`Body`]; the headers are `webhook-id`, `webhook-timestamp` and, with a `secret` in the
//!   params, `webhook-signature`.
//! - 2xx is delivered. 408, 429, 5xx and whatever keeps an answer from coming is worth another attempt,
//!   after `Retry-After` where the receiver says so; any other status is a refusal. Redirects are not
//!   followed.
//! - The URL may hold a token: no text shows it, nor any part of it that a receiver echoes.

use std::{sync::Arc, time::Duration};

use actix_http::{
    Method, StatusCode,
    header::{self, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use ring::hmac;
use serde::Serialize;
use skypunch_actors::{
    domain::{
        Alert, Cause, Event, Fault, Incident, Notification, NotifierDefinition, Params, Secret, Status,
        TimingsMs, text,
    },
    port::{Clock, Receipt, Sink, SinkBuilder, SinkError, Tracer},
};
use time::OffsetDateTime;
use tokio::time::timeout;

use super::{
    Sinks,
    http::{ANSWER_WITHIN, USER_AGENT, retry_after, rfc3339, show, tokens, transient},
    manual::{Manual, ParamManual},
};
use crate::{
    fields::Fields,
    net::{Client, Endpoint, EndpointError, Progress, Request},
    secret,
};

/// What the column `type` says.
pub(super) const KIND: &str = "WEBHOOK";

/// The most of an answer that is read, in bytes.
const ANSWER_MAX: usize = 4_096;
/// Before the base64 of a secret of the specification.
const SECRET_PREFIX: &str = "whsec_";

/// Reads a row, or names all that is wrong with it.
pub(super) fn prepare(
    sinks: &Sinks,
    definition: &NotifierDefinition,
    params: &Params,
    options: &mut Fields<'_>,
) -> Result<SinkBuilder, Vec<Fault>> {
    let client = sinks.client(options);
    let mut faults = Vec::new();
    let address = definition.address.expose();
    let endpoint = Endpoint::parse(address).map_err(|error| faults.push(address_fault(&error))).ok();
    for key in params.keys().filter(|key| *key != "secret") {
        faults.push(Fault::new("params", format!("`{}` is not known: secret", text::reason(key))));
    }
    let secret = params.get("secret").cloned();
    if let Some(Err(problem)) = secret.as_ref().map(key_of) {
        faults.push(Fault::new("params", problem));
    }
    let (Some(endpoint), true) = (endpoint, faults.is_empty()) else {
        return Err(faults);
    };
    let clock = Arc::clone(&sinks.clock);
    let tokens = tokens(address);
    Ok(Box::new(move || Box::new(WebhookSink { client, clock, endpoint, tokens, secret })))
}

/// What people are told of the kind.
pub(super) fn manual() -> Manual {
    let param = ParamManual::new;
    Manual {
        kind: KIND.to_owned(),
        title: "Webhook (JSON)".to_owned(),
        docs: "https://www.standardwebhooks.com".to_owned(),
        note: String::new(),
        address: param("address", "the URL").required("https://hooks.example.org/skypunch").secret(),
        params: vec![param("secret", "the key of the signature; without it, nothing is signed").secret()],
    }
}

fn address_fault(error: &EndpointError) -> Fault {
    let problem = match error {
        EndpointError::Userinfo => "holds credentials, which a webhook has no place for".to_owned(),
        error => error.to_string(),
    };
    Fault::new("address", problem)
}

struct WebhookSink {
    client: Client,
    clock: Arc<dyn Clock>,
    endpoint: Endpoint,
    /// Parts of the URL that are not shown.
    tokens: Vec<Secret>,
    secret: Option<Secret>,
}

impl Sink for WebhookSink {
    fn deliver<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> LocalBoxFuture<'a, Result<Receipt, SinkError>> {
        Box::pin(async move {
            let now = self.clock.now();
            let request = self.request(notification, now).await?;
            let mut progress = Progress::new(Tracer::start(&self.clock));
            let answer = self.client.send(request, &mut progress).await;
            let answer = answer.map_err(|error| transient(&error.to_string(), None))?;
            let (status, line) = (answer.status, answer.status_line());
            let retry_after = retry_after(&answer.headers, now);
            let reading = timeout(ANSWER_WITHIN, answer.read(ANSWER_MAX, &mut progress));
            // What cannot be read is not shown: the status has said it all.
            let body = reading.await.ok().and_then(Result::ok).unwrap_or_default();
            let said = String::from_utf8_lossy(&body);
            classify(status, show(&line, &said, &self.tokens), retry_after)
        })
    }
}

impl WebhookSink {
    async fn request(&self, notification: &Notification, now: OffsetDateTime) -> Result<Request, SinkError> {
        let body = json(notification, now);
        let id = notification.id.to_string();
        let timestamp = now.unix_timestamp().to_string();
        let mut headers = HeaderMap::with_capacity(6);
        let mut set = |name: &'static str, value: &str| {
            let value = HeaderValue::from_str(value).expect("digits and letters are fit for a header");
            headers.insert(HeaderName::from_static(name), value);
        };
        set("webhook-id", &id);
        set("webhook-timestamp", &timestamp);
        if let Some(secret) = &self.secret {
            let secret = secret::resolve_off_thread(secret).await;
            let secret = secret.map_err(|error| transient(&format!("params: secret: {error}"), None))?;
            let key = key_of(&secret).map_err(|problem| transient(&format!("params: {problem}"), None))?;
            set("webhook-signature", &sign(&key, &id, &timestamp, &body));
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        Ok(Request::new(self.endpoint.clone(), Method::POST, headers, Bytes::from(body)))
    }
}

/// The body of an attempt at `now`.
pub(super) fn json(notification: &Notification, now: OffsetDateTime) -> Vec<u8> {
    serde_json::to_vec(&Body::of(notification, now)).expect("texts and numbers are JSON")
}

/// A client error will not heal by itself; anything else may.
fn classify(
    status: StatusCode,
    answered: String,
    retry_after: Option<Duration>,
) -> Result<Receipt, SinkError> {
    let refusal = format!("the receiver answered {answered}");
    match status.as_u16() {
        200..=299 => Ok(Receipt(answered)),
        408 | 429 | 500.. => Err(transient(&refusal, retry_after)),
        _ => Err(SinkError::Permanent(refusal)),
    }
}

/// The key in a secret: base64 behind `whsec_`, any other text as it is. What is only named by `env:` or
/// `file:` passes until it is resolved.
fn key_of(secret: &Secret) -> Result<hmac::Key, String> {
    let bytes = match secret.expose().strip_prefix(SECRET_PREFIX) {
        Some(encoded) => BASE64_STANDARD
            .decode(encoded)
            .map_err(|_| format!("`secret` begins with {SECRET_PREFIX} and does not go on with base64"))?,
        None => secret.expose().as_bytes().to_vec(),
    };
    if bytes.is_empty() {
        return Err("`secret` is empty".to_owned());
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

fn sign(key: &hmac::Key, id: &str, timestamp: &str, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(key);
    context.update(format!("{id}.{timestamp}.").as_bytes());
    context.update(body);
    format!("v1,{}", BASE64_STANDARD.encode(context.sign()))
}

/// The public contract of this sink. A field may be added; none may be renamed.
#[derive(Debug, Serialize)]
struct Body<'a> {
    version: u8,
    id: String,
    sent_at: String,
    event: Event,
    at: String,
    target: TargetBody<'a>,
    status: Status,
    previous_status: Status,
    cause: Option<Cause>,
    reason: &'a str,
    incident: Option<IncidentBody>,
    result: ResultBody,
    trace: Vec<String>,
}

#[derive(Debug, Serialize)]
struct TargetBody<'a> {
    id: u64,
    name: &'a str,
    url: &'a str,
    method: &'a str,
    tags: &'a [String],
}

#[derive(Debug, Serialize)]
struct IncidentBody {
    id: u64,
    started_at: String,
    ended_at: Option<String>,
    duration_s: u64,
}

#[derive(Debug, Serialize)]
struct ResultBody {
    http_status: Option<u16>,
    #[serde(flatten)]
    timings: TimingsMs,
}

impl<'a> Body<'a> {
    fn of(notification: &'a Notification, now: OffsetDateTime) -> Self {
        let Alert { event, at, target, status, previous_status, incident, outcome, .. } =
            &*notification.alert;
        Self {
            version: 1,
            id: notification.id.to_string(),
            sent_at: rfc3339(now),
            event: *event,
            at: rfc3339(*at),
            target: TargetBody {
                id: target.id.0,
                name: &target.name,
                url: &target.url,
                method: &target.method,
                tags: &target.tags,
            },
            status: *status,
            previous_status: *previous_status,
            cause: outcome.failure,
            reason: &outcome.reason,
            incident: incident.as_ref().map(|incident| IncidentBody::of(incident, now)),
            result: ResultBody { http_status: outcome.http_status, timings: outcome.timings.into() },
            trace: outcome.trace.lines().collect(),
        }
    }
}

impl IncidentBody {
    fn of(incident: &Incident, now: OffsetDateTime) -> Self {
        Self {
            id: incident.id,
            started_at: rfc3339(incident.started_at),
            ended_at: incident.ended_at.map(rfc3339),
            duration_s: incident.duration(now).as_secs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use skypunch_actors::domain::{
        AlertTarget, NotifierId, Outcome, Tally, TargetDefinition, TargetId, Timings, Trace,
    };
    use time::macros::datetime;

    use super::*;

    const AT: OffsetDateTime = datetime!(2026-01-02 03:04:05.678 UTC);

    fn body(event: Event, incident: Option<Incident>) -> String {
        let mut definition = TargetDefinition::new("home", "https://example.org/");
        definition.options = Some(Secret::new(r#"{"tags":["web"]}"#));
        let mut trace = Trace::new(AT);
        trace.push(Duration::ZERO, "Connecting to https://example.org/ ....");
        let outcome = match event {
            Event::Fail => Outcome::fail(Cause::Timeout, "no answer within 3 s: resolving example.org"),
            _ => Outcome { http_status: Some(200), ..Outcome::pass("200 OK") },
        };
        let timings = Timings { total: Duration::from_micros(3_000_420), ..Timings::default() };
        let (status, previous_status) = match event {
            Event::Fail => (Status::Fail, Status::Pass),
            _ => (Status::Pass, Status::Fail),
        };
        let alert = Alert {
            event,
            at: AT,
            target: AlertTarget::from(&definition.read(TargetId(1)).0),
            status,
            previous_status,
            incident,
            outcome: Arc::new(Outcome { timings, trace, ..outcome }),
            tally: Tally::default(),
        };
        let notification = Notification {
            id: "019b7cc1-0d00-7000-8000-000000000007".parse().unwrap(),
            notifier: NotifierId(1),
            alert: Arc::new(alert),
        };
        serde_json::to_string_pretty(&Body::of(&notification, AT + Duration::from_secs(90))).unwrap()
    }

    #[test]
    fn the_body_of_each_event_is_as_promised() {
        let incident = Incident { id: 7, started_at: AT, ended_at: None, failed_probes: 1 };
        insta::assert_snapshot!("body_fail", body(Event::Fail, Some(incident)));
        let over = incident.end(AT + Duration::from_secs(60));
        insta::assert_snapshot!("body_recovery", body(Event::Recovery, Some(over)));
        insta::assert_snapshot!("body_test", body(Event::Test, None));
    }

    #[test]
    fn a_signature_is_the_one_of_the_specification() {
        // The example that the specification's own libraries are tested with.
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signature = sign(
            &key_of(&secret).unwrap(),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
