//! Ports: what the core needs from outside.

mod clock;
mod deadline;
mod history;
mod journal;
mod prober;
mod sink;
mod store;

pub use clock::Clock;
pub(crate) use deadline::within_deadline;
pub use history::{
    History, IncidentRow, Kept, NotificationFilter, NotificationRow, RollupRow, Stale, Targets,
};
pub use journal::{Appended, Journal, JournalError};
pub use prober::{Prober, ProberBuilder, ProberFactory, Tracer, plan_probe};
pub use sink::{Receipt, Sink, SinkBuilder, SinkError, SinkFactory, plan_sink};
pub use store::{Packet, Progress, Revision, Store, StoreError};
