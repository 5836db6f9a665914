//! The double of a database.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;

use crate::{
    domain::{
        Batch, NotifierDefinition, NotifierId, NotifierRow, TargetDefinition, TargetId, TargetRow,
        TargetState, text,
    },
    port::{Store, StoreError},
};

/// Keeps rows in memory. Clones share the rows, and each writes under a name of its own, as every
/// connection of a daemon to a real database does.
#[derive(Debug, Default)]
pub struct MemoryStore {
    rows: Arc<Mutex<Tables>>,
    writer: u64,
}

#[derive(Debug, Default)]
struct Tables {
    targets: BTreeMap<TargetId, TargetRow>,
    notifiers: BTreeMap<NotifierId, NotifierRow>,
    last_id: u64,
    sequences: HashMap<u64, u64>,
}

impl Clone for MemoryStore {
    fn clone(&self) -> Self {
        static WRITERS: AtomicU64 = AtomicU64::new(1);
        Self { rows: self.rows.clone(), writer: WRITERS.fetch_add(1, Ordering::Relaxed) }
    }
}

/// What an operator does with plain SQL.
impl MemoryStore {
    /// Inserts or replaces a target.
    pub fn put_target(&self, row: TargetRow) {
        let mut tables = self.lock();
        tables.last_id = tables.last_id.max(row.id.0);
        tables.targets.insert(row.id, row);
    }

    /// Edits a target. Panics if there is none.
    pub fn edit_target(&self, id: TargetId, edit: impl FnOnce(&mut TargetRow)) {
        edit(self.lock().targets.get_mut(&id).expect("a target is added before it is edited"));
    }

    /// Removes a target, if there is one.
    pub fn remove_target(&self, id: TargetId) {
        self.lock().targets.remove(&id);
    }

    /// Inserts or replaces a notifier.
    pub fn put_notifier(&self, row: NotifierRow) {
        let mut tables = self.lock();
        tables.last_id = tables.last_id.max(row.id.0);
        tables.notifiers.insert(row.id, row);
    }

    /// Edits a notifier. Panics if there is none.
    pub fn edit_notifier(&self, id: NotifierId, edit: impl FnOnce(&mut NotifierRow)) {
        edit(self.lock().notifiers.get_mut(&id).expect("a notifier is added before it is edited"));
    }

    /// A target as it stands. Panics if there is none.
    pub fn target(&self, id: TargetId) -> TargetRow {
        self.lock().targets[&id].clone()
    }

    /// A notifier as it stands. Panics if there is none.
    pub fn notifier(&self, id: NotifierId) -> NotifierRow {
        self.lock().notifiers[&id].clone()
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
}

#[async_trait]
impl Store for MemoryStore {
    fn backend(&self) -> &'static str {
        "memory"
    }

    async fn load_targets(&self) -> Result<Vec<TargetRow>, StoreError> {
        Ok(self.lock().targets.values().cloned().collect())
    }

    async fn load_notifiers(&self) -> Result<Vec<NotifierRow>, StoreError> {
        Ok(self.lock().notifiers.values().cloned().collect())
    }

    async fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut tables = self.lock();
        let written = tables.sequences.entry(self.writer).or_default();
        if batch.sequence <= *written {
            return Ok(());
        }
        *written = batch.sequence;
        for (id, news) in &batch.targets {
            if let Ok(row) = tables.target(*id) {
                news.apply(&mut row.state);
                let reason = &mut row.state.status_description;
                *reason = text::cut(reason, text::REASON_MAX).into_owned();
            }
        }
        for (id, news) in &batch.notifiers {
            if let Ok(row) = tables.notifier(*id) {
                row.pass_count += news.delivered;
                row.fail_count += news.failed;
            }
        }
        Ok(())
    }

    async fn add_target(&self, definition: &TargetDefinition) -> Result<TargetId, StoreError> {
        let mut tables = self.lock();
        if tables.targets.values().any(|row| row.definition.name == definition.name) {
            return Err(StoreError::Conflict);
        }
        let id = TargetId(tables.next_id());
        let (definition, state) = (definition.clone(), TargetState::default());
        tables.targets.insert(id, TargetRow { id, definition, state });
        Ok(id)
    }

    async fn update_target(&self, id: TargetId, definition: &TargetDefinition) -> Result<(), StoreError> {
        self.lock().target(id)?.definition = definition.clone();
        Ok(())
    }

    async fn enable_target(&self, id: TargetId, enabled: bool) -> Result<(), StoreError> {
        self.lock().target(id)?.definition.enabled = enabled;
        Ok(())
    }

    async fn delete_target(&self, id: TargetId) -> Result<(), StoreError> {
        self.lock().targets.remove(&id).map(drop).ok_or(StoreError::NotFound)
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
