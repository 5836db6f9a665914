//! The kinds of authentication. A new kind is a file of its own, and one line in `KINDS`.

mod basic;
mod none;

use actix_http::header::{HeaderName, HeaderValue};
use futures_util::future::LocalBoxFuture;
use skypunch_actors::domain::{Cause, Fault, Params, Secret, text};

const KINDS: &[(&str, Prepare)] = &[(none::KIND, none::prepare), (basic::KIND, basic::prepare)];

/// Reads `authn_parms` for one kind.
type Prepare = fn(Option<&Secret>) -> Result<Box<dyn Auth>, Vec<Fault>>;

/// Puts credentials into a request.
pub(super) trait Auth: Send {
    /// The header that carries them, made anew for each probe; `None` needs none.
    fn header(&self) -> LocalBoxFuture<'_, Result<Option<(HeaderName, HeaderValue)>, AuthError>>;
}

/// Why there are no credentials, in words for people. Never shows one.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(super) struct AuthError {
    /// The word for it in the log and the database.
    pub(super) cause: Cause,
    reason: String,
}

/// Chooses the kind that the column `authn` names.
pub(super) fn prepare(authn: &str, parms: Option<&Secret>) -> Result<Box<dyn Auth>, Vec<Fault>> {
    let named = authn.trim();
    match KINDS.iter().find(|(kind, _)| kind.eq_ignore_ascii_case(named)) {
        Some((_, prepare)) => prepare(parms),
        None => {
            let kinds: Vec<_> = KINDS.iter().map(|(kind, _)| *kind).collect();
            let problem = format!("`{}` is not known: {}", text::reason(named), kinds.join(" or "));
            Err(vec![Fault::new("authn", problem)])
        }
    }
}

/// Reads parameters of which every one of `keys` is needed, and no other known.
fn require<const N: usize>(parms: Option<&Secret>, keys: [&str; N]) -> Result<[Secret; N], Vec<Fault>> {
    let fault = |problem| Fault::new("authn_parms", problem);
    let params = Params::parse(parms.map_or("", Secret::expose)).map_err(|e| vec![fault(e.to_string())])?;
    let mut faults = Vec::new();
    for key in keys {
        if params.get(key).is_none_or(|value| value.expose().is_empty()) {
            faults.push(fault(format!("`{key}` is missing")));
        }
    }
    for key in params.keys().filter(|key| !keys.contains(key)) {
        faults.push(fault(format!("`{}` is not known: {}", text::reason(key), keys.join(", "))));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(keys.map(|key| params.get(key).cloned().unwrap_or_default()))
}
