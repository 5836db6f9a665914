//! The counters of a target's row.

use serde::{Deserialize, Serialize};

use super::{Cause, Outcome};

/// What the probes of a target came to.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Tally {
    /// Probes that passed.
    pub pass_count: u64,
    /// Probes that failed.
    pub fail_count: u64,
    /// Responses of the classes 1xx and 2xx.
    pub count200: u64,
    /// Responses of the class 3xx.
    pub count300: u64,
    /// Responses of the class 4xx.
    pub count400: u64,
    /// Responses of the class 5xx.
    pub count500: u64,
    /// Probes that failed without a response head.
    pub network_fails: u64,
    /// Failing probes in a row, up to now.
    pub repeated_fails: u64,
}

impl Tally {
    /// Counts one probe: once as passed or failed, once by the class of its response.
    ///
    /// A probe that passed without a response head, as one of TCP does, counts in no class. A row that cannot
    /// be probed counts nothing.
    pub fn count(&mut self, outcome: &Outcome) {
        if outcome.failure == Some(Cause::Config) {
            return;
        }
        if outcome.passed() {
            self.pass_count += 1;
            self.repeated_fails = 0;
        } else {
            self.fail_count += 1;
            self.repeated_fails += 1;
        }
        let class = match outcome.http_status.map(|status| status / 100) {
            None if outcome.passed() => return,
            None => &mut self.network_fails,
            Some(..=2) => &mut self.count200,
            Some(3) => &mut self.count300,
            Some(4) => &mut self.count400,
            Some(5..) => &mut self.count500,
        };
        *class += 1;
    }

    /// Adds what `later` counted; its run of failures goes on from this one's, if it had no pass.
    pub fn add(&mut self, later: &Self) {
        self.repeated_fails = match later.pass_count {
            0 => self.repeated_fails + later.repeated_fails,
            _ => later.repeated_fails,
        };
        self.pass_count += later.pass_count;
        self.fail_count += later.fail_count;
        self.count200 += later.count200;
        self.count300 += later.count300;
        self.count400 += later.count400;
        self.count500 += later.count500;
        self.network_fails += later.network_fails;
    }

    /// Takes away what `earlier` counted, which was counted first.
    pub fn subtract(&mut self, earlier: &Self) {
        let minus = |sum: &mut u64, part: u64| *sum = sum.saturating_sub(part);
        minus(&mut self.pass_count, earlier.pass_count);
        minus(&mut self.fail_count, earlier.fail_count);
        minus(&mut self.count200, earlier.count200);
        minus(&mut self.count300, earlier.count300);
        minus(&mut self.count400, earlier.count400);
        minus(&mut self.count500, earlier.count500);
        minus(&mut self.network_fails, earlier.network_fails);
        // Without a pass in what is left, all of it are failures in a row.
        if self.pass_count == 0 {
            self.repeated_fails = self.fail_count;
        }
    }

    /// Whether a row that read `before` must have been reset by somebody: a sum went down.
    pub fn was_reset_since(&self, before: &Self) -> bool {
        self.pass_count < before.pass_count
            || self.fail_count < before.fail_count
            || self.count200 < before.count200
            || self.count300 < before.count300
            || self.count400 < before.count400
            || self.count500 < before.count500
            || self.network_fails < before.network_fails
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, failure: Option<Cause>) -> Outcome {
        Outcome { failure, http_status: Some(status), ..Outcome::pass("") }
    }

    fn tally(outcomes: &[Outcome]) -> Tally {
        let mut tally = Tally::default();
        outcomes.iter().for_each(|outcome| tally.count(outcome));
        tally
    }

    #[test]
    fn a_probe_counts_once_by_verdict_and_once_by_class() {
        let seen = tally(&[
            answered(200, None),
            answered(404, None),
            answered(503, Some(Cause::Status)),
            Outcome::fail(Cause::Dns, ""),
        ]);
        let expected = Tally {
            pass_count: 2,
            fail_count: 2,
            count200: 1,
            count400: 1,
            count500: 1,
            network_fails: 1,
            repeated_fails: 2,
            ..Tally::default()
        };
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_pass_without_a_response_head_counts_in_no_class() {
        let expected = Tally { pass_count: 1, ..Tally::default() };
        assert_eq!(tally(&[Outcome::pass("connected")]), expected);
    }

    #[test]
    fn a_row_that_cannot_be_probed_counts_nothing() {
        assert_eq!(tally(&[Outcome::fail(Cause::Config, "")]), Tally::default());
    }

    proptest::proptest! {
        #[test]
        fn counting_in_two_parts_is_counting_in_one(verdicts: Vec<bool>, at: usize) {
            let outcomes: Vec<_> = verdicts
                .iter()
                .map(|&passed| answered(200, (!passed).then_some(Cause::Assertion)))
                .collect();
            let (first, second) = outcomes.split_at(at % (outcomes.len() + 1));
            let mut sum = tally(first);
            sum.add(&tally(second));
            assert_eq!(sum, tally(&outcomes));
            sum.subtract(&tally(first));
            assert_eq!(sum, tally(second));
        }
    }
}
