//! Results, sorted into the minutes of their targets.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::{RawResult, Resolution, Rollup, TargetId};

/// One minute of one target, as it is written.
#[derive(Clone, Debug)]
pub struct HistoryMinute {
    /// Of which target.
    pub target: TargetId,
    /// When the minute began.
    pub start: OffsetDateTime,
    /// The results, in the order in which they came.
    pub results: Vec<RawResult>,
}

impl HistoryMinute {
    /// What the results come to. It is many times as large as they are.
    pub fn rollup(&self) -> Rollup {
        let mut rollup = Rollup::default();
        self.results.iter().for_each(|result| rollup.add(result));
        rollup
    }
}

/// Sorts results into minutes.
#[derive(Debug, Default)]
pub struct Minutes {
    sorted: BTreeMap<(OffsetDateTime, TargetId), Vec<RawResult>>,
    results: usize,
}

impl Minutes {
    /// How many results there are.
    pub fn results(&self) -> usize {
        self.results
    }

    /// The minutes, by time and then by target.
    pub fn sorted(self) -> Vec<HistoryMinute> {
        let minutes = self.sorted.into_iter();
        minutes.map(|((start, target), results)| HistoryMinute { target, start, results }).collect()
    }
}

impl Extend<RawResult> for Minutes {
    fn extend<T: IntoIterator<Item = RawResult>>(&mut self, results: T) {
        for result in results {
            let start = Resolution::Minute.start_of(result.at());
            self.sorted.entry((start, result.target)).or_default().push(result);
            self.results += 1;
        }
    }
}

impl FromIterator<RawResult> for Minutes {
    fn from_iter<T: IntoIterator<Item = RawResult>>(results: T) -> Self {
        let mut minutes = Self::default();
        minutes.extend(results);
        minutes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fixtures::raw_result;

    #[test]
    fn results_of_two_minutes_are_two_entries_a_target() {
        let at = [(2, 59_999), (1, 60_000), (2, 60_001), (2, 0)];
        let minutes = Minutes::from_iter(at.map(|(target, at_ms)| raw_result(TargetId(target), at_ms)));
        assert_eq!(minutes.results(), 4);
        let entries = minutes.sorted();
        let entries: Vec<_> =
            entries.iter().map(|m| (m.start.unix_timestamp(), m.target.0, m.rollup().done)).collect();
        assert_eq!(entries, [(0, 2, 2), (60, 1, 1), (60, 2, 1)]);
    }
}
