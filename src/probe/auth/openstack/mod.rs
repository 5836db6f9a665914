//! `OPENSTACK`: a token of Keystone, sent as `X-Auth-Token`.
//!
//! `osauthendpoint` is the URL of the identity service. It is v3 where its path ends in `/v3` or `version`
//! says so, else v2.0 as in 1.0.
//!
//! Where `service` names one of the token's catalogue (with `region` and `interface`), the target is a path below
//! the endpoint that the catalogue gives. The catalogue is cached with the token.

mod answer;
mod request;

use std::{sync::Arc, time::Duration};

use actix_http::header::{HeaderMap, HeaderName, HeaderValue};
use futures_util::future::LocalBoxFuture;
use skypunch_actors::domain::{Fault, Secret};
use tokio::time::Instant;
use url::Url;

use self::request::Version;
use super::{
    Asked, Auth, AuthError, Locate, Means,
    endpoint::{Call, Caller, error_of, shown},
    parms::{Parms, fault},
    token::ByToken,
    tokens::{Grant, Issuer},
};
use crate::net::{Endpoint, Progress};

/// What the column `authn` says.
pub(super) const KIND: &str = "OPENSTACK";

/// Where services look for the token.
const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// The parameter that is a URL.
const ENDPOINT: &str = "osauthendpoint";
/// The parameter that names a service of the catalogue.
const SERVICE: &str = "service";

struct OpenStack {
    token: ByToken,
    /// What is said of the service that the target belongs to.
    service: Parms,
}

struct Keystone {
    parms: Parms,
    caller: Caller,
}

pub(super) fn prepare(parms: Option<&Secret>, means: &Means<'_>) -> Result<Box<dyn Auth>, Vec<Fault>> {
    let (parms, mut faults) = Parms::read(parms, &request::KEYS)?;
    faults.extend(request::faults(&parms).into_iter().map(fault));
    if let Some(Err(error)) = parms.known_now(ENDPOINT).map(Endpoint::parse) {
        faults.push(fault(format!("{ENDPOINT}: {}", error_of(&error))));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    // Targets of all services share a token.
    let (service, parms) = parms.split(&request::KEYS_SERVICE);
    let (shown, identity) = (shown(parms.get(ENDPOINT)), parms.identity(KIND, means));
    let issuer = Arc::new(Keystone { parms, caller: Caller::new(means) });
    let token = ByToken::new(X_AUTH_TOKEN, shown, issuer, means.tokens, identity);
    Ok(Box::new(OpenStack { token, service }))
}

impl Auth for OpenStack {
    fn locator(&self) -> Option<&dyn Locate> {
        self.service.has(SERVICE).then_some(self)
    }

    fn authorize<'a>(
        &'a self,
        asked: Asked<'a>,
        progress: &'a mut Progress,
    ) -> LocalBoxFuture<'a, Result<Option<(HeaderName, HeaderValue)>, AuthError>> {
        self.token.authorize(asked, progress)
    }

    fn refused(&self, headers: &HeaderMap, progress: &mut Progress) -> bool {
        self.token.refused(headers, progress)
    }
}

impl Locate for OpenStack {
    fn locate<'a>(
        &'a self,
        deadline: Instant,
        timeout: Duration,
        progress: &'a mut Progress,
    ) -> LocalBoxFuture<'a, Result<Url, AuthError>> {
        Box::pin(async move {
            let wanted = request::wanted(&self.service.resolve().await?).map_err(AuthError::config)?;
            let token = self.token.token(deadline, timeout).await?;
            if token.fetched_in.is_some() {
                progress.step(self.token.origin(&token));
            }
            let missing = |why: String| {
                self.token.lacks(&token);
                AuthError::auth(format!("the catalogue of {} {why}", self.token.shown()))
            };
            let url = token.catalogue.find(&wanted).map_err(missing)?;
            let unusable = |why: &str| missing(format!("has no usable URL of `{}`: {why}", wanted.service));
            let endpoint = Endpoint::parse(url).map_err(|error| unusable(&error.to_string()))?;
            if endpoint.url().query().is_some() || endpoint.url().fragment().is_some() {
                return Err(unusable("it ends in a query or a fragment"));
            }
            Ok(endpoint.url().clone())
        })
    }
}

impl Issuer for Keystone {
    fn issue(&self) -> LocalBoxFuture<'_, Result<Grant, AuthError>> {
        Box::pin(async {
            let parms = self.parms.resolve().await?;
            // What was only named before is seen here for the first time.
            if let Some(problem) = request::faults(&parms).into_iter().next() {
                return Err(AuthError::config(problem));
            }
            let version = Version::of(&parms).map_err(AuthError::config)?;
            let call = Call {
                url: version.url(parms.get(ENDPOINT)),
                key: ENDPOINT,
                shown: shown(parms.get(ENDPOINT)),
                headers: HeaderMap::new(),
                content_type: "application/json",
                body: request::body(version, &parms).to_string(),
                secrets: parms.secrets(&["password", "applicationcredentialsecret"]),
            };
            let answer = self.caller.ask(&call).await?;
            answer::grant(version, &answer, &call.secrets).map_err(|problem| call.malformed(problem))
        })
    }
}
