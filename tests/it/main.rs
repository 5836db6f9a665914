//! The integration tests: one binary, a line a module.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod apply;
mod architecture;
mod auth;
mod bench;
mod cli;
mod config;
mod connection;
mod control;
mod crashes;
mod docs;
mod exec;
mod faults;
mod first_light;
mod fuzz;
mod harness;
mod history;
mod http_options;
mod journal;
mod judgement;
mod kinds;
mod logging;
mod migration;
mod notifier_kinds;
mod probe;
mod repository;
mod resolver;
mod rows;
mod secrets;
mod sink;
mod store;
mod support;
mod systemd;
mod telling;
mod tweet;
mod upgrade;
mod web;
mod webhook;
