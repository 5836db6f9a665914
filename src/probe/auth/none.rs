//! `NONE`: no credentials. Whatever stands in `authn_parms` is left alone, as it was in 1.0.

use actix_http::header::{HeaderName, HeaderValue};
use futures_util::future::{LocalBoxFuture, ready};
use skypunch_actors::domain::{Fault, Secret};

use super::{Asked, Auth, AuthError, Means};
use crate::net::Progress;

/// What the column `authn` says.
pub(super) const KIND: &str = "NONE";

struct Nobody;

pub(super) fn prepare(_: Option<&Secret>, _: &Means<'_>) -> Result<Box<dyn Auth>, Vec<Fault>> {
    Ok(Box::new(Nobody))
}

impl Auth for Nobody {
    fn authorize<'a>(
        &'a self,
        _: Asked<'a>,
        _: &'a mut Progress,
    ) -> LocalBoxFuture<'a, Result<Option<(HeaderName, HeaderValue)>, AuthError>> {
        Box::pin(ready(Ok(None)))
    }
}
