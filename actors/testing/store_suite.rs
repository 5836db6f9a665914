//! The contract of [`Store`]: one function a guarantee, run over every backend by [`store_contract!`].
//!
//! [`store_contract!`]: crate::store_contract

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use time::macros::datetime;
use tokio::time::timeout;

use crate::{
    domain::{
        Batch, Cause, Edge, Incident, NotifierDefinition, NotifierId, NotifierNews, NotifierRow, Outcome,
        Secret, Status, Tally, TargetDefinition, TargetId, TargetNews, TargetRow, text::REASON_MAX,
    },
    port::{Store, StoreError},
};

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
                what_is_not_there_is_not_found
                a_write_adds_to_the_counters
                a_run_of_failures_goes_on_until_a_pass
                a_counter_that_an_operator_resets_is_added_to
                an_edited_definition_survives_a_write
                a_deleted_row_stays_deleted
                a_batch_counts_once_however_often_it_is_sent
                each_daemon_counts_its_own_batches
                the_previous_status_changes_on_an_edge_only
                an_incident_is_shown_until_it_ends
                an_incident_may_begin_and_end_in_one_batch
                a_newer_incident_ends_one_whose_end_was_lost
                deliveries_are_counted
                a_reason_is_kept_up_to_its_limit
                times_are_kept_to_the_millisecond
                an_empty_batch_changes_nothing
                many_targets_are_written_at_once
                a_dropped_call_harms_no_later_one
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

/// A row inserted with its name and URL alone is a target, and likewise a notifier.
pub async fn a_bare_insert_gets_the_defaults(Subject { store, operator }: &Subject) {
    operator.insert_target("home", "https://example.org/").await;
    operator.insert_notifier("ops", "SMTP", "ops@example.org").await;
    let target = only(targets(store).await);
    assert_eq!(target.definition, TargetDefinition::new("home", "https://example.org/"));
    assert_eq!(format!("{:?}", target.state), format!("{:?}", crate::domain::TargetState::default()));
    let notifier = only(notifiers(store).await);
    assert_eq!(notifier.definition, NotifierDefinition::new("ops", "SMTP", "ops@example.org"));
    assert_eq!((notifier.pass_count, notifier.fail_count), (0, 0));
}

/// Rows come in the order of their ids.
pub async fn rows_are_loaded_by_id(Subject { store, .. }: &Subject) {
    for name in ["c", "a", "b"] {
        add_target(store, name).await;
        add_notifier(store, name).await;
    }
    let loaded = targets(store).await;
    assert!(loaded.is_sorted_by_key(|row| row.id));
    assert_eq!(loaded.iter().map(|row| row.definition.name.as_str()).collect::<Vec<_>>(), ["c", "a", "b"]);
    assert!(notifiers(store).await.is_sorted_by_key(|row| row.id));
}

/// Every column of a definition is stored.
pub async fn a_definition_is_kept_as_it_was_added(Subject { store, .. }: &Subject) {
    let target = TargetDefinition {
        tenantid: "17".to_owned(),
        method: "head".to_owned(),
        authn: "BASIC".to_owned(),
        authn_parms: Some(Secret::new("user=bob,password=\"a,b\"")),
        pass_result: "200-299,404".to_owned(),
        frequency: 1,
        timeout: 3,
        enabled: false,
        options: Some(Secret::new(r#"{"tags":["a"]}"#)),
        ..TargetDefinition::new("home", "https://example.org/?q=1")
    };
    let id = store.add_target(&target).await.expect("the name is free");
    let row = only(targets(store).await);
    assert_eq!((row.id, row.definition), (id, target));

    let notifier = NotifierDefinition {
        params: Secret::new("server=mail,port=25"),
        enabled: false,
        options: Some(Secret::new("{}")),
        ..NotifierDefinition::new("ops", "smtp", "ops@example.org")
    };
    let id = store.add_notifier(&notifier).await.expect("the name is free");
    let row = only(notifiers(store).await);
    assert_eq!((row.id, row.definition), (id, notifier));
}

/// Names and parameters may hold any character, and are never taken for SQL.
pub async fn any_text_is_kept(Subject { store, .. }: &Subject) {
    let names =
        ["Zürich", "東京 🗼", "مرحبا", "O'Hara \\ \"x\"; DROP TABLE targets; --", "a\nb\tc", "?", "%s :name"];
    for name in names {
        let mut definition = TargetDefinition::new(name, format!("http://x/{name}"));
        definition.authn_parms = Some(Secret::new(name));
        store.add_target(&definition).await.expect("any text is a name");
    }
    let rows = targets(store).await;
    assert_eq!(rows.iter().map(|row| row.definition.name.as_str()).collect::<Vec<_>>(), names);
    assert!(rows.iter().all(|row| row.definition.authn_parms == Some(Secret::new(&*row.definition.name))));
}

/// A name is taken byte by byte.
pub async fn a_taken_name_is_refused(Subject { store, .. }: &Subject) {
    add_target(store, "home").await;
    add_notifier(store, "home").await;
    let again = store.add_target(&TargetDefinition::new("home", "http://other/")).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
    let again = store.add_notifier(&NotifierDefinition::new("home", "SMTP", "x")).await;
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
    for other in ["Home", "home ", "hôme"] {
        add_target(store, other).await;
        add_notifier(store, other).await;
    }
}

/// Two daemons that add one name at the same moment do not both succeed.
pub async fn of_two_who_add_one_name_at_once_one_is_refused(Subject { store, operator }: &Subject) {
    let other = operator.second_store().await;
    for round in 0..5 {
        let definition = TargetDefinition::new(format!("home {round}"), "http://h/");
        let (one, two) = tokio::join!(store.add_target(&definition), other.add_target(&definition));
        let refused = [&one, &two].into_iter().filter(|added| matches!(added, Err(StoreError::Conflict)));
        assert_eq!((refused.count(), one.is_ok() || two.is_ok()), (1, true), "{one:?} {two:?}");
    }
}

/// What was kept of a target that is gone never falls to another.
pub async fn an_id_is_never_given_twice(Subject { store, .. }: &Subject) {
    let first = add_target(store, "first").await;
    store.delete_target(first).await.expect("it is there");
    assert!(add_target(store, "second").await > first);
}

/// The commands do what they say, also where there is nothing left to do.
pub async fn rows_are_enabled_disabled_and_deleted(Subject { store, .. }: &Subject) {
    let (target, notifier) = (add_target(store, "home").await, add_notifier(store, "ops").await);
    for enabled in [false, false, true] {
        store.enable_target(target, enabled).await.expect("it is there");
        store.enable_notifier(notifier, enabled).await.expect("it is there");
        assert_eq!(only(targets(store).await).definition.enabled, enabled);
        assert_eq!(only(notifiers(store).await).definition.enabled, enabled);
    }
    store.delete_target(target).await.expect("it is there");
    store.delete_notifier(notifier).await.expect("it is there");
    assert!(targets(store).await.is_empty());
    assert!(notifiers(store).await.is_empty());
}

/// A command about a row that is not there says so.
pub async fn what_is_not_there_is_not_found(Subject { store, .. }: &Subject) {
    let (target, notifier) = (TargetId(7), NotifierId(7));
    for done in [
        store.enable_target(target, true).await,
        store.delete_target(target).await,
        store.enable_notifier(notifier, true).await,
        store.delete_notifier(notifier).await,
    ] {
        assert!(matches!(done, Err(StoreError::NotFound)), "{done:?}");
    }
}

/// Each result is counted, and the newest one stands in the row.
pub async fn a_write_adds_to_the_counters(Subject { store, .. }: &Subject) {
    let (home, other) = (add_target(store, "home").await, add_target(store, "other").await);
    write(store, 1, [(home, answered(200, None)), (other, answered(301, None))]).await;
    let mut news = answered(404, Some(Cause::Status));
    news.merge(failed("connection refused"));
    write(store, 2, [(home, news)]).await;

    let rows = targets(store).await;
    let state = &rows[0].state;
    let expected = Tally {
        pass_count: 1,
        fail_count: 2,
        count200: 1,
        count400: 1,
        network_fails: 1,
        repeated_fails: 2,
        ..Tally::default()
    };
    assert_eq!(state.tally, expected);
    assert_eq!((state.status, state.cause), (Status::Fail, Some(Cause::Connect)));
    assert_eq!(state.status_description, "connection refused");
    assert_eq!(rows[1].state.tally, Tally { pass_count: 1, count300: 1, ..Tally::default() });
    assert_eq!((rows[1].state.status, rows[1].state.cause), (Status::Pass, None));
}

/// `repeated_fails` is added to, unless the batch had a pass.
pub async fn a_run_of_failures_goes_on_until_a_pass(Subject { store, .. }: &Subject) {
    let id = add_target(store, "home").await;
    let repeated = async || only(targets(store).await).state.tally.repeated_fails;
    write(store, 1, [(id, failed("no"))]).await;
    write(store, 2, [(id, failed("no"))]).await;
    assert_eq!(repeated().await, 2);
    let mut news = answered(200, None);
    news.merge(failed("no"));
    write(store, 3, [(id, news)]).await;
    assert_eq!(repeated().await, 1);
    write(store, 4, [(id, answered(200, None))]).await;
    assert_eq!(repeated().await, 0);
}

/// A reset is not overwritten with what the daemon remembers.
pub async fn a_counter_that_an_operator_resets_is_added_to(Subject { store, operator }: &Subject) {
    let id = add_target(store, "home").await;
    write(store, 1, [(id, answered(200, None))]).await;
    write(store, 2, [(id, answered(200, None))]).await;
    operator.reset_counters(id).await;
    write(store, 3, [(id, failed("no"))]).await;
    let tally = only(targets(store).await).state.tally;
    assert_eq!((tally.pass_count, tally.fail_count, tally.repeated_fails), (0, 1, 1));
}

/// Results of an old definition do not bring it back.
pub async fn an_edited_definition_survives_a_write(Subject { store, operator }: &Subject) {
    let id = add_target(store, "home").await;
    targets(store).await;
    operator.set_url(id, "http://new/").await;
    write(store, 1, [(id, answered(200, None))]).await;
    let row = only(targets(store).await);
    assert_eq!(row.definition.url.expose(), "http://new/");
    assert_eq!(row.state.tally.pass_count, 1);
}

/// Results that come late bring back neither a target nor a notifier, and hurt no other row.
pub async fn a_deleted_row_stays_deleted(Subject { store, operator }: &Subject) {
    let (home, other) = (add_target(store, "home").await, add_target(store, "other").await);
    let ops = add_notifier(store, "ops").await;
    operator.delete_target(home).await;
    store.delete_notifier(ops).await.expect("it is there");
    let (begun, _) = incident(1);
    let mut batch = batch(1, [(home, edge_to_fail(begun)), (other, answered(200, None))]);
    batch.notifiers.insert(ops, NotifierNews { delivered: 1, failed: 0 });
    store.write(&batch).await.expect("a batch is written");
    assert_eq!(only(targets(store).await).state.tally.pass_count, 1);
    assert!(notifiers(store).await.is_empty());
}

/// A batch whose answer was lost can be sent again; one that is older is ignored.
pub async fn a_batch_counts_once_however_often_it_is_sent(Subject { store, .. }: &Subject) {
    let id = add_target(store, "home").await;
    for sequence in [1, 2, 2, 1, 2, 5, 4, 5] {
        write(store, sequence, [(id, answered(200, None))]).await;
    }
    assert_eq!(only(targets(store).await).state.tally.pass_count, 3);
}

/// The batches of one daemon are not taken for those of another, nor of one before a restart.
pub async fn each_daemon_counts_its_own_batches(Subject { store, operator }: &Subject) {
    let id = add_target(store, "home").await;
    let second = operator.second_store().await;
    write(store, 7, [(id, answered(200, None))]).await;
    write(&second, 1, [(id, answered(200, None))]).await;
    write(store, 8, [(id, answered(200, None))]).await;
    assert_eq!(only(targets(store).await).state.tally.pass_count, 3);
}

/// Results without an edge leave the status before the last edge alone.
pub async fn the_previous_status_changes_on_an_edge_only(Subject { store, .. }: &Subject) {
    let id = add_target(store, "home").await;
    let previous = async || only(targets(store).await).state.previous_status;
    write(store, 1, [(id, edge_to_fail(incident(1).0))]).await;
    assert_eq!(previous().await, Status::Pass);
    write(store, 2, [(id, failed("still"))]).await;
    assert_eq!(previous().await, Status::Pass);
    write(store, 3, [(id, edge_to_pass(incident(1).1))]).await;
    assert_eq!(previous().await, Status::Fail);
}

/// An incident goes on until news of its end, over any number of results.
pub async fn an_incident_is_shown_until_it_ends(Subject { store, .. }: &Subject) {
    let (home, other) = (add_target(store, "home").await, add_target(store, "other").await);
    let (begun, ended) = incident(1);
    write(store, 1, [(home, edge_to_fail(begun)), (other, answered(200, None))]).await;
    write(store, 2, [(home, failed("still"))]).await;
    let rows = targets(store).await;
    assert_eq!((rows[0].state.incident, rows[1].state.incident), (Some(begun), None));
    assert_eq!(rows.len(), 2);
    write(store, 3, [(home, edge_to_pass(ended)), (other, edge_to_fail(begun))]).await;
    let rows = targets(store).await;
    assert_eq!((rows[0].state.incident, rows[1].state.incident), (None, Some(begun)));
}

/// News are merged: an incident may come and go between two writes, and the next one begin.
pub async fn an_incident_may_begin_and_end_in_one_batch(Subject { store, .. }: &Subject) {
    let id = add_target(store, "home").await;
    let ((first, first_ended), (second, _)) = (incident(1), incident(2));
    let mut news = edge_to_fail(first);
    news.merge(edge_to_pass(first_ended));
    write(store, 1, [(id, news.clone())]).await;
    assert_eq!(only(targets(store).await).state.incident, None);
    news.merge(edge_to_fail(second));
    write(store, 2, [(id, news)]).await;
    assert_eq!(only(targets(store).await).state.incident, Some(second));
}

/// One incident a target goes on: a second one takes the place of one whose end was lost.
pub async fn a_newer_incident_ends_one_whose_end_was_lost(Subject { store, .. }: &Subject) {
    let id = add_target(store, "home").await;
    let ((first, _), (second, second_ended)) = (incident(1), incident(2));
    write(store, 1, [(id, edge_to_fail(first))]).await;
    write(store, 2, [(id, edge_to_fail(second))]).await;
    assert_eq!(only(targets(store).await).state.incident, Some(second));
    write(store, 3, [(id, edge_to_pass(second_ended))]).await;
    assert_eq!(only(targets(store).await).state.incident, None);
}

/// Deliveries and failures are added to the notifier's counters.
pub async fn deliveries_are_counted(Subject { store, .. }: &Subject) {
    let (ops, boss) = (add_notifier(store, "ops").await, add_notifier(store, "boss").await);
    for sequence in [1, 2] {
        let mut batch = batch(sequence, []);
        batch.notifiers.insert(ops, NotifierNews { delivered: 2, failed: 1 });
        batch.notifiers.insert(boss, NotifierNews { delivered: 0, failed: 1 });
        store.write(&batch).await.expect("a batch is written");
    }
    let counts: Vec<_> = notifiers(store).await.iter().map(|row| (row.pass_count, row.fail_count)).collect();
    assert_eq!(counts, [(4, 2), (0, 2)]);
}

/// A reason of the greatest length is kept whole; a longer one is cut, and refuses no batch.
pub async fn a_reason_is_kept_up_to_its_limit(Subject { store, .. }: &Subject) {
    let (home, other) = (add_target(store, "home").await, add_target(store, "other").await);
    let longest = "ü".repeat(REASON_MAX);
    let mut news = edge_to_fail(incident(1).0);
    news.status_description.clone_from(&longest);
    let mut too_long = edge_to_fail(incident(2).0);
    too_long.status_description = "🗼".repeat(REASON_MAX + 1);
    too_long.incidents[0].reason = "🗼".repeat(REASON_MAX + 1);
    write(store, 1, [(home, news), (other, too_long)]).await;
    let rows = targets(store).await;
    assert_eq!(rows[0].state.status_description, longest);
    assert_eq!(rows[1].state.status_description.chars().count(), REASON_MAX);
}

/// Times are points in time, whatever the zone of the server or of the value.
pub async fn times_are_kept_to_the_millisecond(Subject { store, .. }: &Subject) {
    let id = add_target(store, "home").await;
    for (sequence, at) in
        [(1, datetime!(2026-07-01 01:02:03.004 +2)), (2, datetime!(2026-12-31 23:59:59.999 UTC))]
    {
        let mut news = answered(200, None);
        news.last_updated = at;
        write(store, sequence, [(id, news)]).await;
        assert_eq!(only(targets(store).await).state.last_updated, Some(at));
    }
}

/// There is nothing to write.
pub async fn an_empty_batch_changes_nothing(Subject { store, .. }: &Subject) {
    let id = add_target(store, "home").await;
    store.write(&batch(9, [])).await.expect("nothing can go wrong");
    write(store, 1, [(id, answered(200, None))]).await;
    assert_eq!(only(targets(store).await).state.tally.pass_count, 1);
}

/// More rows than fit into one statement.
pub async fn many_targets_are_written_at_once(Subject { store, .. }: &Subject) {
    const TARGETS: usize = 1_200;
    let mut ids = Vec::new();
    for number in 0..TARGETS {
        ids.push(add_target(store, &format!("target {number}")).await);
    }
    let news = |(at, id): (usize, &TargetId)| {
        let (begun, _) = incident(at as u64);
        (*id, if at % 2 == 0 { answered(200, None) } else { edge_to_fail(begun) })
    };
    store.write(&batch(1, ids.iter().enumerate().map(news))).await.expect("a batch is written");
    let rows = targets(store).await;
    assert_eq!(rows.len(), TARGETS);
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(row.id, ids[at]);
        assert_eq!(row.state.tally.pass_count + row.state.tally.fail_count, 1);
        let begun = (at % 2 == 1).then(|| incident(at as u64).0);
        assert_eq!(row.state.incident, begun);
    }
}

/// A caller may give up at any moment, send the same again, and get answers that are its own.
pub async fn a_dropped_call_harms_no_later_one(Subject { store, .. }: &Subject) {
    let id = add_target(store, "home").await;
    add_notifier(store, "ops").await;
    for sequence in 1..=40 {
        let batch = batch(sequence, [(id, answered(200, None))]);
        let patience = Duration::from_micros(sequence * 50);
        let given_up = timeout(patience, store.write(&batch)).await.is_err();
        drop(timeout(patience, store.load_notifiers()).await);
        if given_up {
            store.write(&batch).await.expect("a batch is written");
        }
        assert_eq!(only(targets(store).await).state.tally.pass_count, sequence);
        assert_eq!(only(notifiers(store).await).definition.name, "ops");
    }
}

fn answered(status: u16, failure: Option<Cause>) -> TargetNews {
    let outcome = Outcome { failure, http_status: Some(status), ..Outcome::pass(format!("status {status}")) };
    let now = if outcome.passed() { Status::Pass } else { Status::Fail };
    TargetNews::of(&outcome, datetime!(2026-01-01 12:00 UTC), now, None)
}

fn failed(reason: &str) -> TargetNews {
    let outcome = Outcome::fail(Cause::Connect, reason);
    TargetNews::of(&outcome, datetime!(2026-01-01 12:00 UTC), Status::Fail, None)
}

fn edge_to_fail(begun: Incident) -> TargetNews {
    let edge = Edge { from: Status::Pass, to: Status::Fail };
    TargetNews::of(
        &Outcome::fail(Cause::Dns, "no such host"),
        begun.started_at,
        edge.to,
        Some((edge, Some(begun))),
    )
}

fn edge_to_pass(ended: Incident) -> TargetNews {
    let edge = Edge { from: Status::Fail, to: Status::Pass };
    let at = ended.ended_at.expect("an edge to PASS ends its incident");
    TargetNews::of(&Outcome::pass("200 OK"), at, edge.to, Some((edge, Some(ended))))
}

/// The incident of that minute, as it begins and as it ends.
fn incident(minute: u64) -> (Incident, Incident) {
    let at = datetime!(2026-01-01 12:00:00.123 UTC) + Duration::from_secs(60 * minute);
    let begun = Incident::begin(at, minute);
    (begun, begun.end(at + Duration::from_secs(30)))
}

fn batch(sequence: u64, targets: impl IntoIterator<Item = (TargetId, TargetNews)>) -> Batch {
    Batch { sequence, targets: targets.into_iter().collect(), ..Batch::default() }
}

async fn write(
    store: &Arc<dyn Store>,
    sequence: u64,
    targets: impl IntoIterator<Item = (TargetId, TargetNews)>,
) {
    store.write(&batch(sequence, targets)).await.expect("a batch is written");
}

async fn targets(store: &Arc<dyn Store>) -> Vec<TargetRow> {
    store.load_targets().await.expect("targets can be read")
}

async fn notifiers(store: &Arc<dyn Store>) -> Vec<NotifierRow> {
    store.load_notifiers().await.expect("notifiers can be read")
}

async fn add_target(store: &Arc<dyn Store>, name: &str) -> TargetId {
    store.add_target(&TargetDefinition::new(name, "http://example.org/")).await.expect("the name is free")
}

async fn add_notifier(store: &Arc<dyn Store>, name: &str) -> NotifierId {
    let definition = NotifierDefinition::new(name, "SMTP", "ops@example.org");
    store.add_notifier(&definition).await.expect("the name is free")
}

fn only<T>(rows: Vec<T>) -> T {
    let [row] = <[T; 1]>::try_from(rows).unwrap_or_else(|rows| panic!("{} rows, not one", rows.len()));
    row
}

#[cfg(test)]
mod tests {
    use super::*;
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
