//! The core of skypunch: what it knows, what it decides, and the actors that do it.
//!
//! Nothing in here speaks HTTP, SQL or mail: what the core needs from outside are the traits of [`port`].
//!
//! | room | what |
//! |---|---|
//! | [`domain`] | values and pure rules |
//! | [`port`] | what the core needs from outside: prober, sink, journal, store and its history, clock |
//! | [`event`], [`query`], [`lifecycle`] | messages that cross from one actor to another |
//! | [`supervisor`], [`target`] | one actor a target, kept running |
//! | [`gate`], [`courier`] | bound what a thread probes at once, and carry the results off it |
//! | [`persister`], [`historian`], [`logger`], [`meter`], [`notifier`] | what becomes of results |
//! | [`tester`] | tries a row out |
//! | `testing` | doubles, and the contracts of a store and a journal, for tests |
//!
//! # Who starts whom
//!
//! ```text
//! app ── Persister, Historian, Logger, Meter, Notifier ── SinkWorker × notifiers
//!    ├── Courier × probe threads
//!    └── Supervisor ── TargetActor × targets
//! ```
//!
//! # Who tells whom
//!
//! | message | from | to |
//! |---|---|---|
//! | [`event::ProbeCompleted`] | TargetActor, Supervisor | Courier |
//! | [`event::ProbesCompleted`] | Courier | Persister, Logger, Meter |
//! | [`event::NotifiersLoaded`] | Supervisor | Notifier |
//! | [`event::Announced`] | Persister | Notifier |
//! | [`event::DeliveryChanged`], [`event::Listen`] | Notifier | Persister |
//! | [`query::LoadRows`], [`query::LoadStates`] | Supervisor | Persister |
//! | [`query::LoadUndelivered`] | Notifier | Persister |
//! | [`query::GetProgress`] | Historian | Persister |
//! | [`lifecycle::ChildExited`] | TargetActor, SinkWorker | their parents |
//! | [`lifecycle::Drain`] | app | Supervisor, Courier, Notifier (and on to its workers), Persister, Historian |
//!
//! The control socket and the web server ask the rest, each message declared by who hears it.

pub mod courier;
pub mod domain;
pub mod event;
pub mod gate;
pub mod historian;
pub mod lifecycle;
pub mod logger;
pub mod meter;
pub mod notifier;
pub mod persister;
pub mod port;
pub mod query;
pub mod supervisor;
pub mod target;
pub mod tester;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
