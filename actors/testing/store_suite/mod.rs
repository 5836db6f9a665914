//! The contract of [`Store`]: one function a guarantee, run over every backend by [`store_contract!`].
//!
//! [`store_contract!`]: crate::store_contract

mod given;
mod history;
mod incidents;
mod notifications;
mod results;
mod rows;

use std::sync::Arc;

use async_trait::async_trait;

pub use history::*;
pub use incidents::*;
pub use notifications::*;
pub use results::*;
pub use rows::*;

use crate::{domain::TargetId, port::Store};

/// An empty store, and somebody who works on its rows behind its back.
pub struct Subject {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The operator; keeps the database alive.
    pub operator: Box<dyn Operator>,
}

/// Does with plain SQL what operators do.
#[async_trait]
pub trait Operator: Send + Sync {
    /// `INSERT INTO targets (name, url) VALUES (…)`
    async fn insert_target(&self, name: &str, url: &str);
    /// `INSERT INTO notifiers (name, type, address) VALUES (…)`
    async fn insert_notifier(&self, name: &str, kind: &str, address: &str);
    /// `UPDATE targets SET url = … WHERE id = …`
    async fn set_url(&self, id: TargetId, url: &str);
    /// Sets `pass_count`, `fail_count` and `repeated_fails` to 0.
    async fn reset_counters(&self, id: TargetId);
    /// `CREATE TRIGGER … BEFORE UPDATE ON targets …`, which refuses to change that one.
    async fn refuse_target(&self, id: TargetId);
    /// `DELETE FROM targets WHERE id = …`
    async fn delete_target(&self, id: TargetId);
    /// Starts a second daemon on the same database.
    async fn second_store(&self) -> Arc<dyn Store>;
}

/// Makes a test of every guarantee in a module `$name`; `$subject` is a future of a [`Subject`].
///
/// [`Subject`]: crate::testing::store_suite::Subject
#[macro_export]
macro_rules! store_contract {
    ($name:ident, $subject:expr) => {
        mod $name {
            use super::*;

            $crate::store_contract! { @tests $subject;
                a_bare_insert_gets_the_defaults
                rows_are_loaded_by_id
                a_definition_is_kept_as_it_was_added
                any_text_is_kept
                a_taken_name_is_refused
                of_two_who_add_one_name_at_once_one_is_refused
                an_id_is_never_given_twice
                rows_are_enabled_disabled_and_deleted
                another_definition_makes_another_revision
                a_definition_is_replaced_and_nothing_else
                what_is_not_there_is_not_found
                a_write_adds_to_the_counters
                a_run_of_failures_goes_on_until_a_pass
                a_counter_that_an_operator_resets_is_added_to
                an_edited_definition_survives_a_write
                a_deleted_row_stays_deleted
                a_batch_counts_once_however_often_it_is_sent
                each_daemon_counts_its_own_batches
                progress_is_the_last_batch_that_was_written
                a_packet_that_was_written_in_part_is_refused
                a_refused_row_blocks_no_other
                the_previous_status_changes_on_an_edge_only
                an_incident_is_shown_until_it_ends
                an_incident_may_begin_and_end_in_one_batch
                a_newer_incident_ends_one_whose_end_was_lost
                an_incident_keeps_its_beginning
                an_incident_without_its_beginning_is_one
                incidents_are_told_from_the_newest
                deliveries_are_counted
                a_reason_is_kept_up_to_its_limit
                times_are_kept_to_the_millisecond
                an_empty_packet_is_progress_all_the_same
                many_targets_are_written_at_once
                a_dropped_call_harms_no_later_one
                a_notification_and_its_fate_are_kept
                notifications_are_told_from_the_newest
                notifications_are_filtered
                a_delivery_of_an_unknown_notification_is_no_row
                a_notification_outlives_its_target
                results_are_kept_as_they_were
                results_are_cut_at_their_times
                results_count_once_however_often_they_are_sent
                results_of_one_minute_may_come_in_parts
                results_of_two_nodes_add_up
                a_history_write_that_was_given_up_counts_once
                rows_and_history_follow_a_journal_by_themselves
                a_deleted_target_gets_no_history
                a_deleted_target_takes_its_history_along
                rollups_keep_all_they_hold
                rollups_are_read_by_pages_of_targets
                what_is_written_makes_its_hour_stale
                an_hour_that_is_summed_up_makes_its_day_stale
                what_comes_while_an_hour_is_summed_up_is_not_lost
                a_purge_takes_what_is_old_and_no_more
                a_purge_goes_by_small_steps
                many_minutes_are_written_at_once
            }
        }
    };
    (@tests $subject:expr; $($test:ident)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                let subject = $subject.await;
                $crate::testing::store_suite::$test(&subject).await;
            }
        )*
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{NotifierDefinition, NotifierRow, Secret, Tally, TargetDefinition, TargetRow};
    use crate::testing::{
        MemoryStore,
        fixtures::{notifier_row, target_row},
    };

    #[async_trait]
    impl Operator for MemoryStore {
        async fn insert_target(&self, name: &str, url: &str) {
            let definition = TargetDefinition::new(name, url);
            self.put_target(TargetRow { definition, ..target_row(1, name) });
        }

        async fn insert_notifier(&self, name: &str, kind: &str, address: &str) {
            let definition = NotifierDefinition::new(name, kind, address);
            self.put_notifier(NotifierRow { definition, ..notifier_row(2, name) });
        }

        async fn set_url(&self, id: TargetId, url: &str) {
            self.edit_target(id, |row| row.definition.url = Secret::new(url));
        }

        async fn reset_counters(&self, id: TargetId) {
            self.edit_target(id, |row| row.state.tally = Tally::default());
        }

        async fn refuse_target(&self, id: TargetId) {
            MemoryStore::refuse_target(self, id);
        }

        async fn delete_target(&self, id: TargetId) {
            self.remove_target(id);
        }

        async fn second_store(&self) -> Arc<dyn Store> {
            Arc::new(self.clone())
        }
    }

    store_contract!(memory, async {
        let store = MemoryStore::default();
        Subject { operator: Box::new(store.clone()), store: Arc::new(store) }
    });
}
