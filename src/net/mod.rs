//! Dials (DNS, TCP, TLS) and speaks HTTP, timing each phase; for probes and sinks.
//!
//! [`Client::send`] makes one exchange over a fresh connection: [`Endpoint`] says where, [`Request`] what,
//! [`Progress`] how far it came, and the [`Answer`] is read to its end, or to a limit, by [`Answer::read`].
//! What speaks no HTTP goes to a [`Place`], and [`Resolver`] finds the addresses of both.
//! Nothing here has a deadline of its own: callers set one around it all and drop the future when it has
//! passed, which closes the socket. Futures must run on an actix arbiter, since awc spawns local tasks.
//!
//! # Design notes
//!
//! - 2026-11: awc's own connector shows neither the phases nor the certificate, takes a 1xx for the
//!   answer and a truncated body for a whole one. So we dial ourselves (`dial`, `tls`) and awc speaks
//!   HTTP over a stream that mends the rest (`filter`, `head`). Another client would gain little: of the 80 µs
//!   of a probe, awc's own share is below 20.
//! - 2026-11: `dangerous-h2c` makes awc take any stream of an `https` URI for HTTP/2 without TLS. It is only
//!   ever given `http` URIs and streams that were dialled here, and none of its TLS features may be on.

mod decode;
mod dial;
mod endpoint;
mod error;
mod exchange;
mod filter;
mod head;
mod place;
mod progress;
mod resolve;
mod tls;

pub use dial::IpProtocol;
pub use endpoint::{Endpoint, EndpointError};
pub use error::NetError;
pub use exchange::{Answer, Client, Connected, Request};
pub use filter::Duplex;
pub use place::Place;
pub use progress::{Progress, Stage};
pub use resolve::Resolver;
pub use tls::{Certificate, Session, TlsOptions, system_roots};
