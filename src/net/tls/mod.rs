//! TLS by rustls and ring, on a connection that is already there.

mod certificate;
mod explain;
mod options;

use std::{fmt, net::SocketAddr, sync::Arc};

use rustls::{
    ClientConfig, ProtocolVersion, RootCertStore,
    client::Resumption,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName},
    sign::SingleCertAndKey,
};
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::{TlsConnector, client::TlsStream};

pub(super) use self::explain::{explain_tls, tls_error};
pub use self::{certificate::Certificate, options::TlsOptions};
use self::{explain::explain, options::Anybody};
use super::{NetError, Progress};

/// The most certificates of a chain that are looked at.
const CHAIN_MAX: usize = 8;

/// Loads the certificates that the system trusts, as OpenSSL finds them: `SSL_CERT_FILE` and
/// `SSL_CERT_DIR` name others. Reads files, so it is done once, at the start.
///
/// None at all is no error until a TLS connection is wanted; what cannot be read is left out.
pub fn system_roots() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

/// Makes TLS connections.
#[derive(Clone)]
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    /// The name that a certificate must carry, where it is not that of the host.
    server_name: Option<ServerName<'static>>,
    trusts_nobody: bool,
    /// Those of the system, for whoever names no others.
    roots: Arc<RootCertStore>,
}

/// What a handshake agreed on.
#[derive(Clone, Debug)]
pub struct Session {
    /// The version of TLS: `TLSv1.3`.
    pub version: &'static str,
    /// The protocol that was chosen by ALPN.
    pub alpn: Option<String>,
    /// The certificates that the server showed, its own first. What cannot be read is left out.
    pub certificates: Vec<Certificate>,
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.version)?;
        self.alpn.as_ref().map_or(Ok(()), |protocol| write!(f, ", {protocol} by ALPN"))
    }
}

impl Tls {
    pub(super) fn new(trusted: &[CertificateDer<'static>]) -> Self {
        let mut roots = RootCertStore::empty();
        // Systems ship some that nobody can read.
        roots.add_parsable_certificates(trusted.iter().cloned());
        let (roots, options) = (Arc::new(roots), TlsOptions::default());
        let config = Arc::new(config(&roots, &options));
        Self { config, server_name: None, trusts_nobody: roots.is_empty(), roots }
    }

    /// The same as a row wants it.
    pub(super) fn with(&self, options: &TlsOptions) -> Self {
        Self {
            config: Arc::new(config(&self.roots, options)),
            server_name: options.server_name.clone(),
            trusts_nobody: self.roots.is_empty() && options.roots.is_none() && !options.skip_verify,
            roots: Arc::clone(&self.roots),
        }
    }

    /// Shakes hands for `name`. The server may choose one of `protocols` by ALPN; none is named where there is
    /// no HTTP, since a server of another protocol may refuse ours.
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
        name: &ServerName<'static>,
        protocols: &[&str],
        peer: SocketAddr,
        progress: &mut Progress,
    ) -> Result<(TlsStream<TcpStream>, Session), NetError> {
        progress.handshaking(peer);
        if self.trusts_nobody {
            let why =
                "this system has no certificates to trust: install ca-certificates or set SSL_CERT_FILE";
            return Err(NetError::Tls(why.to_owned()));
        }
        let begun = Instant::now();
        let name = self.server_name.as_ref().unwrap_or(name);
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let connector = connector.with_alpn(protocols.iter().map(|name| name.as_bytes().to_vec()).collect());
        let shaken = connector.connect(name.clone(), stream).await;
        let stream = shaken.map_err(|error| NetError::Tls(explain(&error, name, peer)))?;
        let took = begun.elapsed();
        let session = session(&stream);
        progress.handshaken(&session, took);
        Ok((stream, session))
    }
}

/// Named here rather than installed for the process: whoever uses this needs no other set-up.
fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

fn config(roots: &Arc<RootCertStore>, options: &TlsOptions) -> ClientConfig {
    let provider = Arc::new(provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(options.min_version.versions())
        .expect("ring speaks TLS 1.2 and 1.3");
    let builder = if options.skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
    } else {
        builder.with_root_certificates(Arc::clone(options.roots.as_ref().unwrap_or(roots)))
    };
    let mut config = match &options.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(identity))))
        }
    };
    // A resumed session would not show its certificate, which is half of what is probed.
    config.resumption = Resumption::disabled();
    config
}

fn session(stream: &TlsStream<TcpStream>) -> Session {
    let connection = stream.get_ref().1;
    Session {
        version: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "",
        },
        alpn: connection.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned()),
        certificates: connection
            .peer_certificates()
            .unwrap_or_default()
            .iter()
            .take(CHAIN_MAX)
            .filter_map(Certificate::read)
            .collect(),
    }
}
