//! `BASIC`: `user` and `password` in an `Authorization` header, as RFC 7617 has it.

use actix_http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures_util::future::LocalBoxFuture;
use skypunch_actors::domain::{Cause, Fault, Secret};

use super::{Auth, AuthError, require};
use crate::secret;

/// What the column `authn` says.
pub(super) const KIND: &str = "BASIC";

struct Basic {
    user: Secret,
    password: Secret,
}

pub(super) fn prepare(parms: Option<&Secret>) -> Result<Box<dyn Auth>, Vec<Fault>> {
    let [user, password] = require(parms, ["user", "password"])?;
    // What is named by `env:` or `file:` is seen only when it is resolved.
    if user.expose().contains(':')
        && !user.expose().starts_with("env:")
        && !user.expose().starts_with("file:")
    {
        return Err(vec![Fault::new("authn_parms", "`user` holds a colon, which BASIC cannot carry")]);
    }
    Ok(Box::new(Basic { user, password }))
}

impl Auth for Basic {
    fn header(&self) -> LocalBoxFuture<'_, Result<Option<(HeaderName, HeaderValue)>, AuthError>> {
        Box::pin(async {
            let user = resolve("user", &self.user).await?;
            let password = resolve("password", &self.password).await?;
            let credentials = BASE64_STANDARD.encode(format!("{}:{}", user.expose(), password.expose()));
            let mut value =
                HeaderValue::try_from(format!("Basic {credentials}")).expect("base64 is fit for a header");
            value.set_sensitive(true);
            Ok(Some((AUTHORIZATION, value)))
        })
    }
}

async fn resolve(key: &str, value: &Secret) -> Result<Secret, AuthError> {
    let resolved = secret::resolve_off_thread(value).await;
    resolved
        .map_err(|error| AuthError { cause: Cause::Config, reason: format!("authn_parms: {key}: {error}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(parms: &str) -> String {
        prepare(Some(&Secret::new(parms))).err().map_or_else(String::new, |faults| Fault::join(&faults))
    }

    #[actix_rt::test]
    async fn user_and_password_are_encoded_as_the_rfc_has_it() {
        let auth = prepare(Some(&Secret::new("user=Aladdin,password=open sesame"))).ok().unwrap();
        let (name, value) = auth.header().await.unwrap().unwrap();
        assert_eq!((name, value), (AUTHORIZATION, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".parse().unwrap()));
    }

    #[test]
    fn each_way_to_be_wrong_names_the_key_and_no_value() {
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
        let auth = prepare(Some(&Secret::new("user=a,password=env:SKYPUNCH_NO_SUCH"))).ok().unwrap();
        let error = auth.header().await.unwrap_err().to_string();
        assert!(error.starts_with("authn_parms: password: the environment variable"), "{error}");
    }
}
