//! Tells people: sees to it that every notification comes to its end.
//!
//! - hears: [`Announced`] from the Persister; [`NotifiersLoaded`]; [`GetWaiting`], [`RetryNow`]; [`Drain`], [`Stop`];
//!   [`Attempted`] and [`ChildExited`] from its workers
//! - says: [`DeliveryChanged`], [`LoadUndelivered`], [`Listen`] to the Persister; [`Deliver`], [`Refit`], [`Hurry`],
//!   [`Drain`], [`Stop`] to its workers
//! - owns: the notifications on their way; a worker for each enabled notifier, so that one slow sink delays no other
//! - timer: the next scan of the journal
//!
//! # Design notes
//!
//! 2026-11: announcements make it quick, the scan makes it right: what a crash, a full queue or a lost message left
//! behind is found in the journal again. A notification is forgotten here only when its end is durable, so a scan
//! never takes up what was delivered.

mod message;
mod queue;
mod scan;
mod worker;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use actix::prelude::*;
use futures_util::future::join_all;
use log::error;
use uuid::Uuid;

use self::{
    message::{Attempted, Deliver, Hurry, Refit},
    scan::Rescan,
    worker::{Post, SinkWorker},
};
use crate::{
    domain::{
        Delivery, DeliveryState, NotificationNews, NotifierDefinition, NotifierId, NotifierOptions,
        NotifierRow, Parcel, text,
    },
    event::{Announced, DeliveryChanged, Listen, NotifiersLoaded},
    lifecycle::{ChildExited, Drain, Stop},
    port::{Clock, SinkFactory, plan_sink},
    query::LoadUndelivered,
};

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
    /// What is on its way, as it came, or has come to an end that is not durable.
    parcels: HashMap<NotifierId, Vec<Parcel>>,
    /// Of these notifiers the journal has more.
    backlogs: HashSet<NotifierId>,
    /// Whether the journal is being looked through.
    looking: bool,
    /// What came to its end since that has begun.
    ended: HashSet<Uuid>,
    /// For whom something came since then that is not in memory.
    skipped: HashSet<NotifierId>,
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
            skipped: HashSet::new(),
        }
    }

    /// Sees to a notification, unless it is known.
    fn take_up(&mut self, parcel: Parcel, ctx: &mut Context<Self>) {
        let (notifier, id) = (parcel.notification.notifier, parcel.notification.id);
        let of_notifier = self.parcels.entry(notifier).or_default();
        if of_notifier.iter().any(|known| known.notification.id == id) {
            return;
        }
        if of_notifier.len() >= QUEUE_MAX {
            self.leave(notifier);
            return;
        }
        of_notifier.push(parcel.clone());
        match self.workers.get(&notifier) {
            Some(worker) => tell(&worker.addr, Deliver(parcel)),
            None if self.loaded => self.refuse(notifier, ctx),
            None => {}
        }
    }

    /// Leaves what came for a notifier in the journal for now.
    fn leave(&mut self, notifier: NotifierId) {
        self.backlogs.insert(notifier);
        self.skipped.insert(notifier);
    }

    /// Nobody is there to be told any more.
    fn refuse(&mut self, notifier: NotifierId, ctx: &mut Context<Self>) {
        let left = self.parcels.get(&notifier).into_iter().flatten();
        let left: Vec<_> = left.filter(|parcel| !parcel.delivery.state.is_final()).cloned().collect();
        if !left.is_empty() {
            error!(
                "{} notifications are not delivered: notifier {notifier} was disabled or deleted",
                left.len()
            );
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
        let Some(parcel) = self.parcel(notifier, id) else {
            return;
        };
        parcel.delivery = delivery;
        let is_final = parcel.delivery.state.is_final();
        let news = NotificationNews::of(parcel);
        let kept = self.links.record.send(DeliveryChanged { id, news });
        ctx.spawn(kept.into_actor(self).map(move |durable, actor, ctx| {
            if is_final && durable.is_ok_and(|durable| durable) {
                actor.forget(notifier, id, ctx);
            }
        }));
    }

    /// Has a notification kept with all that it is about.
    fn record_anew(&mut self, notifier: NotifierId, id: Uuid, ctx: &mut Context<Self>) {
        let Some(parcel) = self.parcel(notifier, id) else {
            return;
        };
        let alert = Some(parcel.notification.alert.clone());
        let news = NotificationNews { alert, ..NotificationNews::of(parcel) };
        let kept = self.links.record.send(DeliveryChanged { id, news });
        ctx.spawn(kept.into_actor(self).map(|_, _, _| ()));
    }

    fn parcel(&mut self, notifier: NotifierId, id: Uuid) -> Option<&mut Parcel> {
        self.parcels.get_mut(&notifier)?.iter_mut().find(|parcel| parcel.notification.id == id)
    }

    fn forget(&mut self, notifier: NotifierId, id: Uuid, ctx: &mut Context<Self>) {
        self.ended.insert(id);
        let Some(of_notifier) = self.parcels.get_mut(&notifier) else {
            return;
        };
        of_notifier.retain(|parcel| parcel.notification.id != id);
        // What waits in the journal has its turn.
        if of_notifier.is_empty() {
            self.parcels.remove(&notifier);
            if self.backlogs.contains(&notifier) {
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
        let left = self.parcels.get(&id).into_iter().flatten();
        left.filter(|parcel| !parcel.delivery.state.is_final())
            .for_each(|parcel| tell(&addr, Deliver(parcel.clone())));
        self.workers.insert(id, Worker { row, addr });
    }
}

fn refit(sinks: &dyn SinkFactory, row: &NotifierRow) -> Refit {
    // A row at fault has no sink, and what it wants does not matter.
    let wishes = NotifierOptions::read(row.definition.options.as_ref()).unwrap_or_default();
    Refit { label: label(row.id, &row.definition), wishes, sink: plan_sink(sinks, row) }
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
            if self.backlogs.contains(&notification.notifier) {
                self.leave(notification.notifier);
            } else {
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

impl Handler<NotifiersLoaded> for Notifier {
    type Result = ();

    fn handle(&mut self, NotifiersLoaded(rows): NotifiersLoaded, ctx: &mut Context<Self>) {
        self.follow(rows, ctx);
    }
}

impl Handler<GetWaiting> for Notifier {
    type Result = usize;

    fn handle(&mut self, _: GetWaiting, _: &mut Context<Self>) -> usize {
        self.parcels.values().flatten().filter(|parcel| !parcel.delivery.state.is_final()).count()
    }
}

impl Handler<RetryNow> for Notifier {
    type Result = bool;

    fn handle(&mut self, RetryNow(id): RetryNow, _: &mut Context<Self>) -> bool {
        let waits = |parcel: &&Parcel| parcel.notification.id == id && !parcel.delivery.state.is_final();
        let parcel = self.parcels.values().flatten().find(waits);
        match parcel.and_then(|parcel| self.workers.get(&parcel.notification.notifier)) {
            Some(worker) => {
                tell(&worker.addr, Hurry(id));
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
        if exited.panicked
            && let Some(worker) = self.workers.remove(&id)
        {
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

impl Handler<Stop> for Notifier {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use time::macros::datetime;
    use tokio::time::{pause, sleep};

    use super::*;
    use crate::{
        domain::{
            Alert, AlertTarget, Cause, Event, Incident, Notification, Outcome, Status, Tally,
            TargetDefinition, TargetId,
        },
        port::JournalError,
        testing::{Answer, RecordingSinks, TestClock, fixtures::notifier_row},
    };

    /// Stands for the Persister: keeps what it is told, and knows what has not come to its end.
    #[derive(Default)]
    struct Outbox {
        parcels: BTreeMap<Uuid, Parcel>,
        changes: Vec<(Uuid, Delivery)>,
        anew: bool,
        /// Whether nothing becomes durable.
        forgetful: bool,
    }

    #[derive(Message)]
    #[rtype(result = "()")]
    struct Put(Vec<Notification>);

    #[derive(Message)]
    #[rtype(result = "Vec<(Uuid, Delivery)>")]
    struct GetChanges;

    /// Was a notification told with all that it is about?
    #[derive(Message)]
    #[rtype(result = "bool")]
    struct GetAnew;

    impl Actor for Outbox {
        type Context = Context<Self>;
    }

    impl Handler<Listen> for Outbox {
        type Result = ();

        fn handle(&mut self, _: Listen, _: &mut Context<Self>) {}
    }

    impl Handler<Put> for Outbox {
        type Result = ();

        fn handle(&mut self, Put(notifications): Put, _: &mut Context<Self>) {
            for notification in notifications {
                let delivery = Delivery::pending(notification.alert.at);
                self.parcels.insert(notification.id, Parcel { notification, delivery });
            }
        }
    }

    impl Handler<DeliveryChanged> for Outbox {
        type Result = bool;

        fn handle(&mut self, DeliveryChanged { id, news }: DeliveryChanged, _: &mut Context<Self>) -> bool {
            if news.delivery.state.is_final() && !self.forgetful {
                self.parcels.remove(&id);
            }
            self.anew |= news.alert.is_some();
            self.changes.push((id, news.delivery));
            !self.forgetful
        }
    }

    impl Handler<LoadUndelivered> for Outbox {
        type Result = Result<Vec<Parcel>, JournalError>;

        fn handle(
            &mut self,
            LoadUndelivered { most }: LoadUndelivered,
            _: &mut Context<Self>,
        ) -> Self::Result {
            let mut of_each: HashMap<NotifierId, usize> = HashMap::new();
            let mut room = |parcel: &&Parcel| {
                let taken = of_each.entry(parcel.notification.notifier).or_default();
                *taken += 1;
                *taken <= most
            };
            Ok(self.parcels.values().filter(|parcel| room(parcel)).cloned().collect())
        }
    }

    impl Handler<GetAnew> for Outbox {
        type Result = bool;

        fn handle(&mut self, _: GetAnew, _: &mut Context<Self>) -> bool {
            self.anew
        }
    }

    impl Handler<GetChanges> for Outbox {
        type Result = MessageResult<GetChanges>;

        fn handle(&mut self, _: GetChanges, _: &mut Context<Self>) -> Self::Result {
            MessageResult(self.changes.clone())
        }
    }

    struct House {
        notifier: Addr<Notifier>,
        outbox: Addr<Outbox>,
        sinks: RecordingSinks,
        clock: Arc<TestClock>,
    }

    /// A notifier on a paused clock that does not know its rows yet.
    fn empty_house(outbox: Outbox, answers: impl IntoIterator<Item = Answer>) -> House {
        pause();
        let sinks = RecordingSinks::new(answers);
        let clock = Arc::new(TestClock::default());
        let outbox = outbox.start();
        let links = Links {
            listen: outbox.clone().recipient(),
            record: outbox.clone().recipient(),
            undelivered: outbox.clone().recipient(),
            sinks: Arc::new(sinks.clone()),
            thread: Arbiter::current(),
            clock: clock.clone(),
        };
        let notifier = Notifier::new(links, Duration::from_secs(24 * 60 * 60)).start();
        House { notifier, outbox, sinks, clock }
    }

    /// A notifier with notifiers of these names, from id 1 on.
    async fn house<const N: usize>(names: [&str; N], answers: impl IntoIterator<Item = Answer>) -> House {
        let house = empty_house(Outbox::default(), answers);
        house.load((1..).zip(names).map(|(id, name)| notifier_row(id, name)).collect()).await;
        house
    }

    fn notification(notifier: u64, target: u64, event: Event, at: time::OffsetDateTime) -> Notification {
        let (row, _) = TargetDefinition::new("home", "http://h/").read(TargetId(target));
        let outcome = match event {
            Event::Fail => Outcome::fail(Cause::Connect, "connection refused"),
            _ => Outcome::pass("200 OK"),
        };
        let alert = Alert {
            event,
            at,
            target: AlertTarget::from(&row),
            status: Status::Fail,
            previous_status: Status::Pass,
            incident: Some(Incident::begin(datetime!(2026-01-02 12:00 UTC), target)),
            outcome: Arc::new(outcome),
            tally: Tally::default(),
        };
        Notification::new(NotifierId(notifier), Arc::new(alert))
    }

    impl House {
        async fn load(&self, rows: Vec<NotifierRow>) {
            self.notifier.send(NotifiersLoaded(rows)).await.unwrap();
        }

        /// Announces an event of a target to a notifier.
        async fn event(&self, notifier: u64, target: u64, event: Event) -> Uuid {
            let notification = notification(notifier, target, event, self.clock.now());
            let id = notification.id;
            self.outbox.send(Put(vec![notification.clone()])).await.unwrap();
            self.notifier.send(Announced(vec![notification])).await.unwrap();
            id
        }

        async fn fail(&self) -> Uuid {
            self.event(1, 1, Event::Fail).await
        }

        async fn waiting(&self) -> usize {
            self.notifier.send(GetWaiting).await.unwrap()
        }

        fn delivered_to(&self, name: &str) -> Vec<(u64, Event)> {
            let delivered = self.sinks.delivered().into_iter().filter(|(to, _)| to == name);
            delivered.map(|(_, n)| (n.alert.target.id.0, n.alert.event)).collect()
        }

        async fn ends(&self) -> Vec<DeliveryState> {
            let changes = self.outbox.send(GetChanges).await.unwrap();
            changes.into_iter().map(|(_, d)| d.state).filter(|state| state.is_final()).collect()
        }
    }

    async fn seconds(seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
    }

    #[actix::test]
    async fn a_notification_is_delivered_and_its_way_is_taken_down() {
        let house = house(["ops"], [Answer::Delivered]).await;
        let id = house.fail().await;
        seconds(1).await;
        assert_eq!(house.delivered_to("ops"), [(1, Event::Fail)]);
        let changes = house.outbox.send(GetChanges).await.unwrap();
        let way: Vec<_> = changes.into_iter().map(|(of, d)| (of == id, d.state, d.attempts)).collect();
        assert_eq!(way, [(true, DeliveryState::Sending, 0), (true, DeliveryState::Delivered, 1)]);
        assert_eq!(house.waiting().await, 0);
    }

    #[actix::test]
    async fn what_an_earlier_life_left_is_delivered_with_the_same_id() {
        let old = notification(1, 1, Event::Fail, datetime!(2026-01-02 03:04:05 UTC));
        let (id, delivery) = (old.id, Delivery { attempts: 3, ..Delivery::pending(old.alert.at) });
        let parcels = [(id, Parcel { notification: old, delivery })].into();
        let house = empty_house(Outbox { parcels, ..Outbox::default() }, [Answer::Delivered]);
        house.clock.set(datetime!(2026-01-02 03:04:06 UTC));
        seconds(1).await;
        // Whom it is for is not known yet, so he is not taken for gone.
        assert_eq!((house.waiting().await, house.ends().await), (1, vec![]));
        house.load(vec![notifier_row(1, "ops")]).await;
        seconds(1).await;
        assert_eq!(house.sinks.delivered().iter().map(|(_, n)| n.id).collect::<Vec<_>>(), [id]);
        assert_eq!(house.ends().await, [DeliveryState::Delivered]);
    }

    #[actix::test]
    async fn an_announcement_that_was_lost_is_found_by_the_scan_and_nothing_is_sent_twice() {
        let house = house(["ops"], [Answer::Delivered]).await;
        house.fail().await;
        let lost = notification(1, 2, Event::Fail, house.clock.now());
        house.outbox.send(Put(vec![lost])).await.unwrap();
        seconds(600).await;
        assert_eq!(house.delivered_to("ops"), [(1, Event::Fail), (2, Event::Fail)]);
    }

    #[actix::test]
    async fn a_sink_that_hangs_delays_no_other() {
        let house = house(["slow", "ops"], [Answer::Delivered]).await;
        house.sinks.script("slow", [Answer::Hang]);
        house.load(vec![notifier_row(3, "slow"), notifier_row(2, "ops")]).await;
        house.event(3, 1, Event::Fail).await;
        house.event(2, 1, Event::Fail).await;
        sleep(Duration::from_millis(1)).await;
        assert_eq!(house.delivered_to("ops"), [(1, Event::Fail)]);
        assert_eq!(house.waiting().await, 1);
    }

    #[actix::test]
    async fn a_recovery_waits_for_its_failure_but_not_for_another_target() {
        let answers = [Answer::Transient(None), Answer::Delivered];
        let house = house(["ops"], answers).await;
        house.event(1, 1, Event::Fail).await;
        house.event(1, 1, Event::Recovery).await;
        house.event(1, 2, Event::Fail).await;
        sleep(Duration::from_millis(1)).await;
        assert_eq!(house.delivered_to("ops"), [(2, Event::Fail)]);
        seconds(60).await;
        assert_eq!(house.delivered_to("ops"), [(2, Event::Fail), (1, Event::Fail), (1, Event::Recovery)]);
        let ids: HashSet<_> = house.sinks.attempts().iter().map(|(_, n)| n.id).collect();
        assert_eq!((ids.len(), house.sinks.attempts().len()), (3, 4));
    }

    #[actix::test]
    async fn a_receiver_that_is_down_is_not_asked_once_for_each_target() {
        let house = house(["ops"], [Answer::Transient(None)]).await;
        for target in 1..=500 {
            house.event(1, target, Event::Fail).await;
        }
        seconds(600).await;
        let attempts = house.sinks.attempts().len();
        assert!(attempts < 60, "{attempts}");
        house.sinks.script("mended", [Answer::Delivered]);
        house.load(vec![notifier_row(1, "mended")]).await;
        seconds(1).await;
        assert_eq!(house.delivered_to("mended").len(), 500);
    }

    #[actix::test]
    async fn the_receivers_retry_after_holds_for_all_that_it_is_to_be_told() {
        let answers = [Answer::Transient(Some(Duration::from_secs(600))), Answer::Delivered];
        let house = house(["ops"], answers).await;
        house.fail().await;
        house.event(1, 2, Event::Fail).await;
        seconds(599).await;
        assert!(house.delivered_to("ops").is_empty());
        seconds(2).await;
        assert_eq!(house.delivered_to("ops").len(), 2);
    }

    #[actix::test]
    async fn an_hour_of_failures_ends_in_a_delivery() {
        let house = house(["ops"], [Answer::Transient(None)]).await;
        house.fail().await;
        seconds(3_600).await;
        let attempts = house.sinks.attempts().len();
        assert!((10..100).contains(&attempts), "{attempts}");
        house.sinks.script("ops", [Answer::Delivered]);
        let id = house.sinks.attempts()[0].1.id;
        let mut row = notifier_row(1, "ops");
        row.definition.params = crate::domain::Secret::new("server=other");
        house.load(vec![row]).await;
        seconds(1).await;
        assert_eq!(house.sinks.delivered().iter().map(|(_, n)| n.id).collect::<Vec<_>>(), [id]);
    }

    #[actix::test]
    async fn what_is_refused_has_come_to_its_end_at_once() {
        let house = house(["ops"], [Answer::Permanent]).await;
        house.fail().await;
        seconds(1).await;
        assert_eq!((house.ends().await, house.waiting().await), (vec![DeliveryState::Refused], 0));
        let (_, last) = house.outbox.send(GetChanges).await.unwrap().pop().unwrap();
        assert_eq!(last.last_error.as_deref(), Some("550 never"));
    }

    #[actix::test]
    async fn what_finds_no_way_in_time_has_expired() {
        let house = house(["ops"], [Answer::Hang]).await;
        house.fail().await;
        seconds(23 * 3_600).await;
        assert!(house.ends().await.is_empty());
        seconds(2 * 3_600).await;
        assert_eq!((house.ends().await, house.waiting().await), (vec![DeliveryState::Expired], 0));
        assert!(house.sinks.attempts().len() > 100);
    }

    /// What becomes of a failure of the day before yesterday.
    async fn too_late(answer: Answer) -> Vec<DeliveryState> {
        let house = house(["ops"], [answer]).await;
        let of_old = house.clock.now() - time::Duration::days(2);
        let told = vec![notification(1, 1, Event::Fail, of_old)];
        house.notifier.send(Announced(told)).await.unwrap();
        seconds(3_600).await;
        assert!(!house.sinks.attempts().is_empty());
        house.ends().await
    }

    #[actix::test]
    async fn what_comes_too_late_has_a_last_chance() {
        assert_eq!(too_late(Answer::Delivered).await, [DeliveryState::Delivered]);
    }

    #[actix::test]
    async fn a_last_chance_has_an_end() {
        assert_eq!(too_late(Answer::Transient(None)).await, [DeliveryState::Expired]);
    }

    #[actix::test]
    async fn a_clock_that_steps_lets_nothing_expire_and_nothing_live_for_ever() {
        let house = house(["ops"], [Answer::Transient(None)]).await;
        house.fail().await;
        seconds(1).await;
        house.clock.set(house.clock.now() + time::Duration::days(30));
        seconds(600).await;
        assert!(house.ends().await.is_empty());
        house.clock.set(house.clock.now() - time::Duration::days(60));
        seconds(25 * 3_600).await;
        assert_eq!(house.ends().await, [DeliveryState::Expired]);
    }

    #[actix::test]
    async fn what_a_row_at_fault_cannot_tell_waits_until_it_is_mended() {
        let house = house([], [Answer::Delivered]).await;
        let mut row = notifier_row(1, "ops");
        row.definition.kind.clear();
        house.load(vec![row.clone()]).await;
        house.fail().await;
        seconds(3_600).await;
        assert_eq!((house.ends().await, house.waiting().await), (vec![], 1));
        let (_, last) = house.outbox.send(GetChanges).await.unwrap().pop().unwrap();
        assert!(last.last_error.unwrap().contains("type: is empty"));
        row.definition.kind = "SMTP".to_owned();
        house.load(vec![row]).await;
        seconds(1).await;
        assert_eq!(house.delivered_to("ops"), [(1, Event::Fail)]);
    }

    #[actix::test]
    async fn more_than_fits_into_memory_waits_in_the_journal_and_keeps_its_order() {
        let house = house([], [Answer::Delivered]).await;
        let mut row = notifier_row(1, "ops");
        row.definition.kind.clear();
        house.load(vec![row.clone()]).await;
        for n in 0..2_500 {
            let event = if n % 2 == 0 { Event::Fail } else { Event::Recovery };
            house.clock.set(house.clock.now() + time::Duration::milliseconds(2));
            house.event(1, 1, event).await;
        }
        assert_eq!(house.waiting().await, QUEUE_MAX);
        row.definition.kind = "SMTP".to_owned();
        house.load(vec![row]).await;
        seconds(600).await;
        let delivered = house.delivered_to("ops");
        assert_eq!(delivered.len(), 2_500);
        let alternate = (0..2_500).map(|n| if n % 2 == 0 { Event::Fail } else { Event::Recovery });
        assert!(delivered.iter().map(|(_, event)| *event).eq(alternate));
    }

    /// A notifier of these options.
    async fn house_of(options: &str) -> House {
        let house = house([], [Answer::Delivered]).await;
        let mut row = notifier_row(1, "ops");
        row.definition.options = Some(crate::domain::Secret::new(options));
        house.load(vec![row]).await;
        house
    }

    /// A notifier that is told of what has lasted a minute.
    async fn patient_house() -> House {
        house_of(r#"{"min_duration_s": 60}"#).await
    }

    #[actix::test]
    async fn what_fell_into_quiet_hours_is_told_at_their_end_if_it_still_holds() {
        let house = house_of(r#"{"quiet_hours": {"from": "23:00", "until": "03:10"}}"#).await;
        house.clock.set(datetime!(2026-01-02 03:04 UTC));
        house.event(1, 1, Event::Fail).await;
        house.event(1, 2, Event::Fail).await;
        seconds(120).await;
        house.event(1, 1, Event::Recovery).await;
        seconds(239).await;
        assert!(house.delivered_to("ops").is_empty());
        seconds(2).await;
        assert_eq!(house.delivered_to("ops"), [(2, Event::Fail)]);
        assert_eq!(house.waiting().await, 0);
    }

    #[actix::test]
    async fn a_failure_that_is_over_before_it_was_to_be_told_is_withdrawn_with_its_end() {
        let house = patient_house().await;
        house.fail().await;
        house.event(1, 2, Event::Fail).await;
        seconds(59).await;
        assert!(house.delivered_to("ops").is_empty());
        house.event(1, 1, Event::Recovery).await;
        seconds(2).await;
        assert_eq!(house.delivered_to("ops"), [(2, Event::Fail)]);
        let ends = [DeliveryState::Withdrawn, DeliveryState::Withdrawn, DeliveryState::Delivered];
        assert_eq!((house.ends().await, house.waiting().await), (ends.to_vec(), 0));
    }

    #[actix::test]
    async fn whoever_was_told_of_a_failure_is_told_of_its_end_though_the_clock_stepped_back() {
        let house = patient_house().await;
        house.fail().await;
        seconds(61).await;
        house.clock.set(house.clock.now() - time::Duration::hours(1));
        house.event(1, 1, Event::Recovery).await;
        seconds(1).await;
        assert_eq!(house.delivered_to("ops"), [(1, Event::Fail), (1, Event::Recovery)]);
    }

    #[actix::test]
    async fn a_reminder_that_found_no_way_gives_way_to_the_next() {
        let house = house(["ops"], [Answer::Transient(None)]).await;
        house.fail().await;
        for _ in 0..5 {
            seconds(60).await;
            house.event(1, 1, Event::Reminder).await;
        }
        assert_eq!(house.waiting().await, 2);
        house.event(1, 1, Event::Recovery).await;
        seconds(1).await;
        assert_eq!(house.waiting().await, 2);
        assert!(house.ends().await.iter().all(|end| *end == DeliveryState::Withdrawn));
    }

    #[actix::test]
    async fn what_a_drain_left_is_for_the_next_life() {
        let house = patient_house().await;
        house.fail().await;
        assert_eq!(house.notifier.send(Drain).await.unwrap(), 1);
        seconds(3_600).await;
        assert_eq!((house.delivered_to("ops"), house.waiting().await), (vec![], 1));
    }

    #[actix::test]
    async fn what_was_delivered_while_the_journal_fails_is_not_sent_again() {
        let outbox = Outbox { forgetful: true, ..Outbox::default() };
        let house = empty_house(outbox, [Answer::Delivered]);
        house.load(vec![notifier_row(1, "ops")]).await;
        house.fail().await;
        seconds(600).await;
        assert_eq!((house.sinks.attempts().len(), house.waiting().await), (1, 0));
    }

    #[actix::test]
    async fn what_the_journal_never_had_is_recorded_anew() {
        let house = house(["ops"], [Answer::Transient(None)]).await;
        let unkept = notification(1, 1, Event::Fail, house.clock.now());
        house.notifier.send(Announced(vec![unkept])).await.unwrap();
        seconds(120).await;
        assert!(house.outbox.send(GetAnew).await.unwrap());
    }

    #[actix::test]
    async fn a_disabled_notifier_is_told_nothing_and_what_waited_is_kept_as_refused() {
        let house = house(["ops"], [Answer::Transient(None)]).await;
        house.fail().await;
        seconds(1).await;
        let mut row = notifier_row(1, "ops");
        row.definition.enabled = false;
        house.load(vec![row]).await;
        let attempts = house.sinks.attempts().len();
        house.fail().await;
        seconds(60).await;
        assert_eq!(house.waiting().await, 0);
        assert_eq!(house.ends().await, [DeliveryState::Refused, DeliveryState::Refused]);
        assert_eq!(house.sinks.attempts().len(), attempts);
    }

    #[actix::test]
    async fn what_waits_for_a_worker_that_panics_is_delivered_by_the_next() {
        let house = house(["ops"], [Answer::Transient(None)]).await;
        house.fail().await;
        seconds(1).await;
        house.sinks.script("ops", [Answer::Delivered]);
        // The address of the worker is alive yet, as it is while a panic unwinds on another thread.
        house.notifier.send(ChildExited { child: NotifierId(1), panicked: true, left: () }).await.unwrap();
        seconds(1).await;
        assert_eq!(house.delivered_to("ops"), [(1, Event::Fail)]);
    }

    #[actix::test]
    async fn an_operator_may_have_what_waits_tried_now() {
        let house =
            house(["ops"], [Answer::Transient(Some(Duration::from_secs(600))), Answer::Delivered]).await;
        let id = house.fail().await;
        seconds(1).await;
        assert!(house.notifier.send(RetryNow(id)).await.unwrap());
        assert!(!house.notifier.send(RetryNow(Uuid::nil())).await.unwrap());
        seconds(1).await;
        assert_eq!(house.delivered_to("ops"), [(1, Event::Fail)]);
    }

    #[actix::test]
    async fn a_drain_tries_what_waits_once_more_and_tells_what_is_left() {
        let house = house(["ops", "dead"], [Answer::Transient(None), Answer::Delivered]).await;
        house.sinks.script("dead", [Answer::Transient(None)]);
        house.load(vec![notifier_row(1, "ops"), notifier_row(3, "dead")]).await;
        house.event(1, 1, Event::Fail).await;
        house.event(3, 1, Event::Fail).await;
        sleep(Duration::from_millis(1)).await;
        assert_eq!(house.notifier.send(Drain).await.unwrap(), 1);
        assert_eq!(house.delivered_to("ops"), [(1, Event::Fail)]);
    }
}
