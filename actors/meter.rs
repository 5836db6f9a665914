//! Counts what the daemon does.
//!
//! - hears: [`ProbesCompleted`]; [`GetMeasures`]
//! - says: nothing
//! - owns: the counters of this run, and those of the last seconds
//! - timer: none

use std::collections::VecDeque;

use actix::prelude::*;
use log::{info, warn};
use tokio::time::Instant;

use crate::{domain::Slots, event::ProbesCompleted};

/// How many whole seconds the rate is taken over.
const WINDOW_S: u64 = 10;

/// How often an overload is told of while it lasts, and how long no slot must have been shed until it is over.
const TELL_EVERY_S: u64 = 60;

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
    /// Slots that passed within the last ten seconds while the machine had no time: more than none is overload.
    pub shed: u64,
}

/// Counts what the daemon does.
#[derive(Debug)]
pub struct Meter {
    started: Instant,
    slots: Slots,
    /// By second of the run, the newest last.
    recent: VecDeque<(u64, Slots)>,
    overload: Option<Overload>,
}

/// A time in which the machine cannot do all that it should.
#[derive(Clone, Copy, Debug, Default)]
struct Overload {
    /// The second of the run in which a slot was shed last.
    last: u64,
    /// When that was told last.
    told: Option<u64>,
    /// The slots that were shed.
    shed: u64,
}

impl Meter {
    /// A meter that begins at nought, now.
    #[expect(clippy::new_without_default, reason = "it depends on the clock")]
    pub fn new() -> Self {
        Self { started: Instant::now(), slots: Slots::default(), recent: VecDeque::new(), overload: None }
    }

    fn second(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    fn count(&mut self, slots: Slots) {
        self.slots.add(slots);
        let now = self.second();
        match self.recent.back_mut() {
            Some((second, sum)) if *second == now => sum.add(slots),
            _ => self.recent.push_back((now, slots)),
        }
        while self.recent.front().is_some_and(|(second, _)| second + WINDOW_S < now) {
            self.recent.pop_front();
        }
        self.watch_load(slots.shed, now);
    }

    /// Tells when the load is too much, once a minute while it is, and when it is not any more.
    fn watch_load(&mut self, shed: u64, now: u64) {
        if shed > 0 {
            let overload = self.overload.get_or_insert_default();
            overload.shed += shed;
            overload.last = now;
        }
        let Some(overload) = &mut self.overload else { return };
        let total = overload.shed;
        if overload.last + TELL_EVERY_S < now {
            info!("not overloaded any more: {total} slots were skipped");
            self.overload = None;
        } else if shed > 0 && overload.told.is_none_or(|told| told + TELL_EVERY_S <= now) {
            overload.told = Some(now);
            warn!("overloaded: {total} slots skipped, since this machine had no time for them");
        }
    }

    fn measures(&self) -> Measures {
        // The second that is still running would make the rate too low.
        let now = self.second();
        let window = self.recent.iter().filter(|(second, _)| second + WINDOW_S >= now);
        let shed = window.clone().map(|(_, slots)| slots.shed).sum();
        let probes: u64 = window.filter(|(second, _)| *second < now).map(|(_, slots)| slots.done).sum();
        let seconds = now.clamp(1, WINDOW_S);
        Measures { probes_per_s: probes as f64 / seconds as f64, slots: self.slots, shed }
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
            meter.count(Slots { done: 7, late: 1, skipped: 2, shed: 0 });
            advance(Duration::from_secs(1)).await;
        }
        assert_eq!(meter.measures().probes_per_s, 7.0);
        assert_eq!(meter.measures().slots, Slots { done: 210, late: 30, skipped: 60, shed: 0 });
        advance(Duration::from_secs(5)).await;
        assert_eq!(meter.measures().probes_per_s, 3.5);
        assert!(meter.recent.len() <= 11);
    }

    #[tokio::test(start_paused = true)]
    async fn an_overload_is_told_of_when_it_begins_now_and_then_and_when_it_is_over() {
        let mut meter = Meter::new();
        let mut told = Vec::new();
        for second in 0..200 {
            let shed = if (20..110).contains(&second) { 3 } else { 0 };
            meter.count(Slots { done: 7, skipped: shed, shed, late: 0 });
            let of_now = meter.overload.and_then(|overload| overload.told);
            if told.last() != Some(&of_now) {
                told.push(of_now);
            }
            assert_eq!(meter.measures().shed > 0, (20..120).contains(&second), "{second}");
            advance(Duration::from_secs(1)).await;
        }
        assert_eq!(told, [None, Some(20), Some(80), None]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_young_daemon_has_a_rate_of_its_own_age() {
        let mut meter = Meter::new();
        meter.count(Slots { done: 6, ..Slots::default() });
        advance(Duration::from_secs(2)).await;
        assert_eq!(meter.measures().probes_per_s, 3.0);
    }
}
