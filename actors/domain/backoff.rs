//! How long to wait before the next attempt.

use std::time::Duration;

/// Exponential back-off with jitter.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The upper bound of the first wait.
    pub first: Duration,
    /// The upper bound of every wait.
    pub longest: Duration,
}

impl Backoff {
    /// The wait after `failures` failed attempts (from 1): between half the bound and the bound.
    ///
    /// `chance` is a random number; half of the wait is left to it, so that those who failed together
    /// do not come back together.
    pub fn wait(&self, failures: u32, chance: u64) -> Duration {
        let doubled = 2u32.saturating_pow(failures.saturating_sub(1).min(31));
        let bound = self.first.saturating_mul(doubled).min(self.longest);
        let jitter = (chance % 1_000) as f64 / 1_000.0;
        bound.mul_f64(0.5 + jitter / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
        let waits: Vec<_> = [1, 2, 3, 7, u32::MAX].map(|n| backoff.wait(n, 0).as_millis()).into();
        assert_eq!(waits, [500, 1_000, 2_000, 30_000, 30_000]);
        assert!(backoff.wait(1, 999) <= backoff.first);
    }
}
