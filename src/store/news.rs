//! Takes a batch apart for the statements that write it.

use std::collections::BTreeMap;

use skypunch_actors::domain::{Batch, Cause, Incident, TargetId, TargetNews};
use time::OffsetDateTime;

/// An incident as one row: what several news of it come to.
#[derive(Debug)]
pub(super) struct IncidentRow<'a> {
    pub target: TargetId,
    pub incident: Incident,
    pub cause: Option<Cause>,
    pub reason: &'a str,
}

/// The incident that a target's last news are about. Others of the target that are still open have
/// lost their end, and end at `at`: one incident a target goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latest {
    pub target: TargetId,
    pub incident: u64,
    pub at: OffsetDateTime,
}

/// The targets by id: transactions that lock rows in one order do not wait for each other in a ring.
pub(super) fn targets(batch: &Batch) -> Vec<(TargetId, &TargetNews)> {
    let mut targets: Vec<_> = batch.targets.iter().map(|(id, news)| (*id, news)).collect();
    targets.sort_unstable_by_key(|(id, _)| *id);
    targets
}

/// The incidents of `targets`, and the latest of each target that has any.
pub(super) fn incidents<'a>(targets: &[(TargetId, &'a TargetNews)]) -> (Vec<IncidentRow<'a>>, Vec<Latest>) {
    let mut rows = BTreeMap::new();
    let mut latest = Vec::new();
    for (target, news) in targets {
        for told in &news.incidents {
            // The first news say why the target failed, the last ones when it ended.
            rows.entry((*target, told.incident.id))
                .and_modify(|row: &mut IncidentRow<'_>| row.incident = told.incident)
                .or_insert(IncidentRow {
                    target: *target,
                    incident: told.incident,
                    cause: told.cause,
                    reason: &told.reason,
                });
        }
        if let Some(Incident { id, started_at, ended_at }) = news.incidents.last().map(|last| last.incident) {
            latest.push(Latest { target: *target, incident: id, at: ended_at.unwrap_or(started_at) });
        }
    }
    (rows.into_values().collect(), latest)
}

#[cfg(test)]
mod tests {
    use skypunch_actors::domain::{IncidentNews, Outcome, Status};
    use time::macros::datetime;

    use super::*;

    #[test]
    fn an_incident_that_began_and_ended_in_one_batch_keeps_its_cause() {
        let begun = Incident::begin(datetime!(2026-01-01 0:00 UTC), 1);
        let ended = begun.end(datetime!(2026-01-01 0:01 UTC));
        let outcome = Outcome::pass("200 OK");
        let mut news = TargetNews::of(&outcome, datetime!(2026-01-01 0:01 UTC), Status::Pass, None);
        news.incidents = vec![
            IncidentNews { incident: begun, cause: Some(Cause::Dns), reason: "no such host".into() },
            IncidentNews { incident: ended, cause: None, reason: "200 OK".into() },
        ];
        let (rows, latest) = incidents(&[(TargetId(1), &news)]);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].cause, rows[0].reason), (Some(Cause::Dns), "no such host"));
        assert_eq!(rows[0].incident, ended);
        assert_eq!((latest.len(), latest[0].incident), (1, begun.id));
    }
}
