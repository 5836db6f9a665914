//! Knows the database, and is the only one who does.
//!
//! - hears: [`ProbeCompleted`], [`DeliveryEnded`]; [`LoadRows`], [`ListRows`], [`GetPersistence`]; what
//!   operators change; [`Drain`]
//! - says: nothing
//! - owns: the store; the news that wait, one entry a row however long the database is away; at most one write
//! - timer: the next write, armed when the last one has ended
//!
//! # Design notes
//!
//! 2026-11: a batch whose write failed or was cut off is sent again unchanged, since it may have been written
//! all the same; its sequence tells the store. Later news are gathered beside it.

mod link;
mod operator;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use actix::prelude::*;
use futures_util::future::try_join;
use log::error;
use tokio::sync::oneshot;

use self::link::{Link, within_deadline};
pub use self::{
    link::Away,
    operator::{AddNotifier, AddTarget, Change, UpdateNotifier, UpdateTarget},
};
use crate::{
    domain::{Backoff, Batch, NotifierNews, Status, TargetNews, text},
    event::{DeliveryEnded, ProbeCompleted},
    lifecycle::Drain,
    port::{Clock, Store, StoreError},
    query::{LoadRows, Rows},
};

/// The waits between attempts to write.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(5) };

/// A batch that the database refused so often holds a row that is the reason.
const REFUSALS: u32 = 5;

/// All rows as they stand in the database; while it is away, as last read, with all that came since.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Rows, StoreError>")]
pub struct ListRows;

/// How is the database, and what waits for it?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Persistence")]
pub struct GetPersistence;

/// The answer to [`GetPersistence`].
#[derive(Clone, Debug, MessageResponse)]
pub struct Persistence {
    /// The name of the backend.
    pub backend: &'static str,
    /// Since when it cannot be read or written, and why; `None` is up.
    pub away: Option<Away>,
    /// Rows with news that are not written yet.
    pub results_waiting: usize,
    /// Enabled targets by status, in the order of [`Status::ALL`].
    pub targets: [usize; 4],
}

/// Knows the database.
pub struct Persister {
    store: Arc<dyn Store>,
    flush_interval: Duration,
    reading: Link,
    writing: Link,
    /// The rows as last read or written, if they were ever read.
    rows: Option<Arc<Rows>>,
    pending: Batch,
    /// The first is being written, or must be written again; more there are only while a row is looked for
    /// that the database refuses.
    unwritten: VecDeque<Arc<Batch>>,
    write_in_flight: bool,
    /// How often in a row the database refused the batch.
    refusals: u32,
    sequence: u64,
    /// Who waits for everything to be written; `Some` is the end.
    drained: Option<Vec<oneshot::Sender<usize>>>,
}

impl Persister {
    /// A persister that writes every `flush_interval`.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, flush_interval: Duration) -> Self {
        Self {
            store,
            flush_interval,
            reading: Link::new("read", clock.clone()),
            writing: Link::new("written", clock),
            rows: None,
            pending: Batch::default(),
            unwritten: VecDeque::new(),
            write_in_flight: false,
            refusals: 0,
            sequence: 0,
            drained: None,
        }
    }

    /// Begins a write if none is under way and there is something to write.
    fn flush(&mut self, ctx: &mut Context<Self>) {
        if self.write_in_flight {
            return;
        }
        if self.unwritten.is_empty() && !self.pending.is_empty() {
            self.unwritten.push_back(Arc::new(std::mem::take(&mut self.pending)));
        }
        let Some(batch) = self.unwritten.front_mut() else {
            self.answer_drain();
            ctx.run_later(self.flush_interval, Self::flush);
            return;
        };
        if batch.sequence == 0 {
            self.sequence += 1;
            Arc::make_mut(batch).sequence = self.sequence;
        }
        let batch = batch.clone();
        self.write_in_flight = true;
        let store = self.store.clone();
        let written = within_deadline(async move { store.write(&batch).await });
        ctx.spawn(written.into_actor(self).map(|result, actor, ctx| actor.wrote(result, ctx)));
    }

    fn wrote(&mut self, result: Result<(), StoreError>, ctx: &mut Context<Self>) {
        self.write_in_flight = false;
        self.writing.saw(&result);
        match result {
            Ok(()) => {
                self.refusals = 0;
                if let (Some(batch), Some(rows)) = (self.unwritten.pop_front(), &mut self.rows) {
                    bring_up_to_date(Arc::make_mut(rows), &batch);
                }
            }
            Err(StoreError::Unavailable(_)) => self.refusals = 0,
            Err(refused) => {
                self.refusals += 1;
                if self.refusals >= REFUSALS {
                    self.divide(&refused);
                }
            }
        }
        if self.writing.away().is_some() {
            ctx.run_later(BACKOFF.wait(self.writing.failures(), self.sequence), Self::flush);
            return;
        }
        if self.drained.is_some() {
            self.flush(ctx);
        } else {
            ctx.run_later(self.flush_interval, Self::flush);
        }
    }

    /// Looks for the row that the database refuses: in halves, until it stands alone and is given up.
    fn divide(&mut self, refused: &StoreError) {
        let Some(batch) = self.unwritten.pop_front() else {
            return;
        };
        match Arc::unwrap_or_clone(batch).halves() {
            Ok(halves) => halves.into_iter().for_each(|half| self.unwritten.push_front(Arc::new(half))),
            Err(row) => {
                let ids = row.targets.keys().map(|id| format!("target {id}"));
                let ids = ids.chain(row.notifiers.keys().map(|id| format!("notifier {id}")));
                let whose = ids.collect::<Vec<_>>().join(", ");
                error!("the news of {whose} are lost: {}", text::chain(refused));
            }
        }
    }

    fn waiting(&self) -> usize {
        let count = |batch: &Batch| batch.targets.len() + batch.notifiers.len();
        count(&self.pending) + self.unwritten.iter().map(|batch| count(batch)).sum::<usize>()
    }

    fn answer_drain(&mut self) {
        for waiting in self.drained.iter_mut().flat_map(std::mem::take) {
            // Whoever waited may have left at its deadline.
            waiting.send(0).ok();
        }
    }

    /// The rows with everything that waits.
    fn with_news(&self, mut rows: Rows) -> Rows {
        for batch in self.unwritten.iter().map(|batch| &**batch).chain([&self.pending]) {
            bring_up_to_date(&mut rows, batch);
        }
        rows
    }

    fn statuses(&self) -> [usize; 4] {
        let mut statuses = [0; 4];
        let known = self.rows.iter().flat_map(|rows| &rows.targets);
        for row in known.filter(|row| row.definition.enabled) {
            let unwritten = self.unwritten.iter().find_map(|batch| batch.targets.get(&row.id));
            let news = self.pending.targets.get(&row.id).or(unwritten);
            let status = news.map_or(row.state.status, |news| news.status);
            statuses[Status::ALL.iter().position(|s| *s == status).unwrap_or(0)] += 1;
        }
        statuses
    }
}

/// Changes rows as writing the batch changes the database.
fn bring_up_to_date(rows: &mut Rows, batch: &Batch) {
    for row in &mut rows.targets {
        if let Some(news) = batch.targets.get(&row.id) {
            news.apply(&mut row.state);
        }
    }
    for row in &mut rows.notifiers {
        if let Some(news) = batch.notifiers.get(&row.id) {
            row.pass_count += news.delivered;
            row.fail_count += news.failed;
        }
    }
}

async fn read(store: Arc<dyn Store>) -> Result<Rows, StoreError> {
    let both = try_join(store.load_targets(), store.load_notifiers());
    let (targets, notifiers) = within_deadline(both).await?;
    Ok(Rows { targets, notifiers })
}

impl Actor for Persister {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.flush(ctx);
    }
}

impl Handler<ProbeCompleted> for Persister {
    type Result = ();

    fn handle(&mut self, event: ProbeCompleted, _: &mut Context<Self>) {
        let edge = event.edge.map(|edge| (edge, event.incident));
        let news = TargetNews::of(&event.outcome, event.at, event.status, edge);
        match self.pending.targets.get_mut(&event.target.id) {
            Some(earlier) => earlier.merge(news),
            None => {
                self.pending.targets.insert(event.target.id, news);
            }
        }
    }
}

impl Handler<DeliveryEnded> for Persister {
    type Result = ();

    fn handle(&mut self, ended: DeliveryEnded, _: &mut Context<Self>) {
        let news = NotifierNews { delivered: ended.delivered.into(), failed: (!ended.delivered).into() };
        self.pending.notifiers.entry(ended.notifier).or_default().merge(news);
    }
}

impl Handler<LoadRows> for Persister {
    type Result = ResponseActFuture<Self, Result<Arc<Rows>, StoreError>>;

    fn handle(&mut self, _: LoadRows, _: &mut Context<Self>) -> Self::Result {
        let read = read(self.store.clone()).into_actor(self);
        Box::pin(read.map(|rows, actor, _| {
            actor.reading.saw(&rows);
            let rows = Arc::new(rows?);
            actor.rows = Some(rows.clone());
            Ok(rows)
        }))
    }
}

impl Handler<ListRows> for Persister {
    type Result = ResponseActFuture<Self, Result<Rows, StoreError>>;

    fn handle(&mut self, _: ListRows, _: &mut Context<Self>) -> Self::Result {
        if let (Some(_), Some(rows)) = (self.reading.away(), &self.rows) {
            let rows = self.with_news(Rows::clone(rows));
            return Box::pin(async move { Ok(rows) }.into_actor(self));
        }
        let read = read(self.store.clone()).into_actor(self);
        Box::pin(read.map(|rows, actor, _| match (rows, &actor.rows) {
            (Err(StoreError::Unavailable(_)), Some(known)) => Ok(actor.with_news(Rows::clone(known))),
            // What cannot be written stands in no row.
            (Ok(rows), _) if actor.writing.away().is_some() => Ok(actor.with_news(rows)),
            (rows, _) => rows,
        }))
    }
}

impl Handler<GetPersistence> for Persister {
    type Result = Persistence;

    fn handle(&mut self, _: GetPersistence, _: &mut Context<Self>) -> Persistence {
        Persistence {
            backend: self.store.backend(),
            away: self.writing.away().or(self.reading.away()).cloned(),
            results_waiting: self.waiting(),
            targets: self.statuses(),
        }
    }
}

/// Writes everything; answers when it is written.
impl Handler<Drain> for Persister {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, _: Drain, ctx: &mut Context<Self>) -> Self::Result {
        let (written, all_written) = oneshot::channel();
        self.drained.get_or_insert_default().push(written);
        self.flush(ctx);
        Box::pin(async move { all_written.await.unwrap_or(0) })
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use tokio::time::{pause, sleep};

    use super::*;
    use crate::{
        domain::{Cause, NotifierId, Outcome, Slots, Tally, TargetDefinition, TargetId},
        testing::{
            Fault, Faults, FaultyStore, MemoryStore, TestClock,
            fixtures::{notifier_row, target_row},
        },
    };

    struct House {
        persister: Addr<Persister>,
        store: MemoryStore,
        faults: Faults,
    }

    /// A persister on a paused clock, over a store with one target and one notifier.
    fn house() -> House {
        pause();
        let store = MemoryStore::default();
        store.put_target(target_row(1, "home"));
        store.put_notifier(notifier_row(1, "ops"));
        let (faulty, faults) = FaultyStore::new(Arc::new(store.clone()));
        let clock = Arc::new(TestClock::default());
        let persister = Persister::new(Arc::new(faulty), clock, Duration::from_millis(500)).start();
        House { persister, store, faults }
    }

    impl House {
        async fn result(&self, outcome: Outcome, status: Status) {
            let (target, _) = TargetDefinition::new("home", "http://h/").read(TargetId(1));
            let event = ProbeCompleted {
                target: Arc::new(target),
                at: datetime!(2026-01-02 03:04:05.678 UTC),
                outcome: Arc::new(outcome),
                status,
                edge: None,
                incident: None,
                tally: Tally::default(),
                slots: Slots::default(),
            };
            self.persister.send(event).await.unwrap();
        }

        async fn pass(&self) {
            self.result(Outcome::pass("200 OK"), Status::Pass).await;
        }

        fn passes(&self) -> u64 {
            self.store.target(TargetId(1)).state.tally.pass_count
        }

        async fn persistence(&self) -> Persistence {
            self.persister.send(GetPersistence).await.unwrap()
        }
    }

    #[actix::test]
    async fn results_are_written_together_within_the_flush_interval() {
        let house = house();
        house.pass().await;
        house.pass().await;
        assert_eq!((house.passes(), house.persistence().await.results_waiting), (0, 1));
        sleep(Duration::from_millis(501)).await;
        assert_eq!((house.passes(), house.persistence().await.results_waiting), (2, 0));
    }

    #[actix::test]
    async fn no_result_is_lost_while_the_database_is_away_and_none_is_counted_twice() {
        let house = house();
        for fault in [Fault::Unavailable, Fault::Hangs, Fault::LosesAnswers] {
            house.faults.set(fault);
            for _ in 0..100 {
                house.pass().await;
                sleep(Duration::from_secs(1)).await;
            }
            let persistence = house.persistence().await;
            assert!(persistence.away.is_some(), "{fault:?}");
            assert!(persistence.results_waiting <= 2, "{fault:?}");
            house.faults.set(Fault::None);
            sleep(Duration::from_secs(60)).await;
            assert!(house.persistence().await.away.is_none(), "{fault:?}");
        }
        assert_eq!(house.passes(), 300);
    }

    #[actix::test]
    async fn a_row_that_is_refused_again_and_again_does_not_block_the_next() {
        let house = house();
        house.faults.set(Fault::RefusesWrites);
        house.pass().await;
        sleep(Duration::from_secs(60)).await;
        assert_eq!(house.persistence().await.results_waiting, 0);
        house.faults.set(Fault::None);
        house.pass().await;
        sleep(Duration::from_secs(60)).await;
        assert_eq!(house.passes(), 1);
    }

    #[actix::test]
    async fn deliveries_are_counted_in_the_notifiers_row() {
        let house = house();
        for delivered in [true, true, false] {
            house.persister.send(DeliveryEnded { notifier: NotifierId(1), delivered }).await.unwrap();
        }
        sleep(Duration::from_secs(1)).await;
        let row = house.store.notifier(NotifierId(1));
        assert_eq!((row.pass_count, row.fail_count), (2, 1));
    }

    #[actix::test]
    async fn lists_go_on_with_what_is_known_while_the_database_is_away() {
        let house = house();
        house.persister.send(LoadRows).await.unwrap().unwrap();
        house.faults.set(Fault::Unavailable);
        house.result(Outcome::fail(Cause::Dns, "no such host"), Status::Fail).await;
        let rows = house.persister.send(ListRows).await.unwrap().unwrap();
        assert_eq!(rows.targets[0].state.status, Status::Fail);
        assert_eq!(rows.targets[0].state.tally.fail_count, 1);
        assert_eq!(house.persistence().await.targets, [0, 0, 1, 0]);
    }

    #[actix::test]
    async fn lists_show_what_cannot_be_written() {
        let house = house();
        house.faults.set(Fault::RefusesWrites);
        house.result(Outcome::fail(Cause::Dns, "no such host"), Status::Fail).await;
        sleep(Duration::from_millis(501)).await;
        let rows = house.persister.send(ListRows).await.unwrap().unwrap();
        assert_eq!(rows.targets[0].state.status, Status::Fail);
    }

    #[actix::test]
    async fn without_any_rows_known_a_list_says_why_there_is_none() {
        let house = house();
        house.faults.set(Fault::Hangs);
        let listed = house.persister.send(ListRows).await.unwrap();
        assert_eq!(text::chain(&listed.unwrap_err()), "the database is not available: no answer within 10 s");
    }

    #[actix::test]
    async fn a_drain_ends_when_everything_is_written() {
        let house = house();
        house.pass().await;
        assert_eq!(house.persister.send(Drain).await.unwrap(), 0);
        assert_eq!(house.passes(), 1);
    }
}
