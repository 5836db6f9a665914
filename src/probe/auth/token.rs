//! Sends a token that an endpoint issued: what `OAUTH2` and `OPENSTACK` have in common.

use std::{cell::Cell, sync::Arc, time::Duration};

use actix_http::header::{HeaderMap, HeaderName, HeaderValue};
use futures_util::future::LocalBoxFuture;
use skypunch_actors::domain::{Secret, milliseconds};
use tokio::time::{Instant, timeout_at};

use super::{
    Asked, Auth, AuthError, Tokens,
    tokens::{Issuer, Slot, Token},
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

    /// The token, waited for until the probe must be over.
    pub(super) async fn token(&self, deadline: Instant, timeout: Duration) -> Result<Token, AuthError> {
        let token = timeout_at(deadline, self.slot.token(&self.issuer)).await;
        token.unwrap_or_else(|_| {
            let limit = timeout.as_secs_f64();
            let reason = format!("no answer within {limit} s: waiting for the token of {}", self.shown);
            Err(AuthError::auth(reason))
        })
    }

    /// How the endpoint is called.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// Hears that the catalogue of a token lacks a service.
    pub(super) fn lacks(&self, token: &Token) {
        self.slot.lacks(token.number);
    }

    /// Where a token came from.
    pub(super) fn origin(&self, token: &Token) -> String {
        match token.fetched_in {
            None => "Token from the cache".to_owned(),
            Some(took) => format!("Token fetched from {} in {} ms", self.shown, milliseconds(took)),
        }
    }
}

impl Auth for ByToken {
    fn authorize<'a>(
        &'a self,
        asked: Asked<'a>,
        progress: &'a mut Progress,
    ) -> LocalBoxFuture<'a, Result<Option<(HeaderName, HeaderValue)>, AuthError>> {
        Box::pin(async move {
            let token = self.token(asked.deadline, asked.timeout).await?;
            self.sent.set(token.number);
            progress.step(self.origin(&token));
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
