//! What the arrivals say: slots that were kept or missed, and how late they began.

use serde::Serialize;

/// Arrivals are noted in steps of 10 µs since the server began: that is twelve hours in four bytes.
pub const TICKS_PER_S: f64 = 1e5;

/// The arrivals of a target.
pub type Visits = Vec<u32>;

/// A time that is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub from: f64,
    pub to: f64,
}

/// The arrivals of all targets in one window.
#[derive(Debug, Default, Serialize)]
pub struct Arrivals {
    /// Targets × slots.
    pub slots_expected: usize,
    pub slots_missed: usize,
    /// Arrivals in a slot that had one.
    pub slots_doubled: usize,
    pub probed_percent: f64,
    pub windows: Windows,
    pub lateness_ms: Spread,
    /// Between two arrivals of a target.
    pub mean_gap_s: f64,
    /// How far the mean gap is off the frequency.
    pub mean_gap_off_percent: f64,
    pub longest_gap_s: f64,
}

/// The time in pieces.
#[derive(Debug, Default, Serialize)]
pub struct Windows {
    pub seconds: u32,
    pub count: usize,
    /// Pieces in which a slot was missed.
    pub with_a_miss: usize,
}

/// How values are spread.
#[derive(Debug, Default, Serialize)]
pub struct Spread {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

impl Span {
    /// `seconds` from a time on.
    pub fn new(from: f64, seconds: f64) -> Self {
        Self { from, to: from + seconds }
    }

    /// Counts the arrivals in it.
    pub fn count(&self, visits: &[u32]) -> usize {
        self.within(visits).len()
    }

    /// The arrivals in it, which are in order but for what is under way at once.
    pub fn within<'a>(&self, visits: &'a [u32]) -> &'a [u32] {
        let at = |time: f64| visits.partition_point(|visit| seconds(*visit) < time);
        &visits[at(self.from)..at(self.to).max(at(self.from))]
    }
}

/// The time of an arrival.
pub fn seconds(visit: u32) -> f64 {
    f64::from(visit) / TICKS_PER_S
}

impl Arrivals {
    /// Judges the slots of `frequency_s` each that are due within `seconds` after `from`. How late a slot
    /// began is not known from outside: its due time is taken from the target's most punctual arrival.
    pub fn judge<'a>(
        visits: impl Iterator<Item = &'a Visits>,
        from: f64,
        seconds: u32,
        frequency_s: u32,
    ) -> Self {
        let period = f64::from(frequency_s);
        let slots = (seconds / frequency_s) as usize;
        // Of a long run minutes are told, of a short one less; a piece holds whole slots.
        let window = if seconds >= 300 { 60 } else { 10 };
        let window = frequency_s.max(window - window % frequency_s);
        let slots_of_window = (window / frequency_s) as usize;
        let mut missed_in = vec![false; slots.div_ceil(slots_of_window)];
        let mut judged = Self::default();
        let (mut late, mut gaps, mut gap_s) = (Vec::new(), 0_usize, 0.0);
        for visits in visits {
            judged.slots_expected += slots;
            // One second more at each end: the last slots' probes may be late.
            let near = Span { from: from - 1.0, to: from + f64::from(seconds) + 1.0 }.within(visits);
            let near: Vec<f64> = near.iter().copied().map(self::seconds).collect();
            let Some(phase) = phase(&near, period) else {
                judged.slots_missed += slots;
                missed_in.fill(true);
                continue;
            };
            let first = ((from - phase) / period).ceil() as i64;
            let mut hits = vec![0_usize; slots];
            for at in &near {
                let slot = ((at - phase) / period + 1e-6).floor() as i64;
                if let Some(hit) = usize::try_from(slot - first).ok().and_then(|n| hits.get_mut(n)) {
                    *hit += 1;
                    late.push(((at - phase - slot as f64 * period).max(0.0) * 1e3) as f32);
                }
            }
            for (slot, _) in hits.iter().enumerate().filter(|(_, hits)| **hits == 0) {
                judged.slots_missed += 1;
                missed_in[slot / slots_of_window] = true;
            }
            judged.slots_doubled += hits.iter().map(|hits| hits.saturating_sub(1)).sum::<usize>();
            for pair in near.windows(2) {
                judged.longest_gap_s = judged.longest_gap_s.max(pair[1] - pair[0]);
            }
            gaps += near.len() - 1;
            gap_s += near[near.len() - 1] - near[0];
        }
        let expected = judged.slots_expected.max(1) as f64;
        judged.probed_percent = 100.0 * (1.0 - judged.slots_missed as f64 / expected);
        judged.windows = Windows {
            seconds: window,
            count: missed_in.len(),
            with_a_miss: missed_in.iter().filter(|missed| **missed).count(),
        };
        if gaps > 0 {
            judged.mean_gap_s = gap_s / gaps as f64;
            judged.mean_gap_off_percent = 100.0 * (judged.mean_gap_s / period - 1.0);
        }
        judged.lateness_ms = Spread::of(late);
        judged
    }
}

impl Spread {
    /// Of these values.
    pub fn of(mut values: Vec<f32>) -> Self {
        values.sort_unstable_by(f32::total_cmp);
        let share = |share| percentile(&values, share).into();
        Self { p50: share(0.5), p99: share(0.99), max: share(1.0) }
    }
}

/// Where within a period the slots of a target begin: its most punctual arrival.
fn phase(visits: &[f64], period: f64) -> Option<f64> {
    let first = *visits.first()?;
    let mut of_first: Vec<f32> = visits.iter().map(|at| lateness(*at, first, period) as f32).collect();
    of_first.sort_unstable_by(f32::total_cmp);
    // The first may be an outlier; the usual arrival is none. Of two, it is the earlier one.
    let usual = first + f64::from(of_first[(of_first.len() - 1) / 2]);
    let earliest = visits.iter().map(|at| lateness(*at, usual, period)).fold(0.0, f64::min);
    Some((usual + earliest).rem_euclid(period))
}

/// How far `at` is off the grid of periods through `reference`: up to a fifth of one early, else late.
fn lateness(at: f64, reference: f64, period: f64) -> f64 {
    (at - reference + period / 5.0).rem_euclid(period) - period / 5.0
}

/// The value below which `share` of the sorted values lie.
fn percentile(sorted: &[f32], share: f64) -> f32 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
}
