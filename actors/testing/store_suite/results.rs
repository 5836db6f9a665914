//! What is guaranteed of results that are written.

use std::time::Duration;

use time::macros::datetime;
use tokio::time::timeout;

use super::{
    Subject,
    given::{
        add_notifier, add_target, answered, batch, edge_to_fail, edge_to_pass, failed, incident, notifiers,
        only, targets, write,
    },
};
use crate::domain::{Cause, NotifierNews, Status, Tally, TargetId, text::REASON_MAX};

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
