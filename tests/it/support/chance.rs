//! Chance that can be had again: a failing test prints its seed.

use std::hash::{BuildHasher, RandomState};

/// A small generator, good enough to choose instants.
pub struct Chance(u64);

impl Chance {
    /// Begins with `SKYPUNCH_TEST_SEED`, or anywhere.
    pub fn new() -> Self {
        let given = std::env::var("SKYPUNCH_TEST_SEED").ok().map(|seed| seed.parse().unwrap());
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one("skypunch"));
        println!("SKYPUNCH_TEST_SEED={seed}");
        Self(seed | 1)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}
