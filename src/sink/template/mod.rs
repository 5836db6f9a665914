//! The kinds that are data: a TOML file each, in `conf/sinks/` and in the folder `notify.sinks_dir`.
//!
//! | file | what |
//! |---|---|
//! | `file` | what a file may say |
//! | `catalogue` | the files that are compiled in, and those of the operator |
//! | `kind` | a file that was read: its parameters, and how it sends |
//! | `recipe`, `write`, `style` | how a notification becomes a request |
//! | `answer` | what an answer means |
//! | `pace` | how often a credential is used |
//! | `fault` | what is wrong with a file, and where |
//!
//! - Redirects are not followed. No text shows a secret of the row, nor a part of its URLs.
//! - A request and the meaning of an answer are pure; only this module sends.
//!
//! # Design notes
//!
//! - 2026-11: a body is a text with holes, and not a tree of TOML: it reads like the receiver's own
//!   documentation, and the holes know where they are (`write`). That it is JSON is tried with every event
//!   when the file is read, and each time it is sent.

mod answer;
mod catalogue;
mod fault;
mod file;
mod kind;
mod pace;
mod recipe;
mod style;
#[cfg(test)]
mod tests;
mod write;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actix_http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use futures_util::future::LocalBoxFuture;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use skypunch_actors::{
    domain::{Fault, Notification, NotifierDefinition, Params, Secret, text},
    port::{Clock, Receipt, Sink, SinkBuilder, SinkError, Tracer},
};
use tokio::time::{Instant, sleep_until, timeout};

pub(super) use self::pace::Pacer;
use self::{
    answer::{Answer, Verdict},
    file::Judged,
    kind::{Kind, Transport},
    pace::Credential,
    recipe::{Draft, DraftError, Recipe, Values},
};
pub use self::{
    catalogue::Catalogue,
    fault::{FileFault, KindsError},
};
use super::{
    Sinks,
    facts::Facts,
    http::{self, ANSWER_WITHIN, show, transient},
    own::Own,
    smtp,
};
use crate::{
    fields::Fields,
    net::{Client, Progress},
    secret,
};

/// The most of an answer that is read, in bytes.
const ANSWER_MAX: usize = 64 * 1024;
/// The most of the answer to a question that is read, in bytes: a list of things.
const FOUND_MAX: usize = 4 * 1024 * 1024;
/// How long a body is waited for that decides.
const BODY_WITHIN: Duration = Duration::from_secs(20);

/// Reads a row of `kind`.
pub(super) fn prepare(
    sinks: &Sinks,
    kind: Arc<Kind>,
    definition: &NotifierDefinition,
    params: &Params,
    options: &mut Fields<'_>,
) -> Result<SinkBuilder, Vec<Fault>> {
    let given = kind.given(definition, params);
    if let Transport::Smtp(_) = kind.transport {
        let mail = |given| kind.smtp_params(&given).map_err(|problem| vec![Fault::new("params", problem)]);
        return match given.and_then(mail) {
            Ok(params) => smtp::prepare(sinks, definition, &params, options),
            Err(faults) => {
                // What is wrong with them is to be named as well.
                drop(Own::read(options));
                Err(faults)
            }
        };
    }
    let (own, client) = (Own::read(options), sinks.client(options));
    let given = given?;
    let credential = sinks.pacer.credential(kind.credential(&given));
    let (clock, pacer) = (Arc::clone(&sinks.clock), Arc::clone(&sinks.pacer));
    Ok(Box::new(move || Box::new(TemplateSink { kind, given, own, client, clock, pacer, credential })))
}

struct TemplateSink {
    kind: Arc<Kind>,
    /// The parameters as the row has them.
    given: BTreeMap<String, Secret>,
    own: Own,
    client: Client,
    clock: Arc<dyn Clock>,
    pacer: Arc<Pacer>,
    credential: Credential,
}

impl Sink for TemplateSink {
    fn deliver<'a>(
        &'a self,
        notification: &'a Notification,
    ) -> LocalBoxFuture<'a, Result<Receipt, SinkError>> {
        Box::pin(async move {
            let Transport::Http(recipe) = &self.kind.transport else {
                unreachable!("what is mail is sent as mail");
            };
            let values = self.resolve().await?;
            self.wait_for_turn(recipe).await?;
            let facts = self.own.word(Facts::of(notification, self.clock.now()));
            let found = match self.find(recipe, &facts, &values).await? {
                None => String::new(),
                Some(found) if found.is_empty() && recipe.is_done_without(facts.event) => {
                    return Ok(Receipt("there is nothing left to close".to_owned()));
                }
                Some(found) => found,
            };
            let mut draft = recipe.draft(&facts, &values, &found).map_err(|error| fails(&error))?;
            if !draft.body.is_empty() && !draft.headers.contains_key(CONTENT_TYPE) {
                draft.headers.insert(CONTENT_TYPE, HeaderValue::from_static(recipe.media_type()));
            }
            let within = if recipe.judge.needs_body() { BODY_WITHIN } else { ANSWER_WITHIN };
            let answered = self.exchange(recipe, draft, &values, ANSWER_MAX, within).await?;
            Ok(Receipt(answered.shown))
        })
    }
}

/// An answer that was no refusal.
struct Answered {
    body: Vec<u8>,
    shown: String,
}

impl TemplateSink {
    /// Finds the secrets that the row only names, each time: they may change.
    async fn resolve(&self) -> Result<Values, SinkError> {
        let mut values = Values::new();
        for (name, value) in &self.given {
            let column = if *name == self.kind.address { "address" } else { "params" };
            let resolved = secret::resolve_off_thread(value).await;
            let resolved =
                resolved.map_err(|error| transient(&format!("{column}: `{name}`: {error}"), None))?;
            let checked = self.kind.check_value(name, resolved.expose());
            checked.map_err(|problem| transient(&format!("{column}: `{name}` {problem}"), None))?;
            values.insert(name.clone(), resolved.expose().to_owned());
        }
        Ok(values)
    }

    async fn wait_for_turn(&self, recipe: &Recipe) -> Result<(), SinkError> {
        match self.pacer.take(self.credential, recipe.limits.rate, Instant::now()) {
            Ok(turn) => {
                sleep_until(turn).await;
                Ok(())
            }
            Err(wait) => {
                Err(transient("the receiver is told no more for now: its rate is limited", Some(wait)))
            }
        }
    }

    /// What the receiver calls the thing that this event is about: nothing, if there is none.
    async fn find(
        &self,
        recipe: &Recipe,
        facts: &Facts,
        values: &Values,
    ) -> Result<Option<String>, SinkError> {
        let Some(question) = recipe.question(facts, values) else {
            return Ok(None);
        };
        let (draft, path) = question.map_err(|error| fails(&error))?;
        let Answered { body, .. } = self.exchange(recipe, draft, values, FOUND_MAX, BODY_WITHIN).await?;
        let body: serde_json::Value = serde_json::from_slice(&body)
            .map_err(|_| transient("the receiver answered a question with what is no JSON", None))?;
        let found = path.query(&body).all().first().map(|found| match found {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        Ok(Some(found.unwrap_or_default()))
    }

    async fn exchange(
        &self,
        recipe: &Recipe,
        mut draft: Draft,
        values: &Values,
        max: usize,
        within: Duration,
    ) -> Result<Answered, SinkError> {
        let agent = HeaderValue::from_static(http::USER_AGENT);
        draft.headers.insert(USER_AGENT, agent);
        let secrets = self.secrets(values, &draft);
        let mut progress = Progress::new(Tracer::start(&self.clock));
        let answer = self.client.send(draft.request(), &mut progress).await;
        let answer = answer.map_err(|error| transient(&scrub(&error.to_string(), &secrets), None))?;
        let (status, line) = (answer.status.as_u16(), answer.status_line());
        let headers = text_headers(&answer.headers);
        let reading = timeout(within, answer.read(max, &mut progress));
        // What cannot be read is judged by its status as far as that goes.
        let body = reading.await.ok().and_then(Result::ok).unwrap_or_default();
        let answer = Answer { status, headers: &headers, body: &body };
        let Verdict { judged, retry_after, reason } = recipe.judge.judge(&answer, self.clock.now());
        let said = reason.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
        let shown = show(&line, &said, &secrets);
        match judged {
            Judged::Delivered => Ok(Answered { shown, body }),
            Judged::Refused => Err(SinkError::Permanent(format!("the receiver answered {shown}"))),
            Judged::Retry => {
                if let Some(until) = retry_after.and_then(|wait| Instant::now().checked_add(wait)) {
                    self.pacer.close(self.credential, until);
                }
                Err(transient(&format!("the receiver answered {shown}"), retry_after))
            }
        }
    }

    /// Whatever is secret in a request, in the ways that a receiver may repeat it; the longest first.
    fn secrets(&self, values: &Values, draft: &Draft) -> Vec<Secret> {
        let mut secrets = self.kind.secrets(values);
        let login = draft.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        secrets.extend(login.and_then(|login| login.rsplit(' ').next()).map(Secret::new));
        let encoded = |secret: &Secret| {
            let text = secret.expose();
            let json = serde_json::Value::from(text).to_string();
            [utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(), json.trim_matches('"').to_owned()]
        };
        let encoded: Vec<Secret> = secrets.iter().flat_map(encoded).map(Secret::new).collect();
        secrets.extend(encoded);
        secrets.retain(|secret| !secret.expose().is_empty());
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        secrets
    }
}

fn scrub(text: &str, secrets: &[Secret]) -> String {
    secrets
        .iter()
        .fold(text.to_owned(), |text, secret| text.replace(secret.expose(), skypunch_actors::domain::MASK))
}

/// A template that fails for what it was not tried with, or a value that cannot be sent.
fn fails(error: &DraftError) -> SinkError {
    SinkError::Permanent(text::reason(&format!("no request can be made of it: {error}")))
}

fn text_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let texts = headers.iter().filter_map(|(name, value)| Some((name, value.to_str().ok()?)));
    texts.map(|(name, value)| (name.as_str().to_owned(), value.to_owned())).collect()
}
