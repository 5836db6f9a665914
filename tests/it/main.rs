//! The integration tests: one binary, a line a module.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod apply;
mod architecture;
mod auth;
mod cli;
mod config;
mod control;
mod docs;
mod faults;
mod first_light;
mod fuzz;
mod harness;
mod http_options;
mod judgement;
mod kinds;
mod logging;
mod migration;
mod probe;
mod repository;
mod resolver;
mod rows;
mod secrets;
mod sink;
mod store;
mod support;
mod web;
mod webhook;
