//! What people and other actors are told: the rows of the database, with all that it lacks.

use std::sync::Arc;

use actix::prelude::*;
use futures_util::future::try_join;
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use super::{GetPersistence, ListRows, Persistence, Persister, ahead::bring_up_to_date};
use crate::{
    domain::{NotifierRow, Parcel, Status, TargetId, TargetRow},
    port::{JournalError, Progress, Revision, Store, StoreError, within_deadline},
    query::{GetProgress, LoadRows, LoadStates, LoadUndelivered, Loaded, Rows, Targets},
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
        let read = async move {
            // A persister that is gone ends the daemon.
            looked.wait_for(|looked| *looked).await.ok();
            let turn = turn.read_owned().await;
            (read_news(&*store, known).await, turn)
        };
        Box::pin(read.into_actor(self).map(|(read, _turn), actor, _| {
            actor.reading.saw(&read);
            let (revision, targets, notifiers) = read?;
            if actor.progress.is_none() {
                // Old states would be taken for new ones.
                return Err(StoreError::Unavailable("the journal was not looked through yet".into()));
            }
            let known = actor.rows.take().unwrap_or_default();
            let is_news = targets.is_some();
            let reset = targets.as_deref().map(|read| reset_since(&known.targets, read)).unwrap_or_default();
            let told = Rows { targets: targets.clone().unwrap_or_default(), notifiers: notifiers.clone() };
            actor.rows = Some(Rows { targets: targets.unwrap_or(known.targets), notifiers });
            let Rows { targets, notifiers } = actor.with_news(told);
            let targets = is_news.then_some(Targets { rows: targets, reset });
            Ok(Loaded { revision, targets, notifiers })
        }))
    }
}

impl Handler<LoadStates> for Persister {
    type Result = MessageResult<LoadStates>;

    fn handle(&mut self, LoadStates(ids): LoadStates, _: &mut Context<Self>) -> Self::Result {
        let known = self.rows.iter().flat_map(|rows| &rows.targets).filter(|row| ids.contains(&row.id));
        let rows = Rows { targets: known.cloned().collect(), notifiers: Vec::new() };
        MessageResult(self.with_news(rows).targets.into_iter().map(|row| (row.id, row.state)).collect())
    }
}

/// The revision, all notifiers, and the targets unless those of the revision are known.
async fn read_news(
    store: &dyn Store,
    known: Option<Revision>,
) -> Result<(Revision, Option<Vec<TargetRow>>, Vec<NotifierRow>), StoreError> {
    // Before the rows, so that these are not older.
    let revision = within_deadline(store.revision()).await?;
    let notifiers = within_deadline(store.load_notifiers()).await?;
    let targets = match known {
        Some(known) if known == revision => None,
        _ => Some(within_deadline(store.load_targets()).await?),
    };
    Ok((revision, targets, notifiers))
}

/// The targets whose counters are behind what this daemon wrote, or read before.
fn reset_since(known: &[TargetRow], read: &[TargetRow]) -> Vec<TargetId> {
    let was_reset = |row: &&TargetRow| {
        let before = known.binary_search_by_key(&row.id, |known| known.id);
        before.is_ok_and(|at| row.state.tally.was_reset_since(&known[at].state.tally))
    };
    read.iter().filter(was_reset).map(|row| row.id).collect()
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
