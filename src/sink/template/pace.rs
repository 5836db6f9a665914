//! Keeps to how often a credential may be used, whoever uses it: delays, and loses nothing.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, Hash, RandomState},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::file::Rate;

/// The longest wait within an attempt; a longer one is for the caller to sit out.
const PATIENCE: Duration = Duration::from_secs(20);

/// One credential; of the secret itself only a hash is kept.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(in crate::sink) struct Credential(u64);

/// When each credential was used, and from when on it may be used again.
#[derive(Default)]
pub(in crate::sink) struct Pacer {
    hasher: RandomState,
    used: Mutex<HashMap<Credential, Use>>,
}

#[derive(Default)]
struct Use {
    /// The last uses, oldest first; they may lie ahead.
    turns: VecDeque<Instant>,
    /// Until then, the receiver does not want to hear anything.
    closed_until: Option<Instant>,
}

impl Pacer {
    /// The credential that these texts are.
    pub fn credential(&self, parts: impl Hash) -> Credential {
        Credential(self.hasher.hash_one(parts))
    }

    /// Takes the next turn, and says when it is; or how long there is none.
    pub fn take(
        &self,
        credential: Credential,
        rate: Option<Rate>,
        now: Instant,
    ) -> Result<Instant, Duration> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let uses = used.entry(credential).or_default();
        let mut turn = uses.closed_until.map_or(now, |until| until.max(now));
        if let Some(rate) = rate {
            let window = Duration::from_secs(rate.per_s);
            while uses.turns.front().is_some_and(|first| *first + window <= now) {
                uses.turns.pop_front();
            }
            // As many turns back, the window must be over.
            let back = uses.turns.len().checked_sub(rate.messages.max(1));
            if let Some(free) = back.and_then(|at| uses.turns.get(at)) {
                turn = turn.max(*free + window);
            }
        }
        let wait = turn - now;
        if wait > PATIENCE {
            return Err(wait);
        }
        if rate.is_some() {
            uses.turns.push_back(turn);
        }
        Ok(turn)
    }

    /// Has everybody wait: the receiver said so.
    pub fn close(&self, credential: Credential, until: Instant) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let uses = used.entry(credential).or_default();
        uses.closed_until = uses.closed_until.max(Some(until));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE: Rate = Rate { messages: 2, per_s: 10 };

    #[test]
    fn who_comes_too_soon_waits_for_a_turn() {
        let (pacer, now) = (Pacer::default(), Instant::now());
        let key = pacer.credential("token");
        let second = Duration::from_secs;
        let take = |after| pacer.take(key, Some(RATE), now + second(after)).map(|turn| turn - now);
        assert_eq!([take(0), take(1), take(2)], [Ok(second(0)), Ok(second(1)), Ok(second(10))]);
        assert_eq!([take(2), take(2)], [Ok(second(11)), Ok(second(20))]);
        // 23 is its turn, and too long to wait for.
        assert_eq!([take(0), take(2)], [Err(second(21)), Ok(second(21))]);
        assert_eq!(pacer.take(pacer.credential("other"), Some(RATE), now), Ok(now));
        assert_eq!(pacer.take(key, None, now), Ok(now));
    }

    #[test]
    fn a_receiver_that_wants_rest_gets_it_from_everybody() {
        let (pacer, now) = (Pacer::default(), Instant::now());
        let key = pacer.credential("token");
        pacer.close(key, now + Duration::from_secs(5));
        pacer.close(key, now + Duration::from_secs(3));
        assert_eq!(pacer.take(key, None, now), Ok(now + Duration::from_secs(5)));
        pacer.close(key, now + Duration::from_secs(60));
        assert_eq!(pacer.take(key, Some(RATE), now), Err(Duration::from_secs(60)));
        assert_eq!(
            pacer.take(key, Some(RATE), now + Duration::from_secs(61)),
            Ok(now + Duration::from_secs(61))
        );
    }

    proptest! {
        #[test]
        fn no_window_has_more_turns_than_it_may(
            steps in prop::collection::vec(0u64..4_000, 1..60),
            messages in 1usize..5,
            per_s in 1u64..8,
        ) {
            let (pacer, begun) = (Pacer::default(), Instant::now());
            let key = pacer.credential("token");
            let rate = Rate { messages, per_s };
            let (mut now, mut turns) = (begun, Vec::new());
            for step in steps {
                now += Duration::from_millis(step);
                turns.extend(pacer.take(key, Some(rate), now));
            }
            for turn in turns.windows(messages + 1) {
                prop_assert!(turn[messages] - turn[0] >= Duration::from_secs(per_s));
            }
        }
    }
}
