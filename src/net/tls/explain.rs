//! What rustls found wrong, in words for people.

use std::{io, net::SocketAddr};

use rustls::{
    AlertDescription, CertificateError, Error as TlsError, InvalidMessage, OtherError, PeerIncompatible,
    pki_types::{ServerName, UnixTime},
};
use time::OffsetDateTime;

use crate::net::error::trouble_with;

/// The most names of a foreign certificate that are shown.
const NAMES_SHOWN: usize = 3;

/// What rustls found wrong, if `error` comes from it.
pub(in crate::net) fn tls_error(error: &io::Error) -> Option<&TlsError> {
    error.get_ref()?.downcast_ref()
}

/// Why a handshake for `name` failed.
pub(super) fn explain(error: &io::Error, name: &ServerName<'_>, peer: SocketAddr) -> String {
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
pub(in crate::net) fn explain_tls(error: &TlsError, peer: SocketAddr) -> String {
    use AlertDescription::{CertificateRequired, NoApplicationProtocol, ProtocolVersion as NoVersion};
    use PeerIncompatible::{ServerDoesNotSupportTls12Or13, ServerTlsVersionIsDisabledByOurConfig};
    match error {
        TlsError::InvalidMessage(InvalidMessage::InvalidContentType) => {
            format!("{peer} does not speak TLS: plain HTTP answered on a TLS port")
        }
        TlsError::AlertReceived(CertificateRequired) => format!("{peer} demands a client certificate"),
        TlsError::AlertReceived(NoApplicationProtocol) => {
            format!("{peer} speaks no version of HTTP that is allowed (ALPN)")
        }
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
        CertificateError::Other(OtherError(fault)) => match fault.to_string().as_str() {
            // What `openssl req -x509` makes is one.
            "CaUsedAsEndEntity" => {
                format!("certificate of {name} is one of an authority, for signing others: often self-signed")
            }
            fault => format!("certificate of {name} is refused: {fault}"),
        },
        fault => format!("certificate of {name} is refused: {fault}"),
    }
}

/// `DnsName("example.org")` is how rustls shows a name.
fn bare(shown: &str) -> &str {
    let inner = shown.split_once('(').and_then(|(_, inner)| inner.strip_suffix(')'));
    inner.map_or(shown, |inner| inner.trim_matches('"'))
}

/// A span of time in words.
pub(super) fn days(from: &UnixTime, to: &UnixTime) -> String {
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
