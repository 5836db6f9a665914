//! `BEARER`: a `token` that the row itself holds, as RFC 6750 has it.

use actix_http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use futures_util::future::LocalBoxFuture;
use skypunch_actors::domain::{Fault, Secret};

use super::{
    Asked, Auth, AuthError, Means,
    parms::{Parms, fault, sensitive},
};
use crate::net::Progress;

/// What the column `authn` says.
pub(super) const KIND: &str = "BEARER";

struct Bearer(Parms);

pub(super) fn prepare(parms: Option<&Secret>, _: &Means<'_>) -> Result<Box<dyn Auth>, Vec<Fault>> {
    let parms = Parms::require(parms, &["token"], &[])?;
    if parms.known_now("token").is_some_and(|token| sensitive("token", token).is_err()) {
        return Err(vec![fault("token: holds characters that no header can carry")]);
    }
    Ok(Box::new(Bearer(parms)))
}

impl Auth for Bearer {
    fn authorize<'a>(
        &'a self,
        _: Asked<'a>,
        _: &'a mut Progress,
    ) -> LocalBoxFuture<'a, Result<Option<(HeaderName, HeaderValue)>, AuthError>> {
        Box::pin(async {
            let parms = self.0.resolve().await?;
            let value = sensitive("token", &format!("Bearer {}", parms.get("token")))?;
            Ok(Some((AUTHORIZATION, value)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{authorize, faults},
        *,
    };

    #[actix_rt::test]
    async fn the_token_is_sent_as_it_stands() {
        assert_eq!(authorize(KIND, "token=abc.d=").await.unwrap(), "authorization: Bearer abc.d=");
    }

    #[actix_rt::test]
    async fn a_token_that_no_header_can_carry_is_a_fault_of_the_row() {
        assert_eq!(faults(KIND, ""), "authn_parms: `token` is missing");
        let unfit = "authn_parms: token: holds characters that no header can carry";
        assert_eq!(faults(KIND, r#"{"token":"hun\nter2"}"#), unfit);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hun\nter2").unwrap();
        let error = authorize(KIND, &format!("token=file:{}", file.path().display())).await.unwrap_err();
        assert_eq!(error.to_string(), unfit);
    }
}
