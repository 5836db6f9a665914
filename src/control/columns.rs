//! A row as programs give it: its columns by name, each read strictly and with the default of the schema.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use skypunch_actors::domain::{Fault, NotifierDefinition, Secret, TargetDefinition, text};

/// What is wrong with a column, which nobody may know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ColumnFault {
    column: String,
    problem: String,
}

/// A row that is being read.
struct Columns<'a> {
    given: &'a Map<String, Value>,
    known: Vec<&'static str>,
    faults: Vec<ColumnFault>,
}

/// Reads a row of `targets`, with all that is wrong with it.
pub fn target(given: &Map<String, Value>) -> (TargetDefinition, Vec<ColumnFault>) {
    let mut columns = Columns::of(given);
    let mut definition = TargetDefinition::new(columns.need("name"), columns.need("url"));
    columns.set("tenantid", "a text", &mut definition.tenantid);
    columns.set("method", "a text", &mut definition.method);
    columns.set("authn", "a text", &mut definition.authn);
    definition.authn_parms = columns.secret("authn_parms");
    columns.set_pass_result(&mut definition.pass_result);
    columns.set("frequency", "a whole number of seconds", &mut definition.frequency);
    columns.set("timeout", "a whole number of seconds", &mut definition.timeout);
    columns.set("enabled", "true or false", &mut definition.enabled);
    definition.options = columns.secret("options");
    columns.finish(definition)
}

/// Reads a row of `notifiers`, with all that is wrong with it.
pub fn notifier(given: &Map<String, Value>) -> (NotifierDefinition, Vec<ColumnFault>) {
    let mut columns = Columns::of(given);
    let mut definition =
        NotifierDefinition::new(columns.need("name"), columns.need("type"), columns.need("address"));
    definition.params = columns.secret("params").unwrap_or(definition.params);
    columns.set("enabled", "true or false", &mut definition.enabled);
    definition.options = columns.secret("options");
    columns.finish(definition)
}

impl<'a> Columns<'a> {
    fn of(given: &'a Map<String, Value>) -> Self {
        Self { given, known: Vec::new(), faults: Vec::new() }
    }

    /// A column that is given; `null` is none.
    fn get(&mut self, column: &'static str) -> Option<&'a Value> {
        self.known.push(column);
        self.given.get(column).filter(|value| !value.is_null())
    }

    fn need(&mut self, column: &'static str) -> String {
        match self.get(column) {
            Some(Value::String(text)) => return text.clone(),
            Some(_) => self.fault(column, "must be a text"),
            None => self.fault(column, "is missing"),
        }
        String::new()
    }

    fn set<T: DeserializeOwned>(&mut self, column: &'static str, allowed: &str, to: &mut T) {
        let Some(value) = self.get(column) else { return };
        match T::deserialize(value) {
            Ok(value) => *to = value,
            Err(_) => self.fault(column, format!("must be {allowed}")),
        }
    }

    /// A single status may be a number.
    fn set_pass_result(&mut self, to: &mut String) {
        const COLUMN: &str = "pass_result";
        match self.get(COLUMN) {
            None => {}
            Some(Value::String(text)) => text.clone_into(to),
            Some(Value::Number(status)) if status.is_u64() => *to = status.to_string(),
            Some(_) => self.fault(COLUMN, "must be a text or a status"),
        }
    }

    /// A text, or an object in place of its text.
    fn secret(&mut self, column: &'static str) -> Option<Secret> {
        match self.get(column)? {
            Value::String(text) => return Some(Secret::new(text)),
            object @ Value::Object(_) => return Some(Secret::new(object.to_string())),
            _ => self.fault(column, "must be a text or an object"),
        }
        None
    }

    fn fault(&mut self, column: &str, problem: impl Into<String>) {
        self.faults.push(ColumnFault { column: column.to_owned(), problem: problem.into() });
    }

    fn finish<T>(mut self, definition: T) -> (T, Vec<ColumnFault>) {
        for column in self.given.keys().filter(|column| !self.known.contains(&column.as_str())) {
            let problem = format!("is no column that can be given: {}", self.known.join(", "));
            self.faults.push(ColumnFault { column: text::reason(column), problem });
        }
        (definition, self.faults)
    }
}

impl ColumnFault {
    /// A fault of `column`.
    pub fn new(column: &str, problem: impl Into<String>) -> Self {
        Self { column: column.to_owned(), problem: problem.into() }
    }

    /// Adds what was found when the row was judged, of columns that could be read.
    pub fn extend(faults: &mut Vec<Self>, judged: Vec<Fault>) {
        let unread = faults.len();
        for fault in judged {
            if !faults[..unread].iter().any(|known| known.column == fault.column) {
                faults.push(Self::new(fault.column, fault.problem));
            }
        }
    }

    /// All faults of a row as one reason.
    pub fn join(faults: &[Self]) -> String {
        faults.iter().map(Self::to_string).collect::<Vec<_>>().join("; ")
    }

    /// As programs read it.
    pub fn view(&self) -> Value {
        json!({ "column": self.column, "problem": self.problem })
    }
}

impl fmt::Display for ColumnFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.column, self.problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(columns: Value) -> Result<TargetDefinition, String> {
        let (definition, faults) = target(columns.as_object().unwrap());
        if faults.is_empty() { Ok(definition) } else { Err(ColumnFault::join(&faults)) }
    }

    #[test]
    fn a_name_and_a_url_are_enough() {
        let definition = read(json!({"name": "home", "url": "http://h/", "options": null}));
        assert_eq!(definition, Ok(TargetDefinition::new("home", "http://h/")));
        let columns = json!({"name": "ops", "type": "SMTP", "address": "a@b"});
        let expected = NotifierDefinition::new("ops", "SMTP", "a@b");
        assert_eq!(notifier(columns.as_object().unwrap()), (expected, Vec::new()));
    }

    #[test]
    fn every_column_can_be_given() {
        let definition = read(json!({
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
        assert_eq!(definition, Ok(expected));
    }

    #[test]
    fn what_cannot_be_read_is_judged_once() {
        let (_, mut faults) = target(json!({"name": "home", "url": 7}).as_object().unwrap());
        let judged = [("url", "is not a URL"), ("options", "not JSON"), ("options", "too long")];
        ColumnFault::extend(&mut faults, judged.map(|(column, why)| Fault::new(column, why)).into());
        let told = "url: must be a text; options: not JSON; options: too long";
        assert_eq!(ColumnFault::join(&faults), told);
    }

    #[test]
    fn all_faults_are_named_and_no_value_is_shown() {
        let columns = json!({
            "url": 7, "frequency": "hunter2", "enabled": "hunter2", "pass_result": -1, "options": ["hunter2"],
            "authn_parms": 7, "sta\ntus": "hunter2",
        });
        assert_eq!(
            read(columns).unwrap_err(),
            "name: is missing; url: must be a text; authn_parms: must be a text or an object; pass_result: \
             must be a text or a status; frequency: must be a whole number of seconds; enabled: must be true \
             or false; options: must be a text or an object; sta\\ntus: is no column that can be given: name, \
             url, tenantid, method, authn, authn_parms, pass_result, frequency, timeout, enabled, options"
        );
    }
}
