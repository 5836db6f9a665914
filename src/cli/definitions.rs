//! Definitions as a TOML file, read and written.

use std::{
    collections::{BTreeMap, HashMap},
    fmt, fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use serde_json::{Map, Number, Value};
use skypunch_actors::domain::text;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::control::LINE_MAX;

/// How much of a line is left for what stands around a row, in bytes.
const AROUND: usize = 256;

/// What stands above the definitions in a file that was exported.
const HEAD: &str =
    "# The targets and notifiers of skypunch, for `skypunch apply`. What a row does not say is the default.
# Secrets are shown as \"***\": where that stands, `apply` leaves in the database what is there.
";

/// The two tables of a file, in the order in which they are taken.
pub(super) const TABLES: [&str; 2] = ["notifiers", "targets"];

/// A row of a file, and where it stands.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) table: &'static str,
    pub(super) columns: Map<String, Value>,
    line: usize,
    lines: BTreeMap<String, usize>,
}

/// Why a file cannot be used; every fault with its line.
#[derive(Debug)]
pub(super) struct FileError {
    path: PathBuf,
    faults: Vec<(Option<usize>, String)>,
}

impl Row {
    /// How it is called, if it is.
    pub(super) fn name(&self) -> &str {
        self.columns.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    /// How it is called where it stands alone: `target home`.
    pub(super) fn shown(&self) -> String {
        format!("{} {}", one(self.table), text::reason(self.name()))
    }

    /// A fault of a column, where it stands.
    pub(super) fn fault(&self, column: &str, problem: &str) -> (Option<usize>, String) {
        let line = self.lines.get(column).unwrap_or(&self.line);
        (Some(*line), format!("{}: {column}: {problem}", self.shown()))
    }
}

/// What a row of a table is called.
pub(super) fn one(table: &str) -> &str {
    table.strip_suffix('s').unwrap_or(table)
}

impl FileError {
    pub(super) fn new(path: &Path, mut faults: Vec<(Option<usize>, String)>) -> Self {
        faults.sort_by_key(|(line, _)| *line);
        Self { path: path.to_owned(), faults }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        for (n, (line, problem)) in self.faults.iter().enumerate() {
            let end = if n == 0 { "" } else { "\n" };
            let line = line.map(|line| format!(":{line}")).unwrap_or_default();
            write!(f, "{end}{path}{line}: {}", text::reason(problem))?;
        }
        Ok(())
    }
}

impl std::error::Error for FileError {}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<Vec<Row>, FileError> {
    let failed = |error: io::Error| FileError::new(path, vec![(None, error.to_string())]);
    let file = fs::read_to_string(path).map_err(failed)?;
    parse(&file).map_err(|faults| FileError::new(path, faults))
}

/// The text of a file, read.
struct Source<'a>(&'a str);

impl Source<'_> {
    fn line(&self, span: Range<usize>) -> usize {
        let before = &self.0.as_bytes()[..span.start.min(self.0.len())];
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

fn parse(file: &str) -> Result<Vec<Row>, Vec<(Option<usize>, String)>> {
    let source = Source(file);
    let table = DeTable::parse(file).map_err(|error| {
        // The error itself would show the line, which may hold a secret.
        vec![(error.span().map(|span| source.line(span)), format!("is not TOML: {}", error.message()))]
    })?;
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    for (key, value) in table.get_ref() {
        let line = Some(source.line(key.span()));
        let Some(table) = TABLES.into_iter().find(|table| table == key.get_ref()) else {
            let known = TABLES.map(|table| format!("[[{table}]]")).join(" or ");
            faults.push((line, format!("`{}` is not known: write {known}", key.get_ref())));
            continue;
        };
        let Some(items) = value.get_ref().as_array() else {
            faults.push((line, format!("`{table}` must be a list of tables: write [[{table}]]")));
            continue;
        };
        for item in items.iter() {
            match row(table, item, &source) {
                Ok(row) => rows.push(row),
                Err(fault) => faults.push(fault),
            }
        }
    }
    rows.sort_by_key(|row| row.line);
    faults.extend(twice(&rows));
    faults.extend(rows.iter().filter_map(too_long));
    if faults.is_empty() { Ok(rows) } else { Err(faults) }
}

fn row(
    table: &'static str,
    item: &Spanned<DeValue<'_>>,
    source: &Source<'_>,
) -> Result<Row, (Option<usize>, String)> {
    let line = source.line(item.span());
    let Some(given) = item.get_ref().as_table() else {
        return Err((Some(line), format!("`{table}` must be a list of tables: write [[{table}]]")));
    };
    let (mut columns, mut lines) = (Map::new(), BTreeMap::new());
    for (key, value) in given {
        let (column, line) = (key.get_ref().clone().into_owned(), source.line(key.span()));
        let Some(value) = json(value.get_ref()) else {
            return Err((Some(line), format!("{column}: holds what is neither text nor number nor boolean")));
        };
        lines.insert(column.clone(), line);
        columns.insert(column, value);
    }
    Ok(Row { table, columns, line, lines })
}

/// What JSON has of a value: no dates, and no number beyond all others.
fn json(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::from(&**text),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok()?.into(),
        DeValue::Float(number) => Number::from_f64(number.as_str().parse().ok()?)?.into(),
        DeValue::Boolean(truth) => Value::from(*truth),
        DeValue::Datetime(_) => return None,
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect::<Option<_>>()?,
        DeValue::Table(table) => {
            let pair = |(key, value): (&Spanned<_>, &Spanned<_>)| Some((key_of(key), json(value.get_ref())?));
            Value::Object(table.iter().map(pair).collect::<Option<_>>()?)
        }
    })
}

fn key_of(key: &Spanned<std::borrow::Cow<'_, str>>) -> String {
    key.get_ref().clone().into_owned()
}

/// A row is known by its name, so that a file has one of each.
fn twice(rows: &[Row]) -> Vec<(Option<usize>, String)> {
    let mut first: HashMap<(&str, &str), usize> = HashMap::new();
    let mut faults = Vec::new();
    for row in rows.iter().filter(|row| !row.name().is_empty()) {
        if let Some(line) = first.get(&(row.table, row.name())) {
            faults.push(row.fault("name", &format!("stands in line {line} already")));
        } else {
            first.insert((row.table, row.name()), row.line);
        }
    }
    faults
}

fn too_long(row: &Row) -> Option<(Option<usize>, String)> {
    let limit = LINE_MAX - AROUND;
    let length = Value::from(row.columns.clone()).to_string().len();
    (length > limit).then(|| (Some(row.line), format!("{}: is longer than {limit} bytes", row.shown())))
}

/// Writes the definitions that the daemon exported.
pub(super) fn write(definitions: &Value) -> Result<String, toml::ser::Error> {
    let mut file = HEAD.to_owned();
    for table in TABLES {
        for row in definitions[table].as_array().into_iter().flatten() {
            let columns = row.as_object().into_iter().flatten();
            let row: Map<String, Value> =
                columns.map(|(column, value)| (column.clone(), fit(value))).collect();
            let rows = BTreeMap::from([(table, [row])]);
            file.push('\n');
            file.push_str(&toml::to_string(&rows)?);
        }
    }
    Ok(file)
}

/// A value that TOML can have, which knows no null: then a column is the text of its JSON.
fn fit(value: &Value) -> Value {
    fn fits(value: &Value) -> bool {
        match value {
            Value::Null => false,
            Value::Number(number) => number.is_i64() || number.is_f64(),
            Value::Array(items) => items.iter().all(fits),
            Value::Object(object) => object.values().all(fits),
            Value::Bool(_) | Value::String(_) => true,
        }
    }
    if fits(value) { value.clone() } else { Value::from(value.to_string()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn faults(file: &str) -> String {
        let faults = parse(file).unwrap_err();
        FileError::new(Path::new("t.toml"), faults).to_string()
    }

    #[test]
    fn a_file_has_rows_with_their_lines() {
        let file = r#"
[[targets]]
name = "home"
url = "https://example.org/"
pass_result = 204
options = { tags = ["a"], max_response_ms = 0x10 }

[[notifiers]]
name = "ops"
type = "SMTP"

[targets.authn_parms]
user = "bob"
"#;
        let rows = parse(&file.replace("[[notifiers]]", "[[targets]]")).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1].columns["authn_parms"], json!({"user": "bob"}));
        let (file, _) = file.split_once("\n[targets.").unwrap();
        let rows = parse(file).unwrap();
        assert_eq!(rows.iter().map(Row::shown).collect::<Vec<_>>(), ["target home", "notifier ops"]);
        assert_eq!(rows[0].columns["options"], json!({"tags": ["a"], "max_response_ms": 16}));
        assert_eq!(rows[0].fault("url", "x"), (Some(4), "target home: url: x".to_owned()));
        assert_eq!(rows[1].fault("url", "x"), (Some(8), "notifier ops: url: x".to_owned()));
    }

    #[test]
    fn each_way_to_be_wrong_has_its_line_and_shows_no_value() {
        assert_eq!(faults("a = \"hunter2"), "t.toml:1: is not TOML: invalid basic string, expected `\"`");
        assert_eq!(
            faults("\n[[target]]\nname = \"hunter2\""),
            "t.toml:2: `target` is not known: write [[notifiers]] or [[targets]]"
        );
        assert_eq!(
            faults("[targets]\nname = \"hunter2\""),
            "t.toml:1: `targets` must be a list of tables: write [[targets]]"
        );
        assert_eq!(
            faults("targets = [7]"),
            "t.toml:1: `targets` must be a list of tables: write [[targets]]"
        );
        assert_eq!(
            faults("[[targets]]\nname = \"a\"\nfrequency = 2013-11-22"),
            "t.toml:3: frequency: holds what is neither text nor number nor boolean"
        );
        assert_eq!(
            faults("[[targets]]\nname = \"a\"\n[[notifiers]]\nname = \"a\"\n[[targets]]\n\nname = \"a\""),
            "t.toml:7: target a: name: stands in line 1 already"
        );
        let long = "x".repeat(LINE_MAX);
        assert_eq!(
            faults(&format!("[[targets]]\nname = \"a\"\nurl = \"{long}\"")),
            "t.toml:1: target a: is longer than 65280 bytes"
        );
        assert_eq!(
            faults("[a]\n[[targets]]\nname = \"a\"\n[b]").lines().collect::<Vec<_>>(),
            [
                "t.toml:1: `a` is not known: write [[notifiers]] or [[targets]]",
                "t.toml:4: `b` is not known: write [[notifiers]] or [[targets]]",
            ]
        );
    }

    #[test]
    fn what_is_written_can_be_read_again() {
        let definitions = json!({
            "targets": [
                {"name": "home", "url": "https://example.org/"},
                {
                    "name": "a \"b\"\n", "url": "https://h/", "frequency": 5, "enabled": false,
                    "authn_parms": {"user": "bob", "password": "***"},
                    "options": {"headers": {"X-Key": "***"}, "tags": ["a", "b"], "tls": {"min_version": "1.3"}},
                },
                {"name": "null", "url": "https://h/", "options": {"assertions": [{"value": null}]}},
            ],
            "notifiers": [{"name": "ops", "type": "SMTP", "address": "ops@example.org"}],
        });
        let file = write(&definitions).unwrap();
        insta::assert_snapshot!(file);
        let rows = parse(&file).unwrap();
        let columns: Vec<_> = rows.iter().map(|row| Value::from(row.columns.clone())).collect();
        assert_eq!(columns[0], definitions["notifiers"][0]);
        assert_eq!(columns[1..3], definitions["targets"].as_array().unwrap()[..2]);
        assert_eq!(columns[3]["options"], r#"{"assertions":[{"value":null}]}"#);
    }

    proptest! {
        #[test]
        fn any_file_is_rows_or_faults(file in "(\\[\\[(targets|notifiers)\\]\\]\n)?[a-z]{0,5} ?=? ?.*") {
            drop(parse(&file));
        }

        #[test]
        fn any_text_survives_a_file(name in ".+", value in ".*", number: i64) {
            let row = json!({"name": name, "url": value, "frequency": number, "options": {"body": value}});
            let rows = parse(&write(&json!({"targets": [row]})).unwrap()).unwrap();
            prop_assert_eq!(Value::from(rows[0].columns.clone()), row);
        }
    }
}
