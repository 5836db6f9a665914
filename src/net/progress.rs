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

use actix_http::StatusCode;
use skypunch_actors::{
    domain::{Timings, Trace},
    port::Tracer,
};
use tokio::time::Instant;

use super::Session;

/// The most addresses of a name that are shown.
const ADDRESSES_SHOWN: usize = 8;

/// Hides what must not be shown in a text.
pub type Mask = Box<dyn Fn(&str) -> String>;

/// Follows one exchange.
pub struct Progress {
    stage: Stage,
    timings: Timings,
    status: Option<StatusCode>,
    tracer: Tracer,
    mask: Option<Mask>,
}

/// What an exchange is busy with; its `Display` completes `no answer within 3 s: …`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Nothing is sent yet.
    Preparing,
    /// Getting the credentials of the request.
    Authorizing,
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
    Reading(u64),
    /// Connected, and doing what only the kind of probe knows.
    Talking(Cow<'static, str>),
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preparing => f.write_str("preparing the request"),
            Self::Authorizing => f.write_str("getting the credentials"),
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
        Self { stage: Stage::Preparing, timings: Timings::default(), status: None, tracer, mask: None }
    }

    /// What the exchange is busy with.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// When the probe began.
    pub fn begun(&self) -> Instant {
        self.tracer.begun()
    }

    /// What the exchange is busy with, in a word.
    pub fn phase(&self) -> &'static str {
        match self.stage {
            Stage::Authorizing => "Authentication",
            Stage::Preparing | Stage::Resolving(_) | Stage::Connecting(_) | Stage::Handshaking(_) => {
                "Connection"
            }
            Stage::Sending | Stage::Waiting | Stage::Reading(_) | Stage::Talking(_) => "Response",
        }
    }

    /// Takes down a step of the caller.
    pub fn step(&mut self, text: impl Into<Cow<'static, str>>) {
        match &self.mask {
            None => self.tracer.step(text),
            Some(mask) => self.tracer.step(mask(&text.into())),
        }
    }

    /// Has everything hidden that `mask` hides: from now on, a server has a say in what is shown.
    pub fn mask(&mut self, mask: Mask) {
        self.mask = Some(mask);
    }

    /// A text as it may be shown.
    pub fn masked(&self, text: String) -> String {
        match &self.mask {
            None => text,
            Some(mask) => mask(&text),
        }
    }

    /// How long it all took up to now.
    pub fn elapsed(&self) -> Duration {
        self.tracer.begun().elapsed()
    }

    /// Says that the caller gets the credentials.
    pub fn authorizing(&mut self) {
        self.stage = Stage::Authorizing;
    }

    /// Says what the caller is busy with now that it is connected.
    pub fn talking(&mut self, what: impl Into<Cow<'static, str>>) {
        self.stage = Stage::Talking(what.into());
    }

    /// Takes down how long the peer took to answer.
    pub fn answered_after(&mut self, took: Duration) {
        self.timings.ttfb = Some(took);
    }

    /// The status of the newest answer.
    pub fn status(&self) -> Option<StatusCode> {
        self.status
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
        self.step(format!("TLS handshake [OK] {session}"));
        if let Some(certificate) = session.certificates.first() {
            self.step(certificate.to_string());
        }
    }

    /// A connection of an exchange before is used again: its phases are not gone through.
    pub(super) fn kept(&mut self, peer: SocketAddr, session: Option<&Session>) {
        self.stage = Stage::Sending;
        self.step(match session {
            Some(session) => format!("Connection [OK] kept from before, to {peer} by {session}"),
            None => format!("Connection [OK] kept from before, to {peer}"),
        });
    }

    pub(super) fn sent(&mut self, how: &'static str) {
        self.stage = Stage::Waiting;
        self.step(how);
    }

    pub(super) fn answered(&mut self, status: StatusCode, took: Duration) {
        add(&mut self.timings.ttfb, took);
        self.status = Some(status);
        self.stage = Stage::Reading(0);
        self.step(format!("Head [OK] {}", status.as_str()));
    }

    pub(super) fn read(&mut self, bytes: u64) {
        self.stage = Stage::Reading(bytes);
    }

    pub(super) fn read_all(&mut self, bytes: usize) {
        self.step(format!("Body [OK] {bytes} bytes"));
    }
}

fn add(phase: &mut Option<Duration>, took: Duration) {
    *phase = Some(phase.unwrap_or_default() + took);
}
