//! The time of day.

use time::OffsetDateTime;

/// Tells the time of day, which may step. Durations come from `tokio::time::Instant` instead.
pub trait Clock: Send + Sync {
    /// Now, in UTC.
    fn now(&self) -> OffsetDateTime;
}
