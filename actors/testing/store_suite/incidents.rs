//! What is guaranteed of incidents.

use std::sync::Arc;

use super::{
    Subject,
    given::{add_target, answered, edge_to_fail, edge_to_pass, failed, incident, only, targets, write},
};
use crate::{
    domain::{Cause, Incident, IncidentNews, TargetId, TargetNews},
    port::{IncidentRow, Store},
};

async fn incidents(store: &Arc<dyn Store>, target: TargetId) -> Vec<IncidentRow> {
    store.incidents(target, 100).await.expect("incidents can be read")
}

/// News of a failure within an incident.
fn goes_on(incident: Incident) -> TargetNews {
    let mut news = failed("still");
    news.incidents = vec![IncidentNews { incident, beginning: None }];
    news
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

/// It is kept why a target failed at first, whatever it fails of later, and how often it did.
pub async fn an_incident_keeps_its_beginning(Subject { store, .. }: &Subject) {
    let id = add_target(store, "home").await;
    let (begun, ended) = incident(1);
    write(store, 1, [(id, edge_to_fail(begun))]).await;
    write(store, 2, [(id, goes_on(Incident { failed_probes: 2, ..begun }))]).await;
    write(store, 3, [(id, goes_on(Incident { failed_probes: 7, ..begun }))]).await;
    let row = only(incidents(store, id).await);
    assert_eq!(row.incident, Incident { failed_probes: 7, ..begun });
    assert_eq!(only(targets(store).await).state.incident, Some(row.incident));
    write(store, 4, [(id, edge_to_pass(Incident { failed_probes: 7, ..ended }))]).await;
    let row = only(incidents(store, id).await);
    assert_eq!(row.incident, Incident { failed_probes: 7, ..ended });
    assert_eq!((row.cause, row.reason.as_str()), (Some(Cause::Dns), "no such host"));
    assert_eq!(row.trace, ["00:00:00.000000 Resolving example.org ....", "00:00:00.002000 no such host"]);
}

/// News of an incident whose beginning is not known, as of one before an upgrade, are kept all the same.
pub async fn an_incident_without_its_beginning_is_one(Subject { store, .. }: &Subject) {
    let id = add_target(store, "home").await;
    let (begun, _) = incident(1);
    write(store, 1, [(id, goes_on(begun))]).await;
    let row = only(incidents(store, id).await);
    assert_eq!((row.incident, row.cause, row.reason.as_str(), row.trace.len()), (begun, None, "", 0));
}

/// The newest come first, and no more than asked for; they go with their target.
pub async fn incidents_are_told_from_the_newest(Subject { store, .. }: &Subject) {
    let (home, other) = (add_target(store, "home").await, add_target(store, "other").await);
    for number in [1, 2, 3] {
        let (begun, ended) = incident(number);
        write(store, 2 * number, [(home, edge_to_fail(begun)), (other, answered(200, None))]).await;
        write(store, 2 * number + 1, [(home, edge_to_pass(ended))]).await;
    }
    let told: Vec<_> = incidents(store, home).await.iter().map(|row| row.incident).collect();
    assert_eq!(told, [incident(3).1, incident(2).1, incident(1).1]);
    assert_eq!(only(store.incidents(home, 1).await.expect("they can be read")).incident, incident(3).1);
    assert!(incidents(store, other).await.is_empty());
    store.delete_target(home).await.expect("it is there");
    assert!(incidents(store, home).await.is_empty());
}
