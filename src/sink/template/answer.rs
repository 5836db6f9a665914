//! What an answer means: pure, and told by the file of the kind.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use serde_json_path::JsonPath;
use skypunch_actors::domain::PassResult;
use time::OffsetDateTime;
use toml::Spanned;

use super::{
    fault::Faults,
    file::{AnswerFile, Example, Judged, WaitFile},
};
use crate::sink::http::{wait_until, wait_until_unix};

/// Judges answers.
pub(super) struct Judge {
    delivered: PassResult,
    retry: PassResult,
    field: Option<JsonPath>,
    delivered_if: Vec<Value>,
    retry_if: Vec<Value>,
    reason: Option<JsonPath>,
    wait: Option<Wait>,
}

enum Wait {
    Header(String),
    Epoch(String),
    /// A field of so many a second.
    Json(JsonPath, f64),
}

/// An answer, as far as it is judged.
pub(super) struct Answer<'a> {
    pub status: u16,
    /// By their names in lower case.
    pub headers: &'a BTreeMap<String, String>,
    /// As far as it came.
    pub body: &'a [u8],
}

/// What is made of an answer.
#[derive(Debug, PartialEq)]
pub(super) struct Verdict {
    pub judged: Judged,
    pub retry_after: Option<Duration>,
    /// What the receiver says, where it says it in a field.
    pub reason: Option<String>,
}

impl Judge {
    pub fn read(file: &AnswerFile, faults: &mut Faults) -> Option<Self> {
        if file.field.is_none() && !(file.delivered_if.is_empty() && file.retry_if.is_empty()) {
            faults.whole("answer: `delivered_if` and `retry_if` are values of a `field`, which is missing");
        }
        if let (Some(field), true) = (&file.field, file.delivered_if.is_empty()) {
            faults.at(field.span(), "answer: `field` needs a list `delivered_if`");
        }
        let delivered = statuses("delivered", &file.delivered, faults);
        let retry = statuses("retry", &file.retry, faults);
        let mut path = |name: &str, path: &Option<Spanned<String>>| match path {
            Some(path) => parse_path(name, path.get_ref(), path.span(), faults).map(Some),
            None => Some(None),
        };
        let field = path("field", &file.field);
        let reason = path("reason", &file.reason);
        let wait = match file.retry_after.as_ref().map(|said| (said.get_ref(), said.span())) {
            None => Some(None),
            Some((WaitFile::Header(name), _)) => Some(Some(Wait::Header(name.to_lowercase()))),
            Some((WaitFile::Epoch(name), _)) => Some(Some(Wait::Epoch(name.to_lowercase()))),
            Some((WaitFile::Json(path), span)) => {
                parse_path("retry_after", path, span, faults).map(|path| Some(Wait::Json(path, 1.0)))
            }
            Some((WaitFile::JsonMs(path), span)) => {
                parse_path("retry_after", path, span, faults).map(|path| Some(Wait::Json(path, 1000.0)))
            }
        };
        Some(Self {
            delivered: delivered?,
            retry: retry?,
            field: field?,
            delivered_if: file.delivered_if.clone(),
            retry_if: file.retry_if.clone(),
            reason: reason?,
            wait: wait?,
        })
    }

    /// Whether the body decides, and not the status alone.
    pub fn needs_body(&self) -> bool {
        self.field.is_some()
    }

    pub fn judge(&self, answer: &Answer<'_>, now: OffsetDateTime) -> Verdict {
        let body: Option<Value> = serde_json::from_slice(answer.body).ok();
        let find = |path: &Option<JsonPath>| -> Option<Value> {
            path.as_ref()?.query(body.as_ref()?).all().first().map(|found| (*found).clone())
        };
        let field = find(&self.field);
        let later = field.as_ref().is_some_and(|field| self.retry_if.contains(field));
        let judged = if later || self.retry.expects(answer.status) {
            Judged::Retry
        } else if !self.delivered.expects(answer.status) {
            // Who says when to come again refuses nothing.
            if answer.headers.contains_key("retry-after") { Judged::Retry } else { Judged::Refused }
        } else {
            match (&self.field, field) {
                (None, _) => Judged::Delivered,
                (Some(_), Some(field)) if self.delivered_if.contains(&field) => Judged::Delivered,
                (Some(_), Some(_)) => Judged::Refused,
                // Whoever answered, it was not the receiver, or not all of it.
                (Some(_), None) => Judged::Retry,
            }
        };
        let retry_after = (judged == Judged::Retry).then(|| self.wait(answer, body.as_ref(), now)).flatten();
        let reason = find(&self.reason).filter(|reason| !reason.is_null()).map(|reason| match reason {
            Value::String(text) => text,
            other => other.to_string(),
        });
        Verdict { judged, retry_after, reason }
    }

    fn wait(&self, answer: &Answer<'_>, body: Option<&Value>, now: OffsetDateTime) -> Option<Duration> {
        let header = |name: &str| answer.headers.get(name).map(String::as_str);
        let said = match &self.wait {
            None => None,
            Some(Wait::Header(name)) => header(name).and_then(|said| wait_until(said, now)),
            Some(Wait::Epoch(name)) => header(name).and_then(|said| wait_until_unix(said, now)),
            Some(Wait::Json(path, a_second)) => {
                let found = body.and_then(|body| path.query(body).all().first()?.as_f64());
                found.and_then(|found| Duration::try_from_secs_f64(found / a_second).ok())
            }
        };
        said.or_else(|| header("retry-after").and_then(|said| wait_until(said, now)))
    }

    /// Holds an example of the file against what is made of it.
    pub fn check(&self, example: &Spanned<Example>, now: OffsetDateTime, faults: &mut Faults) {
        let Example { status, headers, body, is, after_s } = example.get_ref();
        let headers = headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
        let answer = Answer { status: *status, headers: &headers, body: body.as_bytes() };
        let verdict = self.judge(&answer, now);
        let waits = verdict.retry_after.map(|wait| wait.as_secs_f64());
        if verdict.judged != *is || waits != *after_s {
            let problem =
                format!("the example of {status} is judged {:?}, to wait for {waits:?} s", verdict.judged);
            faults.at(example.span(), &problem);
        }
    }
}

fn statuses(name: &str, said: &Spanned<String>, faults: &mut Faults) -> Option<PassResult> {
    let read = said.get_ref().parse();
    read.map_err(|error| faults.at(said.span(), &format!("answer: `{name}` {error}"))).ok()
}

pub(super) fn parse_path(
    name: &str,
    path: &str,
    span: std::ops::Range<usize>,
    faults: &mut Faults,
) -> Option<JsonPath> {
    let read = JsonPath::parse(path);
    read.map_err(|error| faults.at(span, &format!("`{name}` is not a JSONPath such as $.ok: {error}"))).ok()
}
