//! What is guaranteed of results that are written.

use std::time::Duration;

use time::macros::datetime;
use tokio::time::timeout;

use super::{
    Subject,
    given::{
        NODE, OTHER_NODE, add_notifier, add_target, answered, deliver, edge_to_fail, edge_to_pass, failed,
        incident, notification, notifications, notifiers, notify, only, packet, targets, write, write_packet,
    },
};
use crate::{
    domain::{Cause, Delivery, DeliveryState, NotificationNews, Status, Tally, TargetId, text::REASON_MAX},
    port::{NotificationFilter, Packet, Progress, StoreError},
};

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
    write(store, 1, [(home, edge_to_fail(begun)), (other, answered(200, None))]).await;
    let told = notification(ops, home, 1);
    notify(store, 2, std::slice::from_ref(&told)).await;
    let delivered = Delivery { state: DeliveryState::Delivered, ..Delivery::pending(begun.started_at) };
    deliver(store, 3, &told, delivered).await;
    assert_eq!(only(targets(store).await).state.tally.pass_count, 1);
    assert!(notifiers(store).await.is_empty());
}

/// A packet whose answer was lost can be sent again; one that is older is taken for written.
pub async fn a_batch_counts_once_however_often_it_is_sent(Subject { store, .. }: &Subject) {
    let id = add_target(store, "home").await;
    for number in [1, 2, 2, 1, 2, 5, 4, 5] {
        write(store, number, [(id, answered(200, None))]).await;
    }
    assert_eq!(only(targets(store).await).state.tally.pass_count, 3);
}

/// Batches are told apart by node: several daemons write, and one goes on after a restart.
pub async fn each_daemon_counts_its_own_batches(Subject { store, operator }: &Subject) {
    let id = add_target(store, "home").await;
    let second = operator.second_store().await;
    write(store, 7, [(id, answered(200, None))]).await;
    write_packet(&second, &Packet { node: OTHER_NODE, ..packet(1, [(id, answered(200, None))]) }).await;
    write(&second, 7, [(id, answered(200, None))]).await;
    write(&second, 8, [(id, answered(200, None))]).await;
    assert_eq!(only(targets(store).await).state.tally.pass_count, 3);
}

/// Progress is that of whole packets, is kept by node, and begins with nothing.
pub async fn progress_is_the_last_batch_that_was_written(Subject { store, operator }: &Subject) {
    let id = add_target(store, "home").await;
    assert_eq!(store.progress(NODE).await.expect("it can be read"), Progress::default());
    let several = Packet { through: 9, ..packet(4, [(id, answered(200, None))]) };
    write_packet(store, &several).await;
    write_packet(store, &several).await;
    let second = operator.second_store().await;
    assert_eq!(second.progress(NODE).await.expect("it can be read"), Progress { rows: 9, history: 0 });
    assert_eq!(second.progress(OTHER_NODE).await.expect("it can be read"), Progress::default());
    assert_eq!(only(targets(store).await).state.tally.pass_count, 1);
}

/// A packet that is new in part cannot be taken apart, and is written neither in part nor twice.
pub async fn a_packet_that_was_written_in_part_is_refused(Subject { store, .. }: &Subject) {
    let id = add_target(store, "home").await;
    write(store, 5, [(id, answered(200, None))]).await;
    let torn = store.write(&Packet { through: 6, ..packet(5, [(id, answered(200, None))]) }).await;
    assert!(matches!(torn, Err(StoreError::Refused(_))), "{torn:?}");
    assert_eq!(store.progress(NODE).await.expect("it can be read").rows, 5);
    assert_eq!(only(targets(store).await).state.tally.pass_count, 1);
}

/// A row that the database refuses, as an operator's trigger may, holds up no other; and it is told of.
pub async fn a_refused_row_blocks_no_other(Subject { store, operator }: &Subject) {
    let mut ids = Vec::new();
    for number in 0..100 {
        ids.push(add_target(store, &format!("target {number}")).await);
    }
    let (refused, ops) = (ids[7], add_notifier(store, "ops").await);
    operator.refuse_target(refused).await;
    let told = notification(ops, ids[8], 1);
    let mut packet = packet(1, ids.iter().map(|id| (*id, answered(200, None))));
    packet.batch.tell(told.id, NotificationNews::new(&told));
    let sentences = store.write(&packet).await.expect("the packet is written");
    let sentence = only(sentences);
    assert!(sentence.starts_with(&format!("target {refused}: ")), "{sentence}");
    for row in targets(store).await {
        assert_eq!(row.state.tally.pass_count, u64::from(row.id != refused), "{}", row.id);
    }
    assert_eq!(store.progress(NODE).await.expect("it can be read").rows, 1);
    assert_eq!(only(notifications(store, NotificationFilter::newest(9)).await).id, told.id);
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

/// Deliveries and failures are added to the notifier's counters, each once.
pub async fn deliveries_are_counted(Subject { store, .. }: &Subject) {
    let (ops, boss) = (add_notifier(store, "ops").await, add_notifier(store, "boss").await);
    let ends = [
        (ops, DeliveryState::Delivered),
        (ops, DeliveryState::Delivered),
        (ops, DeliveryState::Refused),
        (boss, DeliveryState::Expired),
        (boss, DeliveryState::Sending),
    ];
    for (number, (notifier, state)) in (1..).zip(ends) {
        let told = notification(notifier, TargetId(1), number);
        notify(store, 2 * number, std::slice::from_ref(&told)).await;
        let delivery = Delivery { state, ..Delivery::pending(told.alert.at) };
        deliver(store, 2 * number + 1, &told, delivery.clone()).await;
        deliver(store, 2 * number + 1, &told, delivery).await;
    }
    let counts: Vec<_> = notifiers(store).await.iter().map(|row| (row.pass_count, row.fail_count)).collect();
    assert_eq!(counts, [(2, 1), (0, 1)]);
}

/// A reason of the greatest length is kept whole; a longer one is cut, and refuses no batch.
pub async fn a_reason_is_kept_up_to_its_limit(Subject { store, .. }: &Subject) {
    let (home, other) = (add_target(store, "home").await, add_target(store, "other").await);
    let longest = "ü".repeat(REASON_MAX);
    let mut news = edge_to_fail(incident(1).0);
    news.status_description.clone_from(&longest);
    let mut too_long = edge_to_fail(incident(2).0);
    too_long.status_description = "🗼".repeat(REASON_MAX + 1);
    too_long.incidents[0].beginning.as_mut().expect("it begins").reason = "🗼".repeat(REASON_MAX + 1);
    write(store, 1, [(home, news), (other, too_long)]).await;
    let rows = targets(store).await;
    assert_eq!(rows[0].state.status_description, longest);
    assert_eq!(rows[1].state.status_description.chars().count(), REASON_MAX);
    let begun = only(store.incidents(other, 9).await.expect("incidents can be read"));
    assert_eq!(begun.reason.chars().count(), REASON_MAX);
}

/// Times are points in time, whatever the zone of the server or of the value.
pub async fn times_are_kept_to_the_millisecond(Subject { store, .. }: &Subject) {
    let id = add_target(store, "home").await;
    for (number, at) in
        [(1, datetime!(2026-07-01 01:02:03.004 +2)), (2, datetime!(2026-12-31 23:59:59.999 UTC))]
    {
        let mut news = answered(200, None);
        news.last_updated = at;
        write(store, number, [(id, news)]).await;
        assert_eq!(only(targets(store).await).state.last_updated, Some(at));
    }
}

/// There is nothing to write, but that.
pub async fn an_empty_packet_is_progress_all_the_same(Subject { store, .. }: &Subject) {
    let id = add_target(store, "home").await;
    write(store, 9, []).await;
    assert_eq!(store.progress(NODE).await.expect("it can be read").rows, 9);
    write(store, 10, [(id, answered(200, None))]).await;
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
    write(store, 1, ids.iter().enumerate().map(news)).await;
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
    for number in 1..=40 {
        let packet = packet(number, [(id, answered(200, None))]);
        let patience = Duration::from_micros(number * 50);
        let given_up = timeout(patience, store.write(&packet)).await.is_err();
        drop(timeout(patience, store.load_notifiers()).await);
        if given_up {
            write_packet(store, &packet).await;
        }
        assert_eq!(only(targets(store).await).state.tally.pass_count, number);
        assert_eq!(only(notifiers(store).await).definition.name, "ops");
    }
}
