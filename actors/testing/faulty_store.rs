//! A store that fails when a test says so.

use std::{future::pending, ops::RangeInclusive, sync::Arc, time::Duration};

use async_trait::async_trait;
use time::OffsetDateTime;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    domain::{
        HistoryMinute, NotifierDefinition, NotifierId, NotifierRow, RawResult, Resolution, Rollup,
        TargetDefinition, TargetId, TargetRow,
    },
    port::{
        History, IncidentRow, Kept, NotificationFilter, NotificationRow, Packet, Progress, Revision,
        RollupRow, Stale, Store, StoreError, Targets,
    },
};

/// What is wrong with the database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Every call fails at once with [`StoreError::Unavailable`].
    Unavailable,
    /// Every write fails at once with [`StoreError::Refused`]; all else works.
    RefusesWrites,
    /// No call ends, not even after the fault.
    Hangs,
    /// Every call takes this long, and then works.
    Slow(Duration),
    /// Every call is done, and then fails as if the answer had been lost.
    LosesAnswers,
    /// Every call panics, and with it whoever made it.
    Panics,
}

/// Stands before another store.
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    fault: watch::Receiver<Fault>,
}

/// Says what is wrong with a [`FaultyStore`] from now on.
#[derive(Debug)]
pub struct Faults(watch::Sender<Fault>);

impl FaultyStore {
    /// A store as good as `inner` until it is told otherwise.
    pub fn new(inner: Arc<dyn Store>) -> (Self, Faults) {
        let (faults, fault) = watch::channel(Fault::None);
        (Self { inner, fault }, Faults(faults))
    }

    async fn call<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let fault = *self.fault.borrow();
        match fault {
            Fault::None | Fault::RefusesWrites => work.await,
            Fault::Unavailable => Err(away()),
            Fault::Hangs => pending().await,
            Fault::Slow(wait) => {
                tokio::time::sleep(wait).await;
                work.await
            }
            Fault::LosesAnswers => work.await.and(Err(away())),
            Fault::Panics => panic!("the test says so"),
        }
    }
}

impl Faults {
    /// Sets the fault of all later calls.
    pub fn set(&self, fault: Fault) {
        self.0.send_replace(fault);
    }
}

fn away() -> StoreError {
    StoreError::Unavailable("the test says so".into())
}

#[async_trait]
impl Store for FaultyStore {
    fn backend(&self) -> &'static str {
        self.inner.backend()
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        self.call(self.inner.revision()).await
    }

    async fn load_targets(&self) -> Result<Vec<TargetRow>, StoreError> {
        self.call(self.inner.load_targets()).await
    }

    async fn load_notifiers(&self) -> Result<Vec<NotifierRow>, StoreError> {
        self.call(self.inner.load_notifiers()).await
    }

    async fn progress(&self, node: Uuid) -> Result<Progress, StoreError> {
        self.call(self.inner.progress(node)).await
    }

    async fn write(&self, packet: &Packet) -> Result<Vec<String>, StoreError> {
        if *self.fault.borrow() == Fault::RefusesWrites {
            return Err(StoreError::Refused("the test says so".into()));
        }
        self.call(self.inner.write(packet)).await
    }

    async fn add_target(&self, definition: &TargetDefinition) -> Result<TargetId, StoreError> {
        self.call(self.inner.add_target(definition)).await
    }

    async fn update_target(&self, id: TargetId, definition: &TargetDefinition) -> Result<(), StoreError> {
        self.call(self.inner.update_target(id, definition)).await
    }

    async fn enable_target(&self, id: TargetId, enabled: bool) -> Result<(), StoreError> {
        self.call(self.inner.enable_target(id, enabled)).await
    }

    async fn delete_target(&self, id: TargetId) -> Result<(), StoreError> {
        self.call(self.inner.delete_target(id)).await
    }

    async fn add_notifier(&self, definition: &NotifierDefinition) -> Result<NotifierId, StoreError> {
        self.call(self.inner.add_notifier(definition)).await
    }

    async fn update_notifier(
        &self,
        id: NotifierId,
        definition: &NotifierDefinition,
    ) -> Result<(), StoreError> {
        self.call(self.inner.update_notifier(id, definition)).await
    }

    async fn enable_notifier(&self, id: NotifierId, enabled: bool) -> Result<(), StoreError> {
        self.call(self.inner.enable_notifier(id, enabled)).await
    }

    async fn delete_notifier(&self, id: NotifierId) -> Result<(), StoreError> {
        self.call(self.inner.delete_notifier(id)).await
    }
}

#[async_trait]
impl History for FaultyStore {
    async fn write_minutes(
        &self,
        node: Uuid,
        batches: RangeInclusive<u64>,
        minutes: Vec<HistoryMinute>,
    ) -> Result<(), StoreError> {
        self.call(self.inner.write_minutes(node, batches, minutes)).await
    }

    async fn stale(&self) -> Result<Vec<Stale>, StoreError> {
        self.call(self.inner.stale()).await
    }

    async fn rollups(
        &self,
        resolution: Resolution,
        from: OffsetDateTime,
        until: OffsetDateTime,
        targets: Targets,
    ) -> Result<Vec<RollupRow>, StoreError> {
        self.call(self.inner.rollups(resolution, from, until, targets)).await
    }

    async fn write_rollups(&self, of: Stale, rows: &[(TargetId, Rollup)]) -> Result<bool, StoreError> {
        self.call(self.inner.write_rollups(of, rows)).await
    }

    async fn summed_up(&self, of: Stale) -> Result<(), StoreError> {
        self.call(self.inner.summed_up(of)).await
    }

    async fn purge(&self, what: Kept, before: OffsetDateTime) -> Result<bool, StoreError> {
        self.call(self.inner.purge(what, before)).await
    }

    async fn results(
        &self,
        target: TargetId,
        from: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Vec<RawResult>, StoreError> {
        self.call(self.inner.results(target, from, until)).await
    }

    async fn incidents(&self, target: TargetId, most: usize) -> Result<Vec<IncidentRow>, StoreError> {
        self.call(self.inner.incidents(target, most)).await
    }

    async fn notifications(&self, filter: &NotificationFilter) -> Result<Vec<NotificationRow>, StoreError> {
        self.call(self.inner.notifications(filter)).await
    }
}
