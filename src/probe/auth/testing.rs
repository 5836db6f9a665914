//! What the tests of several kinds need.

use std::{sync::Arc, time::Duration};

use actix_http::{Method, Uri, header::HeaderValue};
use skypunch_actors::{
    domain::{Fault, Secret},
    port::{Clock, Tracer},
    testing::TestClock,
};
use tokio::time::Instant;

use super::{Asked, Auth, AuthError, Means, Tokens, prepare};
use crate::net::{Client, Progress};

/// A progress that nobody looks at.
pub(super) fn progress() -> Progress {
    Progress::new(Tracer::start(&(Arc::new(TestClock::default()) as Arc<dyn Clock>)))
}

/// Prepares a kind that shares its tokens with nobody.
pub(super) fn prepared(kind: &str, parms: &str) -> Result<Box<dyn Auth>, Vec<Fault>> {
    let (client, tokens) = (Client::new(&[]), Arc::new(Tokens::default()));
    let user_agent = HeaderValue::from_static("skypunch/test");
    let means = Means { client: &client, route: "", tokens: &tokens, user_agent: &user_agent };
    prepare(kind, Some(&Secret::new(parms)), &means)
}

/// All that is wrong with parameters.
pub(super) fn faults(kind: &str, parms: &str) -> String {
    prepared(kind, parms).err().map_or_else(String::new, |faults| Fault::join(&faults))
}

/// A GET for a path.
pub(super) fn get(target: &Uri) -> Asked<'_> {
    let timeout = Duration::from_secs(10);
    Asked { method: &Method::GET, target, deadline: Instant::now() + timeout, timeout }
}

/// The header of a request, as it is sent.
pub(super) async fn authorize(kind: &str, parms: &str) -> Result<String, AuthError> {
    let auth = prepared(kind, parms).ok().unwrap();
    let (name, value) = auth.authorize(get(&Uri::from_static("/")), &mut progress()).await?.unwrap();
    Ok(format!("{name}: {}", value.to_str().unwrap()))
}
