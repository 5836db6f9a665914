//! Puts back what a row has where a definition of it has a mask.
//!
//! What then means the same as in the row is taken as it stands there, so that a file that was exported changes
//! nothing when it is applied.

use serde_json::{Map, Value};
use skypunch_actors::domain::{MASK, NotifierDefinition, Params, Secret, TargetDefinition, text};

use super::{
    super::{
        columns::ColumnFault,
        view::{self, Public},
    },
    PUBLIC_OPTIONS,
};

/// The masks of a target, as far as the row `known` has what they hide.
pub fn target(definition: &mut TargetDefinition, known: Option<&TargetDefinition>) -> Vec<ColumnFault> {
    let mut faults = Vec::new();
    if let Some(known) = known
        && definition.url.expose() == text::mask_userinfo(known.url.expose())
    {
        definition.url = known.url.clone();
    }
    let parms = known.and_then(|known| known.authn_parms.as_ref());
    definition.authn_parms = params("authn_parms", definition.authn_parms.take(), parms, &mut faults);
    let known = known.and_then(|known| known.options.as_ref());
    definition.options = options(definition.options.take(), known, &mut faults);
    faults
}

/// The same of a notifier.
pub fn notifier(definition: &mut NotifierDefinition, known: Option<&NotifierDefinition>) -> Vec<ColumnFault> {
    let mut faults = Vec::new();
    match known {
        Some(known) if is_shown_as(known, definition.address.expose()) => {
            definition.address = known.address.clone();
        }
        _ if definition.address.expose().ends_with(MASK) => faults.push(masked("address", None)),
        _ => {}
    }
    let given = Some(definition.params.clone());
    let filled = params("params", given, known.map(|known| &known.params), &mut faults);
    definition.params = filled.unwrap_or(Secret::new(""));
    let known = known.and_then(|known| known.options.as_ref());
    definition.options = options(definition.options.take(), known, &mut faults);
    faults
}

/// Whether an address may be that of `known` as it is shown, whether or not its kind takes it for a secret.
fn is_shown_as(known: &NotifierDefinition, address: &str) -> bool {
    let shown = |is_public| {
        view::address(&Public { address: is_public, ..Public::default() }, known.address.expose())
    };
    [true, false].into_iter().any(|is_public| shown(is_public) == address)
}

fn masked(column: &str, key: Option<&str>) -> ColumnFault {
    let of = key.map(|key| format!("`{}` ", text::reason(key))).unwrap_or_default();
    ColumnFault::new(
        column,
        format!("{of}is {MASK}, and the database has nothing in its place: write what it hides"),
    )
}

fn params(
    column: &str,
    given: Option<Secret>,
    known: Option<&Secret>,
    faults: &mut Vec<ColumnFault>,
) -> Option<Secret> {
    let text = given.as_ref().map_or("", Secret::expose);
    if text.trim() == MASK {
        if known.is_none() {
            faults.push(masked(column, None));
        }
        return known.cloned();
    }
    // What cannot be read is found where the row is judged.
    let Ok(read) = Params::parse(text) else { return given };
    let known_params = Params::parse(known.map_or("", Secret::expose)).unwrap_or_default();
    match read.clone().unmasked_by(&known_params) {
        Err(keys) => {
            faults.extend(keys.iter().map(|key| masked(column, Some(key))));
            given
        }
        Ok(filled) if filled == known_params => known.cloned(),
        Ok(filled) if filled == read => given,
        Ok(filled) => Some(filled.to_text()),
    }
}

fn options(given: Option<Secret>, known: Option<&Secret>, faults: &mut Vec<ColumnFault>) -> Option<Secret> {
    const COLUMN: &str = "options";
    let text = given.as_ref().map_or("", Secret::expose);
    if text.trim() == MASK {
        if known.is_none() {
            faults.push(masked(COLUMN, None));
        }
        return known.cloned();
    }
    let Some(read) = object(text) else { return given };
    let known_options = object(known.map_or("", Secret::expose)).unwrap_or_default();
    let mut filled = read.clone();
    // What is public is never masked: an assertion may look for three stars.
    for (key, value) in filled.iter_mut().filter(|(key, _)| !PUBLIC_OPTIONS.contains(&key.as_str())) {
        fill(value, known_options.get(key), key, faults);
    }
    if filled == known_options {
        return known.cloned();
    }
    if filled == read { given } else { Some(Secret::new(Value::from(filled).to_string())) }
}

/// Nothing is an object without keys.
fn object(text: &str) -> Option<Map<String, Value>> {
    if matches!(text.trim(), "" | "null") {
        return Some(Map::new());
    }
    serde_json::from_str(text).ok()
}

fn fill(value: &mut Value, known: Option<&Value>, path: &str, faults: &mut Vec<ColumnFault>) {
    match value {
        Value::String(text) if text == MASK => match known {
            Some(known) => *value = known.clone(),
            None => faults.push(masked("options", Some(path))),
        },
        Value::Object(object) => {
            for (key, value) in object {
                fill(value, known.and_then(|known| known.get(key)), &format!("{path}.{key}"), faults);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{super::super::columns, *};

    fn home() -> TargetDefinition {
        TargetDefinition {
            authn_parms: Some(Secret::new("user=bob, password=\"hunter2,\"")),
            options: Some(Secret::new(r#"{"tags":["a"], "headers":{"X-Key":"hunter2"},"body":"hunter2"}"#)),
            ..TargetDefinition::new("home", "https://bob:hunter2@example.org/")
        }
    }

    /// What is made of columns, given a row.
    fn read(columns: &Map<String, Value>, known: Option<&TargetDefinition>) -> (TargetDefinition, String) {
        let (mut definition, unread) = columns::target(columns);
        assert_eq!(unread, []);
        let faults = target(&mut definition, known);
        (definition, ColumnFault::join(&faults))
    }

    #[test]
    fn what_was_exported_is_the_row() {
        let (definition, faults) = read(&super::super::target(&home()), Some(&home()));
        assert_eq!((definition, faults), (home(), String::new()));
        for broken in ["hunter2", "[\"hunter2\"]"] {
            let mut home = home();
            (home.authn_parms, home.options) = (Some(Secret::new(broken)), Some(Secret::new(broken)));
            let (definition, faults) = read(&super::super::target(&home), Some(&home));
            assert_eq!((definition, faults), (home, String::new()));
        }
        let mut hook = NotifierDefinition::new("hook", "WEBHOOK", "https://example.org/hunter2");
        hook.params = Secret::new("secret=hunter2");
        let (mut again, _) = columns::notifier(&super::super::notifier(&hook, &Public::default()));
        assert_eq!(notifier(&mut again, Some(&hook)), []);
        assert_eq!(again, hook);
    }

    #[test]
    fn beside_a_mask_all_else_may_change() {
        let columns = json!({
            "name": "home", "url": "http://h/", "authn_parms": {"user": "eve", "password": "***"},
            "options": {"headers": {"X-Key": "***", "X-Other": "b"}, "body": "c"},
        });
        let (definition, faults) = read(columns.as_object().unwrap(), Some(&home()));
        assert_eq!(faults, "");
        assert_eq!(definition.authn_parms.unwrap().expose(), "password=\"hunter2,\",user=eve");
        let options = r#"{"headers":{"X-Key":"hunter2","X-Other":"b"},"body":"c"}"#;
        assert_eq!(definition.options.unwrap().expose(), options);
    }

    #[test]
    fn a_mask_of_nothing_is_a_fault() {
        let columns = json!({
            "name": "new", "url": "http://h/", "authn_parms": "user=a,password=***",
            "options": {"body": "***", "headers": {"X-Key": "***"}, "assertions": [{"body_contains": "***"}]},
        });
        let (_, faults) = read(columns.as_object().unwrap(), None);
        let told = "is ***, and the database has nothing in its place: write what it hides";
        assert_eq!(
            faults,
            format!(
                "authn_parms: `password` {told}; options: `body` {told}; options: `headers.X-Key` {told}"
            )
        );
        let columns = json!({"name": "new", "url": "http://h/", "authn_parms": "***", "options": "***"});
        let (_, faults) = read(columns.as_object().unwrap(), None);
        assert_eq!(faults, format!("authn_parms: {told}; options: {told}"));
        let mut hook = NotifierDefinition::new("hook", "WEBHOOK", "https://example.org/***");
        assert_eq!(ColumnFault::join(&notifier(&mut hook, None)), format!("address: {told}"));
    }

    proptest! {
        #[test]
        fn any_row_is_itself_after_its_export(parms in ".*", options in ".*", url in ".*", value in ".*") {
            let texts = [
                (parms, options),
                (
                    format!("user=a,password=\"{}\"", value.replace('"', "\"\"")),
                    json!({"body": value, "headers": {"X-Key": value}, "tags": [value]}).to_string(),
                ),
            ];
            for (parms, options) in texts {
                let row = TargetDefinition {
                    authn_parms: Some(Secret::new(parms)),
                    options: Some(Secret::new(options)),
                    ..TargetDefinition::new("home", url.clone())
                };
                let (again, faults) = read(&super::super::target(&row), Some(&row));
                prop_assert_eq!((again, faults), (row, String::new()));
            }
        }
    }
}
