//! Values and pure rules: what skypunch knows of the world, without a clock, a network or a database.

mod backoff;
mod batch;
mod fault;
mod health;
mod history;
mod incident;
mod minutes;
mod notification;
mod notifier;
mod outcome;
mod params;
mod pass_result;
pub mod routing;
mod schedule;
mod secret;
mod slots;
mod status;
mod tally;
mod target;
mod telling;
pub mod text;
mod timeline;

pub use backoff::Backoff;
pub use batch::{Batch, Beginning, IncidentNews, NotificationNews, NotifierNews, TargetNews};
pub use fault::Fault;
pub use health::{Edge, Health, Thresholds};
pub use history::{
    Period, RawResult, Resolution, Retention, Rollup, Sketch, SketchError, Totals, UnknownResolution,
};
pub use incident::Incident;
pub use minutes::{HistoryMinute, Minutes};
pub use notification::{
    Alert, AlertTarget, Delivery, DeliveryState, Event, Notification, Parcel, UnknownDeliveryState,
};
pub use notifier::{ADDRESS_MAX, NotifierDefinition, NotifierId, NotifierRow};
pub use outcome::{Evidence, Outcome, Sighting, Timings, TimingsMs, Trace, milliseconds};
pub use params::{Params, ParamsError};
pub use pass_result::{PassResult, PassResultError};
pub use schedule::{LATE_AFTER, Schedule};
pub use secret::{MASK, Secret};
pub use slots::Slots;
pub use status::{Cause, Status, UnknownCause};
pub use tally::Tally;
pub use target::{
    FREQUENCY, NAME_MAX, TEXT_MAX, TIMEOUT, Target, TargetDefinition, TargetId, TargetOptions, TargetRow,
    TargetState, URL_MAX,
};
pub use telling::NotifierOptions;
pub use timeline::{Slot, Stretch, recent, stretches, unseen};
