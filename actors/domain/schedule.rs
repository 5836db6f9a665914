//! When a target is due: absolute times, so that nothing drifts.

use std::time::Duration;

/// A probe that starts later than this after its due time is counted as late.
pub const LATE_AFTER: Duration = Duration::from_millis(100);

/// The due times of one target, as durations since its start: the first look soon, so that a change
/// shows, then a grid of its own phase, so that targets of one frequency do not all come at once.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    frequency: Duration,
    phase: Duration,
    due: Duration,
}

impl Schedule {
    /// A schedule for the target `id` whose first probe is due within `first_within`.
    pub fn new(id: u64, frequency: Duration, first_within: Duration) -> Self {
        let spread = spread(id);
        Self { frequency, phase: frequency.mul_f64(spread), due: first_within.min(frequency).mul_f64(spread) }
    }

    /// When the next probe is due.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// Moves on to the first due time after `now`, and tells how many were passed over.
    pub fn advance(&mut self, now: Duration) -> u64 {
        let next = self.next_on_grid(self.due);
        let now = now.max(self.due);
        if next > now {
            self.due = next;
            return 0;
        }
        self.due = self.next_on_grid(now);
        let passed = (self.due - next).as_nanos() / self.frequency.as_nanos().max(1);
        u64::try_from(passed).unwrap_or(u64::MAX)
    }

    /// The first time on the grid after `now`.
    fn next_on_grid(&self, now: Duration) -> Duration {
        let Some(past) = now.checked_sub(self.phase) else {
            return self.phase;
        };
        let frequency = self.frequency.as_nanos().max(1);
        let into = u64::try_from(past.as_nanos() % frequency).unwrap_or(u64::MAX);
        now + self.frequency - Duration::from_nanos(into)
    }
}

/// Spreads ids evenly over 0 to 1: consecutive ids land far apart.
fn spread(id: u64) -> f64 {
    // Multiples of the golden ratio, in 32 bits so that the fraction is exact in an f64.
    let hash = (id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32;
    f64::from(hash) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_first_probe_is_soon_and_the_second_within_one_period() {
        for id in 0..1_000 {
            let frequency = Duration::from_secs(60);
            let mut schedule = Schedule::new(id, frequency, SECOND);
            let first = schedule.due();
            assert!(first <= SECOND);
            assert_eq!(schedule.advance(first), 0);
            assert!(schedule.due() > first && schedule.due() <= first + frequency);
        }
    }

    #[test]
    fn targets_of_one_frequency_are_spread() {
        let due = |id| Schedule::new(id, SECOND, SECOND).due().as_millis() / 100;
        let mut tenths = [0; 11];
        (1..=1_000).for_each(|id| tenths[due(id) as usize] += 1);
        assert!(tenths[..10].iter().all(|&targets| (90..=110).contains(&targets)), "{tenths:?}");
    }

    proptest! {
        #[test]
        fn every_slot_is_either_next_or_passed_over(
            id: u64, millis in 1u64..100_000, waits in prop::collection::vec(0u64..1_000_000, 1..50),
        ) {
            let frequency = Duration::from_millis(millis);
            let mut schedule = Schedule::new(id, frequency, SECOND);
            schedule.advance(schedule.due());
            let grid = schedule.due();
            let mut slots = 0;
            for wait in waits {
                let now = schedule.due() + Duration::from_millis(wait);
                slots += 1 + schedule.advance(now);
                prop_assert!(schedule.due() > now && schedule.due() <= now + frequency);
            }
            prop_assert_eq!(schedule.due(), grid + frequency * u32::try_from(slots).unwrap());
        }
    }
}
