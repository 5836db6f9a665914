//! `options.template`: a notifier's own wording, in place of the usual one.

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, value::Serde};
use serde_json::Value;
use skypunch_actors::domain::text;

use super::facts::{EVENTS, Facts};
use crate::fields::Fields;

/// The name of the option.
const KEY: &str = "template";
const TITLE: &str = "title";
const TEXT: &str = "text";

/// A notifier's own wording; empty, the usual one.
#[derive(Debug, Default)]
pub(super) struct Own(Option<Environment<'static>>);

impl Own {
    /// Reads the option, which is a text, or an object of a title and a text, and tries it with every event.
    pub fn read(fields: &mut Fields<'_>) -> Self {
        let Some(value) = fields.raw(KEY).filter(|value| !value.is_null()) else {
            return Self::default();
        };
        let mut parts = Vec::new();
        match value {
            Value::String(source) => parts.push((TEXT, source.clone())),
            Value::Object(_) => {
                let mut inside = Fields::at(KEY, value);
                for part in [TITLE, TEXT] {
                    parts.extend(inside.take(part, "a text").map(|source: String| (part, source)));
                }
                fields.extend(inside.finish());
            }
            _ => fields.fault(KEY, "must be a text, or an object of `title` and `text`"),
        }
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for (part, source) in parts {
            let tried = environment.add_template_owned(part, source).and_then(|()| {
                EVENTS.into_iter().try_for_each(|event| {
                    let template = environment.get_template(part)?;
                    template.render(Serde(Facts::example(event))).map(drop)
                })
            });
            if let Err(error) = tried {
                fields.fault(KEY, &format!("cannot be used: its {part}, {}", explain(&error)));
            }
        }
        Self(Some(environment))
    }

    /// Whether there is an own title.
    pub fn has_title(&self) -> bool {
        self.0.as_ref().is_some_and(|environment| environment.get_template(TITLE).is_ok())
    }

    /// Whether there is an own text.
    pub fn has_text(&self) -> bool {
        self.0.as_ref().is_some_and(|environment| environment.get_template(TEXT).is_ok())
    }

    /// Words the facts anew. Where that fails, the usual words are better than none.
    pub fn word(&self, facts: Facts) -> Facts {
        let Some(environment) = &self.0 else {
            return facts;
        };
        let render = |part| environment.get_template(part).ok()?.render(Serde(&facts)).ok();
        let title = render(TITLE).map(|title| text::escape_controls(title.trim()).into_owned());
        let text = render(TEXT).map(|text| lines(&text));
        let message = match (&title, &text) {
            (_, Some(text)) => text.clone(),
            (Some(title), None) => format!("{title}\n{}", facts.text),
            (None, None) => facts.message.clone(),
        };
        Facts { title: title.unwrap_or(facts.title), text: text.unwrap_or(facts.text), message, ..facts }
    }
}

/// Printable lines, without blank ones at the end.
fn lines(text: &str) -> String {
    let lines = text.trim_end().lines().map(text::escape_controls);
    lines.collect::<Vec<_>>().join("\n")
}

/// What is wrong with a template, and where. Not the template itself.
pub(super) fn explain(error: &Error) -> String {
    let line = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
    format!("{line}{}", problem(error))
}

/// What is wrong with a template.
pub(super) fn problem(error: &Error) -> String {
    let detail = error.detail().unwrap_or_default();
    text::reason(&match error.kind() {
        ErrorKind::UndefinedError if detail.is_empty() => "something is used that there is not".to_owned(),
        kind if detail.is_empty() => kind.to_string(),
        kind => format!("{kind}: {detail}"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(options: Value) -> (Own, Vec<String>) {
        let object = options.as_object().unwrap();
        let mut fields = Fields::of(object);
        (Own::read(&mut fields), fields.finish())
    }

    fn worded(template: Value) -> Facts {
        let (own, faults) = read(json!({ "template": template }));
        assert_eq!(faults, [""; 0]);
        own.word(Facts::example("FAIL"))
    }

    #[test]
    fn a_text_alone_is_the_whole_message() {
        let facts = worded(json!("{{ target.id }}\r\nis \u{7}{{ event }}\n\n"));
        assert_eq!((facts.text.as_str(), facts.message.as_str()), ("8\nis \\u{7}FAIL", "8\nis \\u{7}FAIL"));
        assert!(facts.title.starts_with("FAIL Shop"));
    }

    #[test]
    fn a_title_is_one_line() {
        let facts = worded(json!({"title": "{{ event }}\nBcc: eve"}));
        assert_eq!(facts.title, r"FAIL\nBcc: eve");
        assert!(facts.message.starts_with("FAIL\\nBcc: eve\nReason: "), "{}", facts.message);
    }

    #[test]
    fn each_way_to_be_wrong_is_named() {
        let fault = |template: Value| read(json!({ "template": template })).1.join("; ");
        assert_eq!(fault(json!(1)), "`template` must be a text, or an object of `title` and `text`");
        assert_eq!(fault(json!({"body": "x"})), "unknown option `template.body`: known are title, text");
        assert_eq!(fault(json!({"text": 1})), "`template.text` must be a text");
        let syntax = fault(json!("a\n{{ event"));
        assert!(syntax.starts_with("`template` cannot be used: its text, line 2: syntax error"), "{syntax}");
        let unknown = fault(json!({"title": "{{ evnt }}"}));
        assert!(unknown.starts_with("`template` cannot be used: its title, line 1: "), "{unknown}");
    }

    #[test]
    fn without_the_option_the_words_are_the_usual_ones() {
        let facts = Facts::example("TEST");
        assert_eq!(read(json!({})).0.word(facts.clone()).message, facts.message);
        assert_eq!(read(json!({"template": null})).0.word(facts.clone()).message, facts.message);
    }
}
