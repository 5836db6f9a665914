//! The options of an HTTP target: read once, strictly, with every fault named.

use actix_http::header::{
    CONNECTION, CONTENT_LENGTH, DATE, EXPECT, HeaderMap, HeaderName, HeaderValue, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};
use skypunch_actors::domain::{Fault, TargetOptions, text};

use super::assertion::{self, Assertion};
use crate::{
    fields::Fields,
    net::{HttpVersion, TlsOptions},
    probe::limits::Limits,
};

/// The headers that say how a message is carried: those are ours to write.
const OURS: [HeaderName; 8] =
    [CONNECTION, CONTENT_LENGTH, DATE, EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// How much of a body is read unless the row says otherwise, in bytes.
const BODY_LIMIT: usize = 1 << 20;
/// The most that a row may say: it is held in memory.
const BODY_LIMIT_MAX: usize = 64 << 20;

/// How many redirects are followed, where they are, unless the row says otherwise.
const REDIRECTS: u32 = 10;
/// The most that a row may say.
const REDIRECTS_MAX: u32 = 50;

/// What a row asks for beyond its columns.
pub(super) struct Options {
    /// Sent with the request, in place of those that are sent anyway.
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Whether a connection serves one probe after the other.
    pub(super) reuses: bool,
    pub(super) http_version: HttpVersion,
    pub(super) limits: Limits,
    pub(super) tls: Option<TlsOptions>,
    /// How many days at least a certificate must live on.
    pub(super) cert_expiry_days: Option<u32>,
    /// The most of a body that is read, in bytes.
    pub(super) body_limit: usize,
    /// How many redirects are followed.
    pub(super) redirects: u32,
    pub(super) assertions: Vec<Assertion>,
}

/// What the option `connection` says.
#[derive(Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Connection {
    Fresh,
    Reuse,
}

impl Options {
    /// Reads what the core left of the column, or names all that is wrong with it.
    pub(super) fn read(object: &Map<String, Value>) -> Result<Self, Vec<Fault>> {
        let mut fields = Fields::of(object).knowing(TargetOptions::KEYS);
        let body = fields.take::<String>("body", "a text");
        let limit = format!("a number of bytes from 0 to {BODY_LIMIT_MAX}");
        let options = Self {
            headers: headers(&mut fields),
            body: body.map_or_else(Bytes::new, Bytes::from),
            reuses: fields.take("connection", r#""fresh" or "reuse""#) == Some(Connection::Reuse),
            http_version: fields.take("http_version", r#""any", "1.1" or "2""#).unwrap_or_default(),
            limits: Limits::read(&mut fields),
            tls: tls(&mut fields),
            cert_expiry_days: fields.take("cert_expiry_days", "a whole number of days"),
            body_limit: fields
                .take_if("body_limit", &limit, |bytes| *bytes <= BODY_LIMIT_MAX)
                .unwrap_or(BODY_LIMIT),
            redirects: redirects(&mut fields),
            assertions: assertion::read(&mut fields),
        };
        let faults = fields.finish();
        if faults.is_empty() {
            return Ok(options);
        }
        Err(faults.into_iter().map(|problem| Fault::new("options", problem)).collect())
    }
}

fn redirects(fields: &mut Fields<'_>) -> u32 {
    let follow = fields.take("follow_redirects", "true or false").unwrap_or(false);
    let allowed = format!("a whole number from 1 to {REDIRECTS_MAX}");
    let most = fields.take_if("max_redirects", &allowed, |n| (1..=REDIRECTS_MAX).contains(n));
    if follow { most.unwrap_or(REDIRECTS) } else { 0 }
}

fn tls(fields: &mut Fields<'_>) -> Option<TlsOptions> {
    let options = fields.raw("tls").filter(|options| !options.is_null())?;
    TlsOptions::read(options).map_err(|faults| fields.extend(faults)).ok()
}

/// A value may be a secret, and is never shown.
fn headers(fields: &mut Fields<'_>) -> HeaderMap {
    const KEY: &str = "headers";
    let mut headers = HeaderMap::new();
    let Some(wanted) = fields.take::<Map<String, Value>>(KEY, "an object of texts") else {
        return headers;
    };
    for (name, value) in wanted {
        let shown = text::reason(&name);
        let key = format!("{KEY}.{shown}");
        let Ok(name) = HeaderName::try_from(name) else {
            fields.fault(&key, "is not the name of a header");
            continue;
        };
        let value = value.as_str().and_then(|value| HeaderValue::from_str(value).ok());
        if OURS.contains(&name) {
            fields.fault(&key, "cannot be chosen: it says how the request is carried");
        } else if headers.contains_key(&name) {
            fields.fault(&key, "is there twice");
        } else if let Some(mut value) = value {
            value.set_sensitive(true);
            headers.insert(name, value);
        } else {
            fields.fault(&key, "must be a text that a header can carry");
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(options: Value) -> Result<Options, String> {
        Options::read(options.as_object().unwrap()).map_err(|faults| Fault::join(&faults))
    }

    fn faults(options: Value) -> String {
        read(options).err().unwrap_or_default()
    }

    #[test]
    fn no_options_are_the_defaults() {
        let options = read(json!({})).unwrap();
        assert!(options.headers.is_empty() && options.body.is_empty());
        assert_eq!(options.limits, Limits::default());
        assert_eq!((options.http_version, options.reuses), (HttpVersion::Any, false));
        assert!(read(json!({"connection": "reuse"})).unwrap().reuses);
        assert!(!read(json!({"connection": "fresh"})).unwrap().reuses);
        assert_eq!((options.body_limit, options.redirects), (1_048_576, 0));
        assert_eq!(read(json!({"follow_redirects": true})).unwrap().redirects, 10);
    }

    #[test]
    fn each_way_to_be_wrong_says_what_is_allowed_and_shows_no_value() {
        let cases = [
            (json!({"headers": "hunter2"}), "`headers` must be an object of texts"),
            (json!({"headers": {"a b": "hunter2"}}), "`headers.a b` is not the name of a header"),
            (json!({"headers": {"x": 7}}), "`headers.x` must be a text that a header can carry"),
            (json!({"headers": {"x": "hunter2\n"}}), "`headers.x` must be a text that a header can carry"),
            (json!({"headers": {"x": "a", "X": "b"}}), "`headers.X` is there twice"),
            (
                json!({"headers": {"Content-Length": "1"}}),
                "`headers.Content-Length` cannot be chosen: it says how the request is carried",
            ),
            (json!({"body": {"a": "hunter2"}}), "`body` must be a text"),
            (json!({"ip_protocol": 4}), r#"`ip_protocol` must be "any", "4" or "6""#),
            (json!({"ip_protocol": "hunter2"}), r#"`ip_protocol` must be "any", "4" or "6""#),
            (json!({"http_version": 2}), r#"`http_version` must be "any", "1.1" or "2""#),
            (json!({"http_version": "3"}), r#"`http_version` must be "any", "1.1" or "2""#),
            (json!({"connection": "Reuse"}), r#"`connection` must be "fresh" or "reuse""#),
            (json!({"follow_redirects": "yes"}), "`follow_redirects` must be true or false"),
            (json!({"max_redirects": 51}), "`max_redirects` must be a whole number from 1 to 50"),
            (json!({"assertions": "hunter2"}), "`assertions` must be a list of objects"),
            (json!({"cert_expiry_days": -1}), "`cert_expiry_days` must be a whole number of days"),
            (
                json!({"tls": {"verify": 1, "ca_file": 2}}),
                "`tls.ca_file` must be the path of a PEM file; options: \
                unknown option `tls.verify`: known are ca_file, cert_file, key_file, server_name, \
                insecure_skip_verify, min_version",
            ),
            (
                json!({"max_response_ms": 0}),
                "`max_response_ms` must be a whole number of milliseconds, at least 1",
            ),
            (json!({"body_limit": -1}), "`body_limit` must be a number of bytes from 0 to 67108864"),
            (json!({"body_limit": 1e9}), "`body_limit` must be a number of bytes from 0 to 67108864"),
        ];
        for (options, problem) in cases {
            assert_eq!(faults(options), format!("options: {problem}"));
        }
        assert!(
            faults(json!({"boddy": "hunter2"})).starts_with("options: unknown option `boddy`: known are")
        );
    }

    #[test]
    fn all_faults_are_named_at_once() {
        let faults = faults(json!({"body": 1, "headers": {"a b": "", "te": ""}, "body_limit": "x", "y": 1}));
        assert_eq!(faults.matches("options: ").count(), 5, "{faults}");
    }

    const KEYS: &str = "headers|body|ip_protocol|connection|http_version|tls|cert_expiry_days|max_response_ms|body_limit|\
        follow_redirects|max_redirects|assertions|.*";

    proptest! {
        #[test]
        fn any_json_is_options_or_faults(key in KEYS, text: String) {
            let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
            drop(read(json!({ key: value })));
        }
    }
}
