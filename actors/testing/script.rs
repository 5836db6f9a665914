//! What a double answers, turn by turn.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

/// Answers in turn; the last is repeated for ever.
#[derive(Debug)]
pub(super) struct Script<T>(Mutex<VecDeque<T>>);

impl<T: Clone> Script<T> {
    pub(super) fn new(turns: impl IntoIterator<Item = T>) -> Self {
        let turns: VecDeque<T> = turns.into_iter().collect();
        assert!(!turns.is_empty(), "a script has at least one turn");
        Self(Mutex::new(turns))
    }

    pub(super) fn next(&self) -> T {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() > 1
            && let Some(turn) = turns.pop_front()
        {
            return turn;
        }
        turns.front().expect("the last turn stays").clone()
    }
}
