//! How far an exchange came, and what it took: known even where the time ran out half-way.
//!
//! Of several exchanges that are followed one after the other, as redirects are, each phase is the sum over
//! them all.

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use skypunch_actors::{
    domain::{Timings, Trace},
    port::Tracer,
};
use tokio::time::Instant;

use super::Session;

/// The most addresses of a name that are shown.
const ADDRESSES_SHOWN: usize = 8;

/// Follows one exchange.
#[derive(Debug)]
pub struct Progress {
    stage: Stage,
    timings: Timings,
    tracer: Tracer,
}

/// What an exchange is busy with; its `Display` completes `no answer within 3 s: …`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Nothing is sent yet.
    Preparing,
    /// Resolving this name.
    Resolving(Arc<str>),
    /// Connecting to this address.
    Connecting(SocketAddr),
    /// Connected to this address, not encrypted yet.
    Handshaking(SocketAddr),
    /// Connected, the request is on its way.
    Sending,
    /// The request is sent, no response head came yet.
    Waiting,
    /// So many bytes of the body came.
    Reading(usize),
    /// Connected, and doing what only the kind of probe knows.
    Talking(Cow<'static, str>),
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preparing => f.write_str("preparing the request"),
            Self::Resolving(host) => write!(f, "resolving {host}"),
            Self::Connecting(peer) => write!(f, "connecting to {peer}"),
            Self::Handshaking(peer) => write!(f, "connected to {peer}, waiting for the TLS handshake"),
            Self::Sending => f.write_str("connected, sending the request"),
            Self::Waiting => f.write_str("connected, waiting for the response head"),
            Self::Reading(bytes) => write!(f, "reading the body ({bytes} bytes so far)"),
            Self::Talking(what) => f.write_str(what),
        }
    }
}

impl Progress {
    /// Follows an exchange, and takes its steps down in `tracer`.
    pub fn new(tracer: Tracer) -> Self {
        Self { stage: Stage::Preparing, timings: Timings::default(), tracer }
    }

    /// What the exchange is busy with.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Whether there is a connection, encrypted if it should be.
    pub fn is_connected(&self) -> bool {
        matches!(self.stage, Stage::Sending | Stage::Waiting | Stage::Reading(_) | Stage::Talking(_))
    }

    /// Takes down a step of the caller.
    pub fn step(&mut self, text: impl Into<Cow<'static, str>>) {
        self.tracer.step(text);
    }

    /// How long it all took up to now.
    pub fn elapsed(&self) -> Duration {
        self.tracer.begun().elapsed()
    }

    /// Says what the caller is busy with now that it is connected.
    pub fn talking(&mut self, what: impl Into<Cow<'static, str>>) {
        self.stage = Stage::Talking(what.into());
    }

    /// Takes down how long the peer took to answer.
    pub fn answered_after(&mut self, took: Duration) {
        self.timings.ttfb = Some(took);
    }

    /// How long each phase took, up to now, and the steps.
    pub fn finish(self) -> (Timings, Trace) {
        let total = self.elapsed();
        (Timings { total, ..self.timings }, self.tracer.finish())
    }

    pub(super) fn resolving(&mut self, host: &Arc<str>) {
        self.stage = Stage::Resolving(Arc::clone(host));
    }

    pub(super) fn resolved(&mut self, host: &str, addresses: &[IpAddr], took: Duration) {
        add(&mut self.timings.dns, took);
        let shown: Vec<_> = addresses.iter().take(ADDRESSES_SHOWN).map(IpAddr::to_string).collect();
        let more = if addresses.len() > ADDRESSES_SHOWN { ", …" } else { "" };
        self.step(format!("Resolved {host} to {}{more}", shown.join(", ")));
    }

    pub(super) fn connecting(&mut self, peer: SocketAddr) {
        self.stage = Stage::Connecting(peer);
    }

    pub(super) fn connected(&mut self, peer: SocketAddr, took: Duration) {
        add(&mut self.timings.connect, took);
        self.stage = Stage::Sending;
        self.step(format!("Connected to {peer}"));
        self.step("Connection [OK]");
    }

    pub(super) fn handshaking(&mut self, peer: SocketAddr) {
        self.stage = Stage::Handshaking(peer);
    }

    pub(super) fn handshaken(&mut self, session: &Session, took: Duration) {
        add(&mut self.timings.tls, took);
        self.stage = Stage::Sending;
        let version = session.version;
        self.step(match &session.alpn {
            Some(protocol) => format!("TLS handshake [OK] {version}, {protocol} by ALPN"),
            None => format!("TLS handshake [OK] {version}"),
        });
        if let Some(certificate) = session.certificates.first() {
            self.step(certificate.to_string());
        }
    }

    pub(super) fn sent(&mut self) {
        self.stage = Stage::Waiting;
        self.step("Request sent");
    }

    pub(super) fn answered(&mut self, sent: Option<Instant>, first_byte: Option<Instant>) {
        // A server may answer before it has read the request.
        if let Some(at) = first_byte {
            let took = sent.map_or(Duration::ZERO, |sent| at.duration_since(sent));
            add(&mut self.timings.ttfb, took);
        }
        self.stage = Stage::Reading(0);
    }

    pub(super) fn read(&mut self, bytes: usize) {
        self.stage = Stage::Reading(bytes);
    }

    pub(super) fn read_all(&mut self, bytes: usize) {
        self.step(format!("Body [OK] {bytes} bytes"));
    }
}

fn add(phase: &mut Option<Duration>, took: Duration) {
    *phase = Some(phase.unwrap_or_default() + took);
}
