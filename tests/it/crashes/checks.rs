//! What the daemon kept, held against what the world saw.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use time::OffsetDateTime;

use crate::support::{
    operator::Operator,
    world::{Answer, World},
};

pub(super) fn name(service: usize) -> String {
    format!("service {service}")
}

/// No probe counts twice, and at most one is lost a kill: the one that was under way.
pub(super) async fn counters_agree(operator: &Operator, world: &World, service: usize, kills: usize) {
    let answers = world.answers(service);
    for (column, passed) in [("pass_count", true), ("fail_count", false)] {
        let query = format!("SELECT {column} FROM targets WHERE name = '{}'", name(service));
        let counted: usize = operator.ask(&query).await.unwrap().parse().unwrap();
        let given = answers.iter().filter(|answer| answer.passed == passed).count();
        // One more may be lost at the very end.
        let lost = given.checked_sub(counted);
        assert!(lost.is_some_and(|lost| lost <= kills + 1), "{service}: {column} {counted} of {given}");
    }
    let query = format!("SELECT pass_count + fail_count FROM targets WHERE name = '{}'", name(service));
    let counted: usize = operator.ask(&query).await.unwrap().parse().unwrap();
    assert!(answers.len() - counted <= kills + 1, "{service}: {counted} of {}", answers.len());
}

/// Every run of failures that more than the lost probes belong to is an incident of its time.
pub(super) async fn incidents_agree(
    operator: &Operator,
    world: &World,
    service: usize,
    killed_at: &[OffsetDateTime],
) {
    let answers = world.answers(service);
    let mut begun = 0;
    for run in answers.chunk_by(|a, b| a.passed == b.passed).filter(|run| !run[0].passed) {
        let (first, last) = (run[0].at, run[run.len() - 1].at);
        // A probe may have been answered a moment before the kill that lost it.
        let around = first - Duration::from_secs(1)..last + Duration::from_secs(1);
        let lost = killed_at.iter().filter(|at| around.contains(*at)).count();
        if run.len() > lost {
            begun += 1;
            let overlaps = format!(
                "SELECT count(*) FROM incidents i JOIN targets t ON t.id = i.target_id WHERE t.name = '{}' \
                 AND i.started_at <= '{}' AND i.ended_at >= '{}'",
                name(service),
                sql_time(last + Duration::from_secs(1)),
                sql_time(first - Duration::from_secs(1)),
            );
            assert_ne!(operator.ask(&overlaps).await.unwrap(), "0", "{service}: {run:?}");
        }
    }
    let query = format!(
        "SELECT count(*) FROM incidents i JOIN targets t ON t.id = i.target_id WHERE t.name = '{}'",
        name(service)
    );
    let incidents: usize = operator.ask(&query).await.unwrap().parse().unwrap();
    let runs = answers.chunk_by(|a: &Answer, b| a.passed == b.passed).filter(|run| !run[0].passed).count();
    assert!(incidents <= runs && incidents >= begun.min(runs), "{service}: {incidents} of {begun} to {runs}");
}

fn sql_time(at: OffsetDateTime) -> String {
    let (date, time) = (at.date(), at.time());
    format!("{date} {:02}:{:02}:{:02}.{:03}", time.hour(), time.minute(), time.second(), time.millisecond())
}

/// The beginning and the end of every incident were told, once or under the same id.
pub(super) async fn events_are_told_once(operator: &Operator, world: &World) {
    let mut ids: BTreeMap<(u64, String), HashSet<String>> = BTreeMap::new();
    let mut targets: HashMap<u64, String> = HashMap::new();
    let mut order: HashMap<u64, Vec<String>> = HashMap::new();
    for message in world.messages() {
        ids.entry((message.incident, message.event.clone())).or_default().insert(message.id);
        targets.insert(message.incident, message.target);
        order.entry(message.incident).or_default().push(message.event);
    }
    assert!(ids.values().all(|ids| ids.len() == 1), "one event, one id: {ids:?}");
    for events in order.values() {
        assert_eq!(events.first().map(String::as_str), Some("FAIL"), "{order:?}");
        assert_eq!(events.last().map(String::as_str), Some("RECOVERY"), "{order:?}");
    }
    let incidents = operator.ask("SELECT count(*) FROM incidents").await.unwrap();
    let closed = operator.ask("SELECT count(*) FROM incidents WHERE ended_at IS NOT NULL").await.unwrap();
    assert_eq!((incidents.as_str(), targets.len().to_string()), (closed.as_str(), closed.clone()));
    let undelivered = "SELECT count(*) FROM notifications WHERE state <> 'delivered'";
    assert_eq!(operator.ask(undelivered).await.unwrap(), "0");
    let delivered = operator.ask("SELECT count(*) FROM notifications").await.unwrap();
    assert_eq!(delivered, ids.len().to_string());
    assert_eq!(operator.ask("SELECT pass_count FROM notifiers").await.unwrap(), ids.len().to_string());
}
