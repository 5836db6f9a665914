//! An incident: from the edge to `FAIL` until the edge back to `PASS`.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// One incident of one target.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Incident {
    /// Given by the daemon when it begins; the same in every notification of it.
    pub id: u64,
    /// The edge to `FAIL`.
    pub started_at: OffsetDateTime,
    /// The edge back to `PASS`.
    pub ended_at: Option<OffsetDateTime>,
    /// Probes that failed, those included that it took to confirm it.
    pub failed_probes: u64,
}

impl Incident {
    /// An incident that begins now. `salt` tells apart those that begin in the same millisecond.
    pub fn begin(started_at: OffsetDateTime, salt: u64) -> Self {
        let milliseconds = u64::try_from(started_at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
        // Below 2^53 until the year 2248, so that every JSON reader takes it for what it is.
        Self { id: milliseconds * 1_000 + salt % 1_000, started_at, ended_at: None, failed_probes: 0 }
    }

    /// The same incident, over.
    pub fn end(self, ended_at: OffsetDateTime) -> Self {
        Self { ended_at: Some(ended_at), ..self }
    }

    /// How long it lasted, up to `now` if it goes on. Never negative, whatever the clock did.
    pub fn duration(&self, now: OffsetDateTime) -> std::time::Duration {
        (self.ended_at.unwrap_or(now) - self.started_at).try_into().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn an_id_is_a_safe_integer_in_json() {
        let incident = Incident::begin(datetime!(2200-01-01 0:00 UTC), u64::MAX);
        assert!(incident.id < 1 << 53);
    }

    #[test]
    fn a_clock_that_steps_back_gives_no_negative_duration() {
        let incident = Incident::begin(datetime!(2026-01-01 1:00 UTC), 0);
        let over = incident.end(datetime!(2026-01-01 0:00 UTC));
        assert!(over.duration(datetime!(2026-01-02 0:00 UTC)).is_zero());
    }
}
