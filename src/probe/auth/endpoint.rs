//! Asks an endpoint that issues tokens, and says what went wrong in words that show no secret.

use std::{sync::Arc, time::Duration};

use actix_http::{
    Method, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT},
};
use bytes::Bytes;
use serde_json::Value;
use skypunch_actors::{
    domain::{MASK, text},
    port::{Clock, Tracer},
};
use tokio::time::timeout;

use super::{AuthError, Means};
use crate::{
    clock::SystemClock,
    net::{Client, Endpoint, EndpointError, NetError, Progress, Request},
};

/// How long an endpoint may take.
const FETCH_WITHIN: Duration = Duration::from_secs(30);
/// The most of an answer that is read, in bytes. A catalogue of a large cloud has some 100 kB.
const ANSWER_MAX: usize = 1 << 20;
/// The most of an endpoint's own words that is shown, in characters.
const WORDS_MAX: usize = 160;

/// Reaches endpoints for one target.
pub(super) struct Caller {
    client: Client,
    user_agent: HeaderValue,
}

/// What is asked.
pub(super) struct Call {
    /// Where.
    pub(super) url: String,
    /// The parameter that says so.
    pub(super) key: &'static str,
    /// How the endpoint is called in reasons.
    pub(super) shown: Arc<str>,
    /// Headers beside the usual ones.
    pub(super) headers: HeaderMap,
    /// The type of the body.
    pub(super) content_type: &'static str,
    /// The body.
    pub(super) body: String,
    /// What must not be shown, even if it comes back.
    pub(super) secrets: Vec<String>,
}

/// A successful answer; it holds the token.
pub(super) struct Answer {
    /// Its headers.
    pub(super) headers: HeaderMap,
    /// Its body.
    pub(super) json: Value,
}

impl Caller {
    /// A caller by these means.
    pub(super) fn new(means: &Means<'_>) -> Self {
        Self { client: means.client.clone(), user_agent: means.user_agent.clone() }
    }

    /// Asks, and reads the answer.
    pub(super) async fn ask(&self, call: &Call) -> Result<Answer, AuthError> {
        // A fetch belongs to no probe, so no trace has its steps; its failures say how far it came.
        let mut progress = Progress::new(Tracer::start(&(Arc::new(SystemClock) as Arc<dyn Clock>)));
        let answered = timeout(FETCH_WITHIN, self.exchange(call, &mut progress)).await;
        let (status, headers, body) = answered.unwrap_or_else(|_| {
            Err(AuthError::auth(format!(
                "no answer within {} s: waiting for the token of {}: {}",
                FETCH_WITHIN.as_secs(),
                call.shown,
                progress.stage()
            )))
        })?;
        let said = call.said(&body);
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(AuthError::auth(format!("{} refused the credentials: {status}{said}", call.shown)));
        }
        if !status.is_success() {
            return Err(AuthError::auth(format!("no token from {}: it answered {status}{said}", call.shown)));
        }
        if body.len() >= ANSWER_MAX {
            return Err(call.malformed(format!("more than {ANSWER_MAX} bytes")));
        }
        let json = serde_json::from_slice(&body).map_err(|_| call.malformed(format!("no JSON{said}")))?;
        Ok(Answer { headers, json })
    }

    async fn exchange(
        &self,
        call: &Call,
        progress: &mut Progress,
    ) -> Result<(StatusCode, HeaderMap, Vec<u8>), AuthError> {
        let endpoint = Endpoint::parse(&call.url)
            .map_err(|error| AuthError::config(format!("{}: {}", call.key, error_of(&error))))?;
        let mut headers = call.headers.clone();
        headers.insert(USER_AGENT, self.user_agent.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(call.content_type));
        let request = Request::new(endpoint, Method::POST, headers, Bytes::from(call.body.clone()));
        let failed = |error: NetError| {
            let why = masked(&error.to_string(), &call.secrets);
            AuthError::auth(format!("no token from {}: {why}", call.shown))
        };
        let mut answer = self.client.send(request, progress).await.map_err(failed)?;
        let (status, headers) = (answer.status, std::mem::take(&mut answer.headers));
        let body = answer.read(ANSWER_MAX, progress).await.map_err(failed)?;
        Ok((status, headers, body))
    }
}

impl Call {
    /// An answer that is not what it should be.
    pub(super) fn malformed(&self, what: impl std::fmt::Display) -> AuthError {
        AuthError::auth(format!("malformed answer from {}: {what}", self.shown))
    }

    /// What a body says, for the end of a reason. A raw body is never shown.
    fn said(&self, body: &[u8]) -> String {
        let Ok(json) = serde_json::from_slice::<Value>(body) else {
            return match body.trim_ascii_start() {
                [] => String::new(),
                [b'<', ..] => format!(", an HTML page of {} bytes", body.len()),
                _ => format!(", a text of {} bytes", body.len()),
            };
        };
        let Some(words) = words(&json) else { return String::new() };
        // Masked before it is cut: half a secret would not be found.
        let words = masked(words, &self.secrets);
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        format!(" ({})", text::cut(&words, WORDS_MAX))
    }
}

/// A text without what must not be shown.
pub(super) fn masked(text: &str, secrets: &[String]) -> String {
    let mut secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    // The longest first, since one may be a part of another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, MASK))
}

/// What is wrong with the URL of an endpoint.
pub(super) fn error_of(error: &EndpointError) -> String {
    match error {
        EndpointError::Userinfo => "holds credentials: give them as parameters".to_owned(),
        error => error.to_string(),
    }
}

/// A URL as it may be shown: what follows the path can be a secret.
pub(super) fn shown(url: &str) -> Arc<str> {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    text::reason(&text::mask_userinfo(&url[..end])).into()
}

/// The words of a JSON error, as Keystone and OAuth 2 have it.
fn words(json: &Value) -> Option<&str> {
    ["/error/message", "/error_description", "/error"].iter().find_map(|at| json.pointer(at)?.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(body: &str) -> String {
        let call = Call {
            url: String::new(),
            key: "token_url",
            shown: shown("http://h/v3"),
            headers: HeaderMap::new(),
            content_type: "application/json",
            body: String::new(),
            secrets: vec!["hunter2".to_owned(), "hunter2-and-more".to_owned()],
        };
        call.said(body.as_bytes())
    }

    #[test]
    fn an_endpoint_says_why_in_words_of_its_own() {
        assert_eq!(said(r#"{"error":{"code":401,"message":"Go\n  away."}}"#), " (Go away.)");
        assert_eq!(said(r#"{"error":"invalid_client"}"#), " (invalid_client)");
        assert_eq!(said(r#"{"error":"invalid_client","error_description":"No such"}"#), " (No such)");
        assert_eq!(said(""), "");
        assert_eq!(said("[]"), "");
        assert_eq!(said("\n<!DOCTYPE html>"), ", an HTML page of 16 bytes");
        assert_eq!(said("hunter2"), ", a text of 7 bytes");
    }

    #[test]
    fn what_comes_back_is_masked_before_it_is_cut() {
        let padding = "x".repeat(WORDS_MAX - 7);
        let said = said(&format!(r#"{{"error":"hunter2-and-more hunter2 {padding}hunter2"}}"#));
        assert!(said.starts_with(" (*** *** xxx") && said.ends_with("…)"), "{said}");
        assert!(!said.contains("hunter"));
    }

    #[test]
    fn only_the_open_parts_of_a_url_are_shown() {
        assert_eq!(&*shown("https://h:5000/v3?key=hunter2#x"), "https://h:5000/v3");
        assert_eq!(&*shown("https://bob:hunter2@h/"), "https://***@h/");
        assert_eq!(&*shown("env:OS_AUTH_URL"), "env:OS_AUTH_URL");
    }

    proptest! {
        #[test]
        fn any_body_is_described_in_few_words(body in ".*") {
            prop_assert!(said(&body).chars().count() < WORDS_MAX + 4);
        }
    }
}
