//! A host and a port, for what is not spoken to by HTTP.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use url::Host;

use super::{Client, IpProtocol, NetError, Progress, Session, dial};

/// Where a connection goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The host, without the brackets of IPv6.
    pub host: Arc<str>,
    /// The host, where it is an address and needs no resolving.
    pub(super) ip: Option<IpAddr>,
    /// The port.
    pub port: u16,
}

impl Place {
    /// A port of a host.
    pub fn new(host: &Host<impl AsRef<str>>, port: u16) -> Self {
        let (host, ip) = match host {
            Host::Ipv4(ip) => (ip.to_string(), Some(IpAddr::from(*ip))),
            Host::Ipv6(ip) => (ip.to_string(), Some(IpAddr::from(*ip))),
            Host::Domain(name) => (name.as_ref().to_lowercase(), None),
        };
        Self { host: host.into(), ip, port }
    }

    /// Whether the host, where it is an address, is one of `protocol`. A name is known only when it resolves.
    pub fn can_be(&self, protocol: IpProtocol) -> bool {
        self.ip.is_none_or(|ip| protocol.allows(ip))
    }
}

impl Client {
    /// Connects to the first address of a place that answers.
    pub async fn connect_to(
        &self,
        place: &Place,
        progress: &mut Progress,
    ) -> Result<(TcpStream, SocketAddr), NetError> {
        dial::dial(&self.resolver, place, self.ip, progress).await
    }

    /// Connects, shakes hands, and says what was agreed on; nothing more is said.
    pub async fn shake_hands_with(
        &self,
        place: &Place,
        name: &ServerName<'static>,
        progress: &mut Progress,
    ) -> Result<Session, NetError> {
        let (stream, peer) = self.connect_to(place, progress).await?;
        let (_, session) = self.tls.handshake(stream, name, &[], peer, progress).await?;
        Ok(session)
    }

    /// The addresses of a place, best first; at least one.
    pub async fn resolve(&self, place: &Place, progress: &mut Progress) -> Result<Vec<SocketAddr>, NetError> {
        dial::resolve(&self.resolver, place, self.ip, progress).await
    }
}
