//! What the documents say, held against the program.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    process::Command,
    sync::Arc,
};

use serde_json::{Value, json};
use skypunch::sink::{Manual, Sinks};
use skypunch_actors::testing::TestClock;

use crate::{
    harness::Home,
    repository::root,
    support::{row::Row, tls::Ca},
};

fn targets() -> String {
    fs::read_to_string(root().join("docs/targets.md")).unwrap()
}

/// What stands between backticks in a line.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// What a row of a kind may say, by what the program says where it does not understand.
fn known(url: &str, options: Value) -> Vec<String> {
    let faults = Row::new(url).options(options).faults();
    faults.split_once("known are ").unwrap().1.split(", ").map(str::to_owned).collect()
}

/// Every option of every kind.
fn options() -> BTreeSet<String> {
    let nonsense = || json!({"nonsense": 1});
    let mut all: BTreeSet<_> = ["https://h/", "tcp://h:1", "tls://h", "dns://h/a", "icmp://h"]
        .into_iter()
        .flat_map(|url| known(url, nonsense()))
        .collect();
    all.extend(known("https://h/", json!({"tls": nonsense()})).iter().map(|key| format!("tls.{key}")));
    all
}

/// A part of a document, up to the next one.
fn part<'a>(document: &'a str, title: &str) -> &'a str {
    let (_, part) = document.split_once(&format!("\n## {title}\n")).unwrap();
    part.split_once("\n## ").map_or(part, |(part, _)| part)
}

/// The text of every block of a language.
fn blocks(part: &str, language: &str) -> String {
    let begin = format!("\n```{language}\n");
    let blocks = part.split(&begin).skip(1);
    blocks.map(|block| block.split_once("```").unwrap().0).collect()
}

#[test]
fn the_reference_of_targets_knows_every_option_and_no_other() {
    let reference = targets();
    let rows = part(&reference, "Options").lines().filter(|line| line.starts_with("| `"));
    let named: BTreeSet<_> =
        rows.filter_map(|row| row.split('|').nth(1)).flat_map(quoted).map(str::to_owned).collect();
    assert_eq!(named, options());
}

#[test]
fn every_example_of_an_option_is_a_row_that_can_be_probed() {
    let reference = targets();
    let rows = reference.lines().filter(|line| line.starts_with("| `"));
    let examples: Vec<&str> = rows.flat_map(quoted).filter(|quoted| quoted.starts_with("{\"")).collect();
    assert!(!examples.is_empty());
    for example in examples {
        let options: Value = serde_json::from_str(example).unwrap();
        let faults = ["https://example.org/", "tcp://h:1", "dns://h/a"]
            .map(|url| Row::new(url).options(options.clone()).faults());
        assert!(faults.iter().any(String::is_empty), "{example}: {faults:?}");
    }
}

#[test]
fn the_examples_by_sql_by_file_and_by_command_make_the_same_rows() {
    let reference = targets();
    for (title, all) in [("Targets", false), ("Examples", true)] {
        let home = Home::new();
        assert_eq!(home.skypunch(&["migrate"]).code, 0);
        // What the examples name must be there.
        let here = home.path().display().to_string();
        let (certificate, key) = Ca::new().client();
        for (file, text) in [("ca.pem", &certificate), ("cert.pem", &certificate), ("key.pem", &key)] {
            fs::write(home.path().join(file), text).unwrap();
        }
        let (_, begin) = reference.split_once("# Targets\n").unwrap();
        let begin = begin.split_once("\n## ").unwrap().0;
        let examples = if all { part(&reference, title) } else { begin };
        let examples = examples.replace("/etc/skypunch", &here);
        let database = rusqlite::Connection::open(home.state("skypunch.db")).unwrap();
        database.execute_batch(&blocks(&examples, "sql")).unwrap();
        let by_sql = home.json(&["export"]);
        let ops = ["add", "notifier", "ops", "WEBHOOK", "http://127.0.0.1:9/"];
        assert_eq!(home.skypunch(&ops).code, 0);
        assert_eq!(home.json(&["check"])["faults"], json!([]));

        let file = home.path().join("targets.toml");
        fs::write(&file, blocks(&examples, "toml")).unwrap();
        let plan = home.json(&["apply", "--prune", &file.display().to_string()]);
        let changed = plan["targets"].as_array().unwrap().iter().find(|step| step["action"] != "keep");
        assert_eq!(changed, None, "the file is not the SQL");

        database.execute_batch("DELETE FROM targets").unwrap();
        let program = format!("{:?}", home.command(&[]));
        let script = format!("set -e; skypunch() {{ {program} \"$@\"; }}\n{}", blocks(&examples, "sh"));
        let ran = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let sorted = |rows: &Value| -> BTreeMap<String, Value> {
            let rows = rows["targets"].as_array().unwrap().iter();
            rows.map(|row| (row["name"].to_string(), row.clone())).collect()
        };
        assert_eq!(sorted(&home.json(&["export"])), sorted(&by_sql), "the commands are not the SQL");
        if all {
            let text = by_sql.to_string();
            let options = options();
            let missing: Vec<_> = options
                .iter()
                .filter(|option| !text.contains(&format!("\"{}\":", option.trim_start_matches("tls."))))
                .collect();
            assert!(missing.is_empty(), "no example of {missing:?}");
        }
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
