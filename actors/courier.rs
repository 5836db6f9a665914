//! Carries the results of one probe thread to those who hear of them.
//!
//! - hears: [`ProbeCompleted`] from the targets of its thread; [`Drain`]
//! - says: [`ProbesCompleted`] to its hearers
//! - owns: the results that gather, and who waits for them to be accepted
//! - timers: deliveries, [`GATHERS`] after the first result that has gathered
//!
//! # Design notes
//!
//! 2026-11: a message to another thread costs more than all that a hearer does with a result, and each may wake a
//! thread that sleeps. So results travel together; one that somebody is to be told of does not wait for others.
//!
//! 2026-11: a timer of actix may still fire after it was cancelled. So none is: what fires delivers what there is.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use actix::{
    dev::{MessageResponse, OneshotSender},
    prelude::*,
};
use futures_util::future::join_all;
use log::warn;
use tokio::{sync::oneshot, time::timeout};

use crate::{
    domain::Event,
    event::{ACCEPT_WITHIN, ProbeCompleted, ProbesCompleted},
    lifecycle::Drain,
};

/// How long a result may wait for others that travel with it.
const GATHERS: Duration = Duration::from_millis(50);

/// Those who wait for the results that gather.
type Waiting = Rc<RefCell<Vec<OneshotSender<()>>>>;

/// Carries the results of one probe thread.
pub struct Courier {
    hearers: Vec<Recipient<ProbesCompleted>>,
    results: Vec<ProbeCompleted>,
    waiting: Waiting,
    /// Whether a delivery is about to begin.
    hurries: bool,
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
            hurries: false,
            underway: 0,
            drained: Vec::new(),
        }
    }

    /// Takes what has gathered to the hearers, and answers the targets when they have accepted.
    ///
    /// A target probes again when its result was accepted: that bounds what gathers here and in every hearer's
    /// mailbox to one result a target, without dropping any.
    fn deliver(&mut self, ctx: &mut Context<Self>) {
        self.hurries = false;
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

    fn deliver_within(wait: Duration, ctx: &mut Context<Self>) {
        ctx.run_later(wait, Self::deliver);
    }

    fn answer_drain(&mut self) {
        if self.underway == 0 {
            // Whoever waited may have left at its deadline.
            self.drained.drain(..).for_each(|waiting| waiting.send(0).unwrap_or_default());
        }
    }
}

/// Whether a result cannot wait for others: somebody is to be told of it, or it is to be confirmed soon.
fn is_urgent(event: &ProbeCompleted) -> bool {
    let is_told = event.edge.and_then(Event::of).is_some() || event.reminder;
    let retries = event.target.options.retry_interval_ms.is_some();
    is_told || (retries && !event.outcome.passed())
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
        if is_urgent(&event) && !std::mem::replace(&mut self.hurries, true) {
            Self::deliver_within(Duration::ZERO, ctx);
        } else if self.results.is_empty() {
            Self::deliver_within(GATHERS, ctx);
        }
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
        domain::{Edge, Status},
        testing::{Collector, fixtures::probe_completed},
    };

    fn courier(more: Vec<Recipient<ProbesCompleted>>) -> (Addr<Courier>, Collector<ProbesCompleted>) {
        pause();
        let heard = Collector::<ProbesCompleted>::default();
        let hearers = [heard.recipient()].into_iter().chain(more).collect();
        (Courier::new(hearers).start(), heard)
    }

    fn passes(ids: std::ops::Range<u64>) -> impl Iterator<Item = ProbeCompleted> {
        ids.map(|id| probe_completed(id, crate::domain::Outcome::pass("200 OK")))
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
        assert!(begun.elapsed() <= GATHERS + Duration::from_millis(2), "{:?}", begun.elapsed());
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
        assert!(begun.elapsed() < GATHERS / 10, "{:?}", begun.elapsed());
        sleep(2 * GATHERS).await;
        assert_eq!(sizes(&heard), [5]);
    }

    #[actix::test]
    async fn a_hearer_that_does_not_accept_holds_the_targets_but_not_for_ever() {
        struct Deaf;
        impl Actor for Deaf {
            type Context = Context<Self>;
        }
        impl Handler<ProbesCompleted> for Deaf {
            type Result = ResponseFuture<()>;
            fn handle(&mut self, _: ProbesCompleted, _: &mut Context<Self>) -> Self::Result {
                Box::pin(std::future::pending())
            }
        }
        let (courier, heard) = courier(vec![Deaf.start().recipient()]);
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
        struct Slow;
        impl Actor for Slow {
            type Context = Context<Self>;
        }
        impl Handler<ProbesCompleted> for Slow {
            type Result = ResponseFuture<()>;
            fn handle(&mut self, _: ProbesCompleted, _: &mut Context<Self>) -> Self::Result {
                Box::pin(sleep(Duration::from_secs(3)))
            }
        }
        let (courier, _) = courier(vec![Slow.start().recipient()]);
        passes(1..2).for_each(|event| drop(actix::spawn(courier.send(event))));
        sleep(2 * GATHERS).await;
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
        assert!(begun.elapsed() < GATHERS);
    }
}
