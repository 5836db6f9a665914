//! Writes a value where it stands in a request: each place has its own escapes.

use minijinja::{
    Environment, Error, ErrorKind, Output, State, UndefinedBehavior,
    value::{Value, ValueKind},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ring::hmac;
use time::OffsetDateTime;

use super::file::Content;
use crate::sink::http::rfc3339;

/// What needs no escape anywhere.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What needs none in a path or a query: some receivers do not know their own token with a `%3A`.
const OF_URL: &AsciiSet = &UNRESERVED.remove(b':');

/// The names of the templates of one kind. Of a header it is this, and its name.
pub(super) const METHOD: &str = "method";
pub(super) const URL: &str = "url";
pub(super) const BODY: &str = "body";
pub(super) const HEADER: &str = "header ";
pub(super) const FIND_URL: &str = "find.url";
pub(super) const FIND_PATH: &str = "find.path";
pub(super) const SMTP: &str = "smtp.";

/// An environment that escapes for the place where a template stands.
pub(super) fn environment(content: Content) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_formatter(move |out, state, value| write_value(content, out, state, value));
    environment.add_filter("base64", base64);
    environment.add_filter("hmac_sha256", hmac_sha256);
    environment.add_filter("rfc3339", |unix: i64| {
        OffsetDateTime::from_unix_timestamp(unix)
            .map(rfc3339)
            .map_err(|_| Error::new(ErrorKind::InvalidOperation, "no such time"))
    });
    environment
}

fn base64(text: &str) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    BASE64_STANDARD.encode(text)
}

/// The signature of a text, in base64.
fn hmac_sha256(text: &str, key: &str) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    BASE64_STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), text.as_bytes()))
}

fn write_value(content: Content, out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => {
            return Err(Error::new(ErrorKind::UndefinedError, "there is no such value"));
        }
        ValueKind::Number | ValueKind::Bool => return Ok(write!(out, "{value}")?),
        _ => {}
    }
    let (name, text) = (state.name(), value.as_str());
    let Some(text) = text else {
        if name == BODY && content == Content::Json {
            let json = serde_json::to_string(value)
                .map_err(|_| Error::new(ErrorKind::BadSerialization, "this is no JSON"))?;
            return Ok(out.write_str(&json)?);
        }
        return Err(Error::new(ErrorKind::InvalidOperation, "only texts and numbers can stand here"));
    };
    let form = name == BODY && content == Content::Form;
    match name {
        // A URL of the row is one already.
        URL | FIND_URL if value.is_safe() => out.write_str(text)?,
        URL | FIND_URL => write!(out, "{}", utf8_percent_encode(text, OF_URL))?,
        _ if form => write!(out, "{}", utf8_percent_encode(text, UNRESERVED))?,
        BODY if content == Content::Json => out.write_str(&within_quotes(text))?,
        // Between single quotes.
        FIND_PATH => out.write_str(&within_quotes(text).replace("\\\"", "\"").replace('\'', "\\'"))?,
        _ => out.write_str(text)?,
    }
    Ok(())
}

/// A text as it stands between the quotes of JSON.
fn within_quotes(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    fn written(content: Content, name: &'static str, template: &'static str) -> Result<String, Error> {
        let mut environment = environment(content);
        environment.add_template(name, template)?;
        environment.get_template(name)?.render(context! {
            text => "a\"b\\c\nd&e=ü/'",
            number => 7,
            list => ["x\"", "y"],
            url => Value::from_safe_string("https://h/a?b".to_owned()),
        })
    }

    #[test]
    fn each_place_has_its_own_escapes() {
        let ok = |content, name, template| written(content, name, template).unwrap();
        assert_eq!(ok(Content::Json, BODY, r#""{{ text }}" {{ number }}"#), r#""a\"b\\c\nd&e=ü/'" 7"#);
        assert_eq!(ok(Content::Json, BODY, "{{ list }} \"{{ url }}\""), r#"["x\"","y"] "https://h/a?b""#);
        assert_eq!(ok(Content::Form, BODY, "t={{ text }}"), "t=a%22b%5Cc%0Ad%26e%3D%C3%BC%2F%27");
        assert_eq!(ok(Content::Form, BODY, "t={{ url }}"), "t=https%3A%2F%2Fh%2Fa%3Fb");
        assert_eq!(ok(Content::Text, BODY, "{{ text }}"), "a\"b\\c\nd&e=ü/'");
        let url = ok(Content::Json, URL, "{{ url }}/x/{{ text }}");
        assert_eq!(url, "https://h/a?b/x/a%22b%5Cc%0Ad%26e%3D%C3%BC%2F%27");
        assert_eq!(ok(Content::Json, FIND_PATH, "'{{ text }}'"), r#"'a"b\\c\nd&e=ü/\''"#);
        assert_eq!(ok(Content::Json, "header X", "{{ text }}"), "a\"b\\c\nd&e=ü/'");
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        for template in ["{{ txt }}", "{{ none }}", "{{ number.x }}"] {
            assert!(written(Content::Json, BODY, template).is_err(), "{template}");
        }
        assert!(written(Content::Form, BODY, "x={{ list }}").is_err());
    }

    #[test]
    fn signatures_are_the_usual_ones() {
        // RFC 4231, test case 2.
        assert_eq!(
            hmac_sha256("what do ya want for nothing?", "Jefe"),
            "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="
        );
        assert_eq!(base64("user:password"), "dXNlcjpwYXNzd29yZA==");
    }
}
