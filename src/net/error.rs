//! Why an exchange failed.

use std::{io, net::SocketAddr};

use skypunch_actors::domain::Cause;

use super::tls::{explain_tls, tls_error};

/// Why an exchange failed, in words for people. The text names hosts and addresses, but no URL and no
/// secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NetError {
    /// The name did not resolve.
    #[error("{0}")]
    Dns(String),
    /// No address could be connected to.
    #[error("{0}")]
    Connect(String),
    /// The TLS handshake or a certificate failed.
    #[error("{0}")]
    Tls(String),
    /// The connection was made, and what came was no complete HTTP answer.
    #[error("{0}")]
    Protocol(String),
}

/// Why a request got no answer.
pub(super) struct Unanswered {
    pub(super) error: NetError,
    /// Whether the peer had left a connection that was kept, before it heard of the request.
    pub(super) stale: bool,
}

impl NetError {
    /// The word for it in the log and the database.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Dns(_) => Cause::Dns,
            Self::Connect(_) => Cause::Connect,
            Self::Tls(_) => Cause::Tls,
            Self::Protocol(_) => Cause::Protocol,
        }
    }
}

/// A connection that broke, `when`. TLS 1.3 refuses a client only after its handshake.
pub(super) fn broken(error: &io::Error, peer: SocketAddr, when: &str) -> NetError {
    match tls_error(error) {
        Some(error) => NetError::Tls(explain_tls(error, peer)),
        None => NetError::Protocol(format!("{} {when}", trouble_with(peer, error))),
    }
}

/// What `error` means to someone who wanted to talk to `peer`: `connection refused by 127.0.0.1:81`.
pub(super) fn trouble_with(peer: SocketAddr, error: &io::Error) -> String {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable,
        NetworkUnreachable, TimedOut,
    };
    match error.kind() {
        ConnectionRefused => format!("connection refused by {peer}"),
        // A broken pipe is a reset that was noticed while writing.
        ConnectionReset | ConnectionAborted | BrokenPipe => format!("connection reset by {peer}"),
        TimedOut => format!("no answer from {peer} to any packet"),
        HostUnreachable => format!("no route to {peer}: host unreachable"),
        NetworkUnreachable => format!("no route to {peer}: network unreachable"),
        _ => format!("{error} ({peer})"),
    }
}
