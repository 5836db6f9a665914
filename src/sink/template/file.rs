//! What a file may say of a kind. `conf/sinks/` is full of examples.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;

use super::style::{Escape, Unit};

/// A file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub kind: Spanned<String>,
    /// How people call it.
    pub title: String,
    /// Where the receiver documents it.
    pub docs: String,
    /// What somebody who sets it up should know.
    #[serde(default)]
    pub note: String,
    /// The parameter that the column `address` is.
    pub address: Spanned<String>,
    pub params: BTreeMap<Spanned<String>, Param>,
    /// Words that differ from event to event.
    #[serde(default)]
    pub words: BTreeMap<String, Spanned<BTreeMap<String, Value>>>,
    pub request: Option<RequestFile>,
    pub find: Option<FindFile>,
    /// Parameters of SMTP, for kinds that are mail.
    pub smtp: Option<BTreeMap<Spanned<String>, Spanned<String>>>,
    #[serde(default)]
    pub answer: AnswerFile,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub examples: Vec<Spanned<Example>>,
}

/// A parameter.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Param {
    pub about: String,
    #[serde(default)]
    pub required: bool,
    #[serde(default)]
    pub secret: bool,
    pub default: Option<String>,
    pub example: Option<String>,
    #[serde(default)]
    pub form: Form,
}

/// What a value must be.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    #[default]
    Text,
    /// A URL, as it is.
    Url,
    /// The beginning of URLs, without a slash at its end.
    Base,
}

impl Param {
    /// What stands for the parameter where a template is tried.
    pub fn sample(&self) -> String {
        self.example.clone().or_else(|| self.default.clone()).unwrap_or_default()
    }
}

/// `[request]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestFile {
    #[serde(default = "post")]
    pub method: Spanned<String>,
    pub url: Spanned<String>,
    #[serde(default)]
    pub content: Content,
    #[serde(default)]
    pub headers: BTreeMap<Spanned<String>, Spanned<String>>,
    #[serde(default)]
    pub body: Option<Spanned<String>>,
    /// What texts of the body are escaped for, beside what `content` asks for.
    #[serde(default)]
    pub escape: Vec<Escape>,
    /// What ends a line of a text.
    pub newline: Option<String>,
}

fn post() -> Spanned<String> {
    Spanned::new(0..0, "POST".to_owned())
}

/// What the body is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Content {
    #[default]
    Json,
    /// `key=value`, a line each; those without a value are left out.
    Form,
    Text,
}

impl Content {
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Form => "application/x-www-form-urlencoded",
            Self::Text => "text/plain; charset=utf-8",
        }
    }
}

/// `[find]`: a question before the request, for receivers that give things a name of their own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FindFile {
    /// Before which events it is asked.
    pub events: Spanned<Vec<String>>,
    pub url: Spanned<String>,
    /// What of the answer is `found`: a JSONPath.
    pub path: Spanned<String>,
    /// The events that have nothing to do where nothing is found.
    pub needed_by: Spanned<Vec<String>>,
}

/// `[answer]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AnswerFile {
    pub delivered: Spanned<String>,
    pub retry: Spanned<String>,
    /// The field of the answer that decides where the status is one of `delivered`: a JSONPath.
    pub field: Option<Spanned<String>>,
    pub delivered_if: Vec<Value>,
    pub retry_if: Vec<Value>,
    /// The field that says why: a JSONPath.
    pub reason: Option<Spanned<String>>,
    pub retry_after: Option<Spanned<WaitFile>>,
}

impl Default for AnswerFile {
    fn default() -> Self {
        let said = |text: &str| Spanned::new(0..0, text.to_owned());
        Self {
            delivered: said("2xx"),
            retry: said("408,429,5xx"),
            field: None,
            delivered_if: Vec::new(),
            retry_if: Vec::new(),
            reason: None,
            retry_after: None,
        }
    }
}

/// Where an answer says how long to wait, beside `Retry-After`.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum WaitFile {
    /// A header of seconds, or of a date.
    Header(String),
    /// A header of seconds since 1970.
    Epoch(String),
    /// A field of seconds: a JSONPath.
    Json(String),
    /// A field of milliseconds: a JSONPath.
    #[serde(rename = "json_ms")]
    JsonMs(String),
}

/// `[limits]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    pub title: Option<usize>,
    /// Of `text`, and of `message`.
    pub text: Option<usize>,
    pub unit: Unit,
    pub rate: Option<Rate>,
}

/// How often one credential may be used.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rate {
    pub messages: usize,
    pub per_s: u64,
}

/// An answer, and what is to be made of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Example {
    pub status: u16,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    #[serde(default)]
    pub body: String,
    pub is: Judged,
    /// How long to wait.
    pub after_s: Option<f64>,
}

/// What can be made of an answer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Judged {
    Delivered,
    Refused,
    Retry,
}
