//! The control socket: how the command line, or another program, talks to the daemon.
//!
//! | file | what |
//! |---|---|
//! | `protocol` | JSON-RPC 2.0, one object a line |
//! | `api` | the methods; the only one here who knows the actors |
//! | `history` | those of them that tell the past |
//! | `find` | which row is meant |
//! | `columns` | a row as it is given |
//! | `definitions`, `export` | all rows as a file has them, both ways |
//! | `view` | rows and states as JSON objects |
//! | `past` | the same of what happened |
//! | `server` | the Unix socket, and who may use it |
//! | `pidfile` | the lock that one daemon holds |
//! | `client` | calls a server, over the socket or within the process |

mod api;
mod client;
mod columns;
mod definitions;
mod export;
#[cfg(test)]
mod fake;
mod find;
mod history;
mod past;
mod pidfile;
pub mod protocol;
mod server;
#[cfg(test)]
mod tests;
mod view;

pub use api::{Actors, Api, DaemonActors};
pub use client::{CallError, Client, ConnectError};
pub use pidfile::{Pidfile, PidfileError};
pub use protocol::{LINE_MAX, RpcError};
pub use server::{BindError, Server, ServerHandle};
pub use view::Public;
