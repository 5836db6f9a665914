//! The double of a database.

mod history;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    domain::{
        Batch, NotificationNews, NotifierDefinition, NotifierId, NotifierRow, Period, RawResult, Rollup,
        TargetDefinition, TargetId, TargetNews, TargetRow, TargetState, text,
    },
    port::{IncidentRow, NotificationRow, Packet, Progress, Revision, Stale, Store, StoreError},
};

/// The entries that a step of a purge deletes.
const PURGE_ROWS: usize = 1_000;

/// Keeps rows in memory. Clones share the rows, as the connections of several daemons to one database do.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    rows: Arc<Mutex<Tables>>,
}

#[derive(Debug, Default)]
struct Tables {
    targets: BTreeMap<TargetId, TargetRow>,
    notifiers: BTreeMap<NotifierId, NotifierRow>,
    last_id: u64,
    /// Counts what was done to definitions, and what operators did to anything of a target.
    revision: u64,
    refused: BTreeSet<TargetId>,
    progress: HashMap<Uuid, Progress>,
    incidents: BTreeMap<(TargetId, u64), IncidentRow>,
    notifications: BTreeMap<Uuid, NotificationRow>,
    minutes: BTreeMap<(OffsetDateTime, TargetId), Vec<RawResult>>,
    rollups: BTreeMap<(Period, TargetId), Rollup>,
    stale: BTreeMap<Period, Uuid>,
}

/// What an operator does with plain SQL.
impl MemoryStore {
    /// Inserts or replaces a target.
    pub fn put_target(&self, row: TargetRow) {
        let mut tables = self.change();
        tables.last_id = tables.last_id.max(row.id.0);
        tables.targets.insert(row.id, row);
    }

    /// Edits a target. Panics if there is none.
    pub fn edit_target(&self, id: TargetId, edit: impl FnOnce(&mut TargetRow)) {
        self.lock().revision += 1;
        self.edit_unnoticed(id, edit);
    }

    /// Edits a target in a way that leaves the revision as it is. Panics if there is none.
    pub fn edit_unnoticed(&self, id: TargetId, edit: impl FnOnce(&mut TargetRow)) {
        edit(self.lock().targets.get_mut(&id).expect("a target is added before it is edited"));
    }

    /// Removes a target, if there is one.
    pub fn remove_target(&self, id: TargetId) {
        self.change().targets.remove(&id);
    }

    /// Has all news of a target refused from now on, as a trigger may.
    pub fn refuse_target(&self, id: TargetId) {
        self.lock().refused.insert(id);
    }

    /// Inserts or replaces a notifier.
    pub fn put_notifier(&self, row: NotifierRow) {
        let mut tables = self.lock();
        tables.last_id = tables.last_id.max(row.id.0);
        tables.notifiers.insert(row.id, row);
    }

    /// A target as it stands. Panics if there is none.
    pub fn target(&self, id: TargetId) -> TargetRow {
        self.lock().targets[&id].clone()
    }

    /// Changes a definition.
    fn change(&self) -> MutexGuard<'_, Tables> {
        let mut tables = self.lock();
        tables.revision += 1;
        tables
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    fn target(&mut self, id: TargetId) -> Result<&mut TargetRow, StoreError> {
        self.targets.get_mut(&id).ok_or(StoreError::NotFound)
    }

    fn notifier(&mut self, id: NotifierId) -> Result<&mut NotifierRow, StoreError> {
        self.notifiers.get_mut(&id).ok_or(StoreError::NotFound)
    }

    /// Writes what may be written, and tells of the rest.
    fn write(&mut self, batch: &Batch) -> Vec<String> {
        let mut refused = Vec::new();
        for (&id, news) in &batch.targets {
            if self.refused.contains(&id) {
                refused.push(format!("target {id}: a trigger says no"));
            } else if let Ok(row) = self.target(id) {
                news.apply(&mut row.state);
                let reason = &mut row.state.status_description;
                *reason = text::cut(reason, text::REASON_MAX).into_owned();
            }
            if self.targets.contains_key(&id) {
                self.write_incidents(id, news);
            }
        }
        for (id, news) in batch.notifiers() {
            if let Ok(row) = self.notifier(id) {
                row.pass_count += news.delivered;
                row.fail_count += news.failed;
            }
        }
        for (&id, news) in &batch.notifications {
            self.write_notification(id, news);
        }
        refused
    }

    fn write_incidents(&mut self, target: TargetId, news: &TargetNews) {
        for told in &news.incidents {
            let incident = told.incident;
            let row = self.incidents.entry((target, incident.id)).or_insert_with(|| IncidentRow {
                incident,
                cause: None,
                reason: String::new(),
                trace: Vec::new(),
            });
            row.incident = incident;
            if let Some(begun) = &told.beginning {
                row.cause = begun.cause;
                row.reason = text::cut(&begun.reason, text::REASON_MAX).into_owned();
                row.trace.clone_from(&begun.trace);
            }
        }
        if let Some(latest) = news.incidents.last().map(|news| news.incident) {
            let of_target = self.incidents.range_mut((target, 0)..=(target, u64::MAX));
            let lost =
                of_target.filter(|(_, row)| row.incident.ended_at.is_none() && row.incident.id != latest.id);
            let at = latest.ended_at.unwrap_or(latest.started_at);
            lost.for_each(|(_, row)| row.incident.ended_at = Some(at));
        }
    }

    fn write_notification(&mut self, id: Uuid, news: &NotificationNews) {
        if let Some(row) = self.notifications.get_mut(&id) {
            row.delivery.clone_from(&news.delivery);
        } else if let Some(alert) = &news.alert {
            let (alert, delivery) = (Some((**alert).clone()), news.delivery.clone());
            self.notifications.insert(id, NotificationRow { id, notifier: news.notifier, alert, delivery });
        }
    }

    fn mark(&mut self, period: Period) {
        self.stale.insert(period, Uuid::now_v7());
    }

    fn holds(&self, of: Stale) -> bool {
        self.stale.get(&of.period) == Some(&of.mark)
    }
}

/// Takes progress down, and tells whether it is one.
fn claim(written: &mut u64, first: u64, through: u64) -> Result<bool, StoreError> {
    if *written >= through {
        return Ok(false);
    }
    if *written >= first {
        return Err(StoreError::Refused("some of the batches were written already".into()));
    }
    *written = through;
    Ok(true)
}

/// Removes the first entries that `is_old`, and tells whether there may be more.
fn purge<K: Copy + Ord, V>(entries: &mut BTreeMap<K, V>, is_old: impl Fn(&K) -> bool) -> bool {
    let old: Vec<K> = entries.keys().copied().filter(is_old).take(PURGE_ROWS).collect();
    old.iter().for_each(|key| drop(entries.remove(key)));
    old.len() == PURGE_ROWS
}

#[async_trait]
impl Store for MemoryStore {
    fn backend(&self) -> &'static str {
        "memory"
    }

    async fn revision(&self) -> Result<Revision, StoreError> {
        Ok(Revision(self.lock().revision.to_string()))
    }

    async fn load_targets(&self) -> Result<Vec<TargetRow>, StoreError> {
        Ok(self.lock().targets.values().cloned().collect())
    }

    async fn load_notifiers(&self) -> Result<Vec<NotifierRow>, StoreError> {
        Ok(self.lock().notifiers.values().cloned().collect())
    }

    async fn progress(&self, node: Uuid) -> Result<Progress, StoreError> {
        Ok(self.lock().progress.get(&node).copied().unwrap_or_default())
    }

    async fn write(&self, packet: &Packet) -> Result<Vec<String>, StoreError> {
        let mut tables = self.lock();
        let written = &mut tables.progress.entry(packet.node).or_default().rows;
        if !claim(written, packet.first, packet.through)? {
            return Ok(Vec::new());
        }
        Ok(tables.write(&packet.batch))
    }

    async fn add_target(&self, definition: &TargetDefinition) -> Result<TargetId, StoreError> {
        let mut tables = self.change();
        if tables.targets.values().any(|row| row.definition.name == definition.name) {
            return Err(StoreError::Conflict);
        }
        let id = TargetId(tables.next_id());
        let (definition, state) = (definition.clone(), TargetState::default());
        tables.targets.insert(id, TargetRow { id, definition, state });
        Ok(id)
    }

    async fn update_target(&self, id: TargetId, definition: &TargetDefinition) -> Result<(), StoreError> {
        self.change().target(id)?.definition = definition.clone();
        Ok(())
    }

    async fn enable_target(&self, id: TargetId, enabled: bool) -> Result<(), StoreError> {
        self.change().target(id)?.definition.enabled = enabled;
        Ok(())
    }

    async fn delete_target(&self, id: TargetId) -> Result<(), StoreError> {
        let mut tables = self.change();
        tables.incidents.retain(|(target, _), _| *target != id);
        tables.minutes.retain(|(_, target), _| *target != id);
        tables.rollups.retain(|(_, target), _| *target != id);
        tables.targets.remove(&id).map(drop).ok_or(StoreError::NotFound)
    }

    async fn add_notifier(&self, definition: &NotifierDefinition) -> Result<NotifierId, StoreError> {
        let mut tables = self.lock();
        if tables.notifiers.values().any(|row| row.definition.name == definition.name) {
            return Err(StoreError::Conflict);
        }
        let id = NotifierId(tables.next_id());
        let definition = definition.clone();
        tables.notifiers.insert(id, NotifierRow { id, definition, pass_count: 0, fail_count: 0 });
        Ok(id)
    }

    async fn update_notifier(
        &self,
        id: NotifierId,
        definition: &NotifierDefinition,
    ) -> Result<(), StoreError> {
        self.lock().notifier(id)?.definition = definition.clone();
        Ok(())
    }

    async fn enable_notifier(&self, id: NotifierId, enabled: bool) -> Result<(), StoreError> {
        self.lock().notifier(id)?.definition.enabled = enabled;
        Ok(())
    }

    async fn delete_notifier(&self, id: NotifierId) -> Result<(), StoreError> {
        self.lock().notifiers.remove(&id).map(drop).ok_or(StoreError::NotFound)
    }
}
