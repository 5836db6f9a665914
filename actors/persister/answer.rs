//! What people and other actors are told: the rows of the database, with all that it lacks.

use std::sync::Arc;

use actix::prelude::*;
use futures_util::future::try_join;
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use super::{GetPersistence, ListRows, Persistence, Persister, ahead::bring_up_to_date};
use crate::{
    domain::{NotifierRow, Parcel, Status, TargetId, TargetRow},
    port::{JournalError, Progress, Store, StoreError, within_deadline},
    query::{GetProgress, LoadRows, LoadUndelivered, Loaded, Rows, Targets},
};

impl Persister {
    /// The rows with everything that the database lacks.
    fn with_news(&self, mut rows: Rows) -> Rows {
        self.ahead.apply(&mut rows);
        bring_up_to_date(&mut rows, &self.pending);
        rows
    }

    pub(super) fn waiting(&self) -> usize {
        let gathered = self.pending.targets.keys().filter(|id| self.ahead.status(**id).is_none());
        self.ahead.targets().count() + gathered.count()
    }

    fn statuses(&self) -> [usize; 4] {
        let mut statuses = [0; 4];
        let known = self.rows.iter().flat_map(|rows| &rows.targets);
        for row in known.filter(|row| row.definition.enabled) {
            let pending = self.pending.targets.get(&row.id).map(|news| news.status);
            let status = pending.or(self.ahead.status(row.id)).unwrap_or(row.state.status);
            statuses[Status::ALL.iter().position(|s| *s == status).unwrap_or(0)] += 1;
        }
        statuses
    }
}

/// Reads the rows. Until the guard is dropped nothing is written, so that they fit to what is known to be ahead.
async fn read(
    store: Arc<dyn Store>,
    turn: Arc<RwLock<()>>,
) -> (Result<Rows, StoreError>, OwnedRwLockReadGuard<()>) {
    let turn = turn.read_owned().await;
    let both = within_deadline(try_join(store.load_targets(), store.load_notifiers())).await;
    (both.map(|(targets, notifiers)| Rows { targets, notifiers }), turn)
}

impl Handler<LoadUndelivered> for Persister {
    type Result = ResponseFuture<Result<Vec<Parcel>, JournalError>>;

    fn handle(&mut self, LoadUndelivered { most }: LoadUndelivered, _: &mut Context<Self>) -> Self::Result {
        let journal = self.journal.clone();
        Box::pin(within_deadline(async move { journal.undelivered(most).await }))
    }
}

impl Handler<LoadRows> for Persister {
    type Result = ResponseActFuture<Self, Result<Loaded, StoreError>>;

    fn handle(&mut self, LoadRows { known }: LoadRows, _: &mut Context<Self>) -> Self::Result {
        let mut looked = self.looked.subscribe();
        let (store, turn) = (self.store.clone(), self.turn.clone());
        let known = known.filter(|_| self.rows.is_some());
        let read = async move {
            // A persister that is gone ends the daemon.
            looked.wait_for(|looked| *looked).await.ok();
            // Before the rows, so that these are not older.
            let revision = within_deadline(store.revision()).await?;
            if known.as_ref() == Some(&revision) {
                let notifiers = within_deadline(store.load_notifiers()).await?;
                return Ok((revision, Read::Notifiers(notifiers)));
            }
            let (rows, turn) = read(store, turn).await;
            Ok((revision, Read::All(rows?, turn)))
        };
        Box::pin(read.into_actor(self).map(|read: Result<_, StoreError>, actor, _| {
            actor.reading.saw(&read);
            let (revision, read) = read?;
            if actor.progress.is_none() {
                // Old states would be taken for new ones.
                return Err(StoreError::Unavailable("the journal was not looked through yet".into()));
            }
            match read {
                Read::Notifiers(notifiers) => {
                    if let Some(rows) = &mut actor.rows {
                        rows.notifiers.clone_from(&notifiers);
                    }
                    Ok(Loaded { revision, targets: None, notifiers })
                }
                Read::All(rows, _turn) => {
                    let reset =
                        actor.rows.as_ref().map(|known| reset_since(known, &rows)).unwrap_or_default();
                    let current = actor.with_news(rows.clone());
                    actor.rows = Some(rows);
                    let targets = Targets { rows: current.targets, reset };
                    Ok(Loaded { revision, targets: Some(targets), notifiers: current.notifiers })
                }
            }
        }))
    }
}

/// The targets whose counters are behind what this daemon wrote, or read before.
fn reset_since(known: &Rows, read: &Rows) -> Vec<TargetId> {
    let was_reset = |row: &&TargetRow| {
        let before = known.targets.binary_search_by_key(&row.id, |known| known.id);
        before.is_ok_and(|at| row.state.tally.was_reset_since(&known.targets[at].state.tally))
    };
    read.targets.iter().filter(was_reset).map(|row| row.id).collect()
}

/// What was read for a [`LoadRows`].
enum Read {
    Notifiers(Vec<NotifierRow>),
    All(Rows, OwnedRwLockReadGuard<()>),
}

impl Handler<ListRows> for Persister {
    type Result = ResponseActFuture<Self, Result<Rows, StoreError>>;

    fn handle(&mut self, _: ListRows, _: &mut Context<Self>) -> Self::Result {
        if let (Some(_), Some(rows)) = (self.reading.away(), &self.rows) {
            let rows = self.with_news(rows.clone());
            return Box::pin(async move { Ok(rows) }.into_actor(self));
        }
        let read = read(self.store.clone(), self.turn.clone()).into_actor(self);
        Box::pin(read.map(|(rows, _turn), actor, _| match (rows, &actor.rows) {
            (Err(StoreError::Unavailable(_)), Some(known)) => Ok(actor.with_news(known.clone())),
            (rows, _) => rows.map(|rows| actor.with_news(rows)),
        }))
    }
}

impl Handler<GetPersistence> for Persister {
    type Result = Persistence;

    fn handle(&mut self, _: GetPersistence, _: &mut Context<Self>) -> Persistence {
        Persistence {
            backend: self.store.backend(),
            away: self.writing.away().or(self.reading.away()).cloned(),
            journal_away: self.journaling.away().cloned(),
            journal_bytes: self.journal_state.bytes,
            results_dropped: self.results_dropped,
            results_waiting: self.waiting(),
            targets: self.statuses(),
        }
    }
}

impl Handler<GetProgress> for Persister {
    type Result = Option<Progress>;

    fn handle(&mut self, _: GetProgress, _: &mut Context<Self>) -> Self::Result {
        self.progress
    }
}
