//! `BASIC`: `user` and `password` in an `Authorization` header, as RFC 7617 has it.

use actix_http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::future::LocalBoxFuture;
use skypunch_actors::domain::{Fault, Secret};

use super::{
    Asked, Auth, AuthError, Means,
    parms::{Parms, fault, sensitive},
};
use crate::net::Progress;

/// What the column `authn` says.
pub(super) const KIND: &str = "BASIC";

struct Basic(Parms);

pub(super) fn prepare(parms: Option<&Secret>, _: &Means<'_>) -> Result<Box<dyn Auth>, Vec<Fault>> {
    let parms = Parms::require(parms, &["user", "password"], &[])?;
    if parms.known_now("user").is_some_and(|user| user.contains(':')) {
        return Err(vec![fault("`user` holds a colon, which BASIC cannot carry")]);
    }
    Ok(Box::new(Basic(parms)))
}

impl Auth for Basic {
    fn authorize<'a>(
        &'a self,
        _: Asked<'a>,
        _: &'a mut Progress,
    ) -> LocalBoxFuture<'a, Result<Option<(HeaderName, HeaderValue)>, AuthError>> {
        Box::pin(async {
            let parms = self.0.resolve().await?;
            let value = sensitive("user", &header(parms.get("user"), parms.get("password")))?;
            Ok(Some((AUTHORIZATION, value)))
        })
    }
}

/// The value of the header.
pub(super) fn header(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{authorize, faults},
        *,
    };

    #[actix_rt::test]
    async fn user_and_password_are_encoded_as_the_rfc_has_it() {
        let sent = authorize(KIND, "user=Aladdin,password=open sesame").await.unwrap();
        assert_eq!(sent, "authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn each_way_to_be_wrong_names_the_key_and_no_value() {
        let faults = |parms| faults(KIND, parms);
        assert_eq!(faults(""), "authn_parms: `user` is missing; authn_parms: `password` is missing");
        assert_eq!(faults("user=hunter2,password="), "authn_parms: `password` is missing");
        assert_eq!(
            faults("user=a,password=hunter2,passwrd=hunter2"),
            "authn_parms: `passwrd` is not known: user, password"
        );
        assert_eq!(
            faults("user=hunter2:x,password=hunter2"),
            "authn_parms: `user` holds a colon, which BASIC cannot carry"
        );
        assert!(faults("hunter2").starts_with("authn_parms: item 1 has no `=`"));
        assert_eq!(faults("user=env:A,password=file:/b"), "");
    }

    #[actix_rt::test]
    async fn what_cannot_be_resolved_names_the_key() {
        let error = authorize(KIND, "user=a,password=env:SKYPUNCH_NO_SUCH").await.unwrap_err().to_string();
        assert!(error.starts_with("authn_parms: password: the environment variable"), "{error}");
    }
}
