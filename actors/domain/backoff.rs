//! How long to wait before the next attempt.

use std::time::Duration;

use uuid::Uuid;

/// Exponential back-off with full jitter.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The upper bound of the first wait.
    pub first: Duration,
    /// The upper bound of every wait.
    pub longest: Duration,
}

impl Backoff {
    /// The wait after `failures` failed attempts (from 1): anything up to a bound that doubles, by chance, so that
    /// those who failed together do not come back together.
    pub fn wait(&self, failures: u32) -> Duration {
        self.by_chance(failures, Uuid::now_v7().as_u64_pair().1)
    }

    fn by_chance(&self, failures: u32, chance: u64) -> Duration {
        let doubled = 2u32.saturating_pow(failures.saturating_sub(1).min(31));
        let bound = self.first.saturating_mul(doubled).min(self.longest);
        bound.mul_f64((chance % 1_000 + 1) as f64 / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
        let waits: Vec<_> = [1, 2, 3, 7, u32::MAX].map(|n| backoff.by_chance(n, 999).as_millis()).into();
        assert_eq!(waits, [1_000, 2_000, 4_000, 60_000, 60_000]);
        assert_eq!(backoff.by_chance(7, 499).as_millis(), 30_000);
        assert!(!backoff.by_chance(1, 0).is_zero());
    }
}
