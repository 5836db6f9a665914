//! From an endpoint to a TCP connection.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use serde::Deserialize;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

use super::{NetError, Place, Progress, Resolver, error::trouble_with};

/// The most addresses of a name that are tried.
const ADDRESSES_MAX: usize = 16;
/// The most addresses that a reason names.
const ADDRESSES_NAMED: usize = 4;
/// How long an address may be silent before the next one is tried beside it, as RFC 8305 has it: a name
/// with a dead IPv6 address is no outage.
const STAGGER: Duration = Duration::from_millis(250);

/// Which addresses of a host are tried.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
pub enum IpProtocol {
    /// All of them.
    #[default]
    #[serde(rename = "any")]
    Any,
    /// Those of IPv4.
    #[serde(rename = "4")]
    V4,
    /// Those of IPv6.
    #[serde(rename = "6")]
    V6,
}

impl IpProtocol {
    pub(super) fn allows(self, ip: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::V4 => ip.is_ipv4(),
            Self::V6 => ip.is_ipv6(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Any => "",
            Self::V4 => " IPv4",
            Self::V6 => " IPv6",
        }
    }
}

/// Connects to the first address of a place that answers, in the order of the resolver.
pub(super) async fn dial(
    resolver: &Resolver,
    place: &Place,
    ip: IpProtocol,
    progress: &mut Progress,
) -> Result<(TcpStream, SocketAddr), NetError> {
    let addresses = resolve(resolver, place, ip, progress).await?;
    let begun = Instant::now();
    let (stream, peer) = connect(&addresses, progress).await?;
    // Else a request in two packets waits for a delayed acknowledgement.
    stream.set_nodelay(true).map_err(|error| NetError::Connect(trouble_with(peer, &error)))?;
    progress.connected(peer, begun.elapsed());
    Ok((stream, peer))
}

/// The addresses of a place, best first; at least one.
pub(super) async fn resolve(
    resolver: &Resolver,
    place: &Place,
    ip: IpProtocol,
    progress: &mut Progress,
) -> Result<Vec<SocketAddr>, NetError> {
    let found = match place.ip {
        Some(ip) => vec![ip],
        None => look_up(resolver, &place.host, progress).await?,
    };
    let allowed = found.into_iter().filter(|address| ip.allows(*address));
    let addresses: Vec<SocketAddr> =
        allowed.take(ADDRESSES_MAX).map(|ip| SocketAddr::new(ip, place.port)).collect();
    if addresses.is_empty() {
        return Err(NetError::Dns(format!("{} has no{} address", place.host, ip.name())));
    }
    Ok(addresses)
}

async fn look_up(
    resolver: &Resolver,
    host: &Arc<str>,
    progress: &mut Progress,
) -> Result<Vec<IpAddr>, NetError> {
    let begun = Instant::now();
    progress.resolving(host);
    let found = resolver.addresses(host).await?;
    progress.resolved(host, &found, begun.elapsed());
    Ok(found)
}

async fn connect(
    addresses: &[SocketAddr],
    progress: &mut Progress,
) -> Result<(TcpStream, SocketAddr), NetError> {
    let mut untried = addresses.iter().copied();
    let mut attempts = FuturesUnordered::new();
    let mut failures = Vec::new();
    loop {
        if let Some(peer) = untried.next() {
            progress.connecting(peer);
            attempts.push(async move { (peer, TcpStream::connect(peer).await) });
        }
        tokio::select! {
            attempt = attempts.next() => match attempt {
                Some((peer, Ok(stream))) => return Ok((stream, peer)),
                Some((peer, Err(error))) => {
                    let failure = trouble_with(peer, &error);
                    if addresses.len() > 1 {
                        progress.step(failure.clone());
                    }
                    failures.push(failure);
                }
                None => return Err(NetError::Connect(name_all(&failures))),
            },
            () = sleep(STAGGER), if untried.len() > 0 => {}
        }
    }
}

fn name_all(failures: &[String]) -> String {
    let named = failures.len().min(ADDRESSES_NAMED);
    let mut text = failures[..named].join(", ");
    if failures.len() > named {
        text.push_str(&format!(", and {} more addresses failed", failures.len() - named));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use skypunch_actors::{
        port::{Clock, Tracer},
        testing::TestClock,
    };
    use tokio::{
        net::{TcpListener, TcpSocket},
        time::timeout,
    };

    use super::*;

    async fn connect_to(addresses: &[SocketAddr]) -> Result<SocketAddr, String> {
        let clock: Arc<dyn Clock> = Arc::new(TestClock::default());
        let mut progress = Progress::new(Tracer::start(&clock));
        let connected = connect(addresses, &mut progress).await;
        connected.map(|(_, peer)| peer).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_silent_address_holds_the_next_one_up_only_for_a_moment() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let silent = socket.listen(1).unwrap();
        let silent_at = silent.local_addr().unwrap();
        // The system drops what comes when the queue is full.
        let mut queue = Vec::new();
        while let Ok(queued) = timeout(STAGGER, TcpStream::connect(silent_at)).await {
            queue.push(queued.unwrap());
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listening_at = listener.local_addr().unwrap();
        let begun = Instant::now();
        assert_eq!(connect_to(&[silent_at, listening_at]).await, Ok(listening_at));
        assert!(begun.elapsed() >= STAGGER && begun.elapsed() < 40 * STAGGER, "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn every_address_that_failed_is_named() {
        let addresses = ["127.0.0.1:1", "127.0.0.2:1"].map(|address| address.parse().unwrap());
        let reason = "connection refused by 127.0.0.1:1, connection refused by 127.0.0.2:1";
        assert_eq!(connect_to(&addresses).await, Err(reason.to_owned()));
    }

    #[test]
    fn a_reason_names_some_of_many_addresses() {
        let failures: Vec<String> = (0..16).map(|n| format!("connection refused by 10.0.0.{n}:80")).collect();
        assert_eq!(name_all(&failures[..1]), "connection refused by 10.0.0.0:80");
        let all = name_all(&failures);
        assert!(all.ends_with("10.0.0.3:80, and 12 more addresses failed"), "{all}");
    }
}
