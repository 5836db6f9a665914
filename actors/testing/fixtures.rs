//! Rows for tests.

use crate::domain::{
    NotifierDefinition, NotifierId, NotifierRow, TargetDefinition, TargetId, TargetRow, TargetState,
};

/// An enabled target that is probed every minute and was never judged.
pub fn target_row(id: u64, name: &str) -> TargetRow {
    let definition = TargetDefinition::new(name, format!("http://{id}.example.org/"));
    TargetRow { id: TargetId(id), definition, state: TargetState::default() }
}

/// An enabled notifier that was told nothing yet.
pub fn notifier_row(id: u64, name: &str) -> NotifierRow {
    let definition = NotifierDefinition::new(name, "SMTP", format!("{id}@example.org"));
    NotifierRow { id: NotifierId(id), definition, pass_count: 0, fail_count: 0 }
}
