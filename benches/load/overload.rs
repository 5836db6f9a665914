//! What becomes of the daemon when it is asked for more than the machine can do, and afterwards.

use std::time::Duration;

use serde::Serialize;

use super::{
    arrivals::{Span, Visits, seconds},
    scenario::Scenario,
};

/// How long half of the targets are watched before all are.
pub const CALM: Duration = Duration::from_secs(10);
/// How long the daemon is watched after the load went away.
pub const RELIEF: Duration = Duration::from_secs(20);
/// What it may take at most: so much, and so much more a target.
const RSS_MIB: f64 = 64.0;
const RSS_MIB_PER_TARGET: f64 = 10.0 / 1024.0;
/// The best rate is taken from pieces of this length.
const PIECE_S: f64 = 5.0;

/// When the load was what.
#[derive(Clone, Copy, Debug)]
pub struct Phases {
    /// Half of the targets.
    pub calm: Span,
    /// All of them.
    pub overload: Span,
    /// A tenth.
    pub relief: Span,
}

#[derive(Debug, Serialize)]
pub struct Overload {
    /// With half of the targets.
    pub calm_probes_per_s: f64,
    pub probes_per_s: f64,
    /// In the best five seconds of this run.
    pub best_probes_per_s: f64,
    pub percent_of_best: f64,
    /// Probes a second over those of the bare client.
    pub ratio_to_bare: Option<f64>,
    /// With all of the targets.
    pub probes_per_target: Fairness,
    /// Slots that `status` said were skipped meanwhile.
    pub slots_skipped_by_its_count: u64,
    pub rss_mib_allowed: f64,
    /// From the load going away until every remaining target is probed in time for good; `None` is never.
    pub recovered_after_s: Option<f64>,
}

/// How the probes were shared out among the targets.
#[derive(Debug, Serialize)]
pub struct Fairness {
    pub min: usize,
    pub mean: f64,
    pub max: usize,
}

impl Overload {
    /// Judges the arrivals of all targets.
    pub fn judge(
        scenario: &Scenario,
        visits: &[Visits],
        phases: &Phases,
        bare_probes_per_s: Option<f64>,
        skipped: u64,
    ) -> Self {
        let rate = |span: &Span| {
            let probes: usize = visits.iter().map(|visits| span.count(visits)).sum();
            probes as f64 / (span.to - span.from)
        };
        let pieces = [phases.calm, phases.overload].into_iter().flat_map(pieces);
        let probes_per_s = rate(&phases.overload);
        let best_probes_per_s = pieces.map(|piece| rate(&piece)).fold(0.0, f64::max);
        let counts: Vec<usize> = visits.iter().map(|visits| phases.overload.count(visits)).collect();
        let remaining = (1..).zip(visits).filter(|(id, _)| scenario.ends_enabled(*id));
        Self {
            calm_probes_per_s: rate(&phases.calm),
            probes_per_s,
            best_probes_per_s,
            percent_of_best: 100.0 * probes_per_s / best_probes_per_s,
            ratio_to_bare: bare_probes_per_s.map(|bare| probes_per_s / bare),
            probes_per_target: Fairness {
                min: counts.iter().copied().min().unwrap_or_default(),
                mean: counts.iter().sum::<usize>() as f64 / counts.len() as f64,
                max: counts.iter().copied().max().unwrap_or_default(),
            },
            slots_skipped_by_its_count: skipped,
            rss_mib_allowed: RSS_MIB + RSS_MIB_PER_TARGET * scenario.targets as f64,
            recovered_after_s: recovery(
                remaining.map(|(_, visits)| visits),
                phases.relief,
                scenario.frequency_s.into(),
            ),
        }
    }

    /// What must not happen, whatever the load.
    pub fn faults(&self, rss_mib_max: f64) -> Vec<String> {
        let mut faults = Vec::new();
        if rss_mib_max > self.rss_mib_allowed {
            faults.push(format!("{rss_mib_max:.0} MiB, {:.0} are allowed", self.rss_mib_allowed));
        }
        if self.probes_per_target.min == 0 {
            faults.push("some target was not probed at all".to_owned());
        }
        if self.recovered_after_s.is_none() {
            faults.push(format!("no recovery within {} s", RELIEF.as_secs()));
        }
        faults
    }
}

fn pieces(span: Span) -> impl Iterator<Item = Span> {
    let count = ((span.to - span.from) / PIECE_S) as u32;
    (0..count).map(move |n| Span::new(span.from + PIECE_S * f64::from(n), PIECE_S))
}

/// Seconds until the end of the last gap of more than one and a half periods.
fn recovery<'a>(visits: impl Iterator<Item = &'a Visits>, relief: Span, period: f64) -> Option<f64> {
    let mut recovered = relief.from;
    for visits in visits {
        let before = visits.partition_point(|visit| seconds(*visit) < relief.from);
        let mut last = before.checked_sub(1).map_or(relief.from, |n| seconds(visits[n]));
        for at in relief.within(visits).iter().copied().map(seconds) {
            if at - last > 1.5 * period {
                recovered = recovered.max(at);
            }
            last = at;
        }
        if relief.to - last > 1.5 * period {
            return None;
        }
    }
    Some(recovered - relief.from)
}
