//! Takes a batch apart for the statements that write it.

use std::collections::BTreeMap;

use skypunch_actors::domain::{Alert, Batch, Beginning, Delivery, Incident, NotifierId, TargetId};
use time::OffsetDateTime;
use uuid::Uuid;

/// An incident as one row: what several news of it come to.
#[derive(Debug)]
pub(super) struct IncidentRow<'a> {
    pub target: TargetId,
    pub incident: Incident,
    pub beginning: Option<&'a Beginning>,
}

/// The incident that a target's last news are about. Others of the target that are still open have
/// lost their end, and end at `at`: one incident a target goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latest {
    pub target: TargetId,
    pub incident: u64,
    pub at: OffsetDateTime,
}

/// A notification that is new.
#[derive(Debug)]
pub(super) struct NewNotification<'a> {
    pub id: Uuid,
    pub notifier: NotifierId,
    pub alert: &'a Alert,
    pub delivery: &'a Delivery,
}

/// The incidents of a batch, and the latest of each target that has any.
pub(super) fn incidents(batch: &Batch) -> (Vec<IncidentRow<'_>>, Vec<Latest>) {
    let mut rows = BTreeMap::new();
    let mut latest = Vec::new();
    for (&target, news) in &batch.targets {
        for told in &news.incidents {
            let (incident, beginning) = (told.incident, told.beginning.as_ref());
            // The first news say why the target failed, the last ones when it ended.
            rows.entry((target, incident.id))
                .and_modify(|row: &mut IncidentRow<'_>| row.incident = incident)
                .or_insert(IncidentRow { target, incident, beginning });
        }
        if let Some(Incident { id, started_at, ended_at, .. }) =
            news.incidents.last().map(|last| last.incident)
        {
            latest.push(Latest { target, incident: id, at: ended_at.unwrap_or(started_at) });
        }
    }
    (rows.into_values().collect(), latest)
}

/// The notifications of a batch: those that are new, and of the others what has become of them.
pub(super) fn notifications(batch: &Batch) -> (Vec<NewNotification<'_>>, Vec<(Uuid, &Delivery)>) {
    let (mut new, mut known) = (Vec::new(), Vec::new());
    for (&id, news) in &batch.notifications {
        match &news.alert {
            Some(alert) => {
                new.push(NewNotification { id, notifier: news.notifier, alert, delivery: &news.delivery });
            }
            None => known.push((id, &news.delivery)),
        }
    }
    (new, known)
}

#[cfg(test)]
mod tests {
    use skypunch_actors::domain::{Cause, IncidentNews, Outcome, Status, TargetNews};
    use time::macros::datetime;

    use super::*;

    #[test]
    fn an_incident_that_began_and_ended_in_one_batch_keeps_its_cause() {
        let begun = Incident::begin(datetime!(2026-01-01 0:00 UTC), 1);
        let ended = begun.end(datetime!(2026-01-01 0:01 UTC));
        let outcome = Outcome::pass("200 OK");
        let mut news = TargetNews::of(&outcome, datetime!(2026-01-01 0:01 UTC), Status::Pass, None, None);
        let beginning =
            Beginning { cause: Some(Cause::Dns), reason: "no such host".to_owned(), trace: Vec::new() };
        news.incidents = vec![
            IncidentNews { incident: begun, beginning: Some(beginning) },
            IncidentNews { incident: ended, beginning: None },
        ];
        let batch = Batch { targets: [(TargetId(1), news)].into(), ..Batch::default() };
        let (rows, latest) = incidents(&batch);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].beginning.unwrap().reason, "no such host");
        assert_eq!(rows[0].incident, ended);
        assert_eq!((latest.len(), latest[0].incident), (1, begun.id));
    }
}
