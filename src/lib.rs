//! The adapters and the wiring of skypunch; the core is the package `skypunch-actors`.
//!
//! | room | what |
//! |---|---|
//! | [`app`] | the wiring: every actor with every adapter, and the life of the daemon |
//! | [`settings`] | the configuration: file, environment, command line |
//! | [`logging`] | the log file and the terminal |
//! | [`net`] | dials (DNS, TCP, TLS) and speaks HTTP, timing each phase; for probes and sinks |
//! | [`fields`] | reads JSON objects of rows strictly, and names every fault at once |
//! | [`secret`] | finds secrets that a row or the configuration only names |
//! | [`probe`] | the kinds of probes |
//! | [`sink`] | the kinds of notifiers |
//! | [`journal`] | the file that keeps what has happened until the database has it |
//! | [`store`] | the backends of the database, and their migrations |
//! | [`control`] | the Unix socket: server and client |
//! | [`cli`] | the command line |
//! | [`own_thread`] | a thread for what blocks |
//! | [`clock`] | the time of day of this machine |
//! | [`web`] | the HTTP server |
//!
//! `probe`, `sink`, `journal`, `store`, `control` and `web` do not know each other. Only `app` knows every actor.

pub mod app;
pub mod cli;
pub mod clock;
pub mod control;
pub mod fields;
pub mod journal;
pub mod logging;
pub mod net;
pub mod own_thread;
pub mod probe;
pub mod secret;
pub mod settings;
pub mod sink;
pub mod store;
pub mod web;
