//! The servers of the tests.
#![allow(clippy::unwrap_used, dead_code, reason = "the tests need more of them, and fail by panics")]

#[path = "../../tests/it/support/mariadb.rs"]
pub mod mariadb;
#[path = "../../tests/it/support/wait.rs"]
pub mod wait;
