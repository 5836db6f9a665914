//! What a certificate says of itself.

use std::{fmt, net::IpAddr};

use rustls::pki_types::{CertificateDer, UnixTime};
use skypunch_actors::domain::text;
use time::OffsetDateTime;
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

use super::explain::days;

/// The longest of its texts that is kept, in characters.
const TEXT_MAX: usize = 128;
/// The most names that are kept; a certificate may have thousands.
const NAMES_MAX: usize = 16;
/// The most names that are shown.
const NAMES_SHOWN: usize = 3;

/// The facts of one certificate. Its texts are the server's: escaped and cut, but not to be trusted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Certificate {
    /// Who it is for: `CN=example.org`.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The last second of its life.
    pub not_after: OffsetDateTime,
    /// The host names and addresses that it is for.
    pub names: Vec<String>,
}

impl Certificate {
    /// Reads a certificate; `None` is one that nobody can read.
    pub fn read(der: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = parse_x509_certificate(der).ok()?;
        let alternatives = certificate.subject_alternative_name().ok().flatten();
        let names = alternatives.iter().flat_map(|names| &names.value.general_names);
        Some(Self {
            subject: shown(&certificate.subject().to_string()),
            issuer: shown(&certificate.issuer().to_string()),
            not_after: certificate.validity().not_after.to_datetime(),
            names: names.filter_map(name).take(NAMES_MAX).collect(),
        })
    }

    /// Says when it expires, if that is less than `limit` days from now.
    pub fn expires_within(&self, limit: u32) -> Option<String> {
        // The time of the system, as rustls judges by.
        self.expires_within_from(limit, UnixTime::now())
    }

    fn expires_within_from(&self, limit: u32, now: UnixTime) -> Option<String> {
        let end = u64::try_from(self.not_after.unix_timestamp()).unwrap_or(0);
        if end >= now.as_secs().saturating_add(u64::from(limit) * 86_400) {
            return None;
        }
        let (subject, date) = (self.names.first().unwrap_or(&self.subject), self.not_after.date());
        let end = UnixTime::since_unix_epoch(std::time::Duration::from_secs(end));
        Some(if end.as_secs() < now.as_secs() {
            format!("certificate of {subject} expired {} ago ({date})", days(&end, &now))
        } else {
            let left = days(&now, &end);
            format!("certificate of {subject} expires in {left} ({date}), less than {limit} days ahead")
        })
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, issuer, not_after, names } = self;
        f.write_str("Certificate ")?;
        if !names.is_empty() {
            let more = if names.len() > NAMES_SHOWN { ", …" } else { "" };
            write!(f, "for {}{more} ", names[..names.len().min(NAMES_SHOWN)].join(", "))?;
        }
        write!(f, "({subject}), issued by {issuer}, valid until {}", not_after.date())
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(shown(name)),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok().map(|ip| ip.to_string())
        }
        _ => None,
    }
}

fn shown(text: &str) -> String {
    let escaped = text::escape_controls(text);
    text::cut(&escaped, TEXT_MAX).into_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair};
    use time::macros::datetime;

    use super::*;

    fn certificate() -> Certificate {
        let names = ["a.example", "b.example", "c.example", "::1"].map(str::to_owned);
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "evil\n\u{1b}[31m");
        params.not_after = datetime!(2026-03-04 05:06:07 UTC);
        let signed = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Certificate::read(signed.der()).unwrap()
    }

    #[test]
    fn its_facts_are_read_and_shown_on_one_line() {
        let certificate = certificate();
        assert_eq!(certificate.names, ["a.example", "b.example", "c.example", "::1"]);
        assert_eq!(certificate.not_after, datetime!(2026-03-04 05:06:07 UTC));
        assert_eq!(
            certificate.to_string(),
            "Certificate for a.example, b.example, c.example, … (CN=evil\\n\\u{1b}[31m), \
             issued by CN=evil\\n\\u{1b}[31m, valid until 2026-03-04"
        );
    }

    #[test]
    fn one_that_expires_soon_says_when() {
        let certificate = certificate();
        let on = |at: OffsetDateTime| {
            let since = Duration::from_secs(at.unix_timestamp().unsigned_abs());
            certificate.expires_within_from(14, UnixTime::since_unix_epoch(since))
        };
        assert_eq!(on(datetime!(2026-02-18 05:06:07 UTC)), None);
        assert_eq!(
            on(datetime!(2026-02-20 00:00:00 UTC)).unwrap(),
            "certificate of a.example expires in 12 days (2026-03-04), less than 14 days ahead"
        );
        assert_eq!(
            on(datetime!(2026-03-06 00:00:00 UTC)).unwrap(),
            "certificate of a.example expired 1 day ago (2026-03-04)"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_certificate_or_none(bytes: Vec<u8>) {
            drop(Certificate::read(&CertificateDer::from(bytes)));
        }
    }
}
