//! A certificate authority of the tests' own.

use std::{sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier,
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
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// What to trust for trusting this authority and no other.
    pub fn roots(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.clone()]
    }

    /// A server whose certificate is for `name`.
    pub fn server(&self, name: &str) -> ServerConfig {
        self.server_until(name, now() + DAY)
    }

    /// A server whose certificate ends, or ended, at a time.
    pub fn server_until(&self, name: &str, not_after: OffsetDateTime) -> ServerConfig {
        let (certificate, key) = self.vouch(name, not_after);
        config(builder().with_no_client_auth(), certificate, &key)
    }

    /// A server that demands a certificate of this authority from its clients.
    pub fn server_of_members(&self, name: &str) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()));
        let (certificate, key) = self.vouch(name, now() + DAY);
        config(builder().with_client_cert_verifier(verifier.build().unwrap()), certificate, &key)
    }

    /// A certificate of thirty days.
    fn vouch(&self, name: &str, not_after: OffsetDateTime) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = not_after - 30 * DAY;
        params.not_after = not_after;
        (params.signed_by(&key, &self.issuer).unwrap().der().clone(), key)
    }
}

/// A server whose certificate vouches for itself.
pub fn self_signed(name: &str) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new([name.to_owned()]).unwrap();
    config(builder().with_no_client_auth(), params.self_signed(&key).unwrap().der().clone(), &key)
}

/// The time that rustls will judge by.
#[expect(clippy::disallowed_methods, reason = "rustls judges certificates by the time of the system")]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn builder() -> ConfigBuilder<ServerConfig, WantsVerifier> {
    let provider = Arc::new(default_provider());
    ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS12, &TLS13]).unwrap()
}

fn config(
    builder: ConfigBuilder<ServerConfig, WantsServerCert>,
    certificate: CertificateDer<'static>,
    key: &KeyPair,
) -> ServerConfig {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    builder.with_single_cert(vec![certificate], key).unwrap()
}
