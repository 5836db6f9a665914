//! The integration tests: one binary, one line a module.

#![expect(clippy::unwrap_used, reason = "clippy takes only the functions marked as tests for tests")]

mod migration;
mod store;
mod support;
