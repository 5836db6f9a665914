//! Tells people: sees to it that every notification comes to its end.
//!
//! - hears: [`Announced`] from the Persister; [`NotifiersLoaded`]; [`GetWaiting`], [`RetryNow`]; [`Drain`];
//!   [`Attempted`] and [`ChildExited`] from its workers
//! - says: [`DeliveryChanged`], [`LoadUndelivered`], [`Listen`] to the Persister; [`Deliver`], [`Refit`], [`Hurry`],
//!   [`Stop`] to its workers
//! - owns: the notifications on their way; a worker for each enabled notifier, so that one slow sink delays no other
//! - timer: the next scan of the journal
//!
//! # Design notes
//!
//! 2026-11: announcements make it quick, the scan makes it right: what a crash, a full queue or a lost message left
//! behind is found in the journal again. A notification is forgotten here only when its end is durable, so a scan
//! never takes up what was delivered.

mod worker;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use actix::prelude::*;
use futures_util::future::join_all;
use log::{error, warn};
use uuid::Uuid;

use self::worker::{Attempted, Deliver, Hurry, Post, Refit, SinkWorker};
use crate::{
    domain::{
        Delivery, DeliveryState, NotificationNews, NotifierDefinition, NotifierId, NotifierRow, Parcel, text,
    },
    event::{Announced, DeliveryChanged, Listen, NotifiersLoaded},
    lifecycle::{ChildExited, Drain, Stop},
    port::{Clock, JournalError, SinkFactory, plan_sink},
    query::LoadUndelivered,
};

/// How often the journal is looked through for what was left behind.
const SCAN_EVERY: Duration = Duration::from_secs(60);

/// The notifications of one notifier that are in memory; more wait in the journal.
const QUEUE_MAX: usize = 1_000;

/// How many notifications are not delivered yet?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "usize")]
pub struct GetWaiting;

/// Try this notification now, if it is on its way; tells whether it is.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "bool")]
pub struct RetryNow(pub Uuid);

/// Whom the Notifier works with.
#[derive(Clone)]
pub struct Links {
    /// Announces notifications.
    pub listen: Recipient<Listen>,
    /// Keeps what becomes of them.
    pub record: Recipient<DeliveryChanged>,
    /// Knows what has not come to its end.
    pub undelivered: Recipient<LoadUndelivered>,
    /// Knows the kinds of sinks.
    pub sinks: Arc<dyn SinkFactory>,
    /// Where the workers live.
    pub thread: ArbiterHandle,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

/// Tells people.
pub struct Notifier {
    links: Links,
    give_up_after: Duration,
    /// Whether the rows are known: before that, nobody is known to be gone.
    loaded: bool,
    workers: HashMap<NotifierId, Worker>,
    /// What is on its way, by its age.
    parcels: HashMap<NotifierId, BTreeMap<Uuid, Parcel>>,
    /// Of these notifiers the journal has more.
    backlogs: HashSet<NotifierId>,
    /// Whether the journal is being looked through.
    looking: bool,
    /// What came to its end since that has begun.
    ended: HashSet<Uuid>,
}

struct Worker {
    row: NotifierRow,
    addr: Addr<SinkWorker>,
}

impl Notifier {
    /// A notifier that tries each notification for `give_up_after`.
    pub fn new(links: Links, give_up_after: Duration) -> Self {
        Self {
            links,
            give_up_after,
            loaded: false,
            workers: HashMap::new(),
            parcels: HashMap::new(),
            backlogs: HashSet::new(),
            looking: false,
            ended: HashSet::new(),
        }
    }

    /// Looks through the journal for what nobody delivers.
    fn scan(&mut self, ctx: &mut Context<Self>) {
        ctx.run_later(SCAN_EVERY, Self::scan);
        self.look(ctx);
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.looking, true) {
            return;
        }
        self.ended.clear();
        let loaded = self.links.undelivered.send(LoadUndelivered { most: QUEUE_MAX });
        ctx.spawn(loaded.into_actor(self).map(|loaded, actor, ctx| {
            actor.looking = false;
            let gone = |error: MailboxError| JournalError(error.into());
            match loaded.map_err(gone).flatten() {
                Ok(parcels) => actor.take_up_again(parcels, ctx),
                Err(error) => warn!("undelivered notifications cannot be looked up: {}", text::chain(&error)),
            }
        }));
    }

    fn take_up_again(&mut self, parcels: Vec<Parcel>, ctx: &mut Context<Self>) {
        let mut found: HashMap<NotifierId, usize> = HashMap::new();
        for parcel in &parcels {
            *found.entry(parcel.notification.notifier).or_default() += 1;
        }
        self.backlogs = found.into_iter().filter(|(_, n)| *n >= QUEUE_MAX).map(|(id, _)| id).collect();
        for parcel in parcels {
            if !self.ended.contains(&parcel.notification.id) {
                self.take_up(parcel, ctx);
            }
        }
    }

    /// Sees to a notification, unless it is known.
    fn take_up(&mut self, parcel: Parcel, ctx: &mut Context<Self>) {
        let (notifier, id) = (parcel.notification.notifier, parcel.notification.id);
        let of_notifier = self.parcels.entry(notifier).or_default();
        if of_notifier.contains_key(&id) {
            return;
        }
        if of_notifier.len() >= QUEUE_MAX {
            self.backlogs.insert(notifier);
            return;
        }
        of_notifier.insert(id, parcel.clone());
        match self.workers.get(&notifier) {
            Some(worker) => tell(&worker.addr, Deliver(parcel)),
            None if self.loaded => self.refuse(notifier, ctx),
            None => {}
        }
    }

    /// Nobody is there to be told any more.
    fn refuse(&mut self, notifier: NotifierId, ctx: &mut Context<Self>) {
        let left = self.parcels.get(&notifier).into_iter().flat_map(BTreeMap::values);
        let left: Vec<_> = left.filter(|parcel| !parcel.delivery.state.is_final()).cloned().collect();
        if !left.is_empty() {
            error!("{} notifications are not delivered: notifier {notifier} was disabled or deleted", left.len());
        }
        for parcel in left {
            let delivery = Delivery {
                state: DeliveryState::Refused,
                last_error: Some("the notifier was disabled or deleted".to_owned()),
                at: self.links.clock.now(),
                ..parcel.delivery
            };
            self.record(notifier, parcel.notification.id, delivery, ctx);
        }
    }

    /// Has a delivery kept, and forgets one that has come to its end when that is durable.
    fn record(&mut self, notifier: NotifierId, id: Uuid, delivery: Delivery, ctx: &mut Context<Self>) {
        let Some(parcel) = self.parcels.get_mut(&notifier).and_then(|of_notifier| of_notifier.get_mut(&id)) else {
            return;
        };
        parcel.delivery = delivery;
        let is_final = parcel.delivery.state.is_final();
        let news = NotificationNews::of(parcel);
        let kept = self.links.record.send(DeliveryChanged { id, news });
        ctx.spawn(kept.into_actor(self).map(move |_, actor, ctx| {
            if is_final {
                actor.forget(notifier, id, ctx);
            }
        }));
    }

    fn forget(&mut self, notifier: NotifierId, id: Uuid, ctx: &mut Context<Self>) {
        self.ended.insert(id);
        let Some(of_notifier) = self.parcels.get_mut(&notifier) else {
            return;
        };
        of_notifier.remove(&id);
        // What waits in the journal has its turn.
        if of_notifier.is_empty() {
            self.parcels.remove(&notifier);
            if self.backlogs.remove(&notifier) {
                ctx.notify(Rescan);
            }
        }
    }

    /// Makes the workers those of the enabled rows.
    fn follow(&mut self, rows: Vec<NotifierRow>, ctx: &mut Context<Self>) {
        self.loaded = true;
        let wanted: HashMap<NotifierId, NotifierRow> =
            rows.into_iter().filter(|row| row.definition.enabled).map(|row| (row.id, row)).collect();
        self.workers.retain(|id, worker| {
            let stays = wanted.contains_key(id);
            if !stays {
                tell(&worker.addr, Stop);
            }
            stays
        });
        let unwanted: Vec<_> = self.parcels.keys().filter(|id| !wanted.contains_key(id)).copied().collect();
        unwanted.into_iter().for_each(|id| self.refuse(id, ctx));
        for (id, row) in wanted {
            match self.workers.get_mut(&id) {
                Some(worker) if worker.row.definition == row.definition => worker.row = row,
                Some(worker) => {
                    tell(&worker.addr, refit(&*self.links.sinks, &row));
                    worker.row = row;
                }
                None => self.employ(row, ctx),
            }
        }
    }

    /// Starts a worker, with all that waits for it.
    fn employ(&mut self, row: NotifierRow, ctx: &mut Context<Self>) {
        let post = Post {
            id: row.id,
            fit: refit(&*self.links.sinks, &row),
            give_up_after: self.give_up_after,
            attempted: ctx.address().recipient(),
            parent: ctx.address().recipient(),
            clock: self.links.clock.clone(),
        };
        let id = row.id;
        let addr = SinkWorker::start_in_arbiter(&self.links.thread, move |_| SinkWorker::new(post));
        let left = self.parcels.get(&id).into_iter().flat_map(BTreeMap::values);
        left.filter(|parcel| !parcel.delivery.state.is_final())
            .for_each(|parcel| tell(&addr, Deliver(parcel.clone())));
        self.workers.insert(id, Worker { row, addr });
    }
}

/// Look through the journal now, apart from the timer.
#[derive(Message)]
#[rtype(result = "()")]
struct Rescan;

fn refit(sinks: &dyn SinkFactory, row: &NotifierRow) -> Refit {
    Refit { label: label(row.id, &row.definition), sink: plan_sink(sinks, row) }
}

/// What the log calls a notifier.
fn label(id: NotifierId, definition: &NotifierDefinition) -> String {
    let name = text::reason(&definition.name);
    format!("notifier {id} ({name}, {})", text::reason(&definition.kind))
}

/// Tells a worker without waiting: it takes each message at once, and the Notifier bounds its queue.
fn tell<M: Message<Result = ()> + Send + 'static>(worker: &Addr<SinkWorker>, message: M)
where
    SinkWorker: Handler<M>,
{
    #[expect(clippy::disallowed_methods, reason = "at most one a notification or a change of the row")]
    worker.do_send(message);
}

impl Actor for Notifier {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let listening = self.links.listen.send(Listen(ctx.address().recipient()));
        // A Persister that is gone ends the daemon.
        ctx.wait(listening.into_actor(self).map(|_, actor, ctx| actor.scan(ctx)));
    }
}

impl Handler<Announced> for Notifier {
    type Result = ();

    fn handle(&mut self, Announced(notifications): Announced, ctx: &mut Context<Self>) {
        for notification in notifications {
            // Older ones of that notifier come first.
            if !self.backlogs.contains(&notification.notifier) {
                let delivery = Delivery::pending(notification.alert.at);
                self.take_up(Parcel { notification, delivery }, ctx);
            }
        }
    }
}

impl Handler<Attempted> for Notifier {
    type Result = ();

    fn handle(&mut self, attempted: Attempted, ctx: &mut Context<Self>) {
        self.record(attempted.notifier, attempted.id, attempted.delivery, ctx);
    }
}

impl Handler<Rescan> for Notifier {
    type Result = ();

    fn handle(&mut self, _: Rescan, ctx: &mut Context<Self>) {
        self.look(ctx);
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
        self.parcels.values().map(BTreeMap::len).sum()
    }
}

impl Handler<RetryNow> for Notifier {
    type Result = bool;

    fn handle(&mut self, RetryNow(id): RetryNow, _: &mut Context<Self>) -> bool {
        let notifier = self.parcels.iter().find(|(_, parcels)| parcels.contains_key(&id));
        match notifier.and_then(|(notifier, _)| self.workers.get(notifier)) {
            Some(worker) => {
                tell(&worker.addr, Hurry);
                true
            }
            None => false,
        }
    }
}

impl Handler<ChildExited<NotifierId, ()>> for Notifier {
    type Result = ();

    fn handle(&mut self, exited: ChildExited<NotifierId, ()>, ctx: &mut Context<Self>) {
        let id = exited.child;
        // One that was told to stop was taken out then; its address may seem to be alive still, since the word
        // of its end comes from the midst of the panic.
        if exited.panicked && let Some(worker) = self.workers.remove(&id) {
            error!("the worker of notifier {id} panicked and is replaced");
            self.employ(worker.row, ctx);
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
