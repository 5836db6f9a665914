//! What the arrivals say: slots that were kept or missed, and how late they began.

use serde::Serialize;

/// The arrivals of all targets in one window.
#[derive(Debug, Serialize)]
pub struct Arrivals {
    /// Targets × seconds.
    pub slots_expected: usize,
    pub slots_missed: usize,
    /// Arrivals in a slot that had one.
    pub slots_doubled: usize,
    pub longest_gap_s: f64,
    pub lateness_ms: Lateness,
}

/// How long after its due time a probe arrived. The due times are not known from outside: they are
/// taken from the target's own most punctual arrival.
#[derive(Debug, Serialize)]
pub struct Lateness {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

impl Arrivals {
    /// Judges the slots of a second each that are due within `seconds` after `from`.
    pub fn judge(arrivals: &[Vec<f64>], from: f64, seconds: u32) -> Self {
        let to = from + f64::from(seconds);
        let mut judged = Self {
            slots_expected: arrivals.len() * seconds as usize,
            slots_missed: 0,
            slots_doubled: 0,
            longest_gap_s: 0.0,
            lateness_ms: Lateness { p50: 0.0, p99: 0.0, max: 0.0 },
        };
        let mut late = Vec::with_capacity(judged.slots_expected);
        for visits in arrivals {
            // One second more at each end: the last slots' probes may be late.
            let near: Vec<f64> =
                visits.iter().copied().filter(|at| (from - 1.0..to + 1.0).contains(at)).collect();
            let Some(phase) = phase(&near) else {
                judged.slots_missed += seconds as usize;
                continue;
            };
            let first = ((from - phase).ceil()) as i64;
            let mut hits = vec![0_usize; seconds as usize];
            for at in &near {
                let slot = (at - phase + 1e-6).floor() as i64;
                if let Some(hit) = usize::try_from(slot - first).ok().and_then(|n| hits.get_mut(n)) {
                    *hit += 1;
                    late.push((at - phase - slot as f64).max(0.0));
                }
            }
            judged.slots_missed += hits.iter().filter(|hits| **hits == 0).count();
            judged.slots_doubled += hits.iter().map(|hits| hits.saturating_sub(1)).sum::<usize>();
            for pair in near.windows(2) {
                judged.longest_gap_s = judged.longest_gap_s.max(pair[1] - pair[0]);
            }
        }
        late.sort_by(f64::total_cmp);
        judged.lateness_ms = Lateness {
            p50: percentile(&late, 0.5) * 1e3,
            p99: percentile(&late, 0.99) * 1e3,
            max: percentile(&late, 1.0) * 1e3,
        };
        judged
    }
}

/// Where within a second the slots of a target begin: its most punctual arrival.
fn phase(visits: &[f64]) -> Option<f64> {
    let first = *visits.first()?;
    let mut of_first: Vec<f64> = visits.iter().map(|at| lateness(*at, first)).collect();
    of_first.sort_by(f64::total_cmp);
    // The first may be an outlier; the usual arrival is none.
    let usual = first + percentile(&of_first, 0.5);
    let earliest = visits.iter().map(|at| lateness(*at, usual)).fold(0.0, f64::min);
    Some((usual + earliest).rem_euclid(1.0))
}

/// How far `at` is off the grid of seconds through `reference`: up to 0.2 s early, else late.
fn lateness(at: f64, reference: f64) -> f64 {
    (at - reference + 0.2).rem_euclid(1.0) - 0.2
}

/// The value below which `share` of the sorted values lie.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
}
