//! The kinds of probes. A new kind is a file or a folder of its own, and one line in `KINDS`.

mod auth;
mod dns;
mod http;
mod icmp;
mod limits;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;
    use skypunch_actors::{
        domain::{Secret, TargetId},
        port::plan_probe,
    };

    use super::*;

    const URLS: &str = "https://h/|/servers|tcp://h:1|tls://h|dns://h/example.org\\?type=MX|icmp://h|hunter2";

    /// What may stand in `options`, each text of which is a secret.
    fn options() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            Just(Value::from("hunter2")),
            Just(Value::from("hunter2(")),
        ];
        let key = "tags|notify|failure_threshold|headers|body|ip_protocol|tls|cert_expiry_days|max_response_ms|\
            body_limit|follow_redirects|max_redirects|assertions|send|expect|rcode|answers|ca_file|cert_file|\
            key_file|server_name|min_version|body_contains|body_matches|header|matches|json_path|op|value";
        leaf.prop_recursive(4, 32, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(key, inner, 0..6)
                    .prop_map(|object| Value::Object(object.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_value_of_a_row_is_in_its_faults(
            url in URLS,
            authn in "NONE|BASIC|BEARER|DIGEST|OAUTH2|OPENSTACK",
            parms in "((user|password|token|token_url|client_id|client_secret|scope|osauthendpoint|version|userid|\
                      tenantid|projectname|service|interface|other) ?=\"?(http://|env:)?hunter2[/:@\"\n]?,?){0,8}",
            options in options(),
        ) {
            let probers = Probers::new("skypunch/test", Client::new(&[])).unwrap();
            let definition = TargetDefinition {
                authn,
                authn_parms: Some(Secret::new(parms)),
                options: Some(Secret::new(options.to_string())),
                ..TargetDefinition::new("home", url)
            };
            let faults = plan_probe(&probers, TargetId(1), &definition).1.err().unwrap_or_default();
            let told = Fault::join(&faults);
            prop_assert!(!told.contains("hunter2"), "{}", told);
        }
    }
}
