//! `tls://host:port`: a handshake, and the certificates that the server shows.
//!
//! The port is 443 unless the URL says another. Options: `tls`, as for HTTP; `cert_expiry_days`, how many days at
//! least every certificate of the chain must live on. No protocol is named to the server, and nothing is said
//! after the handshake.

use futures_util::future::LocalBoxFuture;
use rustls::pki_types::ServerName;
use skypunch_actors::{
    domain::{Cause, Fault, Target, TargetDefinition},
    port::ProberBuilder,
};

use super::{
    Probers,
    row::Row,
    run::{self, Failure, Look, failure},
};
use crate::net::{Client, Place, Progress, TlsOptions};

/// The port where TLS is met most.
const PORT: u16 = 443;

struct Tls {
    client: Client,
    place: Place,
    name: ServerName<'static>,
    cert_expiry_days: Option<u32>,
}

/// Reads a row, or names all that is wrong with it.
pub(super) fn prepare(
    probers: &Probers,
    definition: &TargetDefinition,
    target: &Target,
) -> Result<ProberBuilder, Vec<Fault>> {
    let mut row = Row::of(definition, target);
    let (place, limits) = (row.place(Some(PORT)), row.limits);
    row.ends_after_the_host();
    let name = place.as_ref().and_then(|place| {
        // The dot that ends a fully qualified name is no part of it in certificates.
        let host = place.host.strip_suffix('.').unwrap_or(&place.host).to_owned();
        let name = ServerName::try_from(host);
        name.map_err(|_| row.url_fault("the host is not a name that a certificate can carry")).ok()
    });
    let options = row.options.raw("tls").filter(|value| !value.is_null()).map(TlsOptions::read);
    let options = options.and_then(|read| read.map_err(|faults| row.options.extend(faults)).ok());
    let cert_expiry_days = row.options.take("cert_expiry_days", "a whole number of days");
    match (place, name, row.finish()) {
        (Some(place), Some(name), faults) if faults.is_empty() => {
            let client = options.map_or_else(|| probers.client.clone(), |tls| probers.client.with_tls(&tls));
            let client = limits.client(&client);
            Ok(run::prober(target, limits, Tls { client, place, name, cert_expiry_days }))
        }
        (_, _, faults) => Err(faults),
    }
}

impl Look for Tls {
    fn look<'a>(&'a self, progress: &'a mut Progress) -> LocalBoxFuture<'a, Result<String, Failure>> {
        Box::pin(async move {
            let shaken = self.client.shake_hands_with(&self.place, &self.name, progress).await;
            let session = shaken.map_err(failure)?;
            let mut chain = session.certificates.iter();
            // Clients lose their trust with the first certificate that expires.
            let expiring =
                self.cert_expiry_days.and_then(|days| chain.find_map(|link| link.expires_within(days)));
            if let Some(reason) = expiring {
                return Err((Cause::Tls, reason));
            }
            Ok(match session.certificates.first() {
                Some(own) => format!("{}, certificate until {}", session.version, own.not_after.date()),
                None => session.version.to_owned(),
            })
        })
    }
}
