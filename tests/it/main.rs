//! The integration tests: one binary, a line a module.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod architecture;
mod config;
mod logging;
mod migration;
mod probe;
mod repository;
mod sink;
mod store;
mod support;
mod webhook;
