//! What a row asserts of an answer's headers and body.

use std::fmt;

use actix_http::header::{HeaderMap, HeaderName};
use regex::bytes::{Regex, RegexBuilder};
use serde_json::Value;
use skypunch_actors::domain::text;

use super::{json_assertion::JsonAssertion, scrub::Secrets};
use crate::fields::Fields;

/// The most that a pattern may take in memory, compiled; as much again is its cache.
const PATTERN_MAX: usize = 256 * 1024;
/// The most characters of an answer that a reason shows.
const EXCERPT_MAX: usize = 80;

/// One thing that must be so.
pub(super) enum Assertion {
    /// Of the body as it came.
    Body(Expectation),
    /// Of each value of a header.
    Header(HeaderName, Expectation),
    /// Of the body as JSON.
    Json(JsonAssertion),
}

/// A pattern that is to be found, or not.
pub(super) struct Expectation {
    pattern: Regex,
    wanted: bool,
    /// `contain` or `match`, and what.
    shown: Shown,
}

enum Shown {
    Text(String),
    Pattern(String),
}

const BODY_KEYS: [&str; 4] = ["body_contains", "body_not_contains", "body_matches", "body_not_matches"];
const HEADER_KEYS: [&str; 2] = ["matches", "not_matches"];

/// Reads the option `assertions`.
pub(super) fn read(fields: &mut Fields<'_>) -> Vec<Assertion> {
    const KEY: &str = "assertions";
    let value = match fields.raw(KEY) {
        None | Some(Value::Null) => return Vec::new(),
        Some(value) => value,
    };
    let Some(items) = value.as_array() else {
        fields.fault(KEY, "must be a list of objects");
        return Vec::new();
    };
    let mut assertions = Vec::new();
    for (n, item) in items.iter().enumerate() {
        let mut item = Fields::at(&format!("{KEY}[{n}]"), item);
        assertions.extend(read_one(&mut item));
        fields.extend(item.finish());
    }
    assertions
}

fn read_one(fields: &mut Fields<'_>) -> Option<Assertion> {
    if fields.has("json_path") {
        return JsonAssertion::read(fields).map(Assertion::Json);
    }
    if fields.has("header") {
        let name = fields.take::<String>("header", "the name of a header");
        let expectation = expectation(fields, &HEADER_KEYS);
        let name = name?;
        return match HeaderName::try_from(name) {
            Ok(name) => Some(Assertion::Header(name, expectation?)),
            Err(_) => {
                fields.fault("header", "is not the name of a header");
                None
            }
        };
    }
    expectation(fields, &BODY_KEYS).map(Assertion::Body)
}

/// Reads the one of `keys` that must be there.
fn expectation(fields: &mut Fields<'_>, keys: &[&'static str]) -> Option<Expectation> {
    let mut given = Vec::new();
    for key in keys {
        if fields.has(key) {
            given.push(*key);
        }
        // Known even where it is not given.
        fields.raw(key);
    }
    let [key] = given[..] else {
        let or = if keys.len() == BODY_KEYS.len() { ", or header, or json_path" } else { "" };
        fields.fault_whole(&format!("must have exactly one of {}{or}", keys.join(", ")));
        return None;
    };
    let text = fields.take::<String>(key, "a text")?;
    let wanted = !key.contains("not_");
    let literal = key.ends_with("contains");
    let source = if literal { regex::escape(&text) } else { text.clone() };
    match pattern(&source) {
        Ok(pattern) => {
            let shown = if literal { Shown::Text(text) } else { Shown::Pattern(text) };
            Some(Expectation { pattern, wanted, shown })
        }
        Err(problem) => {
            fields.fault(key, &problem);
            None
        }
    }
}

/// Compiles a pattern, which runs in linear time whatever it is.
pub(super) fn pattern(source: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(source).size_limit(PATTERN_MAX).dfa_size_limit(PATTERN_MAX).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "is a pattern too big to be compiled".to_owned(),
        // The last line says what is wrong; those before it draw where.
        error => {
            let shown = error.to_string();
            let why = shown.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("is not a regular expression: {}", text::reason(why))
        }
    })
}

impl Assertion {
    /// Whether the body is read as JSON.
    pub(super) fn wants_json(&self) -> bool {
        matches!(self, Self::Json(_))
    }

    /// Whether the body must be readable at all.
    pub(super) fn wants_body(&self) -> bool {
        !matches!(self, Self::Header(..))
    }

    /// The header that it is about, if it is about one.
    pub(super) fn header(&self) -> Option<&HeaderName> {
        match self {
            Self::Header(name, _) => Some(name),
            Self::Body(_) | Self::Json(_) => None,
        }
    }
}

/// An answer as assertions see it.
pub(super) struct Evidence<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    /// Kept out of what is shown.
    pub(super) secrets: &'a Secrets,
}

impl Evidence<'_> {
    /// Says of each assertion that does not hold what was found in its place.
    pub(super) fn against(&self, assertions: &[Assertion]) -> Vec<String> {
        let json =
            assertions.iter().any(Assertion::wants_json).then(|| super::json_assertion::parse(self.body));
        let mut failed = Vec::new();
        if let Some(Err(problem)) = &json {
            failed.push(problem.clone());
        }
        for assertion in assertions {
            failed.extend(match (assertion, &json) {
                (Assertion::Body(expectation), _) => self.body_against(expectation),
                (Assertion::Header(name, expectation), _) => self.header_against(name, expectation),
                (Assertion::Json(assertion), Some(Ok(document))) => assertion.fails(document, self.secrets),
                // That it is no JSON is said once for all.
                (Assertion::Json(_), _) => None,
            });
        }
        failed
    }

    fn body_against(&self, expectation: &Expectation) -> Option<String> {
        let found = expectation.pattern.find(self.body);
        match (found, expectation.wanted) {
            (Some(_), true) | (None, false) => None,
            (None, true) if self.body.is_empty() => Some(format!("body does not {expectation}: it is empty")),
            (None, true) => Some(format!(
                "body does not {expectation}: it begins with `{}`",
                excerpt(self.body, self.secrets)
            )),
            (Some(_), false) => {
                Some(format!("body must not {expectation}{}", self.found_in(expectation, self.body)))
            }
        }
    }

    fn header_against(&self, name: &HeaderName, expectation: &Expectation) -> Option<String> {
        let mut values = self.headers.get_all(name).map(|value| value.as_bytes());
        let found = values.find(|value| expectation.pattern.is_match(value));
        match (found, expectation.wanted) {
            (Some(_), true) | (None, false) => None,
            (Some(value), false) => {
                Some(format!("header {name} must not {expectation}{}", self.found_in(expectation, value)))
            }
            (None, true) => Some(match self.headers.get(name) {
                Some(value) => {
                    let value = excerpt(value.as_bytes(), self.secrets);
                    format!("header {name} does not {expectation}: it is `{value}`")
                }
                None => format!("header {name} is not there, and must {expectation}"),
            }),
        }
    }

    /// What a pattern found, where it is not the text that was looked for. Looked for anew, since a match
    /// may be a part of a secret.
    fn found_in(&self, expectation: &Expectation, bytes: &[u8]) -> String {
        let Shown::Pattern(_) = expectation.shown else { return String::new() };
        let scrubbed = self.secrets.scrub_bytes(bytes);
        let found = expectation.pattern.find(scrubbed.as_bytes());
        let found = found.map_or_else(String::new, |found| excerpt(found.as_bytes(), self.secrets));
        format!(": there is `{found}`")
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, what) = match &self.shown {
            Shown::Text(text) => ("contain", text),
            Shown::Pattern(pattern) => ("match", pattern),
        };
        write!(f, "{verb} `{}`", text::cut(&text::escape_controls(what), EXCERPT_MAX))
    }
}

/// The beginning of what a server sent, on one line and without the row's secrets.
pub(super) fn excerpt(bytes: &[u8], secrets: &Secrets) -> String {
    let scrubbed = secrets.scrub_bytes(bytes);
    let cut = text::cut(&scrubbed, EXCERPT_MAX);
    text::cut(&text::escape_controls(&cut), EXCERPT_MAX).into_owned()
}

#[cfg(test)]
mod tests {
    use actix_http::header::HeaderValue;
    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;

    fn parse(assertions: &Value) -> Result<Vec<Assertion>, Vec<String>> {
        let object = Map::from_iter([("assertions".to_owned(), assertions.clone())]);
        let mut fields = Fields::of(&object);
        let assertions = read(&mut fields);
        let faults = fields.finish();
        if faults.is_empty() { Ok(assertions) } else { Err(faults) }
    }

    fn failed(assertions: Value, body: &str) -> Vec<String> {
        let mut headers = HeaderMap::new();
        headers.append(HeaderName::from_static("server"), HeaderValue::from_static("nginx/1.27"));
        headers.append(HeaderName::from_static("server"), HeaderValue::from_static("proxy"));
        let mut sent = HeaderMap::new();
        sent.append(HeaderName::from_static("x-key"), HeaderValue::from_static("hunter2"));
        let secrets = Secrets::of(&sent, b"");
        let evidence = Evidence { headers: &headers, body: body.as_bytes(), secrets: &secrets };
        evidence.against(&parse(&assertions).ok().unwrap())
    }

    #[test]
    fn each_way_to_be_wrong_is_named() {
        let one_of = "must have exactly one of body_contains, body_not_contains, body_matches, \
            body_not_matches, or header, or json_path";
        let cases = [
            (json!({}), vec!["`assertions` must be a list of objects".to_owned()]),
            (
                json!(["x"]),
                vec!["`assertions[0]` must be an object".to_owned(), format!("`assertions[0]` {one_of}")],
            ),
            (json!([{}]), vec![format!("`assertions[0]` {one_of}")]),
            (json!([{"body_contains": "a", "body_matches": "b"}]), vec![format!("`assertions[0]` {one_of}")]),
            (json!([{"body_contains": 7}]), vec!["`assertions[0].body_contains` must be a text".to_owned()]),
            (
                json!([{"body_contains": "ok"}, {"body_matches": "a(b"}]),
                vec!["`assertions[1].body_matches` is not a regular expression: unclosed group".to_owned()],
            ),
            (
                json!([{"body_matches": r"\w{500}{500}"}]),
                vec!["`assertions[0].body_matches` is a pattern too big to be compiled".to_owned()],
            ),
            (
                json!([{"header": "a b", "matches": "x"}]),
                vec!["`assertions[0].header` is not the name of a header".to_owned()],
            ),
            (
                json!([{"header": "server"}]),
                vec!["`assertions[0]` must have exactly one of matches, not_matches".to_owned()],
            ),
            (
                json!([{"header": "server", "matches": "x", "body_contains": "y"}]),
                vec![
                    "unknown option `assertions[0].body_contains`: known are header, matches, not_matches"
                        .to_owned(),
                ],
            ),
        ];
        for (assertions, faults) in cases {
            assert_eq!(parse(&assertions).err().unwrap(), faults, "{assertions}");
        }
    }

    #[test]
    fn all_that_failed_are_named_with_what_was_found() {
        let assertions = json!([
            {"body_contains": "status"},
            {"body_contains": "a.c"},
            {"body_not_contains": "abc"},
            {"body_matches": "^x"},
            {"body_not_matches": "b\\w+"},
            {"header": "Server", "matches": "^proxy$"},
            {"header": "server", "matches": "apache"},
            {"header": "server", "not_matches": "nginx/\\d+"},
            {"header": "x-none", "matches": "."},
            {"header": "x-none", "not_matches": "."},
        ]);
        assert_eq!(
            failed(assertions, "status abcd\n hunter2"),
            [
                r"body does not contain `a.c`: it begins with `status abcd\n ***`",
                "body must not contain `abc`",
                r"body does not match `^x`: it begins with `status abcd\n ***`",
                r"body must not match `b\w+`: there is `bcd`",
                "header server does not match `apache`: it is `nginx/1.27`",
                r"header server must not match `nginx/\d+`: there is `nginx/1`",
                "header x-none is not there, and must match `.`",
            ]
        );
        let empty = json!([{"body_matches": "^$"}, {"body_contains": "x"}]);
        assert_eq!(failed(empty, ""), ["body does not contain `x`: it is empty"]);
    }

    #[test]
    fn a_match_shows_no_part_of_a_secret() {
        let shown = failed(json!([{"body_not_matches": "key=hunt"}]), "key=hunter2");
        assert_eq!(shown, ["body must not match `key=hunt`: there is ``"]);
    }

    #[test]
    fn an_excerpt_is_bounded() {
        let shown = failed(json!([{"body_contains": "x"}]), &"\n".repeat(100_000));
        assert!(shown[0].len() < 200, "{}", shown[0]);
    }

    proptest! {
        #[test]
        fn any_body_is_judged(body: Vec<u8>, pattern in ".{0,20}") {
            let secrets = Secrets::default();
            let headers = HeaderMap::new();
            let assertions = json!([{"body_matches": pattern}, {"json_path": "$..a", "op": "exists"}]);
            if let Ok(assertions) = parse(&assertions) {
                drop(Evidence { headers: &headers, body: &body, secrets: &secrets }.against(&assertions));
            }
        }
    }
}
