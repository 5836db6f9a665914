//! The kinds of authentication. A new kind is a file of its own, and one line in `KINDS`.
//!
//! A probe asks [`Auth::authorize`] for its header before it sends a request, and [`Auth::refused`] whether
//! to authorize and send once more after it was answered 401. What fails before the target is asked is cause
//! `auth`, or `config` where the row is at fault; a 401 of the target itself is judged like any status.

mod basic;
mod bearer;
mod catalogue;
mod digest;
mod endpoint;
mod none;
mod oauth2;
mod openstack;
mod parms;
#[cfg(test)]
mod testing;
mod token;
mod tokens;

use std::{sync::Arc, time::Duration};

use actix_http::{
    Method, Uri,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use futures_util::future::LocalBoxFuture;
use skypunch_actors::domain::{Cause, Fault, Secret, text};
use tokio::time::Instant;
use url::Url;

pub(super) use tokens::Tokens;

use crate::net::{Client, Progress};

const KINDS: &[(&str, Prepare)] = &[
    (none::KIND, none::prepare),
    (basic::KIND, basic::prepare),
    (bearer::KIND, bearer::prepare),
    (digest::KIND, digest::prepare),
    (oauth2::KIND, oauth2::prepare),
    (openstack::KIND, openstack::prepare),
];

/// Reads `authn_parms` for one kind.
type Prepare = fn(Option<&Secret>, &Means<'_>) -> Result<Box<dyn Auth>, Vec<Fault>>;

/// What a kind may use to get its credentials.
pub(super) struct Means<'a> {
    /// Reaches the endpoints that issue tokens.
    pub(super) client: &'a Client,
    /// The options that make this client unlike another: what fails for one must not fail for all.
    pub(super) route: &'a str,
    /// The tokens of all targets.
    pub(super) tokens: &'a Arc<Tokens>,
    /// What the program calls itself.
    pub(super) user_agent: &'a HeaderValue,
}

/// The request that wants credentials.
pub(super) struct Asked<'a> {
    /// Its method.
    pub(super) method: &'a Method,
    /// Path and query, as they stand in the request line.
    pub(super) target: &'a Uri,
    /// When the probe must be over.
    pub(super) deadline: Instant,
    /// The target's timeout, which that deadline comes from.
    pub(super) timeout: Duration,
}

/// Finds where a target is whose URL is only a path.
pub(super) trait Locate {
    /// The URL that the path is appended to, or why there is none.
    fn locate<'a>(
        &'a self,
        deadline: Instant,
        timeout: Duration,
        progress: &'a mut Progress,
    ) -> LocalBoxFuture<'a, Result<Url, AuthError>>;
}

/// Puts credentials into requests of one target, one after the other.
pub(super) trait Auth: Send {
    /// Who finds the target, where the parameters say how: its URL is then a path.
    fn locator(&self) -> Option<&dyn Locate> {
        None
    }

    /// The header that carries them, made anew for each request; `None` needs none.
    fn authorize<'a>(
        &'a self,
        asked: Asked<'a>,
        progress: &'a mut Progress,
    ) -> LocalBoxFuture<'a, Result<Option<(HeaderName, HeaderValue)>, AuthError>>;

    /// Hears that the target answered 401, with these headers, and says whether it is worth to authorize
    /// and ask once more. Asked at most once a probe.
    fn refused(&self, _headers: &HeaderMap, _progress: &mut Progress) -> bool {
        false
    }
}

/// Why there are no credentials, in words for people. Never shows one.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{reason}")]
pub(super) struct AuthError {
    /// The word for it in the log and the database.
    pub(super) cause: Cause,
    reason: String,
}

impl AuthError {
    /// The row is at fault.
    fn config(problem: impl std::fmt::Display) -> Self {
        Self { cause: Cause::Config, reason: format!("authn_parms: {problem}") }
    }

    /// Somebody else is.
    fn auth(reason: impl Into<String>) -> Self {
        Self { cause: Cause::Auth, reason: reason.into() }
    }
}

/// Chooses the kind that the column `authn` names.
pub(super) fn prepare(
    authn: &str,
    parms: Option<&Secret>,
    means: &Means<'_>,
) -> Result<Box<dyn Auth>, Vec<Fault>> {
    let named = authn.trim();
    match KINDS.iter().find(|(kind, _)| kind.eq_ignore_ascii_case(named)) {
        Some((_, prepare)) => prepare(parms, means),
        None => {
            let kinds: Vec<_> = KINDS.iter().map(|(kind, _)| *kind).collect();
            let problem = format!("`{}` is not known: {}", text::reason(named), kinds.join(", "));
            Err(vec![Fault::new("authn", problem)])
        }
    }
}
