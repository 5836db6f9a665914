//! Keeps what happened: results, what they come to, incidents, and what people were told.

use std::ops::RangeInclusive;

use async_trait::async_trait;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use crate::domain::{
    Alert, Cause, Delivery, HistoryMinute, Incident, NotifierId, Period, RawResult, Resolution, Rollup,
    TargetId,
};

/// The past, in the same database as the rows of [`Store`](super::Store), and with the same promises.
#[async_trait]
pub trait History: Send + Sync {
    /// Writes the minutes that come from the batches `first` to `through` of the journal of `node`, in one
    /// transaction, unless they were written before; notes the hours in which they lie as stale.
    ///
    /// A minute of a target may be written in several parts.
    async fn write_minutes(
        &self,
        node: Uuid,
        batches: RangeInclusive<u64>,
        minutes: Vec<HistoryMinute>,
    ) -> Result<(), StoreError>;

    /// The hours and days of which something finer was written since they were summed up, the oldest first,
    /// hours before days.
    async fn stale(&self) -> Result<Vec<Stale>, StoreError>;

    /// What the results came to, by target and time: of the entries that begin from `from` until before
    /// `until`. Parts and nodes are added up.
    async fn rollups(
        &self,
        resolution: Resolution,
        from: OffsetDateTime,
        until: OffsetDateTime,
        targets: Targets,
    ) -> Result<Vec<RollupRow>, StoreError>;

    /// Writes, or replaces, what some targets' results came to in an hour or a day. Targets that are gone are
    /// passed over.
    ///
    /// Nothing is written, and the answer is `false`, where something finer was written since `of` was read, or
    /// another node has summed it up: what was added up then is no longer all.
    async fn write_rollups(&self, of: Stale, rows: &[(TargetId, Rollup)]) -> Result<bool, StoreError>;

    /// The period was summed up: it is stale no more, but that in which it lies is. Nothing changes where
    /// [`write_rollups`](Self::write_rollups) would write nothing.
    async fn summed_up(&self, of: Stale) -> Result<(), StoreError>;

    /// Deletes a few of the oldest entries that ended before `before`, and tells whether there may be more.
    /// Costs no scan of what is younger.
    async fn purge(&self, what: Kept, before: OffsetDateTime) -> Result<bool, StoreError>;

    /// The single results of a target from `from` until before `until`, by time.
    async fn results(
        &self,
        target: TargetId,
        from: OffsetDateTime,
        until: OffsetDateTime,
    ) -> Result<Vec<RawResult>, StoreError>;

    /// The incidents of a target, the newest first.
    async fn incidents(&self, target: TargetId, most: usize) -> Result<Vec<IncidentRow>, StoreError>;

    /// Notifications and their fate, the newest first.
    async fn notifications(&self, filter: &NotificationFilter) -> Result<Vec<NotificationRow>, StoreError>;
}

/// A period that is to be summed up, as it was when that was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stale {
    /// The period.
    pub period: Period,
    /// Another one whenever something finer is written.
    pub mark: Uuid,
}

/// Of which targets rollups are read.
#[derive(Clone, Copy, Debug)]
pub enum Targets {
    /// Of one.
    One(TargetId),
    /// Of the next by id that have any.
    After {
        /// The id before the first.
        id: TargetId,
        /// How many targets at the most.
        most: usize,
    },
}

/// What is kept for its own time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kept {
    /// Single results.
    Raw,
    /// Entries of that resolution.
    Rollup(Resolution),
}

/// One entry of one target.
#[derive(Clone, Debug, PartialEq)]
pub struct RollupRow {
    /// Of which target.
    pub target: TargetId,
    /// When it begins.
    pub start: OffsetDateTime,
    /// What the results came to.
    pub rollup: Rollup,
}

/// One incident.
#[derive(Clone, Debug)]
pub struct IncidentRow {
    /// The incident.
    pub incident: Incident,
    /// Why the target failed at first.
    pub cause: Option<Cause>,
    /// The same in words.
    pub reason: String,
    /// The trace of the first failure, line by line.
    pub trace: Vec<String>,
}

/// Which notifications are meant; everything that is said must hold.
#[derive(Clone, Debug)]
pub struct NotificationFilter {
    /// Those whose ids lie within.
    pub ids: Option<RangeInclusive<Uuid>>,
    /// Those about this target.
    pub target: Option<TargetId>,
    /// Those of this incident of it.
    pub incident: Option<u64>,
    /// Those that were refused, or have expired.
    pub failed: bool,
    /// At most so many.
    pub most: usize,
}

impl NotificationFilter {
    /// The newest `most` of all.
    pub fn newest(most: usize) -> Self {
        Self { ids: None, target: None, incident: None, failed: false, most }
    }
}

/// One notification.
#[derive(Clone, Debug)]
pub struct NotificationRow {
    /// Its id.
    pub id: Uuid,
    /// Whom it is for.
    pub notifier: NotifierId,
    /// What it tells; `None` where that cannot be read any more.
    pub alert: Option<Alert>,
    /// What has become of it.
    pub delivery: Delivery,
}
