//! TLS by rustls and ring, on a connection that is already there.

use std::{io, net::SocketAddr, sync::Arc};

use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error as TlsError, InvalidMessage, PeerIncompatible,
    ProtocolVersion, RootCertStore,
    client::Resumption,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use time::OffsetDateTime;
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{NetError, Progress, error::trouble_with};

/// The most names of a foreign certificate that are shown.
const NAMES_SHOWN: usize = 3;

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
    connector: TlsConnector,
    trusts_nobody: bool,
}

impl Tls {
    pub(super) fn new(trusted: &[CertificateDer<'static>]) -> Self {
        let mut roots = RootCertStore::empty();
        // Systems ship some that nobody can read.
        roots.add_parsable_certificates(trusted.iter().cloned());
        let trusts_nobody = roots.is_empty();
        // Named here rather than installed for the process: whoever uses this needs no other set-up.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring speaks TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A resumed session would not show its certificate, which is half of what is probed.
        config.resumption = Resumption::disabled();
        Self { connector: TlsConnector::from(Arc::new(config)), trusts_nobody }
    }

    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
        name: &ServerName<'static>,
        peer: SocketAddr,
        progress: &mut Progress,
    ) -> Result<TlsStream<TcpStream>, NetError> {
        if self.trusts_nobody {
            let why =
                "this system has no certificates to trust: install ca-certificates or set SSL_CERT_FILE";
            return Err(NetError::Tls(why.to_owned()));
        }
        let begun = Instant::now();
        progress.handshaking(peer);
        let shaken = self.connector.connect(name.clone(), stream).await;
        let stream = shaken.map_err(|error| NetError::Tls(explain(&error, name, peer)))?;
        let step = match stream.get_ref().1.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => "TLS handshake [OK] TLSv1.2",
            Some(ProtocolVersion::TLSv1_3) => "TLS handshake [OK] TLSv1.3",
            _ => "TLS handshake [OK]",
        };
        progress.handshaken(step, begun.elapsed());
        Ok(stream)
    }
}

/// What rustls found wrong, if `error` comes from it.
pub(super) fn tls_error(error: &io::Error) -> Option<&TlsError> {
    error.get_ref()?.downcast_ref()
}

fn explain(error: &io::Error, name: &ServerName<'_>, peer: SocketAddr) -> String {
    match tls_error(error) {
        Some(TlsError::InvalidCertificate(fault)) => explain_certificate(fault, &name.to_str()),
        Some(error) => explain_tls(error, peer),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            format!("closed by {peer} during the TLS handshake")
        }
        None => format!("{} during the TLS handshake", trouble_with(peer, error)),
    }
}

/// What the peer did to TLS, during the handshake or after it.
pub(super) fn explain_tls(error: &TlsError, peer: SocketAddr) -> String {
    use AlertDescription::{CertificateRequired, ProtocolVersion as NoVersion};
    use PeerIncompatible::{ServerDoesNotSupportTls12Or13, ServerTlsVersionIsDisabledByOurConfig};
    match error {
        TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => {
            format!("{peer} does not speak TLS: plain HTTP answered on a TLS port")
        }
        TlsError::AlertReceived(CertificateRequired) => format!("{peer} demands a client certificate"),
        TlsError::AlertReceived(NoVersion)
        | TlsError::PeerIncompatible(ServerDoesNotSupportTls12Or13 | ServerTlsVersionIsDisabledByOurConfig) =>
        {
            format!("{peer} speaks no version of TLS that is allowed; those before 1.2 never are")
        }
        error => format!("TLS with {peer} failed: {error}"),
    }
}

fn explain_certificate(fault: &CertificateError, name: &str) -> String {
    match fault {
        CertificateError::ExpiredContext { time, not_after } => {
            let ago = days(not_after, time);
            format!("certificate of {name} expired {ago} ago ({})", date(not_after))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let ahead = days(time, not_before);
            format!("certificate of {name} is not valid for another {ahead} ({})", date(not_before))
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names: Vec<_> = presented.iter().take(NAMES_SHOWN).map(|name| bare(name)).collect();
            let more = if presented.len() > NAMES_SHOWN { ", …" } else { "" };
            match names[..] {
                [] => format!("certificate of {name} carries no name"),
                _ => format!("certificate is not for {name} but for {}{more}", names.join(", ")),
            }
        }
        CertificateError::UnknownIssuer => {
            format!(
                "certificate of {name} is self-signed, or its issuer is not trusted or its chain incomplete"
            )
        }
        CertificateError::BadSignature => format!(
            "certificate of {name} is not signed by whom it names: its issuer, or a trusted namesake, is another"
        ),
        CertificateError::Revoked => format!("certificate of {name} is revoked"),
        fault => format!("certificate of {name} is refused: {fault}"),
    }
}

/// `DnsName("example.org")` is how rustls shows a name.
fn bare(shown: &str) -> &str {
    let inner = shown.split_once('(').and_then(|(_, inner)| inner.strip_suffix(')'));
    inner.map_or(shown, |inner| inner.trim_matches('"'))
}

fn days(from: &UnixTime, to: &UnixTime) -> String {
    match to.as_secs().saturating_sub(from.as_secs()) / 86_400 {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

fn date(at: &UnixTime) -> String {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).map_or_else(|_| "?".to_owned(), |at| at.date().to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(days: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(days * 86_400))
    }

    #[test]
    fn a_certificate_out_of_its_time_says_since_when() {
        let expired = CertificateError::ExpiredContext { time: at(20_458), not_after: at(20_455) };
        assert_eq!(
            explain_certificate(&expired, "example.org"),
            "certificate of example.org expired 3 days ago (2026-01-02)"
        );
        let early = CertificateError::NotValidYetContext { time: at(20_454), not_before: at(20_455) };
        assert_eq!(
            explain_certificate(&early, "example.org"),
            "certificate of example.org is not valid for another 1 day (2026-01-02)"
        );
        let endless = CertificateError::ExpiredContext { time: at(1), not_after: at(u64::MAX / 86_400) };
        assert!(explain_certificate(&endless, "h").contains("less than a day"));
    }
}
