//! Reads the JSON objects of a row strictly: each field under its name, and every fault at once.
//!
//! # Design notes
//!
//! - 2026-11: serde's `deny_unknown_fields` stops at the first fault, and its messages show the value, which
//!   may be a secret. So each field is read by itself, and the reader says what is allowed.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// An object that is being read.
pub struct Fields<'a> {
    object: Option<&'a Map<String, Value>>,
    /// What stands before the name of each field: `tls.`.
    path: String,
    known: Vec<&'static str>,
    faults: Vec<String>,
}

impl<'a> Fields<'a> {
    /// The fields of an object.
    pub fn of(object: &'a Map<String, Value>) -> Self {
        Self { object: Some(object), path: String::new(), known: Vec::new(), faults: Vec::new() }
    }

    /// The fields of the object that should stand at `path`.
    pub fn at(path: &str, value: &'a Value) -> Self {
        let object = value.as_object();
        let faults = if object.is_none() { vec![format!("`{path}` must be an object")] } else { Vec::new() };
        Self { object, path: format!("{path}."), known: Vec::new(), faults }
    }

    /// Names fields that somebody else reads.
    pub fn knowing(mut self, keys: impl IntoIterator<Item = &'static str>) -> Self {
        self.known.extend(keys);
        self
    }

    /// The value of a field as it stands.
    pub fn raw(&mut self, key: &'static str) -> Option<&'a Value> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.object?.get(key)
    }

    /// The value of a field, which must be what `allowed` says; `null` is none.
    pub fn take<T: DeserializeOwned>(&mut self, key: &'static str, allowed: &str) -> Option<T> {
        self.take_if(key, allowed, |_| true)
    }

    /// The same where not every `T` is allowed.
    pub fn take_if<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
        allowed: &str,
        is_allowed: impl FnOnce(&T) -> bool,
    ) -> Option<T> {
        let value = self.raw(key).filter(|value| !value.is_null())?;
        let read = T::deserialize(value).ok().filter(is_allowed);
        if read.is_none() {
            self.fault(key, &format!("must be {allowed}"));
        }
        read
    }

    /// Whether the object has a value for this field.
    pub fn has(&self, key: &str) -> bool {
        self.object.is_some_and(|object| object.get(key).is_some_and(|value| !value.is_null()))
    }

    /// Takes down what is wrong with a field.
    pub fn fault(&mut self, key: &str, problem: &str) {
        self.faults.push(format!("`{}{key}` {problem}", self.path));
    }

    /// Takes down what is wrong with the object as a whole.
    pub fn fault_whole(&mut self, problem: &str) {
        self.faults.push(format!("`{}` {problem}", self.path.trim_end_matches('.')));
    }

    /// Takes down what was found wrong elsewhere, in words of its own.
    pub fn extend(&mut self, faults: impl IntoIterator<Item = String>) {
        self.faults.extend(faults);
    }

    /// All that is wrong with the object, and the fields of it that nobody knows.
    pub fn finish(mut self) -> Vec<String> {
        let unknown = self.object.into_iter().flat_map(Map::keys);
        for key in unknown.filter(|key| !self.known.contains(&key.as_str())) {
            let key = skypunch_actors::domain::text::reason(key);
            let known = match self.known.join(", ") {
                none if none.is_empty() => "there are none".to_owned(),
                known => format!("known are {known}"),
            };
            self.faults.push(format!("unknown option `{}{key}`: {known}", self.path));
        }
        self.faults
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_fault_is_named_and_no_value_is_shown() {
        let value = json!({"limit": "hunter2", "name": "ok", "hunter\n": 1, "even": 3, "unset": null});
        let mut fields = Fields::at("a", &value);
        assert_eq!(fields.take::<u8>("limit", "a number"), None);
        assert_eq!(fields.take::<String>("name", "a text"), Some("ok".to_owned()));
        assert_eq!(fields.take::<String>("unset", "a text"), None);
        assert_eq!(fields.take_if::<u8>("even", "an even number", |n| n % 2 == 0), None);
        assert_eq!(
            fields.finish(),
            [
                "`a.limit` must be a number",
                "`a.even` must be an even number",
                r"unknown option `a.hunter\n`: known are limit, name, unset, even",
            ]
        );
    }

    #[test]
    fn what_is_no_object_has_no_fields() {
        let value = json!("hunter2");
        let mut fields = Fields::at("tls", &value);
        assert_eq!(fields.take::<bool>("verify", "true or false"), None);
        assert_eq!(fields.finish(), ["`tls` must be an object"]);
        let value = json!({"a": 1});
        assert_eq!(Fields::of(value.as_object().unwrap()).finish(), ["unknown option `a`: there are none"]);
    }
}
