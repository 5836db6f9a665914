//! Where a request goes: a URL, read once.

use std::{fmt, net::IpAddr, sync::Arc};

use actix_http::{Uri, header::HeaderValue};
use rustls::pki_types::ServerName;
use url::{Host, Url};

use super::{IpProtocol, Place};

/// An absolute `http` or `https` URL, taken apart. Its `Debug` hides path and query, where tokens are.
#[derive(Clone)]
pub struct Endpoint {
    /// The host, without the brackets of IPv6.
    pub(super) host: Arc<str>,
    /// The host, where it is an address and needs no resolving.
    pub(super) ip: Option<IpAddr>,
    pub(super) port: u16,
    /// The name that the certificate must carry; `None` is plain HTTP.
    pub(super) tls: Option<ServerName<'static>>,
    /// The `Host` header.
    pub(super) authority: HeaderValue,
    /// Path and query, as they stand in the request line.
    pub(super) target: Uri,
    url: Arc<Url>,
}

/// Why a text is no endpoint. Never shows the text, which may hold credentials.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum EndpointError {
    /// It is not an absolute URL.
    #[error("is not an absolute URL such as https://example.org/: {0}")]
    Malformed(String),
    /// The scheme is another.
    #[error("the scheme is neither http nor https")]
    Scheme,
    /// There is a user or a password in it.
    #[error("holds credentials")]
    Userinfo,
    /// The host cannot stand in a certificate.
    #[error("the host is not a name that a certificate can carry")]
    Name,
    /// Path or query hold what HTTP cannot carry.
    #[error("the path or the query cannot be sent: percent-encode what is special in it")]
    Target,
}

impl Endpoint {
    /// Reads a URL. Its fragment is ignored.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let malformed = |why: &str| EndpointError::Malformed(why.to_owned());
        // `url` drops line breaks and takes `http:x` for `http://x`: nobody means that.
        if text.chars().any(char::is_control) {
            return Err(malformed("it holds control characters"));
        }
        if !text.contains("://") {
            return Err(malformed("it has no `://`"));
        }
        let url = Url::parse(text).map_err(|error| malformed(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EndpointError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::Userinfo);
        }
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            return Err(malformed("it has no host"));
        };
        let (ip, name) = match host {
            Host::Ipv4(ip) => (Some(IpAddr::from(ip)), ip.to_string()),
            Host::Ipv6(ip) => (Some(IpAddr::from(ip)), ip.to_string()),
            Host::Domain(name) => (None, name.to_owned()),
        };
        let tls = match url.scheme() {
            "https" => Some(server_name(&name)?),
            _ => None,
        };
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_string(),
        };
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        Ok(Self {
            host: name.into(),
            ip,
            port,
            tls,
            authority: HeaderValue::try_from(authority).map_err(|_| malformed("it has no host"))?,
            target: target.parse().map_err(|_| EndpointError::Target)?,
            url: Arc::new(url),
        })
    }

    /// Where its connection goes.
    pub(super) fn place(&self) -> Place {
        Place { host: Arc::clone(&self.host), ip: self.ip, port: self.port }
    }

    /// The URL that was read.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether TLS is spoken there.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether the host, where it is an address, is one of `protocol`. A name is known only when it resolves.
    pub fn can_be(&self, protocol: IpProtocol) -> bool {
        self.place().can_be(protocol)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("authority", &self.authority).finish_non_exhaustive()
    }
}

/// The dot that ends a fully qualified name is no part of it in certificates.
fn server_name(host: &str) -> Result<ServerName<'static>, EndpointError> {
    let name = host.strip_suffix('.').unwrap_or(host);
    ServerName::try_from(name.to_owned()).map_err(|_| EndpointError::Name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Endpoint {
        Endpoint::parse(text).unwrap()
    }

    #[test]
    fn a_url_is_taken_apart() {
        let endpoint = parse("https://Example.org:8443/a%20b?c=d&e={f}|#g");
        assert_eq!((&*endpoint.host, endpoint.port), ("example.org", 8443));
        assert_eq!(endpoint.authority, "example.org:8443");
        assert_eq!(endpoint.target, "/a%20b?c=d&e={f}|");
        assert_eq!(endpoint.tls.unwrap().to_str(), "example.org");
    }

    #[test]
    fn the_port_of_the_scheme_is_not_said() {
        assert_eq!(parse("http://example.org:80").authority, "example.org");
        assert_eq!(parse("https://example.org:80/").authority, "example.org:80");
        assert_eq!(parse("http://example.org").target, "/");
        assert_eq!(parse("https://example.org").port, 443);
    }

    #[test]
    fn an_address_keeps_its_brackets_only_where_they_belong() {
        let endpoint = parse("https://[::1]:8443/");
        assert_eq!(endpoint.authority, "[::1]:8443");
        assert_eq!(&*endpoint.host, "::1");
        assert_eq!(endpoint.ip, Some("::1".parse().unwrap()));
        assert!(matches!(endpoint.tls, Some(ServerName::IpAddress(_))));
    }

    #[test]
    fn each_way_to_be_no_endpoint_is_named_without_the_text() {
        let error = |text: &str| Endpoint::parse(text).unwrap_err();
        for text in
            ["", "hunter2", "/hunter2", "http:hunter2", "http://", "http://hunter2:99999/", "http://a\nb/"]
        {
            let error = error(text);
            assert!(matches!(error, EndpointError::Malformed(_)), "{text}: {error}");
            assert!(!error.to_string().contains("hunter2"));
        }
        assert_eq!(error("ftp://example.org/"), EndpointError::Scheme);
        assert_eq!(error("http://bob:hunter2@example.org/"), EndpointError::Userinfo);
        assert_eq!(error("http://hunter2@example.org/"), EndpointError::Userinfo);
        assert_eq!(error("https://*.example.org/"), EndpointError::Name);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(https?://)?.*") {
            drop(Endpoint::parse(&text));
        }
    }
}
