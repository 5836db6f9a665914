//! The parameters of a new row: its columns by name, each with the default of the schema.

use serde::Deserialize;
use serde_json::{Map, Value};
use skypunch_actors::domain::{NotifierDefinition, Secret, TargetDefinition};

/// The parameters of `targets.add`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTarget {
    name: String,
    url: String,
    tenantid: Option<String>,
    method: Option<String>,
    authn: Option<String>,
    authn_parms: Option<Secretive>,
    pass_result: Option<PassResult>,
    frequency: Option<i64>,
    timeout: Option<i64>,
    enabled: Option<bool>,
    options: Option<Secretive>,
}

/// The parameters of `notifiers.add`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewNotifier {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    address: String,
    params: Option<Secretive>,
    enabled: Option<bool>,
    options: Option<Secretive>,
}

/// A column that is a text, or a JSON object in place of its text.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text or an object")]
enum Secretive {
    Text(String),
    Object(Map<String, Value>),
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text or a number for `pass_result`")]
enum PassResult {
    Text(String),
    Number(u16),
}

impl From<Secretive> for Secret {
    fn from(column: Secretive) -> Self {
        match column {
            Secretive::Text(text) => Self::new(text),
            Secretive::Object(object) => Self::new(Value::Object(object).to_string()),
        }
    }
}

impl From<NewTarget> for TargetDefinition {
    fn from(new: NewTarget) -> Self {
        let default = Self::new(new.name, new.url);
        let pass_result = new.pass_result.map(|expected| match expected {
            PassResult::Text(text) => text,
            PassResult::Number(status) => status.to_string(),
        });
        Self {
            tenantid: new.tenantid.unwrap_or(default.tenantid),
            method: new.method.unwrap_or(default.method),
            authn: new.authn.unwrap_or(default.authn),
            authn_parms: new.authn_parms.map(Secret::from),
            pass_result: pass_result.unwrap_or(default.pass_result),
            frequency: new.frequency.unwrap_or(default.frequency),
            timeout: new.timeout.unwrap_or(default.timeout),
            enabled: new.enabled.unwrap_or(default.enabled),
            options: new.options.map(Secret::from),
            ..default
        }
    }
}

impl From<NewNotifier> for NotifierDefinition {
    fn from(new: NewNotifier) -> Self {
        let default = Self::new(new.name, new.kind, new.address);
        Self {
            params: new.params.map_or(default.params, Secret::from),
            enabled: new.enabled.unwrap_or(default.enabled),
            options: new.options.map(Secret::from),
            ..default
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn target(columns: Value) -> Result<TargetDefinition, String> {
        serde_json::from_value::<NewTarget>(columns).map(Into::into).map_err(|e| e.to_string())
    }

    #[test]
    fn a_name_and_a_url_are_enough() {
        let definition = target(json!({"name": "home", "url": "http://h/"})).unwrap();
        assert_eq!(definition, TargetDefinition::new("home", "http://h/"));
        let new: NewNotifier =
            serde_json::from_value(json!({"name": "ops", "type": "SMTP", "address": "a@b"})).unwrap();
        assert_eq!(NotifierDefinition::from(new), NotifierDefinition::new("ops", "SMTP", "a@b"));
    }

    #[test]
    fn every_column_can_be_given() {
        let definition = target(json!({
            "name": "home", "url": "http://h/", "tenantid": "7", "method": "HEAD", "authn": "BASIC",
            "authn_parms": "user=bob,password=hunter2", "pass_result": 204, "frequency": 5, "timeout": 2,
            "enabled": false, "options": {"tags": ["a"]},
        }));
        let expected = TargetDefinition {
            tenantid: "7".to_owned(),
            method: "HEAD".to_owned(),
            authn: "BASIC".to_owned(),
            authn_parms: Some(Secret::new("user=bob,password=hunter2")),
            pass_result: "204".to_owned(),
            frequency: 5,
            timeout: 2,
            enabled: false,
            options: Some(Secret::new(r#"{"tags":["a"]}"#)),
            ..TargetDefinition::new("home", "http://h/")
        };
        assert_eq!(definition.unwrap(), expected);
    }

    #[test]
    fn an_unknown_column_is_named() {
        let error = target(json!({"name": "home", "url": "http://h/", "status": "PASS"})).unwrap_err();
        assert!(error.contains("`status`"), "{error}");
    }
}
