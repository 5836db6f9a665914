//! Keeps what a request carries in confidence out of what is shown of its answer: servers echo.

use std::borrow::Cow;

use actix_http::header::{HeaderMap, HeaderValue};
use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use skypunch_actors::domain::MASK;

use super::hop::is_harmless;

/// What is shorter than this is no secret, and would be found in every text.
const SECRET_MIN: usize = 4;

/// What `url` percent-encodes in a path.
const IN_PATHS: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'`').add(b'{').add(b'}');

/// The secrets of one probe.
#[derive(Clone, Debug, Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Everything that the headers and the body of a row may hide.
    pub(super) fn of(headers: &HeaderMap, body: &[u8]) -> Self {
        let mut secrets = Self::default();
        let confidential = headers.iter().filter(|(name, _)| !is_harmless(name));
        confidential.for_each(|(_, value)| secrets.add_header(value));
        secrets.add_body(&String::from_utf8_lossy(body));
        secrets
    }

    /// The value of a header, and what stands in it: after a scheme, or encoded as `Basic` has it.
    pub(super) fn add_header(&mut self, value: &HeaderValue) {
        let Ok(value) = value.to_str() else { return };
        self.add(value);
        if let Some((_, rest)) =
            value.strip_prefix("Digest ").and_then(|parts| parts.split_once("response=\""))
        {
            // The rest are words that any body may hold.
            return self.add(rest.split('"').next().unwrap_or_default());
        }
        value.split([' ', ',', ';', '=', '"']).for_each(|word| self.add(word));
        for word in value.split(' ') {
            self.add(word);
            let decoded = BASE64_STANDARD.decode(word).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            if let Some((_, password)) = decoded.as_deref().and_then(|decoded| decoded.split_once(':')) {
                self.add(password);
            }
        }
    }

    fn add_body(&mut self, body: &str) {
        self.add(body);
        match serde_json::from_str(body) {
            Ok(value) => self.add_leaves(&value),
            Err(_) => url::form_urlencoded::parse(body.as_bytes()).for_each(|(_, value)| self.add(&value)),
        }
    }

    fn add_leaves(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.add(text),
            Value::Array(items) => items.iter().for_each(|item| self.add_leaves(item)),
            Value::Object(object) => object.values().for_each(|item| self.add_leaves(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn add(&mut self, secret: &str) {
        if secret.len() >= SECRET_MIN && !self.0.iter().any(|known| known == secret) {
            self.0.push(secret.to_owned());
            // The longest first: what is left of a longer one would be shown.
            self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        }
    }

    /// The same with what becomes of them in URLs and the names of hosts.
    pub(super) fn as_in_urls(&self) -> Self {
        let mut secrets = self.clone();
        for secret in &self.0 {
            for set in [IN_PATHS, NON_ALPHANUMERIC] {
                secrets.add(&utf8_percent_encode(secret, set).to_string());
            }
            secrets.add(&secret.to_lowercase());
        }
        secrets
    }

    /// What a server sent, as a text without the secrets.
    pub(super) fn scrub_bytes(&self, bytes: &[u8]) -> String {
        self.scrub(&String::from_utf8_lossy(bytes)).into_owned()
    }

    /// A text without the secrets.
    pub(super) fn scrub<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut scrubbed = Cow::Borrowed(text);
        for secret in &self.0 {
            if scrubbed.contains(secret.as_str()) {
                scrubbed = Cow::Owned(scrubbed.replace(secret.as_str(), MASK));
            }
        }
        scrubbed
    }
}

#[cfg(test)]
mod tests {
    use actix_http::header::{AUTHORIZATION, HeaderName};

    use super::*;

    #[test]
    fn what_was_sent_is_masked_in_urls_too() {
        let secrets = Secrets::of(&HeaderMap::new(), b"My Secret/1").as_in_urls();
        for echo in ["My Secret/1", "my secret/1", "My%20Secret/1", "My%20Secret%2F1"] {
            assert_eq!(secrets.scrub(&format!("http://h/{echo}")), "http://h/***");
        }
    }

    #[test]
    fn what_was_sent_is_masked_in_what_comes_back() {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic Ym9iOmh1bnRlcjI="));
        headers.insert(HeaderName::from_static("cookie"), HeaderValue::from_static("id=topsecret; b=1"));
        for (body, echo) in [
            ("plain-body", "<plain-body>"),
            (r#"{"a":["json-leaf"]}"#, "<json-leaf>"),
            ("user=x&password=form%20value", "<form value>"),
            ("", "<Ym9iOmh1bnRlcjI=>"),
            ("", "<hunter2>"),
            ("", "<Basic Ym9iOmh1bnRlcjI=>"),
            ("", "<topsecret>"),
        ] {
            assert_eq!(Secrets::of(&headers, body.as_bytes()).scrub(echo), "<***>", "{body}");
        }
        assert_eq!(Secrets::of(&headers, b"1").scrub("1 ok"), "1 ok");
        let digest = "Digest username=\"bob\", response=\"6629fae4\", opaque=\"page\"";
        headers.insert(AUTHORIZATION, HeaderValue::from_static(digest));
        let secrets = Secrets::of(&headers, b"");
        assert_eq!(secrets.scrub("username of a page: 6629fae4"), "username of a page: ***");
        assert_eq!(secrets.scrub(digest), "***");
        let mut harmless = HeaderMap::new();
        harmless.insert(HeaderName::from_static("accept"), HeaderValue::from_static("text/html"));
        assert_eq!(Secrets::of(&harmless, b"").scrub("text/html"), "text/html");
    }
}
