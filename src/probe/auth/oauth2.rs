//! `OAUTH2`: a token for `client_id` and `client_secret` from `token_url`, as RFC 6749 4.4 has it.
//!
//! The client shows its credentials in a `Basic` header, which every token endpoint must understand.

use std::{sync::Arc, time::Duration};

use actix_http::header::{AUTHORIZATION, HeaderMap};
use futures_util::future::LocalBoxFuture;
use serde_json::Value;
use skypunch_actors::domain::{Fault, Secret};
use url::form_urlencoded::{Serializer, byte_serialize};

use super::{
    Auth, AuthError, Means, basic,
    endpoint::{Answer, Call, Caller, error_of, shown},
    parms::{Parms, fault, sensitive},
    token::ByToken,
    tokens::{Grant, Issuer},
};
use crate::net::Endpoint;

/// What the column `authn` says.
pub(super) const KIND: &str = "OAUTH2";

/// How long a token is kept whose endpoint does not say.
const UNSAID_LIFETIME: Duration = Duration::from_secs(3600);

struct Client {
    parms: Parms,
    caller: Caller,
}

pub(super) fn prepare(parms: Option<&Secret>, means: &Means<'_>) -> Result<Box<dyn Auth>, Vec<Fault>> {
    let parms = Parms::require(parms, &["token_url", "client_id", "client_secret"], &["scope"])?;
    if let Some(Err(error)) = parms.known_now("token_url").map(Endpoint::parse) {
        return Err(vec![fault(format!("token_url: {}", error_of(&error)))]);
    }
    let (shown, identity) = (shown(parms.get("token_url")), parms.identity(KIND, means));
    let issuer = Arc::new(Client { parms, caller: Caller::new(means) });
    Ok(Box::new(ByToken::new(AUTHORIZATION, shown, issuer, means.tokens, identity)))
}

impl Issuer for Client {
    fn issue(&self) -> LocalBoxFuture<'_, Result<Grant, AuthError>> {
        Box::pin(async {
            let call = call(&self.parms.resolve().await?)?;
            let answer = self.caller.ask(&call).await?;
            grant(&call, &answer)
        })
    }
}

fn call(parms: &Parms) -> Result<Call, AuthError> {
    // The RFC has them encoded before they are joined, so that a colon in them does no harm.
    let [id, secret] = ["client_id", "client_secret"].map(|key| encoded(parms.get(key)));
    let credentials = basic::header(&id, &secret);
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, sensitive("client_id", &credentials)?);
    let mut body = Serializer::new(String::new());
    body.append_pair("grant_type", "client_credentials");
    if parms.has("scope") {
        body.append_pair("scope", parms.get("scope"));
    }
    let mut secrets = parms.secrets(&["client_secret"]);
    secrets.extend([secret, credentials["Basic ".len()..].to_owned()]);
    Ok(Call {
        url: parms.get("token_url").to_owned(),
        key: "token_url",
        shown: shown(parms.get("token_url")),
        headers,
        content_type: "application/x-www-form-urlencoded",
        body: body.finish(),
        secrets,
    })
}

fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

fn grant(call: &Call, answer: &Answer) -> Result<Grant, AuthError> {
    let text = |key: &str| answer.json.get(key).and_then(Value::as_str);
    let token = text("access_token").filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| call.malformed("no `access_token`"))?;
    if text("token_type").is_some_and(|kind| !kind.eq_ignore_ascii_case("Bearer")) {
        return Err(call.malformed("its `token_type` is not Bearer"));
    }
    let value = sensitive("access_token", &format!("Bearer {token}"));
    let value = value.map_err(|_| call.malformed("its `access_token` holds what no header can carry"))?;
    let lifetime = match answer.json.get("expires_in") {
        None | Some(Value::Null) => UNSAID_LIFETIME,
        Some(seconds) => {
            // Some endpoints write the number as a text.
            let seconds = seconds.as_u64().or_else(|| seconds.as_str()?.parse().ok());
            let seconds = seconds.filter(|seconds| *seconds > 0);
            Duration::from_secs(
                seconds.ok_or_else(|| call.malformed("its `expires_in` is no number of seconds"))?,
            )
        }
    };
    Ok(Grant { value, lifetime, catalogue: Arc::default() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{super::testing::faults, *};

    fn asked(parms: &str) -> Call {
        call(&Parms::read(Some(&Secret::new(parms)), &[]).unwrap().0).unwrap()
    }

    fn granted(json: Value) -> Result<Grant, String> {
        let call = asked("token_url=http://h/token?key=hunter2,client_id=a,client_secret=b");
        grant(&call, &Answer { headers: HeaderMap::new(), json }).map_err(|error| error.to_string())
    }

    #[test]
    fn the_credentials_are_encoded_as_the_rfc_has_it() {
        let call = asked("token_url=http://h/token,client_id=a:b,client_secret=c d&e,scope=read write");
        // a%3Ab:c+d%26e
        assert_eq!(call.headers.get(AUTHORIZATION).unwrap(), "Basic YSUzQWI6YytkJTI2ZQ==");
        assert_eq!(call.body, "grant_type=client_credentials&scope=read+write");
    }

    #[test]
    fn each_way_to_be_wrong_names_the_key() {
        let faults = |parms: &str| faults(KIND, parms);
        assert_eq!(
            faults("client_secret=hunter2,audience=hunter2"),
            "authn_parms: `token_url` is missing; authn_parms: `client_id` is missing; \
             authn_parms: `audience` is not known: token_url, client_id, client_secret, scope"
        );
        let with = |url: &str| faults(&format!("token_url={url},client_id=a,client_secret=hunter2"));
        assert_eq!(with("ftp://h/"), "authn_parms: token_url: the scheme is neither http nor https");
        assert_eq!(
            with("http://hunter2@h/"),
            "authn_parms: token_url: holds credentials: give them as parameters"
        );
        assert_eq!(with("env:TOKEN_URL"), "");
    }

    #[test]
    fn a_token_lives_as_long_as_its_answer_says() {
        let lifetime = |expires: Value| {
            let grant = granted(json!({"access_token": "x", "token_type": "bearer", "expires_in": expires}));
            grant.map(|grant| grant.lifetime.as_secs())
        };
        assert_eq!(lifetime(json!(60)), Ok(60));
        assert_eq!(lifetime(json!("60")), Ok(60));
        assert_eq!(lifetime(Value::Null), Ok(3600));
        let unfit = "malformed answer from http://h/token: its `expires_in` is no number of seconds";
        for expires in [json!(-1), json!(0), json!("soon"), json!([])] {
            assert_eq!(lifetime(expires), Err(unfit.to_owned()));
        }
    }

    #[test]
    fn an_answer_that_is_no_token_is_named() {
        let error = |json| granted(json).unwrap_err();
        assert_eq!(error(json!({})), "malformed answer from http://h/token: no `access_token`");
        assert!(error(json!({"access_token": "a", "token_type": "mac"})).ends_with("is not Bearer"));
        assert!(error(json!({"access_token": "hun\nter2"})).ends_with("what no header can carry"));
        let grant = granted(json!({"access_token": "hunter2"})).unwrap();
        assert!(!format!("{grant:?}").contains("hunter2"));
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(token in ".*", expires in any::<i64>()) {
            drop(granted(json!({"access_token": token, "expires_in": expires})));
        }
    }
}
