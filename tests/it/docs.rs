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

#[test]
fn the_reference_of_targets_knows_every_option_and_no_other() {
    let faults = Row::new("http://localhost/").options(json!({"nonsense": 1})).faults();
    let (_, known) = faults.split_once("known are ").unwrap();
    let mut known: Vec<&str> = known.split(", ").collect();
    let reference = targets();
    let (_, options) = reference.split_once("\n## Options\n").unwrap();
    let (options, _) = options.split_once("\n## ").unwrap();
    let rows = options.lines().filter(|line| line.starts_with("| `"));
    let mut named: Vec<&str> = rows.filter_map(|row| quoted(row).next()).collect();
    known.sort_unstable();
    named.sort_unstable();
    assert_eq!(named, known);
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
