//! What the documents say, held against the program.

use std::fs;

use serde_json::{Value, json};

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
