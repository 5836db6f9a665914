//! What a row of an HTTP target says: read once, wholly or not at all.

use std::time::Duration;

use actix_http::{
    Method,
    header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue, USER_AGENT},
};
use bytes::Bytes;
use skypunch_actors::domain::{Fault, PassResult, Target, TargetDefinition, text};
use url::Url;

use super::{hop::Hop, options::Options, scrub::Secrets, site::Site};
use crate::{
    net::{Client, Endpoint, Request},
    probe::{
        Probers,
        auth::{self, Auth},
    },
};

/// The methods that a probe may use.
const METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// A row that can be probed.
pub(super) struct Config {
    /// Speaks as the options want it.
    pub(super) client: Client,
    pub(super) timeout: Duration,
    /// Whether a failure is looked at again at once.
    pub(super) retries: bool,
    pub(super) expected: PassResult,
    pub(super) auth: Box<dyn Auth>,
    pub(super) options: Options,
    site: Site,
    method: Method,
    user_agent: HeaderValue,
}

impl Config {
    /// Reads a row, or names all that is wrong with it.
    pub(super) fn read(
        probers: &Probers,
        definition: &TargetDefinition,
        target: &Target,
    ) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let site = keep(&mut faults, Site::read(definition.url.expose()).map_err(|fault| vec![fault]));
        let method = keep(&mut faults, method(&definition.method));
        let expected = definition.pass_result.parse();
        let expected = keep(
            &mut faults,
            expected.map_err(|error: skypunch_actors::domain::PassResultError| {
                vec![Fault::new("pass_result", error.to_string())]
            }),
        );
        let options = keep(&mut faults, Options::read(&target.options.of_kind));
        if let (Some(Site::Url(endpoint)), Some(options)) = (&site, &options) {
            faults.extend(misfits(endpoint, options));
        }
        let client =
            options.as_ref().map_or_else(|| probers.client.clone(), |options| client(probers, options));
        let route = route(target);
        let means = probers.means(&client, &route);
        let auth =
            keep(&mut faults, auth::prepare(&definition.authn, definition.authn_parms.as_ref(), &means));
        if let (Some(site), Some(auth)) = (&site, &auth) {
            faults.extend(site.misfit(&**auth));
        }
        let (Some(site), Some(method), Some(expected), Some(auth), Some(options), true) =
            (site, method, expected, auth, options, faults.is_empty())
        else {
            return Err(faults);
        };
        // The endpoints of tokens are not the target, and are spoken to as ever.
        let client = client.speaking(options.http_version);
        let (timeout, retries) = (target.timeout, target.options.retry_interval_ms.is_some());
        let user_agent = probers.user_agent.clone();
        Ok(Self { client, timeout, retries, expected, auth, options, site, method, user_agent })
    }

    /// Where each probe begins, if that is known beforehand.
    pub(super) fn first_hop(&self) -> Option<Hop> {
        match &self.site {
            Site::Url(endpoint) => Some(Hop::first(endpoint.clone(), self.method.clone())),
            Site::Path(_) => None,
        }
    }

    /// Where a probe begins whose URL is a path, now that it is known what stands above it.
    pub(super) fn first_hop_below(&self, above: &Url) -> Result<Hop, Fault> {
        Ok(Hop::first(self.site.below(above)?, self.method.clone()))
    }

    /// Why the options do not allow to begin there.
    pub(super) fn misfits(&self, hop: &Hop) -> Vec<Fault> {
        misfits(&hop.endpoint, &self.options)
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

fn method(column: &str) -> Result<Method, Vec<Fault>> {
    let named = column.trim();
    let known = METHODS.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(named));
    known.ok_or_else(|| {
        let allowed = METHODS.each_ref().map(Method::as_str).join(", ");
        vec![Fault::new("method", format!("`{}` is not allowed: {allowed}", text::reason(named)))]
    })
}

fn client(probers: &Probers, options: &Options) -> Client {
    let client = match &options.tls {
        Some(options) => probers.client.with_tls(options),
        None => probers.client.clone(),
    };
    options.limits.client(&client)
}

/// The options that make one client unlike another.
fn route(target: &Target) -> String {
    let options = ["ip_protocol", "tls"].map(|key| target.options.of_kind.get(key));
    options.into_iter().flatten().map(|option| format!("{option} ")).collect()
}

/// Options that are right by themselves, and wrong for this URL.
fn misfits(endpoint: &Endpoint, options: &Options) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !endpoint.can_be(options.limits.ip_protocol) {
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
        let probers = Probers::new("skypunch/test", Client::new(&[])).unwrap();
        Config::read(&probers, &definition, &target).map_err(|faults| Fault::join(&faults))
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
        assert_eq!(
            faults(|d| d.authn = "MAGIC".into()),
            "authn: `MAGIC` is not known: NONE, BASIC, BEARER, DIGEST, OAUTH2, OPENSTACK"
        );
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
    fn what_makes_a_client_unlike_another_is_its_route() {
        let route = |options: &str| {
            let mut definition = TargetDefinition::new("home", "https://example.org/");
            definition.options = Some(Secret::new(options));
            route(&definition.read(TargetId(1)).0)
        };
        let trusting = route(r#"{"tls":{"insecure_skip_verify":true}}"#);
        assert_ne!(trusting, route("{}"));
        assert_ne!(trusting, route(r#"{"tls":{"insecure_skip_verify":false}}"#));
        assert_ne!(route("{}"), route(r#"{"ip_protocol":"6"}"#));
        assert_eq!(route("{}"), route(r#"{"tags":["a"],"body_limit":1}"#));
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
