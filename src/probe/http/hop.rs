//! Where a probe goes, and where a redirect sends it.

use std::sync::Arc;

use actix_http::{
    Method, StatusCode,
    header::{HeaderMap, HeaderName, LOCATION},
};
use skypunch_actors::domain::text;
use url::Url;

use crate::net::{Endpoint, EndpointError};

/// The headers of a row that may be shown, and go along to another host.
const HARMLESS: [&str; 5] = ["accept", "accept-encoding", "accept-language", "content-type", "user-agent"];

/// Whether a header says nothing in confidence.
pub(super) fn is_harmless(name: &HeaderName) -> bool {
    HARMLESS.contains(&name.as_str())
}

/// One request of a probe: the first, or one that a redirect led to.
#[derive(Clone)]
pub(super) struct Hop {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) method: Method,
    /// Whether the row's body is sent.
    pub(super) with_body: bool,
    /// Whether it is where the row's secrets belong: no hop so far left scheme, host and port of its URL.
    pub(super) at_home: bool,
}

/// Why a redirect cannot be followed.
#[derive(Debug, thiserror::Error)]
#[error("redirect to {to} cannot be followed: {why}")]
pub(super) struct LostError {
    to: String,
    why: String,
}

impl Hop {
    /// The hop after this one, if the answer is a redirect.
    pub(super) fn next(&self, status: StatusCode, headers: &HeaderMap) -> Result<Option<Self>, LostError> {
        let rewrites = match status {
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            // Not as it was first written, but as everybody does it.
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
            _ => return Ok(None),
        };
        let Some(location) = headers.get(LOCATION) else { return Ok(None) };
        let location = String::from_utf8_lossy(location.as_bytes());
        let lost = |to: &str, why: String| LostError { to: text::reason(to), why };
        let url =
            self.endpoint.url().join(&location).map_err(|error| lost("what is no URL", error.to_string()))?;
        let endpoint = Endpoint::parse(url.as_str()).map_err(|error| match error {
            EndpointError::Malformed(why) => lost(&shown(&url), why),
            error => lost(&shown(&url), error.to_string()),
        })?;
        Ok(Some(Self {
            endpoint: Arc::new(endpoint),
            method: if rewrites { Method::GET } else { self.method.clone() },
            with_body: self.with_body && !rewrites,
            at_home: self.at_home && self.endpoint.url().origin() == url.origin(),
        }))
    }

    /// The first hop, to the URL of the row.
    pub(super) fn first(endpoint: Arc<Endpoint>, method: Method) -> Self {
        Self { endpoint, method, with_body: true, at_home: true }
    }

    /// Whether a header of the row goes along.
    pub(super) fn carries(&self, name: &HeaderName) -> bool {
        (self.at_home || is_harmless(name)) && (self.with_body || name != "content-type")
    }

    /// The URL as it may be shown: a server may have put a token into the query.
    pub(super) fn shown(&self) -> String {
        shown(self.endpoint.url())
    }
}

fn shown(url: &Url) -> String {
    let masked = text::mask_userinfo(&url[..url::Position::AfterPath]).into_owned();
    if url.query().is_some() { format!("{masked}?…") } else { masked }
}

#[cfg(test)]
mod tests {
    use actix_http::header::{HOST, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const HOME: &str = "https://home.example/a/b?c=d";

    fn first(method: Method) -> Hop {
        Hop::first(Arc::new(Endpoint::parse(HOME).unwrap()), method)
    }

    fn redirect(hop: &Hop, status: u16, location: &str) -> Result<Option<Hop>, LostError> {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_str(location).unwrap());
        hop.next(StatusCode::from_u16(status).unwrap(), &headers)
    }

    fn follow(hop: &Hop, status: u16, location: &str) -> Hop {
        redirect(hop, status, location).unwrap().unwrap()
    }

    #[test]
    fn a_location_is_read_from_where_it_stands() {
        for (location, url) in [
            ("next?x=1", "https://home.example/a/next?…"),
            ("?x=1", "https://home.example/a/b?…"),
            ("/root#part", "https://home.example/root"),
            ("//other.example", "https://other.example/"),
            ("http://other.example:8080/x", "http://other.example:8080/x"),
        ] {
            assert_eq!(follow(&first(Method::GET), 302, location).shown(), url);
        }
    }

    #[test]
    fn a_method_becomes_get_as_everybody_has_it() {
        let (get, post) = ((Method::GET, false), (Method::POST, true));
        for (method, status, after) in [
            (Method::POST, 301, get.clone()),
            (Method::POST, 302, get.clone()),
            (Method::POST, 303, get.clone()),
            (Method::POST, 307, post.clone()),
            (Method::POST, 308, post),
            (Method::PUT, 302, (Method::PUT, true)),
            (Method::PUT, 303, get),
            (Method::HEAD, 303, (Method::HEAD, true)),
        ] {
            let hop = follow(&first(method.clone()), status, "/");
            assert_eq!((hop.method, hop.with_body), after, "{method} {status}");
        }
        for status in [200, 300, 304, 404] {
            assert!(redirect(&first(Method::GET), status, "/").unwrap().is_none());
        }
    }

    #[test]
    fn secrets_stay_at_home() {
        let custom = HeaderName::from_static("x-auth-token");
        for (location, at_home) in [
            ("/x", true),
            ("https://HOME.example:443/x", true),
            ("http://home.example/a/b", false),
            ("http://home.example:443/", false),
            ("https://home.example:8443/", false),
            ("https://other.example/", false),
        ] {
            let hop = follow(&first(Method::GET), 307, location);
            assert_eq!(hop.at_home, at_home, "{location}");
            assert_eq!((hop.carries(&custom), hop.carries(&HOST)), (at_home, at_home));
            assert!(hop.carries(&HeaderName::from_static("user-agent")));
        }
        let away = follow(&first(Method::GET), 302, "https://other.example/");
        assert!(!follow(&away, 302, HOME).at_home);
        assert!(!follow(&first(Method::POST), 303, "/").carries(&HeaderName::from_static("content-type")));
    }

    #[test]
    fn where_nobody_can_go_is_told_without_secrets() {
        let lost = |location| redirect(&first(Method::GET), 302, location).err().unwrap().to_string();
        assert_eq!(
            lost("ftp://other.example/x"),
            "redirect to ftp://other.example/x cannot be followed: the scheme is neither http nor https"
        );
        assert_eq!(
            lost("https://bob:hunter2@other.example/?hunter2"),
            "redirect to https://***@other.example/?… cannot be followed: holds credentials"
        );
        assert!(lost("http://").starts_with("redirect to what is no URL cannot be followed: "));
    }

    proptest! {
        #[test]
        fn any_location_is_a_hop_or_an_error(location in "[ -~]*", status in 300u16..309) {
            drop(redirect(&first(Method::GET), status, &location));
        }
    }
}
