//! Who is told of what.

use std::sync::Arc;

use uuid::Uuid;

use super::{Alert, Event, Notification, NotifierId, NotifierOptions, NotifierRow, TargetOptions};

/// What an event means for those who are to be told.
#[derive(Debug, Default)]
pub struct Route {
    /// One notification for each notifier that is told.
    pub told: Vec<Notification>,
    /// The failures that are over before they would have been told.
    pub withdrawn: Vec<(NotifierId, Uuid)>,
}

/// Who is told of `alert`, whose target has these options.
pub fn route(alert: &Arc<Alert>, options: &TargetOptions, notifiers: &[NotifierRow]) -> Route {
    let mut route = Route::default();
    for notifier in notifiers.iter().filter(|notifier| is_concerned(notifier, options)) {
        // A row at fault is told once it is mended; until then it has no wishes.
        let wishes = NotifierOptions::read(notifier.definition.options.as_ref()).unwrap_or_default();
        if !wishes.wants(alert.event, &alert.target) {
            continue;
        }
        match (wishes.told_at(alert), alert.incident) {
            (Some(_), _) => route.told.push(Notification::new(notifier.id, alert.clone())),
            (None, Some(incident)) if alert.event == Event::Recovery => {
                let id = Notification::id(notifier.id, alert.target.id, Event::Fail, incident.started_at);
                route.withdrawn.push((notifier.id, id));
            }
            (None, _) => {}
        }
    }
    route
}

/// Whether `notifier` may be told of a target: it is enabled, and the target names it or nobody.
fn is_concerned(notifier: &NotifierRow, options: &TargetOptions) -> bool {
    let name = &notifier.definition.name;
    notifier.definition.enabled && (options.notify.is_empty() || options.notify.contains(name))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::domain::{
        AlertTarget, Incident, NotifierDefinition, Outcome, Secret, Status, Tally, TargetDefinition, TargetId,
    };

    fn ops(options: &str) -> NotifierRow {
        let mut definition = NotifierDefinition::new("ops", "SMTP", "ops@example.org");
        definition.options = Some(Secret::new(options));
        NotifierRow { id: NotifierId(1), definition, pass_count: 0, fail_count: 0 }
    }

    fn alert(event: Event, seconds: i64) -> Arc<Alert> {
        let (target, _) = TargetDefinition::new("home", "http://h/").read(TargetId(1));
        let began = datetime!(2026-01-02 12:00 UTC);
        Arc::new(Alert {
            event,
            at: began + time::Duration::seconds(seconds),
            target: AlertTarget::from(&target),
            status: Status::Fail,
            previous_status: Status::Pass,
            incident: Some(Incident::begin(began, 1)),
            outcome: Arc::new(Outcome::pass("")),
            tally: Tally::default(),
        })
    }

    #[test]
    fn a_target_tells_all_or_those_it_names_but_none_that_is_disabled() {
        let mut options = TargetOptions::default();
        let mut ops = ops("");
        assert!(is_concerned(&ops, &options));
        options.notify = vec!["boss".to_owned()];
        assert!(!is_concerned(&ops, &options));
        options.notify.push("ops".to_owned());
        assert!(is_concerned(&ops, &options));
        ops.definition.enabled = false;
        assert!(!is_concerned(&ops, &options));
    }

    #[test]
    fn a_failure_that_nobody_was_told_of_yet_is_withdrawn_by_its_recovery() {
        let patient = [ops(r#"{"min_duration_s": 60}"#)];
        let failed = route(&alert(Event::Fail, 0), &TargetOptions::default(), &patient);
        assert_eq!((failed.told.len(), failed.withdrawn.len()), (1, 0));
        let early = route(&alert(Event::Recovery, 30), &TargetOptions::default(), &patient);
        assert!(early.told.is_empty());
        assert_eq!(early.withdrawn, [(NotifierId(1), failed.told[0].id)]);
        let late = route(&alert(Event::Recovery, 60), &TargetOptions::default(), &patient);
        assert_eq!((late.told.len(), late.withdrawn.len()), (1, 0));
    }

    #[test]
    fn a_row_at_fault_is_told_all_the_same() {
        let odd = [ops(r#"{"events": ["RECOVERY"]}"#)];
        assert_eq!(route(&alert(Event::Fail, 0), &TargetOptions::default(), &odd).told.len(), 1);
    }
}
