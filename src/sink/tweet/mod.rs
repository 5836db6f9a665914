//! `KIND` TWEET: posts to X, in the name of a user who allowed it (OAuth 1.0a).
//!
//! - 201 is delivered; 429 waits as long as `x-rate-limit-reset` says; 408 and 5xx are worth another attempt.
//!   Anything else is a refusal: 403 also where X saw the same text before, which is why the text tells the
//!   time.
//! - What is told fits: the reason is cut, and what happened to what stays. It mentions nobody but whom the row
//!   says.
//! - The four keys are in no text.

mod weight;

use std::{num::NonZero, sync::Arc};

use actix_http::{
    Method,
    header::{self, HeaderMap, HeaderValue},
};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use oauth1_request::{Builder, Credentials, HmacSha1};
use serde_json::{Value, json};
use skypunch_actors::{
    domain::{Fault, Notification, NotifierDefinition, Params, Secret, text},
    port::{Clock, Receipt, Sink, SinkBuilder, SinkError, Tracer},
};
use time::OffsetDateTime;
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    Sinks,
    facts::Facts,
    http::{ANSWER_WITHIN, USER_AGENT, retry_after, show, transient, wait_until_unix},
    manual::{Manual, ParamManual},
    own::Own,
};
use crate::{
    fields::Fields,
    net::{Client, Endpoint, Progress, Request},
    secret,
};

/// What the column `type` says.
pub(super) const KIND: &str = "TWEET";

/// The keys, in the order in which they are signed with.
const KEYS: [&str; 4] = ["consumer_key", "consumer_secret", "access_token", "access_token_secret"];
const ENDPOINT: &str = "endpoint";
const ENDPOINT_DEFAULT: &str = "https://api.x.com/2/tweets";
/// The most of an answer that is read, in bytes.
const ANSWER_MAX: usize = 16 * 1024;
/// What a name and an event may weigh, so that the reason has room.
const HEAD_MAX: usize = 120;
/// Follows what would mention somebody or be a tag.
const BREAK: char = '\u{200b}';

/// What people are told of the kind.
pub(super) fn manual() -> Manual {
    let param = ParamManual::new;
    let key = |name| param(name, "of the app and the user, with leave to write").required("…").secret();
    Manual {
        kind: KIND.to_owned(),
        title: "X (tweet)".to_owned(),
        docs: "https://docs.x.com/x-api/posts/create-post".to_owned(),
        note: "The clock of this machine must be right: X refuses what is signed minutes ago.".to_owned(),
        address: param("address", "a @handle to mention or a #tag; may be empty"),
        params: [
            vec![param(ENDPOINT, "where tweets are posted").default(ENDPOINT_DEFAULT)],
            KEYS.map(key).into(),
        ]
        .concat(),
    }
}

/// Reads a row, or names all that is wrong with it.
pub(super) fn prepare(
    sinks: &Sinks,
    definition: &NotifierDefinition,
    params: &Params,
    options: &mut Fields<'_>,
) -> Result<SinkBuilder, Vec<Fault>> {
    let (own, client) = (Own::read(options), sinks.client(options));
    let mut faults = Vec::new();
    let mut fault = |column, problem: String| faults.push(Fault::new(column, problem));
    for key in params.keys().filter(|key| !KEYS.contains(key) && *key != ENDPOINT) {
        let known = [&KEYS[..], &[ENDPOINT]].concat().join(", ");
        fault("params", format!("`{}` is not known: {known}", text::reason(&text::cut(key, 40))));
    }
    let keys = KEYS.map(|key| {
        let given = params.get(key).filter(|value| !value.expose().is_empty());
        if given.is_none() {
            fault("params", format!("`{key}` is missing"));
        }
        given.cloned().unwrap_or_default()
    });
    let endpoint = params.get(ENDPOINT).map_or(ENDPOINT_DEFAULT, Secret::expose);
    let endpoint = match Endpoint::parse(endpoint) {
        // A query would have to be signed as well.
        Ok(endpoint) if endpoint.url().query().is_some() => Err("may have no query".to_owned()),
        endpoint => endpoint.map_err(|error| error.to_string()),
    };
    let endpoint = endpoint.map_err(|problem| fault("params", format!("`{ENDPOINT}` {problem}"))).ok();
    let mention = match definition.address.expose().trim() {
        "" => String::new(),
        named if named.starts_with(['@', '#']) => named.to_owned(),
        handle => format!("@{handle}"),
    };
    if mention.chars().any(char::is_whitespace) || mention.chars().count() > 50 {
        fault("address", "must be one @handle or #tag, or empty".to_owned());
    }
    let (Some(endpoint), true) = (endpoint, faults.is_empty()) else {
        return Err(faults);
    };
    let clock = Arc::clone(&sinks.clock);
    Ok(Box::new(move || Box::new(TweetSink { client, clock, endpoint, keys, mention, own })))
}

struct TweetSink {
    client: Client,
    clock: Arc<dyn Clock>,
    endpoint: Endpoint,
    /// As the row has them: they may be named only.
    keys: [Secret; 4],
    mention: String,
    own: Own,
}

impl Sink for TweetSink {
    fn deliver<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> LocalBoxFuture<'a, Result<Receipt, SinkError>> {
        Box::pin(async move {
            let keys = self.resolve().await?;
            let now = self.clock.now();
            let tweet = compose(&Facts::of(notification, now), &self.own, &self.mention);
            let signature = sign(&self.endpoint, &keys, now, &Uuid::new_v4().simple().to_string());
            let request = request(&self.endpoint, &signature, &tweet)
                .ok_or_else(|| transient("params: a key holds what no header can carry", None))?;
            let mut progress = Progress::new(Tracer::start(&self.clock));
            let answer = self.client.send(request, &mut progress).await;
            let answer = answer.map_err(|error| transient(&error.to_string(), None))?;
            let (status, line) = (answer.status.as_u16(), answer.status_line());
            let reset = answer.headers.get("x-rate-limit-reset").and_then(|reset| reset.to_str().ok());
            let wait = reset.and_then(|reset| wait_until_unix(reset, now));
            let wait = wait.or_else(|| retry_after(&answer.headers, now));
            let reading = timeout(ANSWER_WITHIN, answer.read(ANSWER_MAX, &mut progress));
            // What cannot be read is not shown: the status has said it all.
            let body = reading.await.ok().and_then(Result::ok).unwrap_or_default();
            let shown = show(&line, &said(&body), keys.iter().chain([&Secret::new(signature)]));
            match status {
                200..=299 => Ok(Receipt(shown)),
                408 | 429 | 500.. => Err(transient(&format!("X answered {shown}"), wait)),
                401 => Err(SinkError::Permanent(format!(
                    "X answered {shown}; check the four keys, and the clock of this machine"
                ))),
                _ => Err(SinkError::Permanent(format!("X answered {shown}"))),
            }
        })
    }
}

impl TweetSink {
    /// Fails for now only: a key may be put right without a change of the row.
    async fn resolve(&self) -> Result<[Secret; 4], SinkError> {
        let mut keys = [const { None }; 4];
        for ((key, named), resolved) in KEYS.iter().zip(&self.keys).zip(&mut keys) {
            let found = secret::resolve_off_thread(named).await;
            *resolved = Some(found.map_err(|error| transient(&format!("params: `{key}`: {error}"), None))?);
        }
        Ok(keys.map(|key| key.expect("each was resolved")))
    }
}

/// The `Authorization` header of a request without parameters: a JSON body is not signed.
fn sign(endpoint: &Endpoint, keys: &[Secret; 4], now: OffsetDateTime, nonce: &str) -> String {
    let [consumer, consumer_secret, token, token_secret] = keys.each_ref().map(Secret::expose);
    let mut builder = Builder::<_, _>::new(Credentials::new(consumer, consumer_secret), HmacSha1::new());
    builder.token(Credentials::new(token, token_secret)).version(true).nonce(nonce);
    builder.timestamp(u64::try_from(now.unix_timestamp()).ok().and_then(NonZero::new));
    builder.post(endpoint.url(), &())
}

fn request(endpoint: &Endpoint, signature: &str, tweet: &str) -> Option<Request> {
    let mut headers = HeaderMap::with_capacity(3);
    headers.insert(header::AUTHORIZATION, HeaderValue::from_str(signature).ok()?);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    let body = Bytes::from(json!({ "text": tweet }).to_string());
    Some(Request::new(endpoint.clone(), Method::POST, headers, body))
}

/// What of an answer is for people.
fn said(body: &[u8]) -> String {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |pointer: &str| answer.pointer(pointer)?.as_str().map(str::to_owned);
    text("/detail")
        .or_else(|| text("/errors/0/message"))
        .or_else(|| text("/data/id").map(|id| format!("tweet {id}")))
        .unwrap_or_else(|| String::from_utf8_lossy(body).into_owned())
}

/// The text of a tweet.
fn compose(facts: &Facts, own: &Own, mention: &str) -> String {
    let mention = if mention.is_empty() { String::new() } else { format!(" {mention}") };
    let worded = own.word(facts.clone());
    if own.has_text() {
        return weight::fit(&quiet(&worded.text), |text| format!("{text}{mention}"));
    }
    let to_the_second = |time: &str| time.get(..19).unwrap_or(time).replace('T', " ");
    let time = to_the_second(&facts.at);
    if own.has_title() {
        return weight::fit(&quiet(&worded.title), |title| format!("{title} ({time} UTC){mention}"));
    }
    let lasted = match (facts.event, facts.lasted.as_str()) {
        ("REMINDER", _) => format!("failing since {}, ", to_the_second(&facts.since)),
        (_, "") => String::new(),
        (_, lasted) => format!("was failing for {lasted}, "),
    };
    let name = shorten(&quiet(&facts.target.name));
    weight::fit(&quiet(&facts.reason), |reason| {
        format!("{} {name}: {reason} ({lasted}{time} UTC){mention}", facts.event)
    })
}

/// Keeps a name from taking all the room.
fn shorten(name: &str) -> String {
    let mut kept = name.chars().count();
    let mut short = name.to_owned();
    while weight::weigh(&short) > HEAD_MAX {
        kept -= 1;
        short = name.chars().take(kept).chain(['…']).collect();
    }
    short
}

/// A text that mentions nobody, and is under no tag.
fn quiet(text: &str) -> String {
    let mut quiet = String::with_capacity(text.len());
    for c in text.chars() {
        quiet.push(c);
        if matches!(c, '@' | '＠' | '#' | '＃') {
            quiet.push(BREAK);
        }
    }
    quiet
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn usual(facts: &Facts, mention: &str) -> String {
        compose(facts, &Own::default(), mention)
    }

    #[test]
    fn a_tweet_says_what_happened_to_what_and_when() {
        let mut facts = Facts::example("FAIL");
        facts.target.name = "Google Dot COM".to_owned();
        facts.reason = "connection refused by 127.0.0.1:81".to_owned();
        assert_eq!(
            usual(&facts, ""),
            "FAIL Google Dot COM: connection refused by 127.0.0.1:81 (2026-11-22 06:14:18 UTC)"
        );
        facts = Facts { target: facts.target, reason: facts.reason, ..Facts::example("REMINDER") };
        assert_eq!(
            usual(&facts, ""),
            "REMINDER Google Dot COM: connection refused by 127.0.0.1:81 (failing since 2026-11-22 06:10:58, \
             2026-11-22 06:14:18 UTC)"
        );
        facts = Facts { target: facts.target, ..Facts::example("RECOVERY") };
        assert_eq!(
            usual(&facts, "@ops"),
            "RECOVERY Google Dot COM: 200 OK (was failing for 3 min 20 s, 2026-11-22 06:14:18 UTC) @ops"
        );
    }

    #[test]
    fn the_reason_is_cut_and_nobody_else_is_mentioned() {
        let mut facts = Facts::example("FAIL");
        facts.target.name = "京@all".repeat(60);
        facts.reason = "#fail @everyone https://example.org/ ".repeat(30);
        let tweet = usual(&facts, "#ops");
        assert!(tweet.starts_with("FAIL 京@\u{200b}all京"), "{tweet}");
        assert!(tweet.ends_with("… (2026-11-22 06:14:18 UTC) #ops"), "{tweet}");
        assert!(tweet.contains(": #\u{200b}fail @\u{200b}everyone"), "{tweet}");
        assert!(weight::weigh(&tweet) <= weight::MAX);
    }

    #[test]
    fn an_own_wording_fits_too() {
        let options = json!({"template": "{{ reason * 50 }}"});
        let own = Own::read(&mut Fields::of(options.as_object().unwrap()));
        let tweet = compose(&Facts::example("FAIL"), &own, "@ops");
        assert!(tweet.starts_with("body holds no") && tweet.ends_with("… @ops"), "{tweet}");
        assert!(weight::weigh(&tweet) <= weight::MAX);
    }

    #[test]
    fn the_signature_is_what_it_was_when_python_agreed() {
        let keys = ["a+/&=", "b c", "7-d", "e%"].map(Secret::new);
        let endpoint = Endpoint::parse(ENDPOINT_DEFAULT).unwrap();
        let signed = sign(&endpoint, &keys, datetime!(2026-11-22 06:14:18 UTC), "n0nce");
        insta::assert_snapshot!(signed.replace(',', ",\n"));
    }

    #[test]
    fn an_answer_is_told_in_its_own_words() {
        assert_eq!(said(br#"{"data":{"id":"7","text":"x"}}"#), "tweet 7");
        assert_eq!(said(br#"{"title":"Unauthorized","status":401,"detail":"Unauthorized"}"#), "Unauthorized");
        assert_eq!(said(br#"{"errors":[{"message":"text is too long"}]}"#), "text is too long");
        assert_eq!(said(b"<html>"), "<html>");
    }
}
