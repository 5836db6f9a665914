//! What Keystone answers: the token, how long it lives, and the catalogue.
//!
//! The lifetime is measured by Keystone's own clock, from when it issued the token (else from the `Date` of
//! its answer) to when it expires, so that a clock that is wrong here or there does no harm.

use std::{sync::Arc, time::Duration};

use actix_http::header::{DATE, HeaderMap, HeaderValue};
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    super::{catalogue::Catalogue, endpoint::Answer, tokens::Grant},
    request::Version,
};

/// Where v3 puts the token.
const X_SUBJECT_TOKEN: &str = "x-subject-token";

/// Reads an answer, or says what is wrong with it. What its catalogue has is shown without the `secrets`.
pub(super) fn grant(version: Version, answer: &Answer, secrets: &[String]) -> Result<Grant, String> {
    match version {
        Version::V2 => {
            let token = answer.json.pointer("/access/token").unwrap_or(&Value::Null);
            let value = token["id"].as_str().map(HeaderValue::from_str);
            let value = value.ok_or("no `access.token.id`")?;
            let value = value.map_err(|_| "its `access.token.id` holds what no header can carry")?;
            let lifetime = lifetime(token, "expires", &answer.headers)?;
            let catalogue = Catalogue::of_v2(&answer.json["access"]["serviceCatalog"]).hiding(secrets);
            Ok(Grant { value: usable(value)?, lifetime, catalogue: Arc::new(catalogue) })
        }
        Version::V3 => {
            let value = answer.headers.get(X_SUBJECT_TOKEN).cloned().ok_or("no X-Subject-Token")?;
            let token = &answer.json["token"];
            let lifetime = lifetime(token, "expires_at", &answer.headers)?;
            let catalogue = Catalogue::of_v3(&token["catalog"]).hiding(secrets);
            Ok(Grant { value: usable(value)?, lifetime, catalogue: Arc::new(catalogue) })
        }
    }
}

fn usable(mut value: HeaderValue) -> Result<HeaderValue, String> {
    if value.is_empty() {
        return Err("its token is empty".to_owned());
    }
    value.set_sensitive(true);
    Ok(value)
}

fn lifetime(token: &Value, key: &str, headers: &HeaderMap) -> Result<Duration, String> {
    let expires = token[key].as_str().ok_or_else(|| format!("no `{key}` of its token"))?;
    let expires = moment(expires).ok_or_else(|| format!("the `{key}` of its token is no time"))?;
    let issued = token["issued_at"].as_str().and_then(moment).or_else(|| date(headers));
    let issued = issued.ok_or("neither `issued_at` of its token nor a date")?;
    let lifetime = Duration::try_from(expires - issued).ok().filter(|lifetime| !lifetime.is_zero());
    lifetime.ok_or_else(|| "its token has expired already".to_owned())
}

/// Old releases leave out that their times are in UTC.
fn moment(text: &str) -> Option<OffsetDateTime> {
    let parse = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
    parse(text).or_else(|| parse(&format!("{text}Z")))
}

fn date(headers: &HeaderMap) -> Option<OffsetDateTime> {
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some(date.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{super::super::catalogue::Wanted, *};

    fn answer(headers: &[(&'static str, &'static str)], json: Value) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(name.parse().unwrap(), HeaderValue::from_static(value));
        }
        Answer { headers: map, json }
    }

    const TOKEN: (&str, &str) = (X_SUBJECT_TOKEN, "hunter2");
    const NOON: (&str, &str) = ("date", "Fri, 22 Nov 2013 12:00:00 GMT");

    fn v3(headers: &[(&'static str, &'static str)], token: Value) -> Result<u64, String> {
        let grant = grant(Version::V3, &answer(headers, json!({ "token": token })), &[])?;
        assert_eq!(grant.value, "hunter2");
        assert!(!format!("{grant:?}").contains("hunter2"));
        Ok(grant.lifetime.as_secs())
    }

    #[test]
    fn a_token_lives_by_the_clock_of_its_issuer() {
        let issued = json!({
            "issued_at": "2013-11-22T12:00:00.000000Z",
            "expires_at": "2013-11-22T13:00:00.000000Z",
        });
        assert_eq!(v3(&[TOKEN], issued), Ok(3600));
        assert_eq!(v3(&[TOKEN, NOON], json!({"expires_at": "2013-11-22T12:01:00Z"})), Ok(60));
    }

    #[test]
    fn v2_says_it_in_the_body() {
        let token =
            json!({"id": "t", "issued_at": "2013-11-22T12:00:00.12", "expires": "2013-11-22T12:01:00Z"});
        let grant = grant(Version::V2, &answer(&[], json!({"access": {"token": token}})), &[]).unwrap();
        assert_eq!((grant.value.to_str().unwrap(), grant.lifetime.as_secs()), ("t", 59));
    }

    #[test]
    fn each_way_to_be_malformed_is_named() {
        let until = json!({"expires_at": "2013-11-22T13:00:00Z"});
        assert_eq!(v3(&[], until.clone()).unwrap_err(), "no X-Subject-Token");
        assert_eq!(v3(&[TOKEN], json!({})).unwrap_err(), "no `expires_at` of its token");
        assert_eq!(v3(&[TOKEN], json!(7)).unwrap_err(), "no `expires_at` of its token");
        assert_eq!(
            v3(&[TOKEN], json!({"expires_at": "soon"})).unwrap_err(),
            "the `expires_at` of its token is no time"
        );
        assert_eq!(v3(&[TOKEN], until).unwrap_err(), "neither `issued_at` of its token nor a date");
        let ended = json!({"expires_at": "2013-11-22T12:00:00Z"});
        assert_eq!(v3(&[TOKEN, NOON], ended).unwrap_err(), "its token has expired already");
        let v2 = |json| grant(Version::V2, &answer(&[NOON], json), &[]).unwrap_err();
        assert_eq!(v2(json!([])), "no `access.token.id`");
        assert_eq!(v2(json!({"access": {"token": {"id": "x"}}})), "no `expires` of its token");
        assert!(v2(json!({"access": {"token": {"id": "hun\nter2"}}})).ends_with("what no header can carry"));
    }

    /// Anything that has the keys of Keystone, and its secrets everywhere.
    fn like_keystone() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            ".*hunter2".prop_map(Value::from),
            "201[0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:00:00(.[0-9]{1,9})?(Z|[+-]0[0-9]:00)?"
                .prop_map(Value::from),
            "public|admin|compute|http://h/hunter2".prop_map(Value::from),
        ];
        let key = "access|token|id|issued_at|expires|expires_at|catalog|serviceCatalog|type|endpoints|url|\
            publicURL|interface|region|region_id";
        leaf.prop_recursive(6, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(key, inner, 0..8)
                    .prop_map(|object| Value::Object(object.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_answer_is_a_grant_or_a_short_reason_without_secrets(
            json in like_keystone(),
            token in like_keystone(),
            catalogue in like_keystone(),
            expires in "2013-11-22T1[0-9]:00:00Z|.*",
        ) {
            let mut whole = json!({"access": {"token": {"id": "hunter2", "expires": expires}}});
            whole["access"]["serviceCatalog"] = catalogue.clone();
            whole["token"] = json!({"expires_at": expires, "catalog": catalogue});
            let in_part = json!({"access": {"token": token}, "token": token});
            for json in [json, in_part, whole] {
                let answer = answer(&[TOKEN, NOON], json);
                for version in [Version::V2, Version::V3] {
                    let secrets = ["hunter2".to_owned()];
                    let why = match grant(version, &answer, &secrets) {
                        Err(why) => why,
                        Ok(grant) => {
                            let shown = format!("{grant:?}");
                            prop_assert!(!shown.contains("hunter2"), "{}", shown);
                            let wanted =
                                Wanted { service: "compute".to_owned(), region: None, interface: "internal" };
                            grant.catalogue.find(&wanted).err().unwrap_or_default()
                        }
                    };
                    prop_assert!(why.chars().count() < 600 && !why.contains("hunter2"), "{why}");
                }
            }
        }
    }
}
