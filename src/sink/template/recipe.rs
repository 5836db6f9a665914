//! How a notification becomes a request: pure, and told by the file of the kind.

use std::{collections::BTreeMap, fmt};

use actix_http::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use bytes::Bytes;
use minijinja::{Environment, Error, value::Serde};
use serde_json::{Map, Value};
use serde_json_path::JsonPath;
use toml::Spanned;

use super::{
    answer::Judge,
    fault::Faults,
    file::{Content, File, FindFile, Form, Limits, Param, RequestFile},
    style::Style,
    write::{self, BODY, FIND_PATH, FIND_URL, HEADER, METHOD, URL},
};
use crate::{
    net::{Endpoint, EndpointError, Request},
    sink::facts::{EVENTS, Facts},
};

/// How requests of one kind are made, and their answers judged.
pub(super) struct Recipe {
    environment: Environment<'static>,
    content: Content,
    has_body: bool,
    headers: Vec<HeaderName>,
    style: Style,
    pub limits: Limits,
    words: BTreeMap<String, BTreeMap<String, Value>>,
    forms: BTreeMap<String, Form>,
    find: Option<Find>,
    pub judge: Judge,
}

struct Find {
    events: Vec<String>,
    needed_by: Vec<String>,
}

/// The parameters of a row by name, each with its value. Those that are not given are empty.
pub(super) type Values = BTreeMap<String, String>;

/// A request as it will be sent. It holds secrets, so its `Debug` shows nothing of it.
pub(super) struct Draft {
    pub method: Method,
    pub endpoint: Endpoint,
    pub headers: HeaderMap,
    pub body: String,
}

/// Why there is no request. Shows no value.
#[derive(Debug, thiserror::Error)]
pub(super) enum DraftError {
    #[error("a template fails")]
    Template(#[from] Error),
    #[error("the URL {0}")]
    Url(#[from] EndpointError),
    #[error("the method is none")]
    Method,
    #[error("the header {0} cannot be sent")]
    Header(HeaderName),
    #[error("the body is not JSON (line {0}, column {1})")]
    Json(usize, usize),
    #[error("what is looked for is no JSONPath")]
    Path,
}

impl Recipe {
    /// Reads what a file says of requests, and tries it.
    pub fn read(file: &File, faults: &mut Faults<'_>) -> Option<Self> {
        let request = file.request.as_ref()?;
        let mut environment = write::environment(request.content);
        let mut add = |name: String, template: &Spanned<String>, faults: &mut Faults<'_>| {
            let added = environment.add_template_owned(name.clone(), template.get_ref().clone());
            added.map_err(|error| faults.template(&name, template, &error)).is_ok()
        };
        let mut compiled = add(METHOD.to_owned(), &request.method, faults);
        compiled &= add(URL.to_owned(), &request.url, faults);
        if let Some(body) = &request.body {
            compiled &= add(BODY.to_owned(), body, faults);
        }
        let mut headers = Vec::new();
        for (name, template) in &request.headers {
            match HeaderName::from_bytes(name.get_ref().to_lowercase().as_bytes()) {
                Ok(header) => {
                    compiled &= add(format!("{HEADER}{header}"), template, faults);
                    headers.push(header);
                }
                Err(_) => faults.at(name.span(), "this is no name of a header"),
            }
        }
        let find = file.find.as_ref().map(|find| {
            compiled &= add(FIND_URL.to_owned(), &find.url, faults);
            compiled &= add(FIND_PATH.to_owned(), &find.path, faults);
            Find { events: events(&find.events, faults), needed_by: events(&find.needed_by, faults) }
        });
        let words = words(file, faults);
        let recipe = Self {
            environment,
            content: request.content,
            has_body: request.body.is_some(),
            headers,
            style: Style {
                escape: request.escape.clone(),
                newline: request.newline.clone(),
                unit: file.limits.unit,
            },
            limits: file.limits.clone(),
            words,
            forms: file.params.iter().map(|(name, param)| (name.get_ref().clone(), param.form)).collect(),
            find,
            judge: Judge::read(&file.answer, faults)?,
        };
        // What does not compile cannot be tried.
        if compiled && faults.is_empty() {
            recipe.try_out(request, file.find.as_ref(), &file.params, faults);
        }
        Some(recipe)
    }

    /// The question that is asked before the request of this event, if any.
    pub fn question(&self, facts: &Facts, values: &Values) -> Option<Result<(Draft, JsonPath), DraftError>> {
        let find = self.find.as_ref()?;
        find.events.iter().any(|event| event == facts.event).then(|| {
            let context = self.context(facts, values, "", &Style::default());
            let endpoint = Endpoint::parse(&self.render(FIND_URL, &context)?)?;
            let path = JsonPath::parse(&self.render(FIND_PATH, &context)?).map_err(|_| DraftError::Path)?;
            let headers = self.headers(&context)?;
            Ok((Draft { method: Method::GET, endpoint, headers, body: String::new() }, path))
        })
    }

    /// What the body is, unless a header says otherwise.
    pub fn media_type(&self) -> &'static str {
        self.content.media_type()
    }

    /// Whether there is nothing to do for this event where nothing was found.
    pub fn is_done_without(&self, event: &str) -> bool {
        self.find.as_ref().is_some_and(|find| find.needed_by.iter().any(|needed| needed == event))
    }

    /// The request that tells the facts.
    pub fn draft(&self, facts: &Facts, values: &Values, found: &str) -> Result<Draft, DraftError> {
        let plain = self.context(facts, values, found, &Style::default());
        let method = self.render(METHOD, &plain)?;
        let method = Method::from_bytes(method.trim().as_bytes()).map_err(|_| DraftError::Method)?;
        let endpoint = Endpoint::parse(self.render(URL, &plain)?.trim())?;
        let headers = self.headers(&plain)?;
        let mut body = String::new();
        if self.has_body {
            body = self.render(BODY, &self.context(facts, values, found, &self.style))?;
            body = match self.content {
                Content::Text => body,
                Content::Form => form(&body),
                Content::Json => compact(&body)?,
            };
        }
        Ok(Draft { method, endpoint, headers, body })
    }

    fn headers(&self, plain: &minijinja::Value) -> Result<HeaderMap, DraftError> {
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 2);
        for name in &self.headers {
            let value = self.render(&format!("{HEADER}{name}"), plain)?;
            // A header without a value is none.
            if !value.trim().is_empty() {
                let sent = HeaderValue::from_str(value.trim());
                headers.insert(name.clone(), sent.map_err(|_| DraftError::Header(name.clone()))?);
            }
        }
        Ok(headers)
    }

    fn render(&self, name: &str, context: &minijinja::Value) -> Result<String, Error> {
        self.environment.get_template(name)?.render(context)
    }

    /// What templates see: the facts in the style of the place, the same in `plain`, and what the row says.
    fn context(&self, facts: &Facts, values: &Values, found: &str, style: &Style) -> minijinja::Value {
        let plain = serde_json::to_value(facts).expect("facts are texts and numbers");
        let mut styled = plain.clone();
        write_all(&mut styled, style);
        let mut set = |key: &str, value: Value| {
            styled.as_object_mut().expect("facts are an object").insert(key.to_owned(), value);
        };
        set("title", style.fit(&facts.title, self.limits.title).into());
        set("text", style.fit(&facts.text, self.limits.text).into());
        set("message", style.fit(&facts.message, self.limits.text).into());
        set("plain", plain);
        set("found", found.into());
        let word = self
            .words
            .iter()
            .map(|(name, of)| (name.clone(), of.get(facts.event).cloned().unwrap_or_default()));
        set("word", word.collect::<Map<_, _>>().into());
        let params = self.forms.iter().map(|(name, form)| {
            let value = values.get(name).cloned().unwrap_or_default();
            let value = match form {
                Form::Text => minijinja::Value::from(value),
                Form::Url => minijinja::Value::from_safe_string(value),
                Form::Base => minijinja::Value::from_safe_string(value.trim_end_matches('/').to_owned()),
            };
            (name.clone(), value)
        });
        let params: BTreeMap<String, minijinja::Value> = params.collect();
        minijinja::context! { params => params, ..minijinja::Value::from(Serde(&styled)) }
    }

    /// Makes the request of every event, with all parameters and with none but the required ones.
    fn try_out(
        &self,
        request: &RequestFile,
        find: Option<&FindFile>,
        params: &BTreeMap<Spanned<String>, Param>,
        faults: &mut Faults<'_>,
    ) {
        let values = |all: bool| -> Values {
            let given = params.iter().filter(|(_, param)| all || param.required || param.default.is_some());
            given.map(|(name, param)| (name.get_ref().clone(), param.sample())).collect()
        };
        for (event, all) in EVENTS.into_iter().flat_map(|event| [(event, true), (event, false)]) {
            let (facts, values) = (Facts::example(event), values(all));
            let drafts = self.question(&facts, &values).map(|asked| asked.map(drop));
            let drafts =
                drafts.into_iter().chain(["", "7"].map(|found| self.draft(&facts, &values, found).map(drop)));
            for error in drafts.filter_map(Result::err) {
                let problem = format!("of {event}: {error}");
                match &error {
                    DraftError::Template(error) => {
                        let name = error.name().unwrap_or_default();
                        match template_named(name, request, find) {
                            Some(template) => faults.template(name, template, error),
                            None => faults.whole(&problem),
                        }
                    }
                    DraftError::Url(_) => faults.at(request.url.span(), &problem),
                    DraftError::Method => faults.at(request.method.span(), &problem),
                    DraftError::Header(header) => {
                        let said = template_named(&format!("{HEADER}{header}"), request, find);
                        faults.at(said.unwrap_or(&request.url).span(), &problem);
                    }
                    DraftError::Json(..) => {
                        faults.at(request.body.as_ref().unwrap_or(&request.url).span(), &problem);
                    }
                    DraftError::Path => {
                        faults.at(find.map_or(&request.url, |find| &find.path).span(), &problem);
                    }
                }
            }
        }
    }
}

fn template_named<'a>(
    name: &str,
    request: &'a RequestFile,
    find: Option<&'a FindFile>,
) -> Option<&'a Spanned<String>> {
    match name {
        METHOD => Some(&request.method),
        URL => Some(&request.url),
        BODY => request.body.as_ref(),
        FIND_URL => find.map(|find| &find.url),
        FIND_PATH => find.map(|find| &find.path),
        _ => {
            let header = name.strip_prefix(HEADER)?;
            let mut headers = request.headers.iter();
            headers
                .find(|(name, _)| name.get_ref().eq_ignore_ascii_case(header))
                .map(|(_, template)| template)
        }
    }
}

/// The names of events, which must be such.
fn events(said: &Spanned<Vec<String>>, faults: &mut Faults<'_>) -> Vec<String> {
    if said.get_ref().iter().any(|event| !EVENTS.contains(&event.as_str())) {
        faults.at(said.span(), &format!("the events are {}", EVENTS.join(", ")));
    }
    said.get_ref().clone()
}

/// Words must be said for every event.
fn words(file: &File, faults: &mut Faults<'_>) -> BTreeMap<String, BTreeMap<String, Value>> {
    for (name, words) in &file.words {
        if words.get_ref().len() != EVENTS.len()
            || !EVENTS.iter().all(|event| words.get_ref().contains_key(*event))
        {
            faults
                .at(words.span(), &format!("`words.{name}` needs a word for each of {}", EVENTS.join(", ")));
        }
    }
    file.words.iter().map(|(name, words)| (name.clone(), words.get_ref().clone())).collect()
}

fn write_all(value: &mut Value, style: &Style) {
    match value {
        Value::String(text) => *text = style.write(text),
        Value::Array(items) => items.iter_mut().for_each(|item| write_all(item, style)),
        Value::Object(fields) => fields.values_mut().for_each(|field| write_all(field, style)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Joins the lines of a form; what has no value is left out.
fn form(lines: &str) -> String {
    let pairs = lines.lines().map(str::trim).filter(|line| !line.is_empty() && !line.ends_with('='));
    pairs.collect::<Vec<_>>().join("&")
}

fn compact(json: &str) -> Result<String, DraftError> {
    let value: Value =
        serde_json::from_str(json).map_err(|error| DraftError::Json(error.line(), error.column()))?;
    Ok(value.to_string())
}

impl Draft {
    /// The request to send.
    pub fn request(self) -> Request {
        Request::new(self.endpoint, self.method, self.headers, Bytes::from(self.body))
    }
}

impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft").field("method", &self.method).finish_non_exhaustive()
    }
}
