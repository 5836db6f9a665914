//! What a probe found.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use super::{Cause, text};

/// What one probe found. A failed probe is this, never an `Err`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Outcome {
    /// `None` is a pass.
    pub failure: Option<Cause>,
    /// Why, in words for people: one printable line of at most 512 characters.
    pub reason: String,
    /// The status of the response, if a response head came.
    pub http_status: Option<u16>,
    /// How long each phase took.
    pub timings: Timings,
    /// What was done, step by step.
    pub trace: Trace,
}

impl Outcome {
    /// A pass.
    pub fn pass(reason: impl AsRef<str>) -> Self {
        Self {
            failure: None,
            reason: text::reason(reason.as_ref()),
            http_status: None,
            timings: Timings::default(),
            trace: Trace::default(),
        }
    }

    /// A failure.
    pub fn fail(cause: Cause, reason: impl AsRef<str>) -> Self {
        Self { failure: Some(cause), ..Self::pass(reason) }
    }

    /// Whether the probe passed.
    pub fn passed(&self) -> bool {
        self.failure.is_none()
    }
}

/// What one probe found, and when it began.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// When it began.
    pub at: OffsetDateTime,
    /// What it found.
    pub outcome: Arc<Outcome>,
}

/// The last results of a target, each kept until one of its kind replaces it.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The last probe that passed.
    pub last_success: Option<Sighting>,
    /// The last probe that failed.
    pub last_failure: Option<Sighting>,
}

/// How long each phase of a probe took; `None` is a phase that was not reached or not needed.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Timings {
    /// Resolving the name.
    pub dns: Option<Duration>,
    /// Connecting.
    pub connect: Option<Duration>,
    /// The TLS handshake.
    pub tls: Option<Duration>,
    /// From the request sent to the first byte of the answer.
    pub ttfb: Option<Duration>,
    /// The whole probe.
    pub total: Duration,
}

/// Milliseconds with one digit behind the point, as they are shown everywhere.
pub fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

/// The timed steps of a probe.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Trace {
    started_at: OffsetDateTime,
    steps: Vec<Step>,
}

/// One step: how long after the beginning, and what.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Step {
    after: Duration,
    text: Cow<'static, str>,
}

const TIME_OF_DAY: &[BorrowedFormatItem<'_>] =
    format_description!("[hour]:[minute]:[second].[subsecond digits:6]");

impl Trace {
    /// A trace of a probe that begins now.
    pub fn new(started_at: OffsetDateTime) -> Self {
        Self { started_at, steps: Vec::new() }
    }

    /// When the probe began.
    pub fn started_at(&self) -> OffsetDateTime {
        self.started_at
    }

    /// Adds a step; a text that came from outside is escaped and cut by the reader of the trace.
    pub fn push(&mut self, after: Duration, text: impl Into<Cow<'static, str>>) {
        self.steps.push(Step { after, text: text.into() });
    }

    /// The steps as lines: `HH:MM:SS.ffffff text`, each printable and of bounded length.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.steps.iter().map(|step| self.line(step))
    }

    /// The newest line.
    pub fn last_line(&self) -> Option<String> {
        self.steps.last().map(|step| self.line(step))
    }

    fn line(&self, step: &Step) -> String {
        let at = (self.started_at + step.after).format(TIME_OF_DAY);
        format!("{} {}", at.expect("every time has a time of day"), text::reason(&step.text))
    }
}

impl Default for Trace {
    fn default() -> Self {
        Self::new(OffsetDateTime::UNIX_EPOCH)
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// The timings as the API shows them: milliseconds, `null` where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TimingsMs {
    /// See [`Timings::dns`].
    pub dns_ms: Option<f64>,
    /// See [`Timings::connect`].
    pub connect_ms: Option<f64>,
    /// See [`Timings::tls`].
    pub tls_ms: Option<f64>,
    /// See [`Timings::ttfb`].
    pub ttfb_ms: Option<f64>,
    /// See [`Timings::total`].
    pub total_ms: f64,
}

impl From<Timings> for TimingsMs {
    fn from(timings: Timings) -> Self {
        Self {
            dns_ms: timings.dns.map(milliseconds),
            connect_ms: timings.connect.map(milliseconds),
            tls_ms: timings.tls.map(milliseconds),
            ttfb_ms: timings.ttfb.map(milliseconds),
            total_ms: milliseconds(timings.total),
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_trace_is_told_by_the_time_of_day() {
        let mut trace = Trace::new(datetime!(2026-11-22 23:59:59.5 UTC));
        trace.push(Duration::ZERO, "Connecting to http://localhost ....");
        trace.push(Duration::from_micros(500_042), "Connection [OK]");
        let lines: Vec<String> = trace.lines().collect();
        assert_eq!(lines[0], "23:59:59.500000 Connecting to http://localhost ....");
        assert_eq!(lines[1], "00:00:00.000042 Connection [OK]");
    }

    #[test]
    fn milliseconds_have_one_digit() {
        assert_eq!(milliseconds(Duration::from_micros(12_345)), 12.3);
    }
}
