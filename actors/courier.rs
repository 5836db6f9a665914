//! Carries the results of one probe thread to those who hear of them.
//!
//! - hears: [`ProbeCompleted`] from the targets of its thread; [`Drain`]
//! - says: [`ProbesCompleted`] to its hearers
//! - owns: the results that gather, and who waits for them to be accepted
//! - timers: deliveries, as soon as one of the results that have gathered cannot wait longer
//!
//! # Design notes
//!
//! 2026-11: a message to another thread costs more than all that a hearer does with a result, and each may wake a
//! thread that sleeps. So results travel together; one that somebody is to be told of does not wait for others. Where
//! targets are probed rarely, few results come in the time that a target of one second can wait: those of the others
//! wait longer, so that a quiet daemon sleeps.
//!
//! 2026-11: a timer of actix may still fire after it was cancelled. So none is: what fires delivers what there is.

use std::{cell::RefCell, ops::RangeInclusive, rc::Rc, sync::Arc, time::Duration};

use actix::{
    dev::{MessageResponse, OneshotSender},
    prelude::*,
};
use futures_util::future::join_all;
use log::warn;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use crate::{
    domain::Event,
    event::{ACCEPT_WITHIN, ProbeCompleted, ProbesCompleted},
    lifecycle::Drain,
};

/// How long a result may wait for others that travel with it: this part of the time between two probes of its target,
/// within these bounds.
const WAITS_PART: u32 = 20;
const WAITS: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_millis(250);

/// Those who wait for the results that gather.
type Waiting = Rc<RefCell<Vec<OneshotSender<()>>>>;

/// Carries the results of one probe thread.
pub struct Courier {
    hearers: Vec<Recipient<ProbesCompleted>>,
    results: Vec<ProbeCompleted>,
    waiting: Waiting,
    /// When the next delivery begins, if something has gathered.
    due: Option<Instant>,
    /// Deliveries that are not accepted yet.
    underway: usize,
    /// Who waits until there are none.
    drained: Vec<oneshot::Sender<usize>>,
}

impl Courier {
    /// A courier to these hearers.
    pub fn new(hearers: Vec<Recipient<ProbesCompleted>>) -> Self {
        Self {
            hearers,
            results: Vec::new(),
            waiting: Waiting::default(),
            due: None,
            underway: 0,
            drained: Vec::new(),
        }
    }

    /// Takes what has gathered to the hearers, and answers the targets when they have accepted.
    ///
    /// A target probes again when its result was accepted: that bounds what gathers here and in every hearer's
    /// mailbox to one result a target, without dropping any.
    fn deliver(&mut self, ctx: &mut Context<Self>) {
        self.due = None;
        // An earlier delivery may have left nothing.
        if self.results.is_empty() {
            return;
        }
        let waiting = self.waiting.take();
        let results: Arc<[_]> = std::mem::take(&mut self.results).into();
        let mut told =
            join_all(self.hearers.iter().map(|hearer| hearer.send(ProbesCompleted(results.clone()))));
        let delivered = async move {
            let in_time = timeout(ACCEPT_WITHIN, &mut told).await.is_ok();
            if !in_time {
                warn!("the results of {} targets were not accepted within {ACCEPT_WITHIN:?}", results.len());
            }
            // A target that was stopped meanwhile does not wait any more.
            waiting.into_iter().for_each(|target| target.send(()).unwrap_or_default());
            // Whose asker is gone is not heard any more: a hearer that stood still would miss them.
            if !in_time {
                told.await;
            }
        };
        self.underway += 1;
        ctx.spawn(delivered.into_actor(self).map(|(), courier, _| {
            courier.underway -= 1;
            courier.answer_drain();
        }));
    }

    fn deliver_within(&mut self, wait: Duration, ctx: &mut Context<Self>) {
        let due = Instant::now() + wait;
        if self.due.is_none_or(|earlier| due < earlier) {
            self.due = Some(due);
            ctx.run_later(wait, Self::deliver);
        }
    }

    fn answer_drain(&mut self) {
        if self.underway == 0 {
            // Whoever waited may have left at its deadline.
            self.drained.drain(..).for_each(|waiting| waiting.send(0).unwrap_or_default());
        }
    }
}

/// How long a result can wait for others: not at all if somebody is to be told of it, or if it is to be confirmed soon.
fn waits(event: &ProbeCompleted) -> Duration {
    let is_told = event.edge.and_then(Event::of).is_some() || event.reminder;
    let retries = event.target.options.retry_interval_ms.is_some();
    if is_told || (retries && !event.outcome.passed()) {
        return Duration::ZERO;
    }
    (event.target.frequency / WAITS_PART).clamp(*WAITS.start(), *WAITS.end())
}

impl Actor for Courier {
    type Context = Context<Self>;
}

/// Answers when the result was accepted.
pub struct Accepted(Waiting);

impl MessageResponse<Courier, ProbeCompleted> for Accepted {
    fn handle(self, _: &mut Context<Courier>, target: Option<OneshotSender<()>>) {
        self.0.borrow_mut().extend(target);
    }
}

impl Handler<ProbeCompleted> for Courier {
    type Result = Accepted;

    fn handle(&mut self, event: ProbeCompleted, ctx: &mut Context<Self>) -> Accepted {
        self.deliver_within(waits(&event), ctx);
        self.results.push(event);
        Accepted(self.waiting.clone())
    }
}

/// Delivers at once; answers when all was accepted.
impl Handler<Drain> for Courier {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, _: Drain, ctx: &mut Context<Self>) -> Self::Result {
        let (accepted, all_accepted) = oneshot::channel();
        self.drained.push(accepted);
        self.deliver(ctx);
        self.answer_drain();
        Box::pin(async move { all_accepted.await.unwrap_or(0) })
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, pause, sleep};

    use super::*;
    use crate::{
        domain::{Edge, Outcome, Status, Target},
        testing::{Collector, fixtures::probe_completed},
    };

    fn courier(more: Vec<Recipient<ProbesCompleted>>) -> (Addr<Courier>, Collector<ProbesCompleted>) {
        pause();
        let heard = Collector::<ProbesCompleted>::default();
        let hearers = [heard.recipient()].into_iter().chain(more).collect();
        (Courier::new(hearers).start(), heard)
    }

    /// Of targets that are probed every second.
    fn passes(ids: std::ops::Range<u64>) -> impl Iterator<Item = ProbeCompleted> {
        passes_every(Duration::from_secs(1), ids)
    }

    fn passes_every(frequency: Duration, ids: std::ops::Range<u64>) -> impl Iterator<Item = ProbeCompleted> {
        ids.map(move |id| {
            let event = probe_completed(id, Outcome::pass("200 OK"));
            let target = Arc::new(Target { frequency, ..Target::clone(&event.target) });
            ProbeCompleted { target, ..event }
        })
    }

    /// Accepts after this time.
    struct Slow(Duration);

    impl Actor for Slow {
        type Context = Context<Self>;
    }

    impl Handler<ProbesCompleted> for Slow {
        type Result = ResponseFuture<()>;

        fn handle(&mut self, _: ProbesCompleted, _: &mut Context<Self>) -> Self::Result {
            Box::pin(sleep(self.0))
        }
    }

    fn sizes(heard: &Collector<ProbesCompleted>) -> Vec<usize> {
        heard.heard().iter().map(|results| results.0.len()).collect()
    }

    #[actix::test]
    async fn results_travel_together_and_none_waits_longer_than_it_should() {
        let (courier, heard) = courier(vec![]);
        let begun = Instant::now();
        join_all(passes(0..100).map(|event| courier.send(event))).await;
        assert_eq!(sizes(&heard), [100]);
        assert!(begun.elapsed() <= *WAITS.start() + Duration::from_millis(2), "{:?}", begun.elapsed());
    }

    #[actix::test]
    async fn what_is_probed_rarely_waits_longer_but_goes_along_with_what_cannot() {
        let (courier, heard) = courier(vec![]);
        let mut delivered = Vec::new();
        for (frequency_s, waits_ms) in [(1, 50), (4, 200), (10, 250), (3_600, 250)] {
            let rare = |ids| passes_every(Duration::from_secs(frequency_s), ids);
            for (events, waits_ms) in
                [(rare(1..2).collect::<Vec<_>>(), waits_ms), (rare(1..2).chain(passes(2..3)).collect(), 50)]
            {
                delivered.push(events.len());
                let begun = Instant::now();
                join_all(events.into_iter().map(|event| courier.send(event))).await;
                let (waited, waits) = (begun.elapsed(), Duration::from_millis(waits_ms));
                let about = waits..=waits + Duration::from_millis(2);
                assert!(about.contains(&waited), "{frequency_s} s: {waited:?}");
                assert_eq!(sizes(&heard), delivered);
                // What was armed for what went along earlier.
                sleep(*WAITS.end()).await;
            }
        }
    }

    #[actix::test]
    async fn what_somebody_is_to_be_told_of_does_not_wait() {
        let (courier, heard) = courier(vec![]);
        let begun = Instant::now();
        let told = passes(7..9).map(|event| ProbeCompleted {
            edge: Some(Edge { from: Status::Pass, to: Status::Fail }),
            ..event
        });
        join_all(passes(0..3).chain(told).map(|event| courier.send(event))).await;
        assert_eq!(sizes(&heard), [5]);
        assert!(begun.elapsed() < *WAITS.start() / 10, "{:?}", begun.elapsed());
        sleep(2 * *WAITS.start()).await;
        assert_eq!(sizes(&heard), [5]);
    }

    #[actix::test]
    async fn a_hearer_that_does_not_accept_holds_the_targets_but_not_for_ever() {
        let (courier, heard) = courier(vec![Slow(Duration::MAX).start().recipient()]);
        let begun = Instant::now();
        for (n, event) in (1..).zip(passes(0..3)) {
            courier.send(event).await.unwrap();
            assert!(begun.elapsed() >= n * ACCEPT_WITHIN);
        }
        assert_eq!(sizes(&heard), [1, 1, 1]);
    }

    #[actix::test]
    async fn first_passes_travel_together() {
        let (courier, heard) = courier(vec![]);
        let edge = Some(Edge { from: Status::New, to: Status::Pass });
        join_all(passes(0..100).map(|event| courier.send(ProbeCompleted { edge, ..event }))).await;
        assert_eq!(sizes(&heard), [100]);
    }

    #[actix::test]
    async fn a_hearer_that_stood_still_hears_of_it_afterwards() {
        pause();
        let heard = Collector::<ProbesCompleted>::default();
        let slow = Arbiter::new();
        let (go_on, going_on) = std::sync::mpsc::channel::<()>();
        slow.spawn_fn(move || going_on.recv().unwrap_or_default());
        let hearer = heard.clone();
        let hearer = Collector::start_in_arbiter(&slow.handle(), |_| hearer).recipient();
        let courier = Courier::new(vec![hearer]).start();
        passes(1..2).for_each(|event| drop(actix::spawn(courier.send(event))));
        sleep(2 * ACCEPT_WITHIN).await;
        assert!(sizes(&heard).is_empty());
        go_on.send(()).unwrap();
        assert_eq!(courier.send(Drain).await.unwrap(), 0);
        assert_eq!(sizes(&heard), [1]);
    }

    #[actix::test]
    async fn a_drain_waits_for_what_is_on_its_way() {
        let (courier, _) = courier(vec![Slow(Duration::from_secs(3)).start().recipient()]);
        passes(1..2).for_each(|event| drop(actix::spawn(courier.send(event))));
        sleep(2 * *WAITS.start()).await;
        let begun = Instant::now();
        courier.send(Drain).await.unwrap();
        assert!(begun.elapsed() > Duration::from_secs(2));
    }

    #[actix::test]
    async fn a_drain_leaves_nothing() {
        let (courier, heard) = courier(vec![]);
        let waits = join_all(passes(0..3).map(|event| courier.send(event)));
        let begun = Instant::now();
        let (_, drained) = tokio::join!(waits, courier.send(Drain));
        assert_eq!((drained.unwrap(), sizes(&heard)), (0, vec![3]));
        assert!(begun.elapsed() < *WAITS.start());
    }
}
