//! What the documents say, held against the program.

use std::{env, fs, sync::Arc};

use serde_json::{Value, json};
use skypunch::sink::{Manual, Sinks};
use skypunch_actors::testing::TestClock;

use crate::{repository::root, support::row::Row};

fn targets() -> String {
    fs::read_to_string(root().join("docs/targets.md")).unwrap()
}

/// What stands between backticks in a line.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// What a row may say, by what the program says where it does not understand.
fn known(options: Value) -> Vec<String> {
    let faults = Row::new("https://localhost/").options(options).faults();
    faults.split_once("known are ").unwrap().1.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_reference_of_targets_knows_every_option_and_no_other() {
    let mut all = known(json!({"nonsense": 1}));
    all.extend(known(json!({"tls": {"nonsense": 1}})).iter().map(|key| format!("tls.{key}")));
    let reference = targets();
    let (_, options) = reference.split_once("\n## Options\n").unwrap();
    let (options, _) = options.split_once("\n## ").unwrap();
    let cells =
        options.lines().filter(|line| line.starts_with("| `")).filter_map(|row| row.split('|').nth(1));
    let mut named: Vec<&str> = cells.flat_map(quoted).collect();
    all.sort_unstable();
    named.sort_unstable();
    assert_eq!(named, all);
}

#[test]
fn every_example_of_an_option_is_a_row_that_can_be_probed() {
    let reference = targets();
    let rows = reference.lines().filter(|line| line.starts_with("| `"));
    let examples: Vec<&str> = rows.flat_map(quoted).filter(|quoted| quoted.starts_with("{\"")).collect();
    assert!(!examples.is_empty());
    for example in examples {
        let options: Value = serde_json::from_str(example).unwrap();
        assert_eq!(Row::new("https://example.org/").options(options).faults(), "", "{example}");
    }
}

#[test]
fn the_reference_of_targets_knows_every_cause() {
    let reference = targets();
    for cause in skypunch_actors::domain::Cause::ALL {
        assert!(reference.contains(&format!("\n| `{cause}` |")), "{cause}");
    }
}

/// The table of kinds of notifiers, as their manuals have it.
fn table_of_kinds() -> String {
    let row = |manual: Manual| {
        let receiver = match manual.docs.as_str() {
            "" => manual.title,
            docs => format!("[{}]({docs})", manual.title),
        };
        let (needed, others): (Vec<_>, Vec<_>) = manual.params.iter().partition(|param| param.required);
        let needed = needed.iter().map(|param| format!("**`{}`**", param.name));
        let others = others.iter().map(|param| match &param.default {
            Some(default) => format!("`{}` ({default})", param.name),
            None => format!("`{}`", param.name),
        });
        let params = needed.chain(others).collect::<Vec<_>>().join(", ");
        format!(
            "| `{}` | {receiver} | {} | {params} | {} |\n",
            manual.kind, manual.address.about, manual.note
        )
    };
    let sinks = Sinks::new(Vec::new(), Arc::new(TestClock::default()));
    let rows: String = sinks.manuals().into_iter().map(row).collect();
    format!("\n| `type` | receiver | `address` | `params` | note |\n|---|---|---|---|---|\n{rows}\n")
}

#[test]
fn the_table_of_kinds_is_made_from_them() {
    const BEGIN: &str = "<!-- kinds -->";
    const END: &str = "<!-- /kinds -->";
    let path = root().join("docs/notifiers.md");
    let reference = fs::read_to_string(&path).unwrap();
    let (before, rest) = reference.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let made = format!("{before}{BEGIN}\n{}{END}{after}", table_of_kinds());
    if env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        fs::write(&path, &made).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), made, "`make bless` makes it anew");
}

#[test]
fn the_reference_of_notifiers_tells_of_every_kind_that_is_no_file() {
    let reference = fs::read_to_string(root().join("docs/notifiers.md")).unwrap();
    for kind in skypunch::sink::built_in() {
        assert!(reference.contains(&format!("\n### {kind}\n")), "{kind}");
    }
}
