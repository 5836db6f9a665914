//! The kinds of probes. A new kind is a file or a folder of its own, and one line in `KINDS`.

mod auth;
mod dns;
mod http;
mod icmp;
mod row;
mod run;
mod tcp;
mod tls;

use std::sync::Arc;

use actix_http::header::HeaderValue;
use skypunch_actors::{
    domain::{Fault, Target, TargetDefinition},
    port::{ProberBuilder, ProberFactory},
};

use self::auth::{Means, Tokens};
use crate::net::Client;

/// The kind of a target is the scheme of its URL.
const KINDS: &[(&str, Prepare)] = &[
    ("http", http::prepare),
    ("https", http::prepare),
    ("tcp", tcp::prepare),
    ("tls", tls::prepare),
    ("dns", dns::prepare),
    ("icmp", icmp::prepare),
];

/// Reads a row for one kind, or names all that the kind finds wrong with it.
type Prepare = fn(&Probers, &TargetDefinition, &Target) -> Result<ProberBuilder, Vec<Fault>>;

/// Knows every kind of probe.
#[derive(Clone)]
pub struct Probers {
    client: Client,
    tokens: Arc<Tokens>,
    user_agent: HeaderValue,
}

/// The text cannot stand in a header.
#[derive(Debug, thiserror::Error)]
#[error("user_agent: `{0}` holds characters that no header can carry")]
pub struct UserAgentError(String);

impl Probers {
    /// Every probe calls itself `user_agent`.
    pub fn new(user_agent: &str, client: Client) -> Result<Self, UserAgentError> {
        let user_agent = HeaderValue::from_str(user_agent)
            .map_err(|_| UserAgentError(user_agent.escape_default().to_string()))?;
        Ok(Self { client, tokens: Arc::default(), user_agent })
    }

    fn means<'a>(&'a self, client: &'a Client, route: &'a str) -> Means<'a> {
        Means { client, route, tokens: &self.tokens, user_agent: &self.user_agent }
    }
}

impl ProberFactory for Probers {
    fn prepare(&self, definition: &TargetDefinition, target: &Target) -> Result<ProberBuilder, Vec<Fault>> {
        let url = definition.url.expose();
        let scheme = match url.split_once("://") {
            // A path is found in the catalogue of a cloud, whose services speak HTTP.
            _ if url.starts_with('/') => "http",
            Some((scheme, _)) => scheme.trim(),
            None => "",
        };
        match KINDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(scheme)) {
            Some((_, prepare)) => prepare(self, definition, target),
            None => Err(unknown(self, definition, target)),
        }
    }
}

/// The other columns are judged as for HTTP, which is what nearly every row is.
fn unknown(probers: &Probers, definition: &TargetDefinition, target: &Target) -> Vec<Fault> {
    let schemes: Vec<_> = KINDS.iter().map(|(scheme, _)| format!("{scheme}://")).collect();
    let allowed = schemes.join(" or ");
    let mut faults =
        vec![Fault::new("url", format!("is not a URL that can be probed: it begins with {allowed}"))];
    let others = http::prepare(probers, definition, target).err().unwrap_or_default();
    faults.extend(others.into_iter().filter(|fault| fault.column != "url"));
    faults
}
