//! A certificate authority of the tests' own.

use std::{sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ConfigBuilder, RootCertStore, ServerConfig, SupportedProtocolVersion, WantsVerifier,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{WantsServerCert, WebPkiClientVerifier},
    version::{TLS12, TLS13},
};
use time::OffsetDateTime;

const DAY: Duration = Duration::from_secs(86_400);

/// An authority, which signs what it is asked to.
pub struct Ca {
    certificate: CertificateDer<'static>,
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    /// A new authority.
    pub fn new() -> Self {
        Self::named("an authority of tests")
    }

    /// The same under another name.
    pub fn named(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let signed = params.self_signed(&key).unwrap();
        let (certificate, pem) = (signed.der().clone(), signed.pem());
        Self { certificate, pem, issuer: Issuer::new(params, key) }
    }

    /// What to trust for trusting this authority and no other.
    pub fn roots(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.clone()]
    }

    /// Its certificate as a PEM file has it.
    pub fn pem(&self) -> String {
        self.pem.clone()
    }

    /// A client's certificate and key, as PEM files have them.
    pub fn client(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["a client".to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A server that speaks only with clients whom this authority knows.
    pub fn server_for_clients(&self, name: &str) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let (certificate, key) = self.signed(name);
        finish(builder(&[&TLS12, &TLS13]).with_client_cert_verifier(verifier), certificate, &key)
    }

    /// A server that speaks nothing newer than TLS 1.2.
    pub fn server_of_tls12(&self, name: &str) -> ServerConfig {
        let (certificate, key) = self.signed(name);
        finish(builder(&[&TLS12]).with_no_client_auth(), certificate, &key)
    }

    fn signed(&self, name: &str) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().der().clone(), key)
    }

    /// A server whose certificate is for `name`.
    pub fn server(&self, name: &str) -> ServerConfig {
        self.server_until(name, now() + DAY)
    }

    /// A server whose certificate ends, or ended, at a time.
    pub fn server_until(&self, name: &str, not_after: OffsetDateTime) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = not_after - 30 * DAY;
        params.not_after = not_after;
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        config(certificate, &key)
    }
}

/// The same server, which knows these protocols by ALPN.
pub fn speaking(mut config: ServerConfig, protocols: &[&str]) -> ServerConfig {
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

/// A server whose certificate vouches for itself.
pub fn self_signed(name: &str) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    config(params.self_signed(&key).unwrap().der().clone(), &key)
}

/// A server whose certificate vouches for itself as an authority, as `openssl req -x509` makes it.
pub fn self_signed_authority(name: &str) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    config(params.self_signed(&key).unwrap().der().clone(), &key)
}

/// The time that rustls will judge by.
#[expect(clippy::disallowed_methods, reason = "rustls judges certificates by the time of the system")]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

type Builder = ConfigBuilder<ServerConfig, WantsVerifier>;

fn config(certificate: CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    finish(builder(&[&TLS12, &TLS13]).with_no_client_auth(), certificate, key)
}

fn builder(versions: &[&'static SupportedProtocolVersion]) -> Builder {
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
}

fn finish(
    builder: ConfigBuilder<ServerConfig, WantsServerCert>,
    certificate: CertificateDer<'static>,
    key: &KeyPair,
) -> ServerConfig {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    builder.with_single_cert(vec![certificate], key).unwrap()
}
