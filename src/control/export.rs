//! Definitions as a file has them: without what is the default, and without a secret.
//!
//! Of a secret, `env:NAME` and `file:PATH` are shown as they stand, since they only name it; all else is masked,
//! and [`unmask`] puts back what a row has where a file of it is read again.

mod unmask;

use serde_json::{Map, Value};
use skypunch_actors::domain::{MASK, NotifierDefinition, Params, Secret, TargetDefinition, text};

pub use unmask::{notifier as unmask_notifier, target as unmask_target};

use super::view::{self, Public};

/// The options that hold no secret. `tls` has the paths of files.
const PUBLIC_OPTIONS: [&str; 23] = [
    "answers",
    "assertions",
    "body_limit",
    "cert_expiry_days",
    "connection",
    "events",
    "expect",
    "failure_threshold",
    "follow_redirects",
    "http_version",
    "ip_protocol",
    "max_redirects",
    "max_response_ms",
    "min_duration_s",
    "notify",
    "quiet_hours",
    "rcode",
    "reminder_interval_s",
    "retry_interval_ms",
    "success_threshold",
    "tags",
    "targets",
    "tls",
];

/// The headers that hold no secret.
const PUBLIC_HEADERS: [&str; 6] =
    ["accept", "accept-encoding", "accept-language", "content-type", "host", "user-agent"];

/// A definition of a target, its keys the columns in their order.
pub fn target(definition: &TargetDefinition) -> Map<String, Value> {
    let default = TargetDefinition::new("", "");
    let mut shown = Map::new();
    let mut show = |column: &str, value: Value, default: Value| {
        if value != default {
            shown.insert(column.to_owned(), value);
        }
    };
    show("name", definition.name.as_str().into(), Value::Null);
    show("url", text::mask_userinfo(definition.url.expose()).into(), Value::Null);
    show("tenantid", definition.tenantid.as_str().into(), default.tenantid.into());
    show("method", definition.method.as_str().into(), default.method.into());
    show("authn", definition.authn.as_str().into(), default.authn.into());
    show("authn_parms", params(definition.authn_parms.as_ref(), &view::PUBLIC_AUTHN), Value::Null);
    show("pass_result", definition.pass_result.as_str().into(), default.pass_result.into());
    show("frequency", definition.frequency.into(), default.frequency.into());
    show("timeout", definition.timeout.into(), default.timeout.into());
    show("enabled", definition.enabled.into(), default.enabled.into());
    show("options", options(definition.options.as_ref()), Value::Null);
    shown
}

/// A definition of a notifier; `public` is what of its kind is no secret.
pub fn notifier(definition: &NotifierDefinition, public: &Public) -> Map<String, Value> {
    let address = view::address(public, definition.address.expose());
    let mut shown = Map::new();
    shown.insert("name".to_owned(), definition.name.as_str().into());
    shown.insert("type".to_owned(), definition.kind.as_str().into());
    shown.insert("address".to_owned(), address.into());
    let (params, options) =
        (params(Some(&definition.params), &public.params), options(definition.options.as_ref()));
    if !params.is_null() {
        shown.insert("params".to_owned(), params);
    }
    if !definition.enabled {
        shown.insert("enabled".to_owned(), false.into());
    }
    if !options.is_null() {
        shown.insert("options".to_owned(), options);
    }
    shown
}

/// What cannot be read may be a secret as a whole.
fn params(column: Option<&Secret>, public: &[impl AsRef<str>]) -> Value {
    let Ok(params) = Params::parse(column.map_or("", Secret::expose)) else {
        return MASK.into();
    };
    let show = |key: &str| {
        let value = params.get(key).map_or("", Secret::expose);
        let is_shown = public.iter().any(|public| public.as_ref() == key)
            || value.starts_with("env:")
            || value.starts_with("file:");
        let shown = if is_shown { text::mask_userinfo(value) } else { MASK.into() };
        (key.to_owned(), Value::from(shown))
    };
    let shown: Map<String, Value> = params.keys().map(show).collect();
    if shown.is_empty() { Value::Null } else { shown.into() }
}

fn options(column: Option<&Secret>) -> Value {
    match view::options(column, option) {
        Value::Object(options) if options.is_empty() => Value::Null,
        shown => shown,
    }
}

fn option(key: &str, value: Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Object(headers) if key == "headers" => headers.into_iter().map(header).collect(),
        value if PUBLIC_OPTIONS.contains(&key) => value,
        _ => MASK.into(),
    }
}

fn header((name, value): (String, Value)) -> (String, Value) {
    let is_public = PUBLIC_HEADERS.iter().any(|public| public.eq_ignore_ascii_case(&name));
    let shown = if is_public { value } else { MASK.into() };
    (name, shown)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of_mail() -> Public {
        Public { address: true, params: vec!["server".to_owned()] }
    }

    #[test]
    fn what_is_the_default_is_left_out() {
        let shown = target(&TargetDefinition::new("home", "https://example.org/"));
        assert_eq!(Value::from(shown), json!({"name": "home", "url": "https://example.org/"}));
        let shown = notifier(&NotifierDefinition::new("ops", "SMTP", "a@b"), &of_mail());
        assert_eq!(Value::from(shown), json!({"name": "ops", "type": "SMTP", "address": "a@b"}));
        let mut empty = TargetDefinition::new("home", "http://h/");
        empty.authn_parms = Some(Secret::new(" "));
        for options in ["", "null", "{}"] {
            empty.options = Some(Secret::new(options));
            assert_eq!(target(&empty).len(), 2);
        }
    }

    #[test]
    fn all_else_is_shown_but_no_secret() {
        let definition = TargetDefinition {
            authn: "BASIC".to_owned(),
            authn_parms: Some(Secret::new("user=bob,password=hunter2,token=env:TOKEN,key=file:/k")),
            pass_result: "2xx".to_owned(),
            frequency: 5,
            enabled: false,
            options: Some(Secret::new(
                r#"{"tags":["a"],"headers":{"Host":"h","X-Key":"hunter2"},"body":"hunter2","odd":{"a":"hunter2"},
                "tls":{"ca_file":"/ca"},"max_response_ms":null}"#,
            )),
            ..TargetDefinition::new("home", "https://bob:hunter2@example.org/")
        };
        assert_eq!(
            Value::from(target(&definition)),
            json!({
                "name": "home", "url": "https://***@example.org/", "authn": "BASIC",
                "authn_parms": {"key": "file:/k", "password": "***", "token": "env:TOKEN", "user": "bob"},
                "pass_result": "2xx", "frequency": 5, "enabled": false,
                "options": {
                    "tags": ["a"], "headers": {"Host": "h", "X-Key": "***"}, "body": "***", "odd": "***",
                    "tls": {"ca_file": "/ca"}, "max_response_ms": null,
                },
            })
        );
        let mut definition = NotifierDefinition::new("hook", "WEBHOOK", "https://example.org/hunter2");
        definition.params = Secret::new("secret=hunter2,server=m");
        definition.options = Some(Secret::new("hunter2"));
        assert_eq!(
            Value::from(notifier(&definition, &of_mail())),
            json!({
                "name": "hook", "type": "WEBHOOK", "address": "https://example.org/***",
                "params": {"secret": "***", "server": "m"}, "options": "***",
            })
        );
    }
}
