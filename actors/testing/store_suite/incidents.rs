//! What is guaranteed of incidents.

use super::{
    Subject,
    given::{add_target, answered, edge_to_fail, edge_to_pass, failed, incident, only, targets, write},
};

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
