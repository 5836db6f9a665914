//! JSON-RPC 2.0 as the control socket speaks it: one object a line.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use skypunch_actors::domain::text;

/// The longest line that the server reads, in bytes.
pub const LINE_MAX: usize = 64 * 1024;

/// The notification that carries a step of a trace while a call is under way.
pub const TRACE: &str = "trace";

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What the answer is told by; without it nobody waits for an answer.
    pub id: Option<Value>,
    /// What is to be done.
    pub method: String,
    /// To what, by name.
    pub params: Map<String, Value>,
}

/// Why a call was not done, in the words and codes of JSON-RPC.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    /// The kind, for programs.
    pub code: i32,
    /// The reason, for people: one printable line.
    pub message: String,
}

impl RpcError {
    fn new(code: i32, message: impl AsRef<str>) -> Self {
        Self { code, message: text::reason(message.as_ref()) }
    }

    /// The line is not JSON.
    pub fn parse(problem: impl AsRef<str>) -> Self {
        Self::new(-32_700, problem)
    }

    /// The line is JSON, and no request.
    pub fn invalid_request(problem: impl AsRef<str>) -> Self {
        Self::new(-32_600, problem)
    }

    /// There is no such method.
    pub fn method_not_found(method: &str) -> Self {
        Self::new(-32_601, format!("there is no method `{method}`"))
    }

    /// The method does not take these parameters.
    pub fn invalid_params(problem: impl AsRef<str>) -> Self {
        Self::new(-32_602, problem)
    }

    /// The method failed.
    pub fn failed(reason: impl AsRef<str>) -> Self {
        Self::new(-32_000, reason)
    }

    /// The server has no place for another client.
    pub fn busy() -> Self {
        Self::new(-32_001, "too many clients are connected: try again later")
    }
}

/// Reads one line as a request; or says what is wrong, and the id that the answer must carry.
pub fn read_request(line: &str) -> Result<Request, (Value, RpcError)> {
    let value: Value = serde_json::from_str(line).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        (Value::Null, RpcError::parse(format!("not JSON (line {line}, column {column})")))
    })?;
    let Value::Object(mut object) = value else {
        return Err((
            Value::Null,
            RpcError::invalid_request("a request is one object; batches are not taken"),
        ));
    };
    let id = object.remove("id");
    if !matches!(id, None | Some(Value::Null | Value::String(_) | Value::Number(_))) {
        return Err((Value::Null, RpcError::invalid_request("`id` must be a text or a number")));
    }
    let refuse = |error: RpcError| (id.clone().unwrap_or_default(), error);
    if object.get("jsonrpc") != Some(&json!("2.0")) {
        return Err(refuse(RpcError::invalid_request("`jsonrpc` must be \"2.0\"")));
    }
    let Some(Value::String(method)) = object.remove("method") else {
        return Err(refuse(RpcError::invalid_request("`method` must be a text")));
    };
    let params = match object.remove("params") {
        None => Map::new(),
        Some(Value::Object(params)) => params,
        Some(Value::Array(_)) => {
            return Err(refuse(RpcError::invalid_params("parameters are taken by name: give an object")));
        }
        Some(_) => return Err(refuse(RpcError::invalid_request("`params` must be an object"))),
    };
    Ok(Request { id, method, params })
}

/// The line that makes a call.
pub fn request_line(id: u64, method: &str, params: &Map<String, Value>) -> String {
    line(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))
}

/// The line that answers a call.
pub fn response_line(id: &Value, answer: Result<Value, RpcError>) -> String {
    line(&match answer {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
    })
}

/// The line that tells a step of a trace.
pub fn trace_line(step: &str) -> String {
    line(&json!({ "jsonrpc": "2.0", "method": TRACE, "params": { "line": step } }))
}

fn line(object: &Value) -> String {
    format!("{object}\n")
}

/// What a server says.
#[derive(Debug, PartialEq)]
pub enum Reply {
    /// A step of a trace; the answer is still to come.
    Trace(String),
    /// The answer.
    Answer(Result<Value, RpcError>),
}

/// Reads one line of a server; `None` is no JSON-RPC.
pub fn read_reply(line: &str) -> Option<Reply> {
    let Value::Object(mut object) = serde_json::from_str(line).ok()? else {
        return None;
    };
    if object.get("method").is_some_and(|method| method == TRACE) {
        let step = object.get("params")?.get("line")?.as_str()?;
        return Some(Reply::Trace(step.to_owned()));
    }
    if let Some(error) = object.remove("error") {
        return serde_json::from_value(error).ok().map(|error| Reply::Answer(Err(error)));
    }
    object.remove("result").map(|result| Reply::Answer(Ok(result)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str) -> (Value, i32) {
        let (id, error) = read_request(line).unwrap_err();
        (id, error.code)
    }

    #[test]
    fn a_request_is_read() {
        let line = request_line(7, "targets.get", json!({"target": "home"}).as_object().unwrap());
        let request = read_request(&line).unwrap();
        assert_eq!(request.id, Some(json!(7)));
        assert_eq!(request.method, "targets.get");
        assert_eq!(request.params["target"], "home");
    }

    #[test]
    fn what_has_no_id_is_a_notification_and_what_has_null_is_not() {
        assert_eq!(read_request(r#"{"jsonrpc":"2.0","method":"reload"}"#).unwrap().id, None);
        let line = r#"{"jsonrpc":"2.0","method":"reload","id":null}"#;
        assert_eq!(read_request(line).unwrap().id, Some(Value::Null));
    }

    #[test]
    fn malformed_requests_get_the_standard_codes() {
        assert_eq!(refused("{"), (Value::Null, -32_700));
        assert_eq!(refused(""), (Value::Null, -32_700));
        assert_eq!(refused(&"[".repeat(60_000)), (Value::Null, -32_700));
        assert_eq!(refused("[]"), (Value::Null, -32_600));
        assert_eq!(refused(r#"[{"jsonrpc":"2.0","method":"status","id":1}]"#), (Value::Null, -32_600));
        assert_eq!(refused(r#"{"method":"status","id":1}"#), (json!(1), -32_600));
        assert_eq!(refused(r#"{"jsonrpc":"2.0","id":"a"}"#), (json!("a"), -32_600));
        assert_eq!(refused(r#"{"jsonrpc":"2.0","method":1,"id":1}"#), (json!(1), -32_600));
        assert_eq!(refused(r#"{"jsonrpc":"2.0","method":"status","id":{}}"#), (Value::Null, -32_600));
        assert_eq!(refused(r#"{"jsonrpc":"2.0","method":"a","params":1,"id":1}"#), (json!(1), -32_600));
        assert_eq!(refused(r#"{"jsonrpc":"2.0","method":"a","params":[1],"id":1}"#), (json!(1), -32_602));
    }

    #[test]
    fn an_answer_reads_back_as_itself() {
        let result = json!({"b": 1, "a": [null]});
        let line = response_line(&json!(1), Ok(result.clone()));
        assert!(line.ends_with("}\n") && line.find("\"b\"") < line.find("\"a\""), "{line}");
        assert_eq!(read_reply(&line), Some(Reply::Answer(Ok(result))));
        let error = RpcError::failed("no\nway");
        assert_eq!(error.message, r"no\nway");
        let line = response_line(&json!(1), Err(error.clone()));
        assert_eq!(read_reply(&line), Some(Reply::Answer(Err(error))));
        assert_eq!(read_reply(&trace_line("step")), Some(Reply::Trace("step".to_owned())));
        assert_eq!(read_reply("nonsense"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_a_request_or_a_standard_error(line in "\\PC*") {
            if let Err((_, error)) = read_request(&line) {
                proptest::prop_assert!((-32_700..=-32_600).contains(&error.code));
            }
        }
    }
}
