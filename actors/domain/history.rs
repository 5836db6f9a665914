//! What probes found over time: single results, and what they come to over a minute, an hour or a day.

use std::{collections::BTreeMap, fmt, panic::catch_unwind, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};
use sketches_ddsketch::DDSketch;
use time::{OffsetDateTime, Time, UtcOffset};

use super::{Cause, Outcome, Slots, Status, Target, TargetId, Timings};

/// One result, as the history keeps it: small, since there may be ten thousand a second.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RawResult {
    /// Of which target.
    pub target: TargetId,
    /// When the probe began, in milliseconds since 1970.
    pub at_ms: i64,
    /// The target's status after it.
    pub status: Status,
    /// Why the probe failed; `None` is a pass.
    pub cause: Option<Cause>,
    /// The status of the response, if a response head came.
    pub http_status: Option<u16>,
    /// How long resolving took, in microseconds.
    pub dns_us: Option<u32>,
    /// How long connecting took.
    pub connect_us: Option<u32>,
    /// How long the TLS handshake took.
    pub tls_us: Option<u32>,
    /// From the request sent to the first byte.
    pub ttfb_us: Option<u32>,
    /// The whole probe.
    pub total_us: u32,
    /// Whether it began later than [`super::LATE_AFTER`].
    pub late: bool,
    /// Slots passed over since the result before.
    pub skipped: u32,
    /// The time between two probes, in seconds: how long this result speaks for.
    pub frequency_s: u32,
}

impl RawResult {
    /// A result for the history, if the target was probed at all.
    pub fn of(
        target: &Target,
        at: OffsetDateTime,
        status: Status,
        outcome: &Outcome,
        slots: Slots,
    ) -> Option<Self> {
        let timings = outcome.timings;
        let is_probe = outcome.failure != Some(Cause::Config);
        // A probe between due times speaks for no time of its own.
        let frequency = if slots.done > 0 { target.frequency } else { Duration::ZERO };
        is_probe.then(|| Self {
            target: target.id,
            at_ms: i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0),
            status,
            cause: outcome.failure,
            http_status: outcome.http_status,
            dns_us: timings.dns.map(microseconds),
            connect_us: timings.connect.map(microseconds),
            tls_us: timings.tls.map(microseconds),
            ttfb_us: timings.ttfb.map(microseconds),
            total_us: microseconds(timings.total),
            late: slots.late > 0,
            skipped: u32::try_from(slots.skipped).unwrap_or(u32::MAX),
            frequency_s: u32::try_from(frequency.as_secs()).unwrap_or(u32::MAX),
        })
    }

    /// How long each phase took.
    pub fn timings(&self) -> Timings {
        let duration = |us: u32| Duration::from_micros(us.into());
        Timings {
            dns: self.dns_us.map(duration),
            connect: self.connect_us.map(duration),
            tls: self.tls_us.map(duration),
            ttfb: self.ttfb_us.map(duration),
            total: duration(self.total_us),
        }
    }

    /// When the probe began.
    pub fn at(&self) -> OffsetDateTime {
        let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.at_ms) * 1_000_000);
        at.unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

fn microseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

/// How much time one entry of the history covers.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Resolution {
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// 24 hours, from midnight UTC.
    Day,
}

impl Resolution {
    /// Every resolution, the finest first.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// The word in the database and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// The time that one entry covers.
    pub fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Minute => 60,
            Self::Hour => 60 * 60,
            Self::Day => 24 * 60 * 60,
        })
    }

    /// The beginning of the entry into which `at` falls.
    pub fn start_of(self, at: OffsetDateTime) -> OffsetDateTime {
        let at = at.to_offset(UtcOffset::UTC);
        let (hour, minute) = match self {
            Self::Minute => (at.hour(), at.minute()),
            Self::Hour => (at.hour(), 0),
            Self::Day => (0, 0),
        };
        at.replace_time(Time::from_hms(hour, minute, 0).expect("it is a time of `at`"))
    }

    /// What entries of this resolution are summed up in.
    pub fn coarser(self) -> Option<Self> {
        match self {
            Self::Minute => Some(Self::Hour),
            Self::Hour => Some(Self::Day),
            Self::Day => None,
        }
    }

    /// What entries of this resolution are summed up from.
    pub fn finer(self) -> Option<Self> {
        match self {
            Self::Minute => None,
            Self::Hour => Some(Self::Minute),
            Self::Day => Some(Self::Hour),
        }
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The word is not one of [`Resolution::ALL`].
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not one of minute, hour, day")]
pub struct UnknownResolution(String);

impl FromStr for Resolution {
    type Err = UnknownResolution;

    fn from_str(word: &str) -> Result<Self, UnknownResolution> {
        let known = Self::ALL.into_iter().find(|r| r.as_str().eq_ignore_ascii_case(word));
        known.ok_or_else(|| UnknownResolution(word.to_owned()))
    }
}

/// How long what is kept; `None` is for ever.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retention {
    /// Single results.
    pub raw: Option<Duration>,
    /// What they came to by the minute.
    pub minute: Option<Duration>,
    /// By the hour.
    pub hour: Option<Duration>,
    /// By the day.
    pub day: Option<Duration>,
}

/// One entry of the history: a stretch of time that begins at `start`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Period {
    /// How long it is.
    pub resolution: Resolution,
    /// When it begins.
    pub start: OffsetDateTime,
}

impl Period {
    /// When it is over.
    pub fn end(self) -> OffsetDateTime {
        self.start + self.resolution.length()
    }
}

/// What the results of some time come to. They can be added up, in any order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rollup {
    /// Slots that were probed.
    pub done: u64,
    /// Of these, began late.
    pub late: u64,
    /// Slots that were passed over.
    pub skipped: u64,
    /// Probes that passed.
    pub passed: u64,
    /// Probes that failed.
    pub failed: u64,
    /// Of these, by cause.
    pub causes: BTreeMap<Cause, u64>,
    /// The seconds that the results speak for: each for one frequency of its target.
    pub covered_s: u64,
    /// The total time of probes that passed.
    pub totals: Totals,
}

/// The total times of probes that passed: how quick the target is when it works.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// The shortest, in microseconds.
    pub min_us: Option<u64>,
    /// The longest.
    pub max_us: Option<u64>,
    /// The sum.
    pub sum_us: u64,
    /// Their distribution.
    pub sketch: Sketch,
}

impl Rollup {
    /// Takes in one result.
    pub fn add(&mut self, result: &RawResult) {
        self.done += 1;
        self.late += u64::from(result.late);
        self.skipped += u64::from(result.skipped);
        self.covered_s += u64::from(result.frequency_s);
        match result.cause {
            None => {
                self.passed += 1;
                self.totals.add(u64::from(result.total_us));
            }
            Some(cause) => {
                self.failed += 1;
                *self.causes.entry(cause).or_default() += 1;
            }
        }
    }

    /// Takes in what other results come to.
    pub fn merge(&mut self, other: &Self) {
        let counters = [
            (&mut self.done, other.done),
            (&mut self.late, other.late),
            (&mut self.skipped, other.skipped),
            (&mut self.passed, other.passed),
            (&mut self.failed, other.failed),
            (&mut self.covered_s, other.covered_s),
        ];
        // What is read from a database may be anything.
        counters.into_iter().for_each(|(sum, count)| *sum = sum.saturating_add(count));
        for (cause, count) in &other.causes {
            let sum = self.causes.entry(*cause).or_default();
            *sum = sum.saturating_add(*count);
        }
        self.totals.merge(&other.totals);
    }

    /// Slots that were due while the daemon ran.
    pub fn expected(&self) -> u64 {
        self.done + self.skipped
    }

    /// The share of probes that passed; `None` where nobody looked.
    pub fn uptime(&self) -> Option<f64> {
        (self.done > 0).then(|| self.passed as f64 / self.done as f64)
    }

    /// The share of `time` that was looked at, at most all of it.
    pub fn coverage(&self, time: Duration) -> f64 {
        let (time_s, covered_s) = (time.as_secs_f64().max(1.0), self.covered_s as f64);
        // One slot may lie across the edges.
        if time_s - covered_s < covered_s / self.done.max(1) as f64 { 1.0 } else { covered_s / time_s }
    }
}

impl Totals {
    fn add(&mut self, total_us: u64) {
        self.min_us = Some(self.min_us.map_or(total_us, |min| min.min(total_us)));
        self.max_us = Some(self.max_us.map_or(total_us, |max| max.max(total_us)));
        self.sum_us += total_us;
        self.sketch.0.add(total_us as f64);
    }

    fn merge(&mut self, other: &Self) {
        self.min_us = self.min_us.into_iter().chain(other.min_us).min();
        self.max_us = self.max_us.into_iter().chain(other.max_us).max();
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        self.sketch.merge(&other.sketch);
    }

    /// The time within which the share `quantile` of the probes had passed, in microseconds.
    pub fn quantile_us(&self, quantile: f64) -> Option<u64> {
        let value = self.sketch.0.quantile(quantile).ok().flatten()?;
        // The sketch is right to one hundredth; the ends are known exactly.
        Some((value as u64).clamp(self.min_us.unwrap_or(0), self.max_us.unwrap_or(u64::MAX)))
    }
}

/// The distribution of some values, right to one hundredth of each.
#[derive(Clone, Default)]
pub struct Sketch(DDSketch);

/// The bytes are not those of a sketch.
#[derive(Debug, thiserror::Error)]
#[error("not the bytes of a sketch")]
pub struct SketchError;

impl Sketch {
    /// Reads what [`Sketch::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SketchError> {
        let read = || {
            let read = DDSketch::from_java_bytes(bytes).ok()?;
            let mut sketch = Self::default();
            // Of another accuracy it could be added to none of ours.
            sketch.0.merge(&read).ok()?;
            Some(sketch)
        };
        // The library counts on the keys of bins to be those of numbers.
        catch_unwind(read).ok().flatten().ok_or(SketchError)
    }

    /// The bytes of a sketch, in the format of the DDSketch libraries.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.to_java_bytes()
    }

    fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0).expect("every sketch has the same accuracy");
    }
}

impl PartialEq for Sketch {
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }
}

impl fmt::Debug for Sketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sketch of {}", self.0.count())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sketches_ddsketch::Config;
    use time::macros::datetime;

    use super::*;
    use crate::testing::fixtures::raw_result;

    fn result(target: u64, at_ms: i64, total_us: u32, cause: Option<Cause>) -> RawResult {
        RawResult {
            cause,
            total_us,
            late: total_us.is_multiple_of(2),
            skipped: total_us % 3,
            ..raw_result(TargetId(target), at_ms)
        }
    }

    #[test]
    fn a_period_begins_at_its_own_multiple_in_utc() {
        let at = datetime!(2026-11-22 01:59:59.999 +2);
        assert_eq!(Resolution::Minute.start_of(at), datetime!(2026-11-21 23:59 UTC));
        assert_eq!(Resolution::Hour.start_of(at), datetime!(2026-11-21 23:00 UTC));
        assert_eq!(Resolution::Day.start_of(at), datetime!(2026-11-21 0:00 UTC));
        let day = Period { resolution: Resolution::Day, start: Resolution::Day.start_of(at) };
        assert_eq!(day.end(), datetime!(2026-11-22 0:00 UTC));
    }

    #[test]
    fn uptime_is_that_of_the_slots_that_somebody_looked_at() {
        let mut rollup = Rollup::default();
        assert_eq!(rollup.uptime(), None);
        (0..3).for_each(|n| rollup.add(&result(1, n, 1, None)));
        rollup.add(&result(1, 3, 1, Some(Cause::Timeout)));
        assert_eq!(rollup.uptime(), Some(0.75));
        assert_eq!(rollup.causes[&Cause::Timeout], 1);
        assert_eq!(rollup.coverage(Duration::from_secs(8)), 0.5);
        assert_eq!(rollup.coverage(Duration::from_millis(4_900)), 1.0);
        assert_eq!(rollup.coverage(Duration::from_secs(1)), 1.0);
        assert_eq!(Rollup::default().coverage(Duration::from_secs(1)), 0.0);
    }

    #[test]
    fn foreign_bytes_are_no_sketch_and_never_a_panic() {
        assert!(Sketch::from_bytes(b"hunter2").is_err());
        let other = DDSketch::new(Config::new(0.05, 100, 1.0)).to_java_bytes();
        assert!(Sketch::from_bytes(&other).is_err());
    }

    proptest! {
        #[test]
        fn rollups_of_parts_add_up_to_that_of_the_whole(
            totals in prop::collection::vec(1u32..4_000_000_000, 1..200), at: prop::sample::Index,
        ) {
            let results: Vec<_> = totals
                .iter()
                .map(|&us| result(1, 0, us, us.is_multiple_of(5).then_some(Cause::Dns)))
                .collect();
            let sum = |results: &[RawResult]| {
                let mut sum = Rollup::default();
                results.iter().for_each(|result| sum.add(result));
                sum
            };
            let (first, second) = results.split_at(at.index(results.len()));
            let mut merged = sum(first);
            merged.merge(&sum(second));
            prop_assert_eq!(&merged, &sum(&results));
            let read = Sketch::from_bytes(&merged.totals.sketch.to_bytes()).unwrap();
            prop_assert_eq!(&read, &merged.totals.sketch);

            let mut passed: Vec<_> = results.iter().filter(|r| r.cause.is_none()).map(|r| r.total_us).collect();
            passed.sort_unstable();
            for quantile in [0.5, 0.9, 0.99] {
                let expected = passed.get((quantile * (passed.len() as f64 - 1.0)) as usize);
                match (expected, merged.totals.quantile_us(quantile)) {
                    (Some(&us), Some(told)) => {
                        prop_assert!((told as f64 - f64::from(us)).abs() <= f64::from(us) * 0.011 + 1.0);
                    }
                    (expected, told) => prop_assert!(expected.is_none() && told.is_none()),
                }
            }
        }

        #[test]
        fn any_bytes_are_a_sketch_or_an_error(bytes: Vec<u8>) {
            drop(Sketch::from_bytes(&bytes));
        }
    }
}
