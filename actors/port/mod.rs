//! Ports: what the core needs from outside.

mod clock;
mod prober;
mod sink;
mod store;

pub use clock::Clock;
pub use prober::{Prober, ProberBuilder, ProberFactory, Tracer, plan_probe};
pub use sink::{Receipt, Sink, SinkBuilder, SinkError, SinkFactory, plan_sink};
pub use store::{Store, StoreError};
