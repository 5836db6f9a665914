//! Knows the past: brings results into the history, sums them up, lets old ones go, and answers about them.
//!
//! - hears: [`GetHistory`], [`GetResults`], [`GetIncidents`], [`GetNotifications`], [`Drain`], [`Stop`]
//! - says: [`GetProgress`] to the Persister
//! - owns: how far the history follows the journal
//! - timer: the next round, [`ROUND`] after the last one has ended
//!
//! # Design notes
//!
//! 2026-11: the journal is the only memory of results that are not in the history yet, so a restart loses none, and a
//! round takes no input: it brings over what there is, sums up what is over, and drops what is old. What is cut off
//! half-way is done by the next round. A minute may come in several parts; they add up.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc, time::Duration};

use actix::prelude::*;
use log::error;
use time::OffsetDateTime;
use tokio::{sync::Mutex, time::sleep};

use crate::{
    domain::{Minutes, Period, RawResult, Resolution, Retention, Rollup, TargetId, text},
    lifecycle::{Drain, Stop},
    port::{
        Clock, IncidentRow, Journal, Kept, NotificationFilter, NotificationRow, Store, StoreError, Targets,
        within_deadline,
    },
    query::GetProgress,
};

/// How often the history is brought up to date.
const ROUND: Duration = Duration::from_secs(60);

/// About how many results are brought over at once, and how many bytes of the journal are read for them at a time:
/// both bound the memory of a round.
const SLICE_RESULTS: usize = 150_000;
const READ_BYTES: usize = 256 << 10;

/// How long after its end a period is summed up.
const GRACE: Duration = Duration::from_secs(2 * 60);

/// The targets that are summed up at once: the minutes of each are an hour of sketches.
const TARGETS: usize = 25;

/// The steps of a purge in one round.
const PURGE_STEPS: usize = 100;

/// How long a round rests between its steps: probes need the machine meanwhile, and others the database.
const REST: Duration = Duration::from_millis(20);

/// The incidents that are shown, and the notifications of one.
const INCIDENTS_MAX: usize = 100;
const NOTIFICATIONS_MAX: usize = 1_000;

/// What did the results of a target come to, from `from` until before `until`?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<BTreeMap<OffsetDateTime, Rollup>, StoreError>")]
pub struct GetHistory {
    /// Which target.
    pub target: TargetId,
    /// From when; the entry into which it falls is the first.
    pub from: OffsetDateTime,
    /// Until when.
    pub until: OffsetDateTime,
    /// By what.
    pub by: Resolution,
}

/// What were the single results of a target, from `from` until before `until`?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Vec<RawResult>, StoreError>")]
pub struct GetResults {
    /// Which target.
    pub target: TargetId,
    /// From when.
    pub from: OffsetDateTime,
    /// Until when.
    pub until: OffsetDateTime,
}

/// Which incidents did a target have, and who was told of each? The newest first.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Vec<(IncidentRow, Vec<NotificationRow>)>, StoreError>")]
pub struct GetIncidents(pub TargetId);

/// Which notifications were there? The newest first.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Vec<NotificationRow>, StoreError>")]
pub struct GetNotifications(pub NotificationFilter);

/// Knows the past.
pub struct Historian(Arc<Archive>);

impl Historian {
    /// A historian of this journal; `progress` knows how far the rows are written.
    pub fn new(
        store: Arc<dyn Store>,
        journal: Arc<dyn Journal>,
        progress: Recipient<GetProgress>,
        retention: Retention,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let followed = Mutex::new(None);
        Self(Arc::new(Archive { store, journal, progress, retention, clock, followed }))
    }

    fn round(&mut self, ctx: &mut Context<Self>) {
        let archive = self.0.clone();
        let round = async move {
            archive.follow(REST).await?;
            archive.sum_up().await?;
            archive.purge().await
        };
        ctx.spawn(round.into_actor(self).map(|done: Result<(), StoreError>, _, ctx| {
            match done {
                // That the database is away is told by the Persister, once.
                Ok(()) | Err(StoreError::Unavailable(_)) => {}
                Err(error) => error!("the history was not brought up to date: {}", text::chain(&error)),
            }
            ctx.run_later(ROUND, Self::round);
        }));
    }
}

/// What the rounds and the questions work on.
struct Archive {
    store: Arc<dyn Store>,
    journal: Arc<dyn Journal>,
    progress: Recipient<GetProgress>,
    retention: Retention,
    clock: Arc<dyn Clock>,
    /// The last batch whose results are in the history; `None` is to be looked up, as after a write that failed,
    /// which may have been done all the same.
    followed: Mutex<Option<u64>>,
}

impl Archive {
    /// Brings over the results of all batches whose rows are written, and lets go what the database has. Rests after
    /// each piece of the journal.
    async fn follow(&self, rest: Duration) -> Result<(), StoreError> {
        let mut followed = self.followed.lock().await;
        let Some(progress) = self.progress.send(GetProgress).await.ok().flatten() else {
            return Ok(());
        };
        let node = self.journal.node();
        let mut after = match followed.take() {
            Some(after) => after,
            None => within_deadline(self.store.progress(node)).await?.history,
        };
        while let Some((range, minutes)) = self.slice(after, progress.rows, rest).await? {
            after = *range.end();
            if minutes.results() > 0 {
                within_deadline(self.store.write_minutes(node, range, minutes.sorted())).await?;
            }
        }
        // Where nothing is left to read, nothing was left to bring over.
        *followed = Some(progress.rows);
        Ok(within_deadline(self.journal.forget(progress.rows)).await?)
    }

    /// The results of the next batches after `after`, up to `last`, and which batches these are.
    async fn slice(
        &self,
        after: u64,
        last: u64,
        rest: Duration,
    ) -> Result<Option<(RangeInclusive<u64>, Minutes)>, StoreError> {
        let (mut first, mut through) = (None, after);
        let mut minutes = Minutes::default();
        while through < last && minutes.results() < SLICE_RESULTS {
            let batches = within_deadline(self.journal.read(through, READ_BYTES)).await?;
            let before = through;
            for (number, batch) in batches.into_iter().filter(|(number, _)| *number <= last) {
                first.get_or_insert(number);
                through = number;
                minutes.extend(batch.results);
            }
            if through == before {
                break;
            }
            // Even the shortest sleep takes a millisecond.
            if !rest.is_zero() {
                sleep(rest).await;
            }
        }
        Ok(first.map(|first| (first..=through, minutes)))
    }

    /// Sums up the hours and days that are over.
    async fn sum_up(&self) -> Result<(), StoreError> {
        for stale in within_deadline(self.store.stale()).await? {
            let period = stale.period;
            let Some(finer) = period.resolution.finer().filter(|_| period.end() + GRACE <= self.clock.now())
            else {
                continue;
            };
            let mut after = TargetId(0);
            let mut current = true;
            while current {
                let targets = Targets::After { id: after, most: TARGETS };
                let rows = self.store.rollups(finer, period.start, period.end(), targets);
                let mut sums: BTreeMap<TargetId, Rollup> = BTreeMap::new();
                for row in within_deadline(rows).await? {
                    sums.entry(row.target).or_default().merge(&row.rollup);
                }
                let Some((last, _)) = sums.last_key_value() else { break };
                after = *last;
                if self.kept_since(finer).is_some_and(|since| period.start < since) {
                    self.leave_out_known(&mut sums, period).await?;
                }
                let sums: Vec<_> = sums.into_iter().collect();
                // Something came in meanwhile: the next round sums it up.
                current = within_deadline(self.store.write_rollups(stale, &sums)).await?;
            }
            if current {
                within_deadline(self.store.summed_up(stale)).await?;
            }
        }
        Ok(())
    }

    /// Of a period so old, what an entry was summed up from may be gone: it stays as it is.
    async fn leave_out_known(
        &self,
        sums: &mut BTreeMap<TargetId, Rollup>,
        period: Period,
    ) -> Result<(), StoreError> {
        let targets: Vec<_> = sums.keys().copied().collect();
        for target in targets {
            let (by, only) = (period.resolution, Targets::One(target));
            let known = self.store.rollups(by, period.start, period.end(), only);
            if !within_deadline(known).await?.is_empty() {
                sums.remove(&target);
            }
        }
        Ok(())
    }

    /// Since when entries of a resolution are kept; `None` is for ever.
    fn kept_since(&self, by: Resolution) -> Option<OffsetDateTime> {
        let Retention { minute, hour, day, .. } = self.retention;
        self.since(match by {
            Resolution::Minute => minute,
            Resolution::Hour => hour,
            Resolution::Day => day,
        })
    }

    fn since(&self, keep: Option<Duration>) -> Option<OffsetDateTime> {
        self.clock.now().checked_sub(keep?.try_into().ok()?)
    }

    /// Lets go what is older than its time.
    async fn purge(&self) -> Result<(), StoreError> {
        let rollups = Resolution::ALL.map(|by| (Kept::Rollup(by), self.kept_since(by)));
        for (what, before) in [(Kept::Raw, self.since(self.retention.raw))].into_iter().chain(rollups) {
            let Some(before) = before else {
                continue;
            };
            for _ in 0..PURGE_STEPS {
                if !within_deadline(self.store.purge(what, before)).await? {
                    break;
                }
                sleep(REST).await;
            }
        }
        Ok(())
    }

    /// The entries of a target; what is not summed up yet is summed up here.
    async fn history(&self, asked: GetHistory) -> Result<BTreeMap<OffsetDateTime, Rollup>, StoreError> {
        let GetHistory { target, from, until, by } = asked;
        let mut entries = self.entries(by, from, until, target).await?;
        let Some(finer) = by.finer() else {
            return Ok(entries);
        };
        let stale = within_deadline(self.store.stale()).await?;
        // A day has no entry yet, or an old one, as long as one of its hours has none.
        let stale = stale.into_iter().map(|stale| stale.period).filter(|period| period.resolution <= by);
        let mut starts: Vec<_> = stale.map(|period| by.start_of(period.start)).collect();
        starts.sort_unstable();
        starts.dedup();
        for start in starts.into_iter().filter(|start| (from..until).contains(start)) {
            let parts = GetHistory { target, from: start, until: start + by.length(), by: finer };
            let mut sum = Rollup::default();
            Box::pin(self.history(parts)).await?.values().for_each(|part| sum.merge(part));
            if sum != Rollup::default() {
                entries.insert(start, sum);
            }
        }
        Ok(entries)
    }

    async fn entries(
        &self,
        by: Resolution,
        from: OffsetDateTime,
        until: OffsetDateTime,
        target: TargetId,
    ) -> Result<BTreeMap<OffsetDateTime, Rollup>, StoreError> {
        let mut entries: BTreeMap<OffsetDateTime, Rollup> = BTreeMap::new();
        for row in within_deadline(self.store.rollups(by, from, until, Targets::One(target))).await? {
            entries.entry(row.start).or_default().merge(&row.rollup);
        }
        Ok(entries)
    }

    async fn incidents(
        &self,
        target: TargetId,
    ) -> Result<Vec<(IncidentRow, Vec<NotificationRow>)>, StoreError> {
        let mut told = Vec::new();
        for incident in within_deadline(self.store.incidents(target, INCIDENTS_MAX)).await? {
            let of_incident = NotificationFilter {
                target: Some(target),
                incident: Some(incident.incident.id),
                ..NotificationFilter::newest(NOTIFICATIONS_MAX)
            };
            let notifications = within_deadline(self.store.notifications(&of_incident)).await?;
            told.push((incident, notifications));
        }
        Ok(told)
    }
}

impl Actor for Historian {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_later(ROUND, Self::round);
    }
}

impl Handler<GetHistory> for Historian {
    type Result = ResponseFuture<Result<BTreeMap<OffsetDateTime, Rollup>, StoreError>>;

    fn handle(&mut self, asked: GetHistory, _: &mut Context<Self>) -> Self::Result {
        let archive = self.0.clone();
        Box::pin(async move {
            archive.follow(Duration::ZERO).await?;
            archive.history(GetHistory { from: asked.by.start_of(asked.from), ..asked }).await
        })
    }
}

impl Handler<GetResults> for Historian {
    type Result = ResponseFuture<Result<Vec<RawResult>, StoreError>>;

    fn handle(&mut self, asked: GetResults, _: &mut Context<Self>) -> Self::Result {
        let archive = self.0.clone();
        Box::pin(async move {
            archive.follow(Duration::ZERO).await?;
            within_deadline(archive.store.results(asked.target, asked.from, asked.until)).await
        })
    }
}

impl Handler<GetIncidents> for Historian {
    type Result = ResponseFuture<Result<Vec<(IncidentRow, Vec<NotificationRow>)>, StoreError>>;

    fn handle(&mut self, GetIncidents(target): GetIncidents, _: &mut Context<Self>) -> Self::Result {
        let archive = self.0.clone();
        Box::pin(async move { archive.incidents(target).await })
    }
}

impl Handler<GetNotifications> for Historian {
    type Result = ResponseFuture<Result<Vec<NotificationRow>, StoreError>>;

    fn handle(&mut self, GetNotifications(filter): GetNotifications, _: &mut Context<Self>) -> Self::Result {
        let archive = self.0.clone();
        Box::pin(async move { within_deadline(archive.store.notifications(&filter)).await })
    }
}

/// Brings over what there is; answers when it is done.
impl Handler<Drain> for Historian {
    type Result = ResponseFuture<usize>;

    fn handle(&mut self, _: Drain, _: &mut Context<Self>) -> Self::Result {
        let archive = self.0.clone();
        Box::pin(async move {
            // What is left stays in the journal.
            archive.follow(Duration::ZERO).await.ok();
            0
        })
    }
}

impl Handler<Stop> for Historian {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use tokio::time::pause;

    use super::*;
    use crate::{
        domain::{Batch, Cause},
        port::{History, Packet, Progress},
        testing::{
            Fault, Faults, FaultyStore, MemoryJournal, MemoryStore, TestClock,
            fixtures::{raw_result, target_row},
        },
    };

    const NOON: OffsetDateTime = datetime!(2026-01-02 12:00 UTC);
    const HOME: TargetId = TargetId(1);

    /// Stands for the Persister: everything is written up to here.
    struct Written(Arc<std::sync::Mutex<Progress>>);

    impl Actor for Written {
        type Context = Context<Self>;
    }

    impl Handler<GetProgress> for Written {
        type Result = Option<Progress>;

        fn handle(&mut self, _: GetProgress, _: &mut Context<Self>) -> Self::Result {
            Some(*self.0.lock().unwrap())
        }
    }

    struct House {
        historian: Addr<Historian>,
        store: MemoryStore,
        faults: Faults,
        journal: MemoryJournal,
        written: Arc<std::sync::Mutex<Progress>>,
        clock: Arc<TestClock>,
    }

    fn house() -> House {
        pause();
        let store = MemoryStore::default();
        store.put_target(target_row(1, "home"));
        let journal = MemoryJournal::default();
        open(store, journal, Progress::default())
    }

    fn open(store: MemoryStore, journal: MemoryJournal, progress: Progress) -> House {
        let (faulty, faults) = FaultyStore::new(Arc::new(store.clone()));
        let written = Arc::new(std::sync::Mutex::new(progress));
        let clock = Arc::new(TestClock::new(NOON));
        let day = Duration::from_secs(24 * 60 * 60);
        let retention = Retention { raw: Some(7 * day), minute: Some(30 * day), hour: None, day: None };
        let historian = Historian::new(
            Arc::new(faulty),
            Arc::new(journal.clone()),
            Written(written.clone()).start().recipient(),
            retention,
            clock.clone(),
        );
        House { historian: historian.start(), store, faults, journal, written, clock }
    }

    impl House {
        /// A result so many seconds after noon, in a batch of its own that the database has.
        async fn result(&self, second: i64, cause: Option<Cause>) {
            let at_ms = NOON.unix_timestamp() * 1_000 + second * 1_000;
            let result = RawResult { cause, frequency_s: 60, ..raw_result(HOME, at_ms) };
            let number = self.written.lock().unwrap().rows + 1;
            let batch = Batch { results: vec![result], ..Batch::default() };
            self.journal.append(number, &batch).await.unwrap();
            let packet = Packet { node: self.journal.node(), first: number, through: number, batch };
            self.store.write(&packet).await.unwrap();
            self.written.lock().unwrap().rows = number;
        }

        async fn history(&self, by: Resolution) -> Vec<(OffsetDateTime, u64, u64)> {
            let from = NOON - Duration::from_secs(24 * 60 * 60);
            let asked = GetHistory { target: HOME, from, until: from + Duration::from_secs(5 * 86_400), by };
            let entries = self.historian.send(asked).await.unwrap().unwrap();
            entries.into_iter().map(|(start, rollup)| (start, rollup.done, rollup.failed)).collect()
        }
    }

    #[actix::test]
    async fn results_are_seen_at_once_by_the_minute_the_hour_and_the_day() {
        let house = house();
        house.result(0, None).await;
        house.result(59, Some(Cause::Timeout)).await;
        house.result(60, None).await;
        house.result(3_600, None).await;
        let minute = |n: u64| NOON + Duration::from_secs(60 * n);
        assert_eq!(
            house.history(Resolution::Minute).await,
            [(minute(0), 2, 1), (minute(1), 1, 0), (minute(60), 1, 0)]
        );
        assert_eq!(house.history(Resolution::Hour).await, [(NOON, 3, 1), (minute(60), 1, 0)]);
        assert_eq!(house.history(Resolution::Day).await, [(datetime!(2026-01-02 0:00 UTC), 4, 1)]);
        assert!(house.journal.batches().is_empty());
    }

    #[actix::test]
    async fn an_old_hour_keeps_what_it_was_summed_up_from_minutes_that_are_gone() {
        let house = house();
        house.result(0, None).await;
        house.result(60, None).await;
        house.clock.set(NOON + Duration::from_secs(2 * 3_600));
        sleep(2 * ROUND).await;
        house.clock.set(NOON + Duration::from_secs(31 * 86_400));
        sleep(2 * ROUND).await;
        assert!(house.history(Resolution::Minute).await.is_empty());
        house.result(120, None).await;
        sleep(2 * ROUND).await;
        assert_eq!(house.history(Resolution::Hour).await, [(NOON, 2, 0)]);
    }

    #[actix::test]
    async fn what_is_over_is_summed_up_and_looks_the_same_afterwards() {
        let house = house();
        for minute in 0..180 {
            house.result(60 * minute, (minute % 10 == 0).then_some(Cause::Dns)).await;
        }
        let before = (house.history(Resolution::Hour).await, house.history(Resolution::Day).await);
        assert_eq!(
            before.0.iter().map(|(_, done, failed)| (*done, *failed)).collect::<Vec<_>>(),
            [(60, 6); 3]
        );
        house.clock.set(NOON + Duration::from_secs(2 * 86_400));
        sleep(3 * ROUND).await;
        assert!(house.store.stale().await.unwrap().is_empty());
        assert_eq!(before, (house.history(Resolution::Hour).await, house.history(Resolution::Day).await));
        // A result that comes late is not forgotten.
        house.result(61, None).await;
        assert_eq!(house.history(Resolution::Day).await[0].1, 181);
        sleep(3 * ROUND).await;
        assert_eq!(house.history(Resolution::Day).await[0].1, 181);
        assert!(house.store.stale().await.unwrap().is_empty());
    }

    #[actix::test]
    async fn a_restart_brings_over_each_result_once() {
        let house = house();
        house.result(0, None).await;
        house.faults.set(Fault::LosesAnswers);
        sleep(3 * ROUND).await;
        house.result(1, None).await;
        let progress = house.store.progress(house.journal.node()).await.unwrap();
        let house = open(house.store.clone(), house.journal.reopen(), progress);
        house.result(2, None).await;
        assert_eq!(house.history(Resolution::Minute).await, [(NOON, 3, 0)]);
        assert!(house.journal.batches().is_empty());
    }

    #[actix::test]
    async fn old_results_are_let_go_and_what_they_came_to_stays_for_its_own_time() {
        let house = house();
        house.result(0, None).await;
        let results = async || {
            let (from, until) = (NOON, NOON + Duration::from_secs(60));
            house.historian.send(GetResults { target: HOME, from, until }).await.unwrap().unwrap().len()
        };
        assert_eq!((results().await, house.history(Resolution::Minute).await.len()), (1, 1));
        house.clock.set(NOON + Duration::from_secs(8 * 86_400));
        sleep(2 * ROUND).await;
        assert_eq!((results().await, house.history(Resolution::Minute).await.len()), (0, 1));
        house.clock.set(NOON + Duration::from_secs(31 * 86_400));
        sleep(2 * ROUND).await;
        assert_eq!(house.history(Resolution::Minute).await.len(), 0);
        assert_eq!(house.history(Resolution::Hour).await, [(NOON, 1, 0)]);
    }

    #[actix::test]
    async fn a_database_that_is_away_costs_nothing_but_time() {
        let house = house();
        house.faults.set(Fault::Unavailable);
        for second in 0..10 {
            house.result(second, None).await;
        }
        sleep(3 * ROUND).await;
        assert_eq!(house.journal.batches().len(), 10);
        house.faults.set(Fault::None);
        sleep(2 * ROUND).await;
        assert!(house.journal.batches().is_empty());
        assert_eq!(house.history(Resolution::Minute).await, [(NOON, 10, 0)]);
    }
}
