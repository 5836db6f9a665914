//! `OPENSTACK`: a token of Keystone, sent as `X-Auth-Token`.
//!
//! `osauthendpoint` is the URL of the identity service. It is v3 where its path ends in `/v3` or `version`
//! says so, else v2.0 as in 1.0.

mod answer;
mod request;

use std::sync::Arc;

use actix_http::header::{HeaderMap, HeaderName};
use futures_util::future::LocalBoxFuture;
use skypunch_actors::domain::{Fault, Secret};

use self::request::Version;
use super::{
    Auth, AuthError, Means,
    endpoint::{Call, Caller, error_of, shown},
    parms::{Parms, fault},
    token::ByToken,
    tokens::{Grant, Issuer},
};
use crate::net::Endpoint;

/// What the column `authn` says.
pub(super) const KIND: &str = "OPENSTACK";

/// Where services look for the token.
const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// The parameter that is a URL.
const ENDPOINT: &str = "osauthendpoint";

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
    let (shown, identity) = (shown(parms.get(ENDPOINT)), parms.identity(KIND, means));
    let issuer = Arc::new(Keystone { parms, caller: Caller::new(means) });
    Ok(Box::new(ByToken::new(X_AUTH_TOKEN, shown, issuer, means.tokens, identity)))
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
            answer::grant(version, &answer).map_err(|problem| call.malformed(problem))
        })
    }
}
