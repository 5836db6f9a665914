//! `icmp://host`: an echo, through the datagram socket that Linux gives to users without rights.
//!
//! A lost echo is sent again each second. Where the kernel forbids the socket, the cause is `config`, and the
//! target recovers by itself when it no longer does.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures_util::future::LocalBoxFuture;
use skypunch_actors::{
    domain::{Cause, Fault, Target, TargetDefinition},
    port::ProberBuilder,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::UdpSocket,
    time::{Instant, timeout},
};

use super::{
    Probers,
    row::Row,
    run::{self, Failure, Look, failure},
};
use crate::net::{Client, Place, Progress};

/// How long an echo is taken to be on its way, not lost.
const RESEND_AFTER: Duration = Duration::from_secs(1);
/// What an echo carries, and must bring back.
const PAYLOAD: &[u8; 16] = b"skypunch is here";

struct Icmp {
    client: Client,
    place: Place,
}

/// Reads a row, or names all that is wrong with it.
pub(super) fn prepare(
    probers: &Probers,
    definition: &TargetDefinition,
    target: &Target,
) -> Result<ProberBuilder, Vec<Fault>> {
    let mut row = Row::of(definition, target);
    // Only the place wants a port.
    let (place, limits) = (row.place(Some(1)), row.limits);
    if row.url.as_ref().is_some_and(|url| url.port().is_some()) {
        row.url_fault("says a port, which ICMP does not have");
    }
    row.ends_after_the_host();
    match (place, row.finish()) {
        (Some(place), faults) if faults.is_empty() => {
            Ok(run::prober(target, limits, Icmp { client: limits.client(&probers.client), place }))
        }
        (_, faults) => Err(faults),
    }
}

impl Look for Icmp {
    fn look<'a>(&'a self, progress: &'a mut Progress) -> LocalBoxFuture<'a, Result<String, Failure>> {
        Box::pin(async move {
            let addresses = self.client.resolve(&self.place, progress).await.map_err(failure)?;
            let mut failures = Vec::new();
            for (n, address) in addresses.iter().enumerate() {
                let ip = address.ip();
                let is_last = n + 1 == addresses.len();
                match ping(ip, is_last, progress).await {
                    Ok(Some(took)) => {
                        progress.answered_after(took);
                        return Ok(format!("echo from {ip}"));
                    }
                    Ok(None) => failures.push(format!("no echo from {ip}")),
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                        return Err((Cause::Config, forbidden()));
                    }
                    Err(error) => failures.push(format!("{error} ({ip})")),
                }
                if let (false, Some(failure)) = (is_last, failures.last()) {
                    progress.step(failure.clone());
                }
            }
            Err((Cause::Connect, failures.join(", ")))
        })
    }
}

/// How long the echo took; `None` is none within a moment, where another address is left to try.
async fn ping(ip: IpAddr, is_last: bool, progress: &mut Progress) -> io::Result<Option<Duration>> {
    let socket = open(ip)?;
    socket.connect(SocketAddr::new(ip, 0)).await?;
    progress.talking(format!("waiting for the echo of {ip}"));
    let begun = Instant::now();
    for sequence in 0.. {
        let sent = Instant::now();
        socket.send(&request(ip, sequence)).await?;
        progress.step(format!("Echo sent to {ip}"));
        match timeout(RESEND_AFTER, echo(&socket, ip)).await {
            // A late echo of an earlier request took longer than since the last.
            Ok(Ok(echoed)) if echoed == sequence => return Ok(Some(sent.elapsed())),
            Ok(Ok(_)) => return Ok(Some(begun.elapsed())),
            Ok(Err(error)) => return Err(error),
            Err(_) if is_last => {}
            Err(_) => return Ok(None),
        }
    }
    Ok(None)
}

fn open(ip: IpAddr) -> io::Result<UdpSocket> {
    let (domain, protocol) = match ip {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(protocol))?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket.into())
}

/// The kernel fills in the identifier and the checksum.
fn request(ip: IpAddr, sequence: u16) -> Vec<u8> {
    let kind = if ip.is_ipv6() { 128 } else { 8 };
    let [high, low] = sequence.to_be_bytes();
    [&[kind, 0, 0, 0, 0, 0, high, low], &PAYLOAD[..]].concat()
}

/// Waits for an echo, and says of which request.
async fn echo(socket: &UdpSocket, ip: IpAddr) -> io::Result<u16> {
    let kind = if ip.is_ipv6() { 129 } else { 0 };
    let mut packet = [0; 64];
    loop {
        let length = socket.recv(&mut packet).await?;
        if let [first, 0, _, _, _, _, high, low, payload @ ..] = &packet[..length]
            && *first == kind
            && payload == PAYLOAD
        {
            return Ok(u16::from_be_bytes([*high, *low]));
        }
    }
}

fn forbidden() -> String {
    let group = rustix::process::getegid().as_raw();
    format!(
        "the kernel forbids pings to group {group}: set net.ipv4.ping_group_range to hold it, as in \
         `sysctl -w net.ipv4.ping_group_range=\"0 2147483647\"`"
    )
}
