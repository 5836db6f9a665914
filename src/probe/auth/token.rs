//! Sends a token that an endpoint issued: what `OAUTH2` and `OPENSTACK` have in common.

use std::{cell::Cell, sync::Arc};

use actix_http::header::{HeaderMap, HeaderName, HeaderValue};
use futures_util::future::LocalBoxFuture;
use skypunch_actors::domain::{Secret, milliseconds};
use tokio::time::timeout_at;

use super::{
    Asked, Auth, AuthError, Tokens,
    tokens::{Issuer, Slot},
};
use crate::net::Progress;

/// Credentials that are a token.
pub(super) struct ByToken {
    header: HeaderName,
    /// How the endpoint is called.
    shown: Arc<str>,
    issuer: Arc<dyn Issuer>,
    slot: Arc<Slot>,
    /// The number of the token that was sent last.
    sent: Cell<u64>,
}

impl ByToken {
    /// Sends the tokens of `issuer` in `header`, shared by all who have the same `identity`.
    pub(super) fn new(
        header: HeaderName,
        shown: Arc<str>,
        issuer: Arc<dyn Issuer>,
        tokens: &Tokens,
        identity: Secret,
    ) -> Self {
        Self { header, shown, issuer, slot: tokens.slot(identity), sent: Cell::default() }
    }
}

impl Auth for ByToken {
    fn authorize<'a>(
        &'a self,
        asked: Asked<'a>,
        progress: &'a mut Progress,
    ) -> LocalBoxFuture<'a, Result<Option<(HeaderName, HeaderValue)>, AuthError>> {
        Box::pin(async move {
            let Ok(token) = timeout_at(asked.deadline, self.slot.token(&self.issuer)).await else {
                let limit = asked.timeout.as_secs_f64();
                let reason = format!("no answer within {limit} s: waiting for the token of {}", self.shown);
                return Err(AuthError::auth(reason));
            };
            let token = token?;
            self.sent.set(token.number);
            match token.fetched_in {
                None => progress.step("Token from the cache"),
                Some(took) => {
                    progress.step(format!("Token fetched from {} in {} ms", self.shown, milliseconds(took)));
                }
            }
            Ok(Some((self.header.clone(), token.value)))
        })
    }

    fn refused(&self, _: &HeaderMap, progress: &mut Progress) -> bool {
        let another = self.slot.refuse(self.sent.get());
        progress.step(if another {
            "Token refused with 401: it is dropped and another fetched"
        } else {
            "Token refused with 401, as were those before it: it is kept"
        });
        another
    }
}
