//! `DIGEST`: `user` and `password` as RFC 7616 has it, with MD5 or SHA-256 and `qop=auth`.
//!
//! The first request of a target is sent without credentials, and its 401 says how to make them. Later ones
//! use the same nonce until the server wants another.

mod challenge;

use std::{cell::RefCell, fmt::Write};

use actix_http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use futures_util::future::LocalBoxFuture;
use md5::{Digest as _, Md5};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};
use skypunch_actors::domain::{Fault, Secret};

use self::challenge::{Algorithm, Challenge};
use super::{
    Asked, Auth, AuthError, Means,
    parms::{Parms, sensitive},
};
use crate::net::Progress;

/// What the column `authn` says.
pub(super) const KIND: &str = "DIGEST";

struct Digest {
    parms: Parms,
    session: RefCell<Option<Session>>,
}

/// A challenge, and how often it was met.
struct Session {
    challenge: Challenge,
    cnonce: String,
    count: u32,
}

pub(super) fn prepare(parms: Option<&Secret>, _: &Means<'_>) -> Result<Box<dyn Auth>, Vec<Fault>> {
    let parms = Parms::require(parms, &["user", "password"], &[])?;
    Ok(Box::new(Digest { parms, session: RefCell::default() }))
}

impl Auth for Digest {
    fn authorize<'a>(
        &'a self,
        asked: Asked<'a>,
        _: &'a mut Progress,
    ) -> LocalBoxFuture<'a, Result<Option<(HeaderName, HeaderValue)>, AuthError>> {
        Box::pin(async move {
            let parms = self.parms.resolve().await?;
            let mut session = self.session.borrow_mut();
            let Some(session) = session.as_mut() else { return Ok(None) };
            session.count += 1;
            let request = (asked.method.as_str(), asked.target.to_string());
            let value = session.answer((parms.get("user"), parms.get("password")), (request.0, &request.1));
            Ok(Some((AUTHORIZATION, sensitive("user", &value)?)))
        })
    }

    fn refused(&self, headers: &HeaderMap, progress: &mut Progress) -> bool {
        let challenge = Challenge::best(headers);
        progress.step(match &challenge {
            Some(challenge) => format!("Digest challenge [OK] {}", challenge.algorithm.name),
            None => "Digest challenge [FAIL] reason: none with MD5 or SHA-256 and qop=auth".to_owned(),
        });
        let session = challenge.map(|challenge| Session { challenge, cnonce: cnonce(), count: 0 });
        self.session.replace(session);
        self.session.borrow().is_some()
    }
}

impl Session {
    /// The value of the header.
    fn answer(&self, (user, password): (&str, &str), (method, uri): (&str, &str)) -> String {
        let Challenge { algorithm, realm, nonce, opaque } = &self.challenge;
        let count = format!("{:08x}", self.count);
        let mut secret = algorithm.hash(format!("{user}:{realm}:{password}"));
        if algorithm.session {
            secret = algorithm.hash(format!("{secret}:{nonce}:{}", self.cnonce));
        }
        let request = algorithm.hash(format!("{method}:{uri}"));
        let response = algorithm.hash(format!("{secret}:{nonce}:{count}:{}:auth:{request}", self.cnonce));
        let mut header = format!(
            "Digest {}, realm=\"{realm}\", uri=\"{uri}\", algorithm={}, nonce=\"{nonce}\", nc={count}, \
             cnonce=\"{}\", qop=auth, response=\"{response}\"",
            username(user),
            algorithm.name,
            self.cnonce,
        );
        if let Some(opaque) = opaque {
            header.push_str(&format!(", opaque=\"{opaque}\""));
        }
        header
    }
}

/// What no quotes can hold is encoded.
fn username(user: &str) -> String {
    let plain = user.chars().all(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\'));
    if plain {
        return format!("username=\"{user}\"");
    }
    format!("username*=UTF-8''{}", utf8_percent_encode(user, NON_ALPHANUMERIC))
}

impl Algorithm {
    fn hash(self, text: String) -> String {
        match self.sha256 {
            true => hex(digest(&SHA256, text.as_bytes()).as_ref()),
            false => hex(&Md5::digest(text.as_bytes())),
        }
    }
}

fn cnonce() -> String {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).expect("the system has random numbers");
    hex(&bytes)
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing into a String cannot fail.
        write!(text, "{byte:02x}").expect("a String takes all");
    }
    text
}

#[cfg(test)]
mod tests {
    use actix_http::{Uri, header::WWW_AUTHENTICATE};

    use super::{
        super::testing::{get, prepared, progress},
        *,
    };

    fn challenged(text: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(WWW_AUTHENTICATE, text.parse().unwrap());
        headers
    }

    #[test]
    fn the_examples_of_the_rfc_come_out() {
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let headers = challenged(&format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            ));
            let session = Session {
                challenge: Challenge::best(&headers).unwrap(),
                cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ".to_owned(),
                count: 1,
            };
            let header = session.answer(("Mufasa", "Circle of Life"), ("GET", "/dir/index.html"));
            assert_eq!(
                header,
                format!(
                    "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", \
                     algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                     nc=00000001, cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, \
                     response=\"{response}\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
                )
            );
        }
    }

    #[test]
    fn a_user_that_no_quotes_can_hold_is_encoded() {
        assert_eq!(username("Jane Doe"), "username=\"Jane Doe\"");
        assert_eq!(username("Jäsøn\""), "username*=UTF-8''J%C3%A4s%C3%B8n%22");
    }

    #[actix_rt::test]
    async fn a_nonce_is_used_and_counted_until_the_server_wants_another() {
        let auth = prepared(KIND, "user=a,password=b").ok().unwrap();
        let uri = Uri::from_static("/x?y");
        let header = async || {
            let header = auth.authorize(get(&uri), &mut progress()).await.unwrap();
            header.map(|(_, value)| value.to_str().unwrap().to_owned())
        };
        assert_eq!(header().await, None);
        let challenge = challenged("Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256-sess");
        assert!(auth.refused(&challenge, &mut progress()));
        assert!(header().await.unwrap().contains("uri=\"/x?y\""));
        assert!(header().await.unwrap().contains("nc=00000002"));
        assert!(!auth.refused(&challenged("Basic realm=\"r\""), &mut progress()));
        assert_eq!(header().await, None);
    }
}
