//! The `tls` options of a row: whom to trust, and who to be.

use std::{path::PathBuf, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, UnixTime,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use serde::Deserialize;
use serde_json::Value;

use super::provider;
use crate::fields::Fields;

/// The `tls` options of a row, with the files that they name read.
#[derive(Clone, Default)]
pub struct TlsOptions {
    /// Trusted in place of the authorities of the system.
    pub(super) roots: Option<Arc<RootCertStore>>,
    /// What is shown to a server that asks who we are.
    pub(super) identity: Option<Arc<CertifiedKey>>,
    /// The name that the certificate must carry, in place of the host.
    pub(super) server_name: Option<ServerName<'static>>,
    /// Every certificate will do.
    pub(super) skip_verify: bool,
    pub(super) min_version: MinVersion,
}

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
pub(super) enum MinVersion {
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    #[serde(rename = "1.3")]
    Tls13,
}

impl MinVersion {
    pub(super) fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        match self {
            Self::Tls12 => &BOTH,
            Self::Tls13 => &BOTH[..1],
        }
    }
}

impl TlsOptions {
    /// Reads the object and its files, or names all that is wrong with them.
    pub fn read(value: &Value) -> Result<Self, Vec<String>> {
        let mut fields = Fields::at("tls", value);
        let options = Self {
            roots: roots(&mut fields).map(Arc::new),
            identity: identity(&mut fields).map(Arc::new),
            server_name: server_name(&mut fields),
            skip_verify: fields.take("insecure_skip_verify", "true or false").unwrap_or_default(),
            min_version: fields.take("min_version", r#""1.2" or "1.3""#).unwrap_or_default(),
        };
        let faults = fields.finish();
        if faults.is_empty() { Ok(options) } else { Err(faults) }
    }
}

const FILE: &str = "the path of a PEM file";

fn roots(fields: &mut Fields<'_>) -> Option<RootCertStore> {
    const KEY: &str = "ca_file";
    let certificates = certificates(fields, KEY)?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        if roots.add(certificate).is_err() {
            fields.fault(KEY, "names a file with a certificate that cannot be read");
            return None;
        }
    }
    Some(roots)
}

fn identity(fields: &mut Fields<'_>) -> Option<CertifiedKey> {
    const KEY: &str = "key_file";
    let half = if fields.has("cert_file") { KEY } else { "cert_file" };
    if fields.has("cert_file") != fields.has(KEY) {
        fields.fault(half, "is missing: cert_file and key_file go together");
    }
    let chain = certificates(fields, "cert_file");
    let path: PathBuf = fields.take(KEY, FILE)?;
    let key = PrivateKeyDer::from_pem_file(&path);
    let key = key.map_err(|error| fields.fault(KEY, &unread(&path, &error, "private key"))).ok()?;
    let certified = CertifiedKey::from_der(chain?, key, &provider());
    let explained = |error| match error {
        TlsError::InconsistentKeys(_) | TlsError::InvalidCertificate(CertificateError::BadEncoding) => {
            "is not the key of the certificate in cert_file"
        }
        _ => "names a file with a key that cannot be used",
    };
    certified.map_err(|error| fields.fault(KEY, explained(error))).ok()
}

fn certificates(fields: &mut Fields<'_>, key: &'static str) -> Option<Vec<CertificateDer<'static>>> {
    let path: PathBuf = fields.take(key, FILE)?;
    let read = CertificateDer::pem_file_iter(&path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = match read {
        Ok(found) if found.is_empty() => Err(pem::Error::NoItemsFound),
        read => read,
    };
    found.map_err(|error| fields.fault(key, &unread(&path, &error, "certificate"))).ok()
}

fn unread(path: &std::path::Path, error: &pem::Error, wanted: &str) -> String {
    let path = path.display();
    match error {
        pem::Error::Io(error) => format!("cannot be read: {path}: {}", error.kind()),
        pem::Error::NoItemsFound => format!("cannot be used: there is no {wanted} in {path}"),
        _ => format!("cannot be used: {path} is no PEM file"),
    }
}

fn server_name(fields: &mut Fields<'_>) -> Option<ServerName<'static>> {
    const KEY: &str = "server_name";
    const ALLOWED: &str = "a host name or an address";
    let name: String = fields.take(KEY, ALLOWED)?;
    ServerName::try_from(name).map_err(|_| fields.fault(KEY, &format!("must be {ALLOWED}"))).ok()
}

/// Trusts everybody, as `insecure_skip_verify` asks for; the handshake itself must still be right.
#[derive(Debug)]
pub(super) struct Anybody(pub(super) Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, KeyPair};
    use serde_json::json;

    use super::*;

    fn faults(options: Value) -> Vec<String> {
        TlsOptions::read(&options).err().unwrap_or_default()
    }

    #[test]
    fn each_way_to_be_wrong_names_the_option_and_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["x".to_owned()]).unwrap().self_signed(&key).unwrap();
        fs::write(path("empty"), "").unwrap();
        fs::write(path("torn"), "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n").unwrap();
        fs::write(path("cert"), certificate.pem()).unwrap();
        fs::write(path("key"), key.serialize_pem()).unwrap();
        fs::write(path("other"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
        let (missing, empty, torn) = (path("missing"), path("empty"), path("torn"));
        let cases = [
            (json!("x"), "`tls` must be an object".to_owned()),
            (
                json!({"verify": true}),
                "unknown option `tls.verify`: known are ca_file, cert_file, key_file, \
                server_name, insecure_skip_verify, min_version"
                    .to_owned(),
            ),
            (json!({"ca_file": 1}), "`tls.ca_file` must be the path of a PEM file".to_owned()),
            (
                json!({"ca_file": missing}),
                format!("`tls.ca_file` cannot be read: {missing}: entity not found"),
            ),
            (
                json!({"ca_file": empty}),
                format!("`tls.ca_file` cannot be used: there is no certificate in {empty}"),
            ),
            (json!({"ca_file": torn}), format!("`tls.ca_file` cannot be used: {torn} is no PEM file")),
            (
                json!({"cert_file": path("cert")}),
                "`tls.key_file` is missing: cert_file and key_file go together".to_owned(),
            ),
            (
                json!({"key_file": path("key")}),
                "`tls.cert_file` is missing: cert_file and key_file go together".to_owned(),
            ),
            (
                json!({"cert_file": path("cert"), "key_file": path("other")}),
                "`tls.key_file` is not the key of the certificate in cert_file".to_owned(),
            ),
            (
                json!({"cert_file": path("cert"), "key_file": path("cert")}),
                format!("`tls.key_file` cannot be used: there is no private key in {}", path("cert")),
            ),
            (json!({"server_name": "a b"}), "`tls.server_name` must be a host name or an address".to_owned()),
            (json!({"min_version": "1.0"}), r#"`tls.min_version` must be "1.2" or "1.3""#.to_owned()),
            (
                json!({"insecure_skip_verify": 1}),
                "`tls.insecure_skip_verify` must be true or false".to_owned(),
            ),
        ];
        for (options, fault) in cases {
            assert_eq!(faults(options), [fault]);
        }
        assert_eq!(faults(json!({"cert_file": path("cert"), "key_file": path("key")})), [""; 0]);
    }
}
