//! Counts what the daemon does.
//!
//! - hears: [`ProbesCompleted`]; [`GetMeasures`]
//! - says: nothing
//! - owns: the counters of this run, and the rate of the last seconds
//! - timer: none

use std::collections::VecDeque;

use actix::prelude::*;
use tokio::time::Instant;

use crate::{domain::Slots, event::ProbesCompleted};

/// How many whole seconds the rate is taken over.
const WINDOW_S: u64 = 10;

/// What was measured so far?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Measures")]
pub struct GetMeasures;

/// The answer to [`GetMeasures`].
#[derive(Clone, Copy, Debug, Default, MessageResponse)]
pub struct Measures {
    /// Probes a second, over the last ten whole seconds or as long as the daemon is up.
    pub probes_per_s: f64,
    /// What became of all slots since the daemon started.
    pub slots: Slots,
}

/// Counts what the daemon does.
#[derive(Debug)]
pub struct Meter {
    started: Instant,
    slots: Slots,
    /// Probes by second of the run, the newest last.
    recent: VecDeque<(u64, u64)>,
}

impl Meter {
    /// A meter that begins at nought, now.
    #[expect(clippy::new_without_default, reason = "it depends on the clock")]
    pub fn new() -> Self {
        Self { started: Instant::now(), slots: Slots::default(), recent: VecDeque::new() }
    }

    fn second(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    fn count(&mut self, slots: Slots) {
        self.slots.add(slots);
        let now = self.second();
        match self.recent.back_mut() {
            Some((second, probes)) if *second == now => *probes += slots.done,
            _ => self.recent.push_back((now, slots.done)),
        }
        while self.recent.front().is_some_and(|(second, _)| second + WINDOW_S < now) {
            self.recent.pop_front();
        }
    }

    fn measures(&self) -> Measures {
        // The second that is still running would make the rate too low.
        let now = self.second();
        let whole = self.recent.iter().filter(|(second, _)| *second < now && second + WINDOW_S >= now);
        let probes: u64 = whole.map(|(_, probes)| probes).sum();
        let seconds = now.clamp(1, WINDOW_S);
        Measures { probes_per_s: probes as f64 / seconds as f64, slots: self.slots }
    }
}

impl Actor for Meter {
    type Context = Context<Self>;
}

impl Handler<ProbesCompleted> for Meter {
    type Result = ();

    fn handle(&mut self, ProbesCompleted(events): ProbesCompleted, _: &mut Context<Self>) {
        let mut slots = Slots::default();
        events.iter().for_each(|event| slots.add(event.slots));
        self.count(slots);
    }
}

impl Handler<GetMeasures> for Meter {
    type Result = Measures;

    fn handle(&mut self, _: GetMeasures, _: &mut Context<Self>) -> Measures {
        self.measures()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_of_the_last_ten_whole_seconds() {
        let mut meter = Meter::new();
        for _ in 0..30 {
            meter.count(Slots { done: 7, late: 1, skipped: 2 });
            advance(Duration::from_secs(1)).await;
        }
        assert_eq!(meter.measures().probes_per_s, 7.0);
        assert_eq!(meter.measures().slots, Slots { done: 210, late: 30, skipped: 60 });
        advance(Duration::from_secs(5)).await;
        assert_eq!(meter.measures().probes_per_s, 3.5);
        assert!(meter.recent.len() <= 11);
    }

    #[tokio::test(start_paused = true)]
    async fn a_young_daemon_has_a_rate_of_its_own_age() {
        let mut meter = Meter::new();
        meter.count(Slots { done: 6, ..Slots::default() });
        advance(Duration::from_secs(2)).await;
        assert_eq!(meter.measures().probes_per_s, 3.0);
    }
}
