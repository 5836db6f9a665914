//! Who is told of what.

use std::sync::Arc;

use super::{Alert, Notification, NotifierOptions, NotifierRow, TargetOptions};

/// One notification for each notifier that is told of `alert`, whose target has these options.
pub fn notifications(
    alert: &Arc<Alert>,
    options: &TargetOptions,
    notifiers: &[NotifierRow],
) -> Vec<Notification> {
    let concerned = notifiers.iter().filter(|notifier| is_concerned(notifier, options));
    let told = concerned.filter(|notifier| {
        // A row at fault is told once it is mended; until then it has no wishes.
        let wishes = NotifierOptions::read(notifier.definition.options.as_ref()).unwrap_or_default();
        wishes.wants(alert.event, &alert.target) && wishes.told_at(alert).is_some()
    });
    told.map(|notifier| Notification::new(notifier.id, alert.clone())).collect()
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
        AlertTarget, Event, Incident, NotifierDefinition, NotifierId, Outcome, Secret, Status, Tally,
        TargetDefinition, TargetId,
    };

    fn ops(options: &str) -> NotifierRow {
        let mut definition = NotifierDefinition::new("ops", "SMTP", "ops@example.org");
        definition.options = Some(Secret::new(options));
        NotifierRow { id: NotifierId(1), definition, pass_count: 0, fail_count: 0 }
    }

    fn fail() -> Arc<Alert> {
        let (target, _) = TargetDefinition::new("home", "http://h/").read(TargetId(1));
        let began = datetime!(2026-01-02 12:00 UTC);
        Arc::new(Alert {
            event: Event::Fail,
            at: began,
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
    fn a_notifier_is_told_what_it_wants_and_a_row_at_fault_all() {
        let alert = fail();
        let other = [ops(r#"{"targets": ["shop"]}"#)];
        assert!(notifications(&alert, &TargetOptions::default(), &other).is_empty());
        let odd = [ops(r#"{"events": ["RECOVERY"]}"#)];
        assert_eq!(notifications(&alert, &TargetOptions::default(), &odd).len(), 1);
    }
}
