//! Makes what happens durable: first in the journal, then in the database.
//!
//! - hears: [`ProbesCompleted`], [`DeliveryChanged`], [`Resend`]; [`ListRows`], [`GetPersistence`],
//!   [`LoadRows`](crate::query::LoadRows), [`LoadStates`](crate::query::LoadStates), [`GetProgress`](crate::query::GetProgress),
//!   [`LoadUndelivered`](crate::query::LoadUndelivered), [`Listen`]; what operators change; [`Drain`], [`Stop`]
//! - says: [`Announced`] to whoever listens
//! - owns: the journal's numbers; the batch that gathers; the newest batches that the database lacks; at most one
//!   call of the journal and one write
//! - timers: the next write, armed when the last one has ended
//!
//! # Design notes
//!
//! 2026-11: a result is accepted when its batch stands in the journal, and a target probes again when its result
//! was accepted: so a kill loses one probe a target at most. The notifications of an edge are routed here, since
//! they must become durable together with the edge, and are announced only then.
//!
//! 2026-11: the database follows the journal. A batch has one number for ever, and the database keeps the number of
//! the last one it has, in the same transaction: so each counts once, whoever dies in between. A journal that fails
//! (a full disk) stops nothing: results are then accepted and announced at once, and gather in memory.

mod ahead;
mod answer;
mod following;
mod journaling;
mod link;
mod operator;
mod tail;

use std::{sync::Arc, time::Duration};

use actix::prelude::*;
use futures_util::FutureExt;
use tokio::sync::{RwLock, oneshot, watch};

use self::{
    ahead::Ahead,
    link::{Link, Words},
    tail::Tail,
};
pub use self::{
    link::Away,
    operator::{AddNotifier, AddTarget, Change, UpdateNotifier, UpdateTarget},
};
use crate::{
    domain::{
        Alert, AlertTarget, Backoff, Batch, Edge, Event, Notification, NotificationNews, RawResult,
        TargetNews, routing,
    },
    event::{Announced, DeliveryChanged, Listen, ProbeCompleted, ProbesCompleted},
    lifecycle::{Drain, Stop},
    port::{Appended, Clock, Journal, Packet, Progress, Store, StoreError, within_deadline},
    query::Rows,
};

/// The waits between attempts on the database or the journal.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(5) };

/// How far the numbers jump at a start, past all that the former life wrote without its journal.
const STRIDE: u64 = 1 << 20;

/// About how many bytes of the journal are read at once.
const READ_BYTES: usize = 4 << 20;

/// The single results that may gather while the journal does not take them.
const RESULTS_MAX: usize = 100_000;

/// All rows, with all that has happened.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Rows, StoreError>")]
pub struct ListRows;

/// How are the database and the journal, and what waits for them?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Persistence")]
pub struct GetPersistence;

/// Deliver a notification that had come to its end once more. Accepted once that is durable, or known not to be.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Resend(pub Notification);

/// The answer to [`GetPersistence`].
#[derive(Clone, Debug, Default, MessageResponse)]
pub struct Persistence {
    /// The name of the backend.
    pub backend: &'static str,
    /// Since when the database cannot be read or written, and why; `None` is up.
    pub away: Option<Away>,
    /// The same of the journal.
    pub journal_away: Option<Away>,
    /// The bytes that the journal holds.
    pub journal_bytes: u64,
    /// Single results that had to go since the start, because there was no room for them.
    pub results_dropped: u64,
    /// Rows with news that are not in the database yet.
    pub results_waiting: usize,
    /// Enabled targets by status, in the order of [`Status::ALL`](crate::domain::Status::ALL).
    pub targets: [usize; 4],
}

/// Up to which ticket the pending batches were accepted, and up to which they are durable.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    accepted: u64,
    durable: u64,
}

/// Makes what happens durable.
pub struct Persister {
    store: Arc<dyn Store>,
    journal: Arc<dyn Journal>,
    flush_interval: Duration,
    listener: Option<Recipient<Announced>>,
    reading: Link,
    writing: Link,
    journaling: Link,
    journal_state: Appended,
    results_dropped: u64,
    /// The rows as last read or written, if they were ever read.
    rows: Option<Rows>,
    /// Gathers until the journal takes it.
    pending: Batch,
    /// Counts the pending batches: what waits for a ticket waits for its batch to be durable.
    ticket: u64,
    kept: watch::Sender<Kept>,
    /// The newest batch that was announced under its number.
    announced: u64,
    append_in_flight: bool,
    /// The last number that was given.
    number: u64,
    /// How far the database has followed, once that is known and the rest of the journal was looked through.
    progress: Option<Progress>,
    /// Whether that was tried yet.
    looked: watch::Sender<bool>,
    tail: Tail,
    ahead: Ahead,
    /// Rows are not read while a packet is written.
    turn: Arc<RwLock<()>>,
    /// Is being written, or must be written again.
    packet: Option<Arc<Packet>>,
    write_in_flight: bool,
    /// Who waits for everything to be durable; `Some` is the end.
    drained: Option<Vec<oneshot::Sender<usize>>>,
}

impl Persister {
    /// A persister that writes to the database every `flush_interval`.
    pub fn new(
        store: Arc<dyn Store>,
        journal: Arc<dyn Journal>,
        clock: Arc<dyn Clock>,
        flush_interval: Duration,
    ) -> Self {
        let link = |subject, done, meanwhile| Link::new(Words { subject, done, meanwhile }, clock.clone());
        Self {
            reading: link("the database", "read", "probing and alerts go on"),
            writing: link("the database", "written", "probing and alerts go on, results wait in the journal"),
            journaling: link(
                "the journal",
                "written",
                "probing and alerts go on, but what is not in the database is lost if skypunch is killed",
            ),
            number: journal.last() + STRIDE,
            store,
            journal,
            flush_interval,
            listener: None,
            journal_state: Appended::default(),
            results_dropped: 0,
            rows: None,
            pending: Batch::default(),
            ticket: 1,
            kept: watch::Sender::new(Kept::default()),
            announced: 0,
            append_in_flight: false,
            progress: None,
            looked: watch::Sender::new(false),
            tail: Tail::default(),
            ahead: Ahead::default(),
            turn: Arc::default(),
            packet: None,
            write_in_flight: false,
            drained: None,
        }
    }

    /// Finds out how far the database has followed the journal, and what it lacks.
    fn recover(&mut self, ctx: &mut Context<Self>) {
        let (store, journal) = (self.store.clone(), self.journal.clone());
        let found = async move {
            let progress = within_deadline(store.progress(journal.node())).await?;
            let mut ahead = Ahead::default();
            let (mut after, last) = (progress.rows, journal.last());
            while after < last {
                let batches = within_deadline(journal.read(after, READ_BYTES)).await?;
                let Some((newest, _)) = batches.last() else { break };
                after = *newest;
                // What came since the start is known.
                batches.iter().filter(|(number, _)| *number <= last).for_each(|(n, b)| ahead.add(*n, b));
            }
            Ok::<_, StoreError>((progress, ahead, last))
        };
        ctx.spawn(found.into_actor(self).map(|found, actor, ctx| {
            actor.reading.saw(&found);
            actor.looked.send_replace(true);
            match found {
                Ok((progress, mut ahead, last)) => {
                    let newer = actor.tail.iter().filter(|entry| entry.number > last || !entry.kept);
                    newer.for_each(|entry| ahead.add(entry.number, &entry.batch));
                    actor.ahead = ahead;
                    actor.progress = Some(progress);
                    actor.flush(ctx);
                }
                Err(_) => {
                    let wait = BACKOFF.wait(actor.reading.failures());
                    ctx.run_later(wait, Self::recover);
                }
            }
        }));
    }

    /// The notifications that a result makes.
    fn route(&self, event: &ProbeCompleted) -> Vec<Notification> {
        let unchanged = Edge { from: event.status, to: event.status };
        let reminder = event.reminder.then_some((unchanged, Event::Reminder));
        let change = event.edge.and_then(|edge| Some((edge, Event::of(edge)?)));
        let Some((edge, told)) = change.or(reminder) else {
            return Vec::new();
        };
        let alert = Alert {
            event: told,
            at: event.at,
            target: AlertTarget::from(&*event.target),
            status: edge.to,
            previous_status: edge.from,
            incident: event.incident,
            outcome: event.outcome.clone(),
            tally: event.tally,
        };
        let notifiers = self.rows.as_ref().map_or(&[][..], |rows| &rows.notifiers);
        routing::notifications(&Arc::new(alert), &event.target.options, notifiers)
    }
}

impl Actor for Persister {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.recover(ctx);
    }
}

impl Handler<ProbesCompleted> for Persister {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, ProbesCompleted(events): ProbesCompleted, ctx: &mut Context<Self>) -> Self::Result {
        for event in &*events {
            let ProbeCompleted { target, at, outcome, status, edge, incident, slots, .. } = event;
            self.pending.add(target.id, TargetNews::of(outcome, *at, *status, *edge, *incident));
            self.pending.results.extend(RawResult::of(target, *at, *status, outcome, *slots));
            for notification in self.route(event) {
                self.pending.tell(notification.id, NotificationNews::new(&notification));
            }
        }
        Box::pin(self.accept(ctx).map(|_durable| ()))
    }
}

impl Handler<DeliveryChanged> for Persister {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, changed: DeliveryChanged, ctx: &mut Context<Self>) -> Self::Result {
        self.pending.tell(changed.id, changed.news);
        self.accept(ctx)
    }
}

impl Handler<Resend> for Persister {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Resend(notification): Resend, ctx: &mut Context<Self>) -> Self::Result {
        self.pending.tell(notification.id, NotificationNews::new(&notification));
        Box::pin(self.accept(ctx).map(|_durable| ()))
    }
}

impl Handler<Listen> for Persister {
    type Result = ();

    fn handle(&mut self, Listen(listener): Listen, _: &mut Context<Self>) {
        self.listener = Some(listener);
    }
}

/// Makes everything durable; answers when it is, in the database too unless that is away: then with the number of
/// rows that have news.
impl Handler<Drain> for Persister {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, _: Drain, ctx: &mut Context<Self>) -> Self::Result {
        let (written, all_written) = oneshot::channel();
        self.drained.get_or_insert_default().push(written);
        self.hurry(ctx);
        if self.progress.is_none() {
            self.answer_drain();
        }
        self.flush(ctx);
        Box::pin(async move { all_written.await.unwrap_or(0) })
    }
}

impl Handler<Stop> for Persister {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{pause, sleep};

    use super::*;
    use crate::{
        domain::{Cause, DeliveryState, Incident, Outcome, Parcel, Status, TargetId, TargetRow},
        port::StoreError,
        query::{LoadRows, LoadUndelivered},
        testing::{
            Collector, Fault, Faults, FaultyStore, MemoryJournal, MemoryStore, TestClock,
            fixtures::{alone, notifier_row, probe_completed, target_row},
        },
    };

    struct House {
        persister: Addr<Persister>,
        store: MemoryStore,
        faults: Faults,
        journal: MemoryJournal,
        announced: Collector<Announced>,
    }

    /// A persister on a paused clock, over a store with one target and one notifier.
    async fn house() -> House {
        pause();
        let store = MemoryStore::default();
        store.put_target(target_row(1, "home"));
        store.put_notifier(notifier_row(1, "ops"));
        let house = open(store, MemoryJournal::default(), Fault::None).await;
        assert!(house.load().await.is_ok());
        house
    }

    async fn open(store: MemoryStore, journal: MemoryJournal, fault: Fault) -> House {
        let (faulty, faults) = FaultyStore::new(Arc::new(store.clone()));
        faults.set(fault);
        let clock = Arc::new(TestClock::default());
        let persister =
            Persister::new(Arc::new(faulty), Arc::new(journal.clone()), clock, Duration::from_millis(500))
                .start();
        let announced = Collector::<Announced>::default();
        persister.send(Listen(announced.recipient())).await.unwrap();
        let house = House { persister, store, faults, journal, announced };
        sleep(Duration::from_millis(1)).await;
        house
    }

    fn event(outcome: Outcome, edge: Option<Edge>) -> ProbesCompleted {
        let event = probe_completed(1, outcome);
        alone(ProbeCompleted { edge, incident: edge.map(|_| Incident::begin(event.at, 1)), ..event })
    }

    impl House {
        async fn pass(&self) {
            self.persister.send(event(Outcome::pass("200 OK"), None)).await.unwrap();
        }

        async fn fail(&self) {
            let edge = Edge { from: Status::Pass, to: Status::Fail };
            self.persister.send(event(Outcome::fail(Cause::Connect, "refused"), Some(edge))).await.unwrap();
        }

        async fn load(&self) -> Result<Vec<TargetRow>, StoreError> {
            let loaded = self.persister.send(LoadRows { known: None }).await.unwrap()?;
            Ok(loaded.targets.unwrap().rows)
        }

        /// The passes in the database.
        fn passes(&self) -> u64 {
            self.store.target(TargetId(1)).state.tally.pass_count
        }

        /// The passes that people are shown.
        async fn shown(&self) -> u64 {
            let rows = self.persister.send(ListRows).await.unwrap().unwrap();
            rows.targets[0].state.tally.pass_count
        }

        async fn persistence(&self) -> Persistence {
            self.persister.send(GetPersistence).await.unwrap()
        }

        fn told(&self) -> usize {
            self.announced.heard().iter().map(|announced| announced.0.len()).sum()
        }

        /// The next life after this one was killed.
        async fn killed(self) -> Self {
            open(self.store.clone(), self.journal.reopen(), Fault::None).await
        }
    }

    #[actix::test]
    async fn a_result_is_accepted_when_the_journal_has_it() {
        let house = house().await;
        house.journal.set(Fault::Slow(Duration::from_secs(3)));
        let begun = tokio::time::Instant::now();
        house.pass().await;
        assert!(begun.elapsed() >= Duration::from_secs(3));
        assert_eq!(house.journal.batches().len(), 1);
    }

    #[actix::test]
    async fn results_are_written_together_within_the_flush_interval() {
        let house = house().await;
        house.pass().await;
        house.pass().await;
        assert_eq!((house.passes(), house.persistence().await.results_waiting), (0, 1));
        sleep(Duration::from_millis(501)).await;
        assert_eq!((house.passes(), house.persistence().await.results_waiting), (2, 0));
    }

    #[actix::test]
    async fn no_result_is_lost_while_the_database_is_away_and_none_is_counted_twice() {
        let house = house().await;
        for fault in [Fault::Unavailable, Fault::Hangs, Fault::LosesAnswers] {
            house.faults.set(fault);
            for _ in 0..100 {
                house.pass().await;
                sleep(Duration::from_secs(1)).await;
            }
            let persistence = house.persistence().await;
            assert!(persistence.away.is_some(), "{fault:?}");
            assert_eq!(persistence.results_waiting, 1, "{fault:?}");
            house.faults.set(Fault::None);
            sleep(Duration::from_secs(60)).await;
            assert!(house.persistence().await.away.is_none(), "{fault:?}");
        }
        assert_eq!(house.passes(), 300);
    }

    #[actix::test]
    async fn the_next_life_goes_on_where_a_killed_one_ended() {
        let mut house = house().await;
        for life in 1..=5 {
            house.faults.set([Fault::Unavailable, Fault::LosesAnswers, Fault::Hangs][life % 3]);
            for _ in 0..400 {
                house.pass().await;
            }
            sleep(Duration::from_secs(1)).await;
            house = house.killed().await;
            // People are shown what happened before the database has it.
            house.load().await.unwrap();
            assert_eq!(house.shown().await, 400 * life as u64);
        }
        sleep(Duration::from_secs(60)).await;
        assert_eq!((house.passes(), house.persistence().await.results_waiting), (2_000, 0));
    }

    #[actix::test]
    async fn rows_are_not_given_out_before_the_journal_was_looked_through() {
        let house = house().await;
        house.faults.set(Fault::Unavailable);
        house.pass().await;
        let next = open(house.store.clone(), house.journal.reopen(), Fault::Unavailable).await;
        next.faults.set(Fault::None);
        // The database could be read, and how far it has followed is not known yet.
        assert!(next.load().await.is_err());
        sleep(Duration::from_secs(10)).await;
        assert_eq!(next.load().await.unwrap()[0].state.tally.pass_count, 1);
    }

    #[actix::test]
    async fn targets_that_are_known_are_not_told_again_but_the_notifiers_are() {
        let house = house().await;
        let load = async |known| house.persister.send(LoadRows { known }).await.unwrap().unwrap();
        let first = load(None).await;
        let again = load(Some(first.revision.clone())).await;
        assert!(again.targets.is_none() && again.revision == first.revision);
        house.store.put_notifier(notifier_row(2, "boss"));
        assert_eq!(load(Some(first.revision.clone())).await.notifiers.len(), 2);
        house.store.put_target(target_row(2, "work"));
        assert_eq!(load(Some(first.revision)).await.targets.unwrap().rows.len(), 2);
    }

    #[actix::test]
    async fn people_are_told_when_the_edge_and_the_notification_are_durable_together() {
        let house = house().await;
        house.journal.set(Fault::Slow(Duration::from_secs(2)));
        let persister = house.persister.clone();
        let edge = Edge { from: Status::Pass, to: Status::Fail };
        let sent = tokio::spawn(persister.send(event(Outcome::fail(Cause::Dns, "no such host"), Some(edge))));
        sleep(Duration::from_secs(1)).await;
        assert_eq!(house.told(), 0);
        sent.await.unwrap().unwrap();
        sleep(Duration::from_millis(1)).await;
        assert_eq!(house.told(), 1);
        let (_, batch) = house.journal.batches().remove(0);
        assert_eq!((batch.targets.len(), batch.notifications.len()), (1, 1));
        let undelivered = house.persister.send(LoadUndelivered { most: 10 }).await.unwrap().unwrap();
        assert_eq!(undelivered.len(), 1);
    }

    #[actix::test]
    async fn a_journal_that_fails_stops_neither_alerts_nor_the_database() {
        goes_on_without_its_journal(Fault::Unavailable).await;
    }

    #[actix::test]
    async fn a_journal_that_hangs_stops_neither_alerts_nor_the_database() {
        goes_on_without_its_journal(Fault::Hangs).await;
    }

    #[actix::test]
    async fn a_journal_that_took_what_it_refused_counts_nothing_twice() {
        goes_on_without_its_journal(Fault::LosesAnswers).await;
    }

    async fn goes_on_without_its_journal(fault: Fault) {
        let house = house().await;
        house.journal.set(fault);
        house.fail().await;
        for _ in 0..100 {
            house.pass().await;
            sleep(Duration::from_secs(1)).await;
        }
        let persistence = house.persistence().await;
        assert!(persistence.journal_away.is_some() && persistence.away.is_none(), "{persistence:?}");
        assert!(house.told() >= 1);
        // Those of the last flush interval, and of a call that hangs.
        assert!(house.passes() > 80, "{}", house.passes());
        house.journal.set(Fault::None);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(house.passes(), 100);
        house.pass().await;
        sleep(Duration::from_secs(10)).await;
        assert!(house.persistence().await.journal_away.is_none());
        let house = house.killed().await;
        sleep(Duration::from_secs(60)).await;
        assert_eq!(house.passes(), 101);
    }

    #[actix::test]
    async fn while_both_fail_probing_goes_on_and_what_counts_is_kept_in_memory() {
        let house = house().await;
        house.journal.set(Fault::Unavailable);
        house.faults.set(Fault::Unavailable);
        house.fail().await;
        for _ in 0..1_000 {
            house.pass().await;
        }
        assert_eq!((house.told() >= 1, house.shown().await), (true, 1_000));
        house.faults.set(Fault::None);
        sleep(Duration::from_secs(60)).await;
        house.journal.set(Fault::None);
        sleep(Duration::from_secs(60)).await;
        assert_eq!((house.passes(), house.persistence().await.results_waiting), (1_000, 0));
    }

    #[actix::test]
    async fn counters_never_seem_to_go_back_while_the_database_follows() {
        let house = house().await;
        house.faults.set(Fault::Slow(Duration::from_millis(130)));
        let mut shown = 0;
        for _ in 0..200 {
            house.pass().await;
            let now = house.load().await.unwrap()[0].state.tally.pass_count;
            assert!(now > shown, "{now} after {shown}");
            shown = now;
        }
        assert_eq!(shown, 200);
    }

    #[actix::test]
    async fn a_notification_that_ended_is_undelivered_again_when_it_is_sent_once_more() {
        let house = house().await;
        house.fail().await;
        let undelivered = async || house.persister.send(LoadUndelivered { most: 10 }).await.unwrap().unwrap();
        let parcel = undelivered().await.remove(0);
        let delivery = crate::domain::Delivery { state: DeliveryState::Refused, ..parcel.delivery.clone() };
        let ended = Parcel { delivery, ..parcel.clone() };
        let news = NotificationNews::of(&ended);
        house.persister.send(DeliveryChanged { id: parcel.notification.id, news }).await.unwrap();
        assert!(undelivered().await.is_empty());
        house.persister.send(Resend(parcel.notification.clone())).await.unwrap();
        assert_eq!(undelivered().await[0].notification.id, parcel.notification.id);
    }

    #[actix::test]
    async fn a_drain_ends_when_all_is_written_or_at_least_durable() {
        let house = house().await;
        house.pass().await;
        assert_eq!(house.persister.send(Drain).await.unwrap(), 0);
        assert_eq!(house.passes(), 1);
        house.faults.set(Fault::Unavailable);
        house.pass().await;
        assert_eq!(house.persister.send(Drain).await.unwrap(), 1);
        let house = house.killed().await;
        sleep(Duration::from_secs(10)).await;
        assert_eq!(house.passes(), 2);
    }

    #[actix::test]
    async fn results_go_before_all_else_when_the_journal_is_full() {
        pause();
        let store = MemoryStore::default();
        store.put_target(target_row(1, "home"));
        let house = open(store, MemoryJournal::of(6_400), Fault::None).await;
        house.faults.set(Fault::Unavailable);
        for _ in 0..300 {
            house.pass().await;
        }
        assert!(house.persistence().await.results_dropped >= 200);
        house.faults.set(Fault::None);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(house.passes(), 300);
    }
}
