//! Who is told of what.

use std::sync::Arc;

use super::{Alert, Notification, NotifierRow, TargetOptions};

/// One notification for each notifier that is to know of `alert`, whose target has these options.
pub fn notifications(
    alert: &Arc<Alert>,
    options: &TargetOptions,
    notifiers: &[NotifierRow],
) -> Vec<Notification> {
    let told = notifiers.iter().filter(|notifier| is_told(notifier, options));
    told.map(|notifier| Notification::new(notifier.id, alert.clone())).collect()
}

/// Whether `notifier` is told of events of a target: it is enabled, and the target names it or nobody.
fn is_told(notifier: &NotifierRow, options: &TargetOptions) -> bool {
    let name = &notifier.definition.name;
    notifier.definition.enabled && (options.notify.is_empty() || options.notify.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{NotifierDefinition, NotifierId};

    #[test]
    fn a_target_tells_all_or_those_it_names_but_none_that_is_disabled() {
        let mut options = TargetOptions::default();
        let definition = NotifierDefinition::new("ops", "SMTP", "ops@example.org");
        let mut ops = NotifierRow { id: NotifierId(1), definition, pass_count: 0, fail_count: 0 };
        assert!(is_told(&ops, &options));
        options.notify = vec!["boss".to_owned()];
        assert!(!is_told(&ops, &options));
        options.notify.push("ops".to_owned());
        assert!(is_told(&ops, &options));
        ops.definition.enabled = false;
        assert!(!is_told(&ops, &options));
    }
}
