//! Assertions on a JSON body, by JSONPath (RFC 9535).
//!
//! A path may find several values; each of them must pass. One that finds none fails, unless that is what is
//! asserted.

use std::cmp::Ordering;

use regex::bytes::Regex;
use serde::Deserialize;
use serde_json::{Number, Value};
use serde_json_path::JsonPath;
use skypunch_actors::domain::text;

use super::{
    assertion::{excerpt, pattern},
    scrub::Secrets,
};
use crate::fields::Fields;

/// The most values that a body may hold. Each takes many times the memory of its text.
const VALUES_MAX: usize = 1 << 16;

/// What must be so of each value that a path finds.
pub(super) struct JsonAssertion {
    path: JsonPath,
    /// The path and the test as the row says them.
    shown: String,
    test: Test,
}

enum Test {
    Equal(Value),
    Unequal(Value),
    Ordered(Value, fn(Ordering) -> bool),
    Contains(Value),
    Matches(Regex),
    Exists(bool),
}

#[derive(Clone, Copy, Deserialize)]
enum Op {
    #[serde(rename = "==")]
    Equal,
    #[serde(rename = "!=")]
    Unequal,
    #[serde(rename = "<")]
    Less,
    #[serde(rename = "<=")]
    AtMost,
    #[serde(rename = ">")]
    Greater,
    #[serde(rename = ">=")]
    AtLeast,
    #[serde(rename = "contains")]
    Contains,
    #[serde(rename = "matches")]
    Matches,
    #[serde(rename = "exists")]
    Exists,
}

const OPS: &str = "one of ==, !=, <, <=, >, >=, contains, matches, exists";

/// Reads a body; what is no JSON, or too much of it, is said in words.
pub(super) fn parse(body: &[u8]) -> Result<Value, String> {
    let values = body.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    if values > VALUES_MAX {
        return Err(format!("body is not judged as JSON: it holds more than {VALUES_MAX} values"));
    }
    serde_json::from_slice(body)
        .map_err(|error| format!("body is not JSON (line {}, column {})", error.line(), error.column()))
}

impl JsonAssertion {
    /// Reads `json_path`, `op` and `value`.
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let source = fields.take::<String>("json_path", "a JSONPath such as $.status");
        let path = source.as_deref().and_then(|source| match JsonPath::parse(source) {
            Ok(path) => Some(path),
            Err(error) => {
                let why = text::reason(&error.to_string());
                fields.fault("json_path", &format!("is not a JSONPath such as $.status: {why}"));
                None
            }
        });
        let op = fields.raw("op").and_then(|op| Op::deserialize(op).ok());
        if op.is_none() {
            fields.fault("op", &format!("must be {OPS}"));
        }
        let named = fields.raw("op").and_then(Value::as_str).unwrap_or_default();
        let value = fields.raw("value");
        let test = test(fields, op?, value)?;
        let shown = match value {
            Some(value) => format!("{} {named} {value}", source?),
            None => format!("{} {named}", source?),
        };
        Some(Self { path: path?, shown: text::reason(&shown), test })
    }

    /// Says what was found where the assertion does not hold.
    pub(super) fn fails(&self, document: &Value, secrets: &Secrets) -> Option<String> {
        let found = self.path.query(document).all();
        let shown = &self.shown;
        if let Test::Exists(wanted) = self.test {
            return match (wanted, found.first()) {
                (true, None) => Some(format!("{shown}: there is nothing")),
                (false, Some(value)) => Some(format!("{shown}: there is `{}`", display(value, secrets))),
                _ => None,
            };
        }
        if found.is_empty() {
            return Some(format!("{shown}: there is nothing"));
        }
        let wrong = found.into_iter().find(|value| !self.test.holds(value))?;
        Some(format!("{shown}: it is `{}`", display(wrong, secrets)))
    }
}

fn test(fields: &mut Fields<'_>, op: Op, value: Option<&Value>) -> Option<Test> {
    const KEY: &str = "value";
    if let Op::Exists = op {
        return match value {
            None => Some(Test::Exists(true)),
            Some(Value::Bool(wanted)) => Some(Test::Exists(*wanted)),
            Some(_) => {
                fields.fault(KEY, "must be true or false for exists");
                None
            }
        };
    }
    let Some(value) = value else {
        fields.fault(KEY, "is missing");
        return None;
    };
    let value = value.clone();
    let ordering: fn(Ordering) -> bool = match op {
        Op::Equal => return Some(Test::Equal(value)),
        Op::Unequal => return Some(Test::Unequal(value)),
        Op::Contains | Op::Exists => return Some(Test::Contains(value)),
        Op::Matches => {
            let Some(source) = value.as_str() else {
                fields.fault(KEY, "must be a regular expression for matches");
                return None;
            };
            return pattern(source).map(Test::Matches).map_err(|problem| fields.fault(KEY, &problem)).ok();
        }
        Op::Less => Ordering::is_lt,
        Op::AtMost => Ordering::is_le,
        Op::Greater => Ordering::is_gt,
        Op::AtLeast => Ordering::is_ge,
    };
    if !(value.is_number() || value.is_string()) {
        fields.fault(KEY, "must be a number or a text to be compared");
        return None;
    }
    Some(Test::Ordered(value, ordering))
}

impl Test {
    fn holds(&self, found: &Value) -> bool {
        match self {
            Self::Equal(value) => equal(found, value),
            Self::Unequal(value) => !equal(found, value),
            Self::Ordered(value, ordered) => compare(found, value).is_some_and(ordered),
            Self::Contains(value) => match (found, value) {
                (Value::String(found), Value::String(part)) => found.contains(part.as_str()),
                (Value::Array(items), value) => items.iter().any(|item| equal(item, value)),
                (Value::Object(object), Value::String(key)) => object.contains_key(key),
                _ => false,
            },
            Self::Matches(pattern) => match found {
                Value::String(text) => pattern.is_match(text.as_bytes()),
                Value::Number(_) | Value::Bool(_) => pattern.is_match(found.to_string().as_bytes()),
                _ => false,
            },
            Self::Exists(wanted) => *wanted,
        }
    }
}

/// Of JSON, 1 and 1.0 are the same number.
fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b) == Some(Ordering::Equal),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b)))
        }
        (a, b) => a == b,
    }
}

/// Numbers by size, texts by their characters; nothing else has an order.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare_numbers(a, b),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// Whole numbers exactly: as floating ones, large neighbours would be the same.
fn compare_numbers(a: &Number, b: &Number) -> Option<Ordering> {
    let whole = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (whole(a), whole(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

fn display(value: &Value, secrets: &Secrets) -> String {
    match value {
        Value::String(text) => excerpt(text.as_bytes(), secrets),
        value => excerpt(value.to_string().as_bytes(), secrets),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(assertion: &Value) -> Result<JsonAssertion, Vec<String>> {
        let mut fields = Fields::at("a", assertion);
        let read = JsonAssertion::read(&mut fields);
        let faults = fields.finish();
        read.filter(|_| faults.is_empty()).ok_or(faults)
    }

    fn fails(path: &str, op: &str, value: Value) -> Option<String> {
        let document = json!({
            "status": "ok", "load": 0.5, "big": 9_007_199_254_740_993_u64, "up": true, "none": null,
            "nodes": [{"name": "a", "n": 1}, {"name": "b", "n": 2.0}], "key": "hunter2",
        });
        let secrets = Secrets::of(&actix_http::header::HeaderMap::new(), b"hunter2");
        let assertion = read(&json!({"json_path": path, "op": op, "value": value})).ok().unwrap();
        assertion.fails(&document, &secrets)
    }

    #[test]
    fn what_holds_of_every_value_found_passes() {
        for (path, op, value) in [
            ("$.status", "==", json!("ok")),
            ("$.status", "!=", json!("down")),
            ("$.load", "<", json!(1)),
            ("$.load", "<=", json!(0.5)),
            ("$.big", ">", json!(9_007_199_254_740_992_u64)),
            ("$.big", ">=", json!(9_007_199_254_740_993_u64)),
            ("$.nodes[*].n", ">=", json!(1)),
            ("$.nodes[1].n", "==", json!(2)),
            ("$.nodes[0]", "==", json!({"n": 1.0, "name": "a"})),
            ("$.nodes[?@.name == 'b'].n", "==", json!(2)),
            ("$.nodes[*].name", "contains", json!("")),
            ("$.nodes[*]", "contains", json!("name")),
            ("$.status", "matches", json!("^o")),
            ("$.up", "matches", json!("true")),
            ("$.none", "==", json!(null)),
            ("$.none", "exists", json!(true)),
            ("$.gone", "exists", json!(false)),
        ] {
            assert_eq!(fails(path, op, value.clone()), None, "{path} {op} {value}");
        }
    }

    #[test]
    fn what_does_not_hold_says_what_was_found() {
        for (path, op, value, reason) in [
            ("$.status", "==", json!("up"), r#"$.status == "up": it is `ok`"#),
            ("$.nodes[*].n", "<", json!(2), "$.nodes[*].n < 2: it is `2.0`"),
            ("$.status", ">", json!(1), "$.status > 1: it is `ok`"),
            (
                "$.big",
                "==",
                json!(9_007_199_254_740_992_u64),
                "$.big == 9007199254740992: it is `9007199254740993`",
            ),
            ("$.gone", "!=", json!(1), "$.gone != 1: there is nothing"),
            ("$.gone", "exists", json!(true), "$.gone exists true: there is nothing"),
            ("$.load", "exists", json!(false), "$.load exists false: there is `0.5`"),
            ("$.key", "==", json!("x"), r#"$.key == "x": it is `***`"#),
            (
                "$.nodes",
                "contains",
                json!(1),
                r#"$.nodes contains 1: it is `[{"name":"a","n":1},{"name":"b","n":2.0}]`"#,
            ),
        ] {
            assert_eq!(fails(path, op, value).as_deref(), Some(reason));
        }
    }

    #[test]
    fn each_way_to_be_wrong_is_named() {
        for (assertion, begins) in [
            (
                json!({"json_path": "status", "op": "exists"}),
                "`a.json_path` is not a JSONPath such as $.status: ",
            ),
            (json!({"json_path": 1, "op": "exists"}), "`a.json_path` must be a JSONPath such as $.status"),
            (json!({"json_path": "$"}), "`a.op` must be one of ==, !=, <"),
            (json!({"json_path": "$", "op": "=~"}), "`a.op` must be one of ==, !=, <"),
            (json!({"json_path": "$", "op": "=="}), "`a.value` is missing"),
            (
                json!({"json_path": "$", "op": "<", "value": []}),
                "`a.value` must be a number or a text to be compared",
            ),
            (
                json!({"json_path": "$", "op": "matches", "value": "("}),
                "`a.value` is not a regular expression: ",
            ),
            (
                json!({"json_path": "$", "op": "matches", "value": 1}),
                "`a.value` must be a regular expression",
            ),
            (
                json!({"json_path": "$", "op": "exists", "value": 1}),
                "`a.value` must be true or false for exists",
            ),
        ] {
            let faults = read(&assertion).err().unwrap();
            assert!(faults[0].starts_with(begins), "{faults:?}");
        }
    }

    #[test]
    fn a_body_that_is_no_json_or_too_much_says_so() {
        assert_eq!(parse(b"{\"a\":").unwrap_err(), "body is not JSON (line 1, column 5)");
        let many = format!("[{}0]", "0,".repeat(VALUES_MAX + 1));
        assert!(parse(many.as_bytes()).unwrap_err().contains("more than 65536 values"));
        assert!(parse("[".repeat(10_000).as_bytes()).unwrap_err().starts_with("body is not JSON"));
    }
}
