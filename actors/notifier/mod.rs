//! Tells people: turns edges into notifications, one for each notifier that is to know.
//!
//! - hears: [`ProbeCompleted`], of which it acts on edges; [`NotifiersLoaded`]; [`GetWaiting`]; [`Drain`];
//!   [`ChildExited`] from its workers
//! - says: [`Deliver`], [`Refit`], [`Stop`] to its workers
//! - owns: a worker for each enabled notifier, so that one slow sink delays no other
//! - timer: none

mod worker;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix::prelude::*;
use futures_util::future::join_all;
use log::error;

use self::worker::{Deliver, Queue, Refit, SinkWorker};
use crate::{
    domain::{Alert, Event, Notification, NotifierDefinition, NotifierId, NotifierRow, routing, text},
    event::{DeliveryEnded, NotifiersLoaded, ProbeCompleted},
    lifecycle::{ChildExited, Drain, Stop},
    port::{SinkFactory, plan_sink},
};

/// How many notifications are not delivered yet?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "usize")]
pub struct GetWaiting;

/// Tells people.
pub struct Notifier {
    sinks: Arc<dyn SinkFactory>,
    thread: ArbiterHandle,
    ended: Recipient<DeliveryEnded>,
    workers: HashMap<NotifierId, Worker>,
    waiting: Arc<AtomicUsize>,
}

struct Worker {
    row: NotifierRow,
    addr: Addr<SinkWorker>,
}

impl Notifier {
    /// A notifier whose workers live on `thread`.
    pub fn new(sinks: Arc<dyn SinkFactory>, thread: ArbiterHandle, ended: Recipient<DeliveryEnded>) -> Self {
        Self { sinks, thread, ended, workers: HashMap::new(), waiting: Arc::default() }
    }

    /// Makes the workers those of the enabled rows.
    fn follow(&mut self, rows: Vec<NotifierRow>, ctx: &mut Context<Self>) {
        let wanted: HashMap<NotifierId, NotifierRow> =
            rows.into_iter().filter(|row| row.definition.enabled).map(|row| (row.id, row)).collect();
        self.workers.retain(|id, worker| {
            let stays = wanted.contains_key(id);
            if !stays {
                tell(&worker.addr, Stop);
            }
            stays
        });
        for (id, row) in wanted {
            match self.workers.get_mut(&id) {
                Some(worker) if worker.row.definition == row.definition => worker.row = row,
                Some(worker) => {
                    tell(&worker.addr, refit(&*self.sinks, &row));
                    worker.row = row;
                }
                None => self.employ(row, Queue::new(), ctx),
            }
        }
    }

    fn employ(&mut self, row: NotifierRow, queue: Queue, ctx: &mut Context<Self>) {
        let fit = refit(&*self.sinks, &row);
        let (id, waiting, ended) = (row.id, self.waiting.clone(), self.ended.clone());
        let parent = ctx.address().recipient();
        let addr = SinkWorker::start_in_arbiter(&self.thread, move |_| {
            SinkWorker::new(id, fit, queue, waiting, ended, parent)
        });
        self.workers.insert(id, Worker { row, addr });
    }
}

fn refit(sinks: &dyn SinkFactory, row: &NotifierRow) -> Refit {
    Refit { label: label(row.id, &row.definition), sink: plan_sink(sinks, row) }
}

/// What the log calls a notifier.
fn label(id: NotifierId, definition: &NotifierDefinition) -> String {
    let name = text::reason(&definition.name);
    format!("notifier {id} ({name}, {})", text::reason(&definition.kind))
}

/// Tells a worker without waiting: it takes each message at once and bounds its own queue.
fn tell<M: Message<Result = ()> + Send + 'static>(worker: &Addr<SinkWorker>, message: M)
where
    SinkWorker: Handler<M>,
{
    #[expect(clippy::disallowed_methods, reason = "at most one an edge or a change of the row")]
    worker.do_send(message);
}

impl Actor for Notifier {
    type Context = Context<Self>;
}

impl Handler<ProbeCompleted> for Notifier {
    type Result = ();

    fn handle(&mut self, result: ProbeCompleted, _: &mut Context<Self>) {
        let Some((edge, event)) = result.edge.and_then(|edge| Some((edge, Event::of(edge)?))) else {
            return;
        };
        let alert = Arc::new(Alert {
            event,
            at: result.at,
            target: result.target,
            status: edge.to,
            previous_status: edge.from,
            incident: result.incident,
            outcome: result.outcome,
            tally: result.tally,
        });
        for worker in self.workers.values().filter(|worker| routing::is_told(&worker.row, &alert.target)) {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            tell(&worker.addr, Deliver(Notification::new(alert.clone())));
        }
    }
}

impl Handler<NotifiersLoaded> for Notifier {
    type Result = ();

    fn handle(&mut self, NotifiersLoaded(rows): NotifiersLoaded, ctx: &mut Context<Self>) {
        self.follow(rows, ctx);
    }
}

impl Handler<GetWaiting> for Notifier {
    type Result = usize;

    fn handle(&mut self, _: GetWaiting, _: &mut Context<Self>) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Handler<ChildExited<NotifierId, Queue>> for Notifier {
    type Result = ();

    fn handle(&mut self, exited: ChildExited<NotifierId, Queue>, ctx: &mut Context<Self>) {
        let id = exited.child;
        match self.workers.remove(&id) {
            // Its address may seem to be alive still: the word of its end comes from the midst of the panic.
            Some(worker) if exited.panicked => {
                error!("the worker of notifier {id} panicked and is replaced");
                self.employ(worker.row, exited.left, ctx);
                return;
            }
            // One that was told to stop was taken out then: this one came after it.
            Some(worker) => {
                self.workers.insert(id, worker);
            }
            None => {}
        }
        let left = exited.left.len();
        if left > 0 {
            self.waiting.fetch_sub(left, Ordering::Relaxed);
            error!("{left} notifications of notifier {id} are dropped: it was disabled or deleted");
        }
    }
}

/// Lets every worker try once more; answers how many notifications are left.
impl Handler<Drain> for Notifier {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, _: Drain, _: &mut Context<Self>) -> Self::Result {
        let drained = join_all(self.workers.values().map(|worker| worker.addr.send(Drain)));
        Box::pin(async move { drained.await.into_iter().flatten().sum() })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use time::macros::datetime;
    use tokio::time::{pause, sleep};

    use super::{worker::Waiting, *};
    use crate::{
        domain::{Cause, Edge, Outcome, Slots, Status, Tally, TargetDefinition, TargetId},
        testing::{Answer, Collector, RecordingSinks, fixtures::notifier_row},
    };

    struct House {
        notifier: Addr<Notifier>,
        sinks: RecordingSinks,
        ended: Collector<DeliveryEnded>,
    }

    /// A notifier on a paused clock with notifiers of these names, from id 1 on.
    async fn house<const N: usize>(names: [&str; N], answers: impl IntoIterator<Item = Answer>) -> House {
        pause();
        let sinks = RecordingSinks::new(answers);
        let ended = Collector::<DeliveryEnded>::default();
        let notifier = Notifier::new(Arc::new(sinks.clone()), Arbiter::current(), ended.recipient()).start();
        let house = House { notifier, sinks, ended };
        house.load((1..).zip(names).map(|(id, name)| notifier_row(id, name)).collect()).await;
        house
    }

    impl House {
        async fn load(&self, rows: Vec<NotifierRow>) {
            self.notifier.send(NotifiersLoaded(rows)).await.unwrap();
        }

        async fn edge(&self, from: Status, to: Status) {
            let (target, _) = TargetDefinition::new("home", "http://h/").read(TargetId(1));
            let outcome = match to {
                Status::Fail => Outcome::fail(Cause::Connect, "connection refused"),
                _ => Outcome::pass("200 OK"),
            };
            let result = ProbeCompleted {
                target: Arc::new(target),
                at: datetime!(2026-01-02 03:04:05.678 UTC),
                outcome: Arc::new(outcome),
                status: to,
                edge: Some(Edge { from, to }),
                incident: None,
                tally: Tally::default(),
                slots: Slots::default(),
            };
            self.notifier.send(result).await.unwrap();
        }

        async fn fail(&self) {
            self.edge(Status::Pass, Status::Fail).await;
        }

        async fn waiting(&self) -> usize {
            self.notifier.send(GetWaiting).await.unwrap()
        }

        fn delivered_to(&self, name: &str) -> Vec<Event> {
            let delivered = self.sinks.delivered().into_iter();
            delivered.filter(|(to, _)| to == name).map(|(_, n)| n.alert.event).collect()
        }

        fn ends(&self) -> Vec<bool> {
            self.ended.heard().iter().map(|end| end.delivered).collect()
        }
    }

    async fn seconds(seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
    }

    #[actix::test]
    async fn a_failure_and_a_recovery_are_told_and_the_first_pass_is_not() {
        let house = house(["ops"], [Answer::Delivered]).await;
        house.edge(Status::New, Status::Pass).await;
        house.edge(Status::Pass, Status::Fail).await;
        house.edge(Status::Fail, Status::Pass).await;
        seconds(1).await;
        assert_eq!(house.delivered_to("ops"), [Event::Fail, Event::Recovery]);
        assert_eq!((house.ends(), house.waiting().await), (vec![true, true], 0));
    }

    #[actix::test]
    async fn a_sink_that_hangs_delays_no_other() {
        let house = house(["slow", "ops"], [Answer::Delivered]).await;
        house.sinks.script("slow", [Answer::Hang]);
        house.load(vec![notifier_row(3, "slow"), notifier_row(2, "ops")]).await;
        house.fail().await;
        sleep(Duration::from_millis(1)).await;
        assert_eq!(house.delivered_to("ops"), [Event::Fail]);
        assert_eq!(house.waiting().await, 1);
    }

    #[actix::test]
    async fn a_transient_failure_is_tried_again_with_the_same_id_and_in_order() {
        let answers = [Answer::Transient(None), Answer::Transient(None), Answer::Delivered];
        let house = house(["ops"], answers).await;
        house.edge(Status::Pass, Status::Fail).await;
        house.edge(Status::Fail, Status::Pass).await;
        seconds(60).await;
        assert_eq!(house.delivered_to("ops"), [Event::Fail, Event::Recovery]);
        let ids: Vec<_> = house.sinks.attempts().iter().map(|(_, n)| n.id).collect();
        assert_eq!(ids.len(), 4);
        assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[2] != ids[3]);
    }

    #[actix::test]
    async fn the_receivers_retry_after_is_honoured() {
        let answers = [Answer::Transient(Some(Duration::from_secs(600))), Answer::Delivered];
        let house = house(["ops"], answers).await;
        house.fail().await;
        seconds(599).await;
        assert!(house.delivered_to("ops").is_empty());
        seconds(2).await;
        assert_eq!(house.delivered_to("ops"), [Event::Fail]);
    }

    #[actix::test]
    async fn what_is_refused_counts_as_failed_at_once() {
        let house = house(["ops"], [Answer::Permanent]).await;
        house.fail().await;
        seconds(1).await;
        assert_eq!((house.ends(), house.waiting().await), (vec![false], 0));
    }

    #[actix::test]
    async fn what_finds_no_way_for_a_day_counts_as_failed() {
        let house = house(["ops"], [Answer::Hang]).await;
        house.fail().await;
        seconds(23 * 3_600).await;
        assert!(house.ends().is_empty());
        seconds(2 * 3_600).await;
        assert_eq!((house.ends(), house.waiting().await), (vec![false], 0));
        assert!(house.sinks.attempts().len() > 100);
    }

    #[actix::test]
    async fn what_a_row_at_fault_cannot_tell_waits_until_it_is_mended() {
        let house = house([], [Answer::Delivered]).await;
        let mut row = notifier_row(1, "ops");
        row.definition.kind.clear();
        house.load(vec![row.clone()]).await;
        house.fail().await;
        seconds(3_600).await;
        assert_eq!((house.ends(), house.waiting().await), (vec![], 1));
        row.definition.kind = "SMTP".to_owned();
        house.load(vec![row]).await;
        seconds(1).await;
        assert_eq!(house.delivered_to("ops"), [Event::Fail]);
    }

    #[actix::test]
    async fn a_long_queue_of_a_row_at_fault_ends_after_a_day() {
        let house = house([], [Answer::Delivered]).await;
        let mut row = notifier_row(1, "ops");
        row.definition.kind.clear();
        house.load(vec![row]).await;
        for _ in 0..9_000 {
            house.fail().await;
        }
        seconds(25 * 3_600).await;
        assert_eq!((house.ends().len(), house.waiting().await), (9_000, 0));
        assert!(house.ends().iter().all(|delivered| !delivered));
    }

    #[actix::test]
    async fn a_changed_row_is_tried_at_once_with_what_waits() {
        let house = house(["ops"], [Answer::Transient(None)]).await;
        house.fail().await;
        seconds(3_600).await;
        let mut row = notifier_row(1, "mended");
        house.sinks.script("mended", [Answer::Delivered]);
        row.definition.params = crate::domain::Secret::new("server=other");
        house.load(vec![row]).await;
        sleep(Duration::from_millis(1)).await;
        assert_eq!(house.delivered_to("mended"), [Event::Fail]);
    }

    #[actix::test]
    async fn a_disabled_notifier_is_told_nothing_and_what_waited_is_dropped() {
        let house = house(["ops"], [Answer::Transient(None)]).await;
        house.fail().await;
        seconds(1).await;
        let mut row = notifier_row(1, "ops");
        row.definition.enabled = false;
        house.load(vec![row]).await;
        house.fail().await;
        seconds(60).await;
        assert_eq!(house.waiting().await, 0);
        assert!(house.sinks.attempts().len() <= 2);
    }

    #[actix::test]
    async fn what_a_worker_leaves_that_panics_is_delivered_by_the_next() {
        let house = house(["ops"], [Answer::Transient(None)]).await;
        house.fail().await;
        seconds(1).await;
        let (_, notification) = house.sinks.attempts().remove(0);
        house.sinks.script("ops", [Answer::Delivered]);
        let left = Queue::from([Waiting::new(notification)]);
        // The address of the worker is alive yet, as it is while a panic unwinds on another thread.
        house.notifier.send(ChildExited { child: NotifierId(1), panicked: true, left }).await.unwrap();
        seconds(1).await;
        assert_eq!(house.delivered_to("ops"), [Event::Fail]);
    }

    #[actix::test]
    async fn a_drain_tries_what_waits_once_more_and_tells_what_is_left() {
        let house = house(["ops", "dead"], [Answer::Transient(None), Answer::Delivered]).await;
        house.sinks.script("dead", [Answer::Transient(None)]);
        house.load(vec![notifier_row(1, "ops"), notifier_row(3, "dead")]).await;
        house.fail().await;
        sleep(Duration::from_millis(1)).await;
        assert_eq!(house.notifier.send(Drain).await.unwrap(), 1);
        assert_eq!(house.delivered_to("ops"), [Event::Fail]);
    }
}
