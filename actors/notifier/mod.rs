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
            // A worker of the same row that is alive came after the one that is gone.
            Some(worker) if worker.addr.connected() => {
                self.workers.insert(id, worker);
            }
            Some(worker) => {
                error!("the worker of notifier {id} panicked and is replaced");
                self.employ(worker.row, exited.left, ctx);
                return;
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
