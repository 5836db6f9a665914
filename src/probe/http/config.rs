//! What a row of an HTTP target says: read once, wholly or not at all.

use std::time::Duration;

use actix_http::{
    Method,
    header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue, USER_AGENT},
};
use bytes::Bytes;
use skypunch_actors::domain::{Fault, PassResult, Target, TargetDefinition, text};

use super::{hop::Hop, options::Options, scrub::Secrets};
use crate::{
    net::{Endpoint, EndpointError, Request},
    probe::auth::{self, Auth},
};

/// The methods that a probe may use.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// A row that can be probed.
pub(super) struct Config {
    /// As it is shown, without credentials.
    pub(super) url: String,
    pub(super) timeout: Duration,
    pub(super) expected: PassResult,
    pub(super) auth: Box<dyn Auth>,
    pub(super) options: Options,
    endpoint: Endpoint,
    method: Method,
    user_agent: HeaderValue,
}

impl Config {
    /// Reads a row, or names all that is wrong with it.
    pub(super) fn read(
        definition: &TargetDefinition,
        target: &Target,
        user_agent: &HeaderValue,
    ) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let endpoint = keep(&mut faults, Endpoint::parse(definition.url.expose()).map_err(url_fault));
        let method = keep(&mut faults, method(&definition.method));
        let expected = definition.pass_result.parse();
        let expected = keep(
            &mut faults,
            expected.map_err(|error: skypunch_actors::domain::PassResultError| {
                vec![Fault::new("pass_result", error.to_string())]
            }),
        );
        let auth = keep(&mut faults, auth::prepare(&definition.authn, definition.authn_parms.as_ref()));
        let options = keep(&mut faults, Options::read(&target.options.of_kind));
        if let (Some(endpoint), Some(options)) = (&endpoint, &options) {
            faults.extend(misfits(endpoint, options));
        }
        let (Some(endpoint), Some(method), Some(expected), Some(auth), Some(options), true) =
            (endpoint, method, expected, auth, options, faults.is_empty())
        else {
            return Err(faults);
        };
        let (url, timeout, user_agent) = (target.url.clone(), target.timeout, user_agent.clone());
        Ok(Self { url, timeout, expected, auth, options, endpoint, method, user_agent })
    }

    /// Where each probe begins.
    pub(super) fn first_hop(&self) -> Hop {
        Hop::first(self.endpoint.clone(), self.method.clone())
    }

    /// The request of a hop, but for its credentials.
    pub(super) fn request(&self, hop: &Hop) -> Request {
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(USER_AGENT, self.user_agent.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        for (name, value) in self.options.headers.iter().filter(|(name, _)| hop.carries(name)) {
            headers.insert(name.clone(), value.clone());
        }
        let body = if hop.with_body { self.options.body.clone() } else { Bytes::new() };
        Request::new(hop.endpoint.clone(), hop.method.clone(), headers, body)
    }

    /// What of the request must not be shown where a server echoes it.
    pub(super) fn secrets(&self) -> Secrets {
        Secrets::of(&self.options.headers, &self.options.body)
    }
}

/// Keeps what was read, or its faults.
fn keep<T>(faults: &mut Vec<Fault>, read: Result<T, Vec<Fault>>) -> Option<T> {
    read.map_err(|found| faults.extend(found)).ok()
}

fn url_fault(error: EndpointError) -> Vec<Fault> {
    let problem = match error {
        EndpointError::Userinfo => "holds credentials: put credentials in authn_parms".to_owned(),
        error => error.to_string(),
    };
    vec![Fault::new("url", problem)]
}

fn method(column: &str) -> Result<Method, Vec<Fault>> {
    let named = column.trim();
    let known = METHODS.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(named));
    known.ok_or_else(|| {
        let allowed = METHODS.each_ref().map(Method::as_str).join(", ");
        vec![Fault::new("method", format!("`{}` is not allowed: {allowed}", text::reason(named)))]
    })
}

/// Options that are right by themselves, and wrong for this URL.
fn misfits(endpoint: &Endpoint, options: &Options) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !endpoint.can_be(options.ip_protocol) {
        faults.push(Fault::new("options", "`ip_protocol` rules out the address in the url"));
    }
    // A redirect may lead to one.
    if options.cert_expiry_days.is_some() && !endpoint.is_tls() && options.redirects == 0 {
        faults.push(Fault::new("options", "`cert_expiry_days` wants a url that begins with https://"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use skypunch_actors::domain::{Secret, TargetId};

    use super::*;

    fn read(change: impl FnOnce(&mut TargetDefinition)) -> Result<Config, String> {
        let mut definition = TargetDefinition::new("home", "https://example.org/");
        change(&mut definition);
        let (target, _) = definition.read(TargetId(1));
        let agent = HeaderValue::from_static("skypunch/test");
        Config::read(&definition, &target, &agent).map_err(|faults| Fault::join(&faults))
    }

    fn faults(change: impl FnOnce(&mut TargetDefinition)) -> String {
        read(change).err().unwrap_or_default()
    }

    #[test]
    fn method_and_authn_are_matched_without_case() {
        let config = read(|d| {
            d.method = "head ".to_owned();
            d.authn = "Basic".to_owned();
            d.authn_parms = Some(Secret::new("user=a,password=b"));
        });
        assert_eq!(config.ok().unwrap().method, Method::HEAD);
    }

    #[test]
    fn each_way_to_be_wrong_says_what_is_allowed() {
        assert_eq!(
            faults(|d| d.url = Secret::new("http://bob:hunter2@example.org/")),
            "url: holds credentials: put credentials in authn_parms"
        );
        assert_eq!(
            faults(|d| d.method = "BREW".into()),
            "method: `BREW` is not allowed: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
        );
        assert_eq!(faults(|d| d.authn = "MAGIC".into()), "authn: `MAGIC` is not known: NONE or BASIC");
        assert!(faults(|d| d.pass_result = "ok".into()).starts_with("pass_result: `ok` is not a status"));
        assert!(
            faults(|d| d.options = Some(Secret::new(r#"{"tags":[],"boddy":1}"#)))
                .starts_with("options: unknown option `boddy`: known are tags, notify, ")
        );
        assert_eq!(
            faults(|d| {
                d.url = Secret::new("http://127.0.0.1/");
                d.options = Some(Secret::new(r#"{"ip_protocol":"6"}"#));
            }),
            "options: `ip_protocol` rules out the address in the url"
        );
    }

    #[test]
    fn all_faults_of_a_row_are_named_at_once() {
        let faults = faults(|d| {
            d.url = Secret::new("nonsense");
            d.method = "BREW".into();
            d.authn = "BASIC".into();
            d.pass_result = String::new();
            d.options = Some(Secret::new(r#"{"boddy":1}"#));
        });
        for column in ["url: ", "method: ", "authn_parms: ", "pass_result: ", "options: "] {
            assert!(faults.contains(column), "{column} is not in {faults}");
        }
    }
}
