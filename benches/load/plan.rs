//! When the answers of targets change.

use super::scenario::{OUTAGE_S, Scenario, Trouble, is_one_of_twenty};

/// The turns of all targets, on the clock of the server.
pub struct Plan {
    /// By id, from 1.
    turns: Vec<Option<Turns>>,
    /// Nothing changes after it.
    until: f64,
}

/// A target fails from `first` on, passes again after `period`, fails again after another.
#[derive(Clone, Copy)]
struct Turns {
    first: f64,
    period: f64,
}

/// An answer that changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    pub at: f64,
    /// Whether the target fails from then on.
    pub fails: bool,
}

impl Plan {
    /// What a scenario wants of a measurement that begins at `from`.
    pub fn new(scenario: &Scenario, from: f64) -> Self {
        let seconds = f64::from(scenario.seconds);
        let turns = |id: usize| match scenario.trouble {
            Trouble::Failing if is_one_of_twenty(id) => {
                Some(Turns { first: from + chance(id, 0) * seconds / 2.0, period: f64::INFINITY })
            }
            Trouble::Flapping => {
                let period = 120.0 + 240.0 * chance(id, 0);
                Some(Turns { first: from + chance(id, 1) * period, period })
            }
            Trouble::Outage if id % 2 == 1 => {
                let first = from + outage_begins(scenario);
                Some(Turns { first, period: f64::INFINITY })
            }
            _ => None,
        };
        Self { turns: (1..=scenario.targets).map(turns).collect(), until: from + seconds }
    }

    /// Whether a target fails at a time.
    pub fn fails(&self, id: usize, at: f64) -> bool {
        let Some(turns) = self.of(id) else { return false };
        let at = at.min(self.until);
        at >= turns.first && (((at - turns.first) / turns.period) as u64).is_multiple_of(2)
    }

    /// All changes of a target's answer.
    pub fn turns(&self, id: usize) -> impl Iterator<Item = Turn> {
        let turns = self.of(id).into_iter();
        turns.flat_map(move |turns| {
            (0_u32..).map_while(move |n| {
                // Infinity times nothing is no number.
                let at = if n == 0 { turns.first } else { turns.first + f64::from(n) * turns.period };
                (at <= self.until).then_some(Turn { at, fails: n % 2 == 0 })
            })
        })
    }

    fn of(&self, id: usize) -> Option<Turns> {
        self.turns.get(id - 1).copied().flatten()
    }
}

/// Seconds from the beginning of the measurement until the database goes away: it is away in the middle.
pub fn outage_begins(scenario: &Scenario) -> f64 {
    f64::from(scenario.seconds.saturating_sub(OUTAGE_S)) / 2.0
}

/// A number from 0 to 1 that is always the same for a target (splitmix64).
fn chance(id: usize, which: u64) -> f64 {
    let mut bits = (id as u64 * 2 + which).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (bits ^ (bits >> 31)) as f64 / u64::MAX as f64
}
