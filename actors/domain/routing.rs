//! Who is told of what.

use super::{NotifierRow, Target};

/// Whether `notifier` is told of events of `target`: it is enabled, and the target names it or nobody.
pub fn is_told(notifier: &NotifierRow, target: &Target) -> bool {
    let named = &target.options.notify;
    let name = &notifier.definition.name;
    notifier.definition.enabled && (named.is_empty() || named.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{NotifierDefinition, NotifierId, TargetDefinition, TargetId};

    #[test]
    fn a_target_tells_all_or_those_it_names_but_none_that_is_disabled() {
        let (mut target, _) = TargetDefinition::new("home", "http://h/").read(TargetId(1));
        let definition = NotifierDefinition::new("ops", "SMTP", "ops@example.org");
        let mut ops = NotifierRow { id: NotifierId(1), definition, pass_count: 0, fail_count: 0 };
        assert!(is_told(&ops, &target));
        target.options.notify = vec!["boss".to_owned()];
        assert!(!is_told(&ops, &target));
        target.options.notify.push("ops".to_owned());
        assert!(is_told(&ops, &target));
        ops.definition.enabled = false;
        assert!(!is_told(&ops, &target));
    }
}
