//! Dials (DNS, TCP, TLS) and speaks HTTP, timing each phase; for probes and sinks.
//!
//! [`Client::send`] makes one exchange: [`Endpoint`] says where, [`Request`] what, [`Progress`] how far it came,
//! and the [`Answer`] is read to its end, or to a limit, by [`Answer::read`]. The connection is a fresh one, unless
//! a [`Keeper`] has one from before.
//! What speaks no HTTP goes to a [`Place`], and [`Resolver`] finds the addresses of both.
//! Nothing here has a deadline of its own: callers set one around it all and drop the future when it has
//! passed, which closes the socket. Futures must run on an actix arbiter, since awc spawns local tasks.
//!
//! # Design notes
//!
//! - 2026-11: awc's own connector shows neither the phases nor the certificate, takes a 1xx for the
//!   answer and a truncated body for a whole one, and reads ahead into more memory than a server may cost. So we
//!   dial ourselves (`dial`, `tls`), awc sends the request (`filter`), and the answer is read here (`head`, `http1`,
//!   `chunks`). Another client would gain little: of the 80 µs of a probe, awc's own share is below 20.
//! - 2026-11: awc is only ever given `http` URIs, for which it speaks HTTP/1 over the stream that is there.
//!   HTTP/2 is spoken by `h2`, see `http2`. Kept connections are ours (`keep`), since awc's pool tells neither
//!   whether one was used before nor what its handshake showed.

mod chunks;
mod decode;
mod dial;
mod endpoint;
mod error;
mod exchange;
mod filter;
mod head;
mod http1;
mod http2;
mod keep;
mod place;
mod progress;
mod resolve;
mod stream;
mod tls;
mod version;

pub use dial::IpProtocol;
pub use endpoint::{Endpoint, EndpointError};
pub use error::NetError;
pub use exchange::{Answer, Client, Request};
pub use keep::Keeper;
pub use place::Place;
pub use progress::{Mask, Progress, Stage};
pub use resolve::Resolver;
pub use tls::{Certificate, Session, TlsOptions, system_roots};
pub use version::HttpVersion;
