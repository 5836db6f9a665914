//! How often a child may die before it is left alone.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// The deaths that are forgiven within [`WINDOW`].
pub const DEATHS: usize = 5;
/// How long a death counts.
pub const WINDOW: Duration = Duration::from_secs(5 * 60);

/// The recent deaths of one child.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    deaths: VecDeque<Instant>,
}

impl Budget {
    /// Counts a death, and tells whether the child may be replaced.
    pub fn forgives(&mut self, now: Instant) -> bool {
        self.deaths.push_back(now);
        while self.deaths.front().is_some_and(|&death| now.duration_since(death) >= WINDOW) {
            self.deaths.pop_front();
        }
        self.deaths.len() <= DEATHS
    }

    /// The deaths that count at present.
    pub fn deaths(&self) -> usize {
        self.deaths.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_window_holds_more_forgiven_deaths_than_allowed(
            gaps in prop::collection::vec(0u64..200, 0..100),
        ) {
            let mut budget = Budget::default();
            let mut now = Instant::now();
            let mut forgiven: Vec<Instant> = Vec::new();
            for gap in gaps {
                now += Duration::from_secs(gap);
                if budget.forgives(now) {
                    forgiven.push(now);
                }
                let recent = forgiven.iter().filter(|&&death| now.duration_since(death) < WINDOW);
                prop_assert!(recent.count() <= DEATHS);
            }
        }

        #[test]
        fn a_child_that_dies_rarely_is_always_replaced(deaths in 0usize..100) {
            let mut budget = Budget::default();
            let now = Instant::now();
            let rarely = WINDOW / u32::try_from(DEATHS).unwrap();
            prop_assert!((0..deaths).all(|n| budget.forgives(now + rarely * u32::try_from(n).unwrap())));
        }
    }
}
