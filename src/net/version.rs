//! Which version of HTTP is spoken.

use std::net::SocketAddr;

use serde::Deserialize;

use super::NetError;

/// The versions of HTTP that may be spoken.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
pub enum HttpVersion {
    /// Over TLS what the server chooses, else 1.1.
    #[default]
    #[serde(rename = "any")]
    Any,
    /// HTTP/1.1.
    #[serde(rename = "1.1")]
    One,
    /// HTTP/2; without TLS, the server must know beforehand.
    #[serde(rename = "2")]
    Two,
}

/// HTTP/1.1 and HTTP/2, as ALPN calls them.
const ONE: &str = "http/1.1";
const TWO: &str = "h2";

impl HttpVersion {
    /// What a server may choose from by ALPN, best first.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Any => &[TWO, ONE],
            Self::One => &[ONE],
            Self::Two => &[TWO],
        }
    }

    /// Whether it comes to HTTP/2. Over TLS, `chosen` is what the server chose, if it did.
    pub(super) fn is_two(self, chosen: Option<Option<&str>>, peer: SocketAddr) -> Result<bool, NetError> {
        match (self, chosen) {
            (Self::Two, Some(None)) => {
                Err(NetError::Protocol(format!("{peer} does not speak HTTP/2: it chose no protocol by ALPN")))
            }
            (Self::Two, None) => Ok(true),
            (_, chosen) => Ok(chosen.flatten() == Some(TWO)),
        }
    }
}
