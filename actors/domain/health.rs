//! The state machine behind a target's status: what a result means after those before it.

use super::{Cause, Outcome, Status};

/// How many results in a row it takes to believe them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Thresholds {
    /// Failing probes before the status is `FAIL`; at least 1.
    pub failure: u32,
    /// Passing probes before the status is `PASS`; at least 1.
    pub success: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { failure: 1, success: 1 }
    }
}

/// A change of status.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Edge {
    /// The status before.
    pub from: Status,
    /// The status after.
    pub to: Status,
}

/// The status of a target, and how far the evidence against it has come.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Health {
    status: Status,
    /// The other status that the newest results speak for, and how many of them do.
    leaning: Option<(Status, u32)>,
}

impl Health {
    /// What the store last knew, so that a restart forgets no failure.
    pub fn known(status: Status) -> Self {
        Self { status, leaning: None }
    }

    /// The confirmed status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether a failure was seen that is not confirmed yet.
    pub fn suspects(&self) -> bool {
        matches!(self.leaning, Some((Status::Fail, _)))
    }

    /// Takes a result in, and tells whether it changed the status.
    pub fn apply(&mut self, outcome: &Outcome, thresholds: Thresholds) -> Option<Edge> {
        let (seen, needed) = match outcome.failure {
            None => (Status::Pass, thresholds.success),
            // A row that cannot be probed will not heal by being looked at again.
            Some(Cause::Config) => (Status::Fail, 1),
            Some(_) => (Status::Fail, thresholds.failure),
        };
        if seen == self.status {
            self.leaning = None;
            return None;
        }
        let results = match self.leaning {
            Some((status, results)) if status == seen => results + 1,
            _ => 1,
        };
        if results < needed {
            self.leaning = Some((seen, results));
            return None;
        }
        let edge = Edge { from: self.status, to: seen };
        *self = Self::known(seen);
        Some(edge)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn result(passed: bool) -> Outcome {
        if passed { Outcome::pass("") } else { Outcome::fail(Cause::Connect, "") }
    }

    fn edges(thresholds: Thresholds, results: &[bool]) -> Vec<Edge> {
        let mut health = Health::default();
        results.iter().filter_map(|&passed| health.apply(&result(passed), thresholds)).collect()
    }

    #[test]
    fn without_thresholds_every_change_is_an_edge() {
        let statuses: Vec<_> =
            edges(Thresholds::default(), &[true, false, false, true]).iter().map(|e| e.to).collect();
        assert_eq!(statuses, [Status::Pass, Status::Fail, Status::Pass]);
    }

    #[test]
    fn a_threshold_wants_its_results_in_a_row() {
        let thresholds = Thresholds { failure: 3, success: 2 };
        let seen = edges(thresholds, &[true, true, false, false, true, false, false, false]);
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[1], Edge { from: Status::Pass, to: Status::Fail });
    }

    #[test]
    fn a_row_that_cannot_be_probed_fails_at_once() {
        let mut health = Health::known(Status::Pass);
        let thresholds = Thresholds { failure: 5, success: 1 };
        assert!(health.apply(&Outcome::fail(Cause::Config, ""), thresholds).is_some());
    }

    proptest! {
        #[test]
        fn two_edges_in_a_row_are_never_equal(
            results: Vec<bool>, failure in 1u32..4, success in 1u32..4,
        ) {
            let seen = edges(Thresholds { failure, success }, &results);
            prop_assert!(seen.iter().all(|edge| edge.from != edge.to));
            prop_assert!(seen.windows(2).all(|pair| pair[0].to == pair[1].from));
        }
    }
}
