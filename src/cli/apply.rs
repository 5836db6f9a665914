//! `apply` and `export`: the definitions of a file become those of the database, and the other way.

use std::{collections::HashSet, path::Path, process::ExitCode};

use serde_json::{Map, Value, json};
use skypunch_actors::domain::text;

use super::{
    args::Apply,
    definitions::{self, FileError, Row, TABLES, one},
    error::CliError,
    query::Query,
};

/// The most bytes of rows in a call, unless one row alone is longer.
const PORTION_BYTES: usize = 32 * 1024;
/// The most rows in a call, so that each is answered soon.
const PORTION_ROWS: usize = 100;

/// What is done, or would be.
#[derive(Default)]
struct Report {
    /// Says each line as soon as it is known.
    aloud: bool,
    /// Whether it is only a plan.
    dry: bool,
    tables: [Vec<Value>; 2],
    counts: [usize; 4],
}

/// The actions, and how a line begins that tells of one: done, or planned.
const ACTIONS: [(&str, &str, &str); 4] = [
    ("add", "added", "would add"),
    ("change", "changed", "would change"),
    ("delete", "deleted", "would delete"),
    ("keep", "", ""),
];

/// Makes the database what the rows of a file say.
pub(super) async fn apply(query: &mut Query, apply: &Apply, rows: &[Row]) -> Result<ExitCode, CliError> {
    let portions = portions(rows);
    let mut plans = Vec::new();
    for portion in &portions {
        plans.push(call(query, "definitions.plan", portion).await?);
    }
    let faults: Vec<_> = steps(&portions, &plans).flat_map(|(row, step)| faults(row, step)).collect();
    if !faults.is_empty() {
        return Err(FileError::new(Path::new(&apply.file), faults).into());
    }
    let unnamed = if apply.prune { unnamed(query, rows).await? } else { [Vec::new(), Vec::new()] };
    let mut report = Report { aloud: !query.json, dry: apply.dry_run, ..Report::default() };
    for (portion, plan) in portions.iter().zip(plans) {
        let settled = apply.dry_run || is_kept(&plan);
        let done = if settled { plan } else { call(query, "definitions.apply", portion).await? };
        for (row, step) in steps(std::slice::from_ref(portion), &[done]) {
            report.take(row.table, row.name(), step)?;
        }
    }
    for (table, rows) in TABLES.into_iter().zip(&unnamed) {
        for portion in rows.chunks(PORTION_ROWS) {
            if !apply.dry_run {
                let ids: Vec<_> = portion.iter().map(|row| row["id"].clone()).collect();
                let params = Map::from_iter([(table.to_owned(), ids.into())]);
                query.call("definitions.prune", params).await?;
            }
            for row in portion {
                let step = json!({ "action": "delete", "id": row["id"] });
                report.take(table, row["name"].as_str().unwrap_or_default(), &step)?;
            }
        }
    }
    report.end()
}

/// Prints the definitions of the database.
pub(super) async fn export(query: &mut Query) -> Result<ExitCode, CliError> {
    let definitions = query.call("definitions.export", Map::new()).await?;
    query.warn_if_away().await;
    let file = if query.json { super::pretty(&definitions) } else { definitions::write(&definitions)? };
    super::print(&file)?;
    Ok(ExitCode::SUCCESS)
}

/// Rows that fit into a line together.
fn portions(rows: &[Row]) -> Vec<Vec<&Row>> {
    let mut portions: Vec<Vec<&Row>> = Vec::new();
    let mut bytes = 0;
    for row in rows {
        let length = Value::from(row.columns.clone()).to_string().len();
        match portions.last_mut() {
            Some(portion) if portion.len() < PORTION_ROWS && bytes + length <= PORTION_BYTES => {
                portion.push(row);
                bytes += length;
            }
            _ => {
                portions.push(vec![row]);
                bytes = length;
            }
        }
    }
    portions
}

async fn call(query: &mut Query, method: &str, portion: &[&Row]) -> Result<Value, CliError> {
    let of = |table: &str| {
        portion.iter().filter(|row| row.table == table).map(|row| row.columns.clone()).collect()
    };
    let params = TABLES.map(|table| (table.to_owned(), of(table)));
    query.call(method, Map::from_iter(params)).await
}

/// Each row with what the daemon said of it.
fn steps<'a>(
    portions: &'a [Vec<&'a Row>],
    answers: &'a [Value],
) -> impl Iterator<Item = (&'a Row, &'a Value)> {
    portions.iter().zip(answers).flat_map(|(portion, answer)| {
        TABLES.into_iter().flat_map(move |table| {
            let rows = portion.iter().copied().filter(move |row| row.table == table);
            rows.zip(answer[table].as_array().into_iter().flatten())
        })
    })
}

fn faults(row: &Row, step: &Value) -> Vec<(Option<usize>, String)> {
    let fault = |fault: &Value| {
        let text = |key: &str| fault[key].as_str().unwrap_or_default();
        row.fault(text("column"), text("problem"))
    };
    step["faults"].as_array().into_iter().flatten().map(fault).collect()
}

fn is_kept(plan: &Value) -> bool {
    let mut steps = TABLES.into_iter().flat_map(|table| plan[table].as_array().into_iter().flatten());
    steps.all(|step| step["action"] == "keep")
}

/// The rows that the file does not name.
async fn unnamed(query: &mut Query, rows: &[Row]) -> Result<[Vec<Value>; 2], CliError> {
    let mut unnamed = [Vec::new(), Vec::new()];
    for (table, unnamed) in TABLES.into_iter().zip(&mut unnamed) {
        let named: HashSet<&str> = rows.iter().filter(|row| row.table == table).map(Row::name).collect();
        let there = query.call(&format!("{table}.list"), Map::new()).await?;
        let there = there.as_array().cloned().unwrap_or_default().into_iter();
        unnamed.extend(there.filter(|row| !row["name"].as_str().is_some_and(|name| named.contains(name))));
    }
    Ok(unnamed)
}

impl Report {
    fn take(&mut self, table: &'static str, name: &str, step: &Value) -> Result<(), CliError> {
        let at = ACTIONS.iter().position(|(action, ..)| step["action"] == *action);
        let (Some(at), Some(of)) = (at, TABLES.iter().position(|known| *known == table)) else {
            return Err(crate::control::CallError::Nonsense.into());
        };
        self.counts[at] += 1;
        let (action, done, planned) = ACTIONS[at];
        if self.aloud && action != "keep" {
            let verb = if self.dry { planned } else { done };
            let id = step["id"].as_u64().map(|id| format!(" (id {id})")).unwrap_or_default();
            let columns: Vec<_> =
                step["columns"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let columns =
                if columns.is_empty() { String::new() } else { format!(": {}", columns.join(", ")) };
            super::print(&format!("{verb} {} {}{id}{columns}\n", one(table), text::reason(name)))?;
        }
        let mut shown = Map::from_iter([("name".to_owned(), Value::from(name))]);
        shown.extend(step.as_object().cloned().unwrap_or_default());
        self.tables[of].push(shown.into());
        Ok(())
    }

    fn end(self) -> Result<ExitCode, CliError> {
        let Self { aloud, dry, tables: [notifiers, targets], counts } = self;
        let [add, change, delete, keep] = counts;
        let said = if dry {
            format!(
                "{add} to add, {change} to change, {delete} to delete, {keep} as they are; nothing was done"
            )
        } else {
            format!("{add} added, {change} changed, {delete} deleted, {keep} as they were")
        };
        let document = json!({ "dry_run": dry, "targets": targets, "notifiers": notifiers });
        super::say(!aloud, &document, &said)
    }
}
