//! Load: how well the daemon keeps its slots, and what that costs.
//!
//! Everything is measured from outside: arrivals by the server that is watched, time and memory by the kernel,
//! notifications by who gets them. What it is measured by is a bare client on the same schedule in the same run.
//!
//! # Design notes
//!
//! 2026-11-26: The bench and its smoke test include the same files, since cargo tells a test nothing of a
//! bench. Each has a module `support` beside this one, with the servers of the tests: included twice, they
//! would be two kinds of the same server.

pub mod arrivals;
pub mod bare;
pub mod daemon;
pub mod database;
pub mod measure;
pub mod overload;
pub mod plan;
pub mod process;
pub mod report;
pub mod run;
pub mod scenario;
pub mod server;
pub mod table;
pub mod tls;
pub mod told;
pub mod window;

use super::support;
