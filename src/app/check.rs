//! Looks at everything that can be wrong before the daemon is started.

use std::{io, path::PathBuf, sync::Arc};

use rustix::fs::{Access, access};
use skypunch_actors::{
    domain::{Fault, text},
    port::{Store, StoreError, plan_probe, plan_sink},
};

use super::{
    Kinds, KindsError,
    database::{self, DatabaseError},
};
use crate::{
    cli::Findings,
    clock::SystemClock,
    logging::{self, LoggingError},
    settings::{DatabaseUrl, Settings},
    sink,
    store::SCHEMA,
};

/// Why there is no database to look at, and none can be made.
#[derive(Debug, thiserror::Error)]
enum SchemaError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("cannot make the database in {}", .0.display())]
    Folder(PathBuf, #[source] io::Error),
}

/// Takes in the check of one thing.
fn note(findings: &mut Findings, what: &str, result: Result<String, String>) {
    match result {
        Ok(fact) => findings.facts.push(format!("{what}: {fact}")),
        Err(fault) => findings.faults.push(format!("{what}: {fault}")),
    }
}

/// Checks the log, the database, and every row of it.
pub async fn check(settings: &Settings) -> Findings {
    let mut findings = Findings::default();
    match logging::check(settings) {
        Ok(()) => note(&mut findings, "log", Ok("ok".to_owned())),
        Err(error @ LoggingError::Invalid { .. }) => {
            error.to_string().lines().for_each(|fault| note(&mut findings, "log", Err(fault.to_owned())));
        }
        Err(error) => note(&mut findings, "log", Err(text::chain(&error))),
    }
    let kinds = Kinds::new(settings, Arc::new(SystemClock));
    match &kinds {
        Ok(_) => {}
        Err(KindsError::Sinks(sink::KindsError::Faulty(faults))) => {
            faults.iter().for_each(|fault| note(&mut findings, "notify", Err(fault.to_string())));
        }
        Err(error @ KindsError::Sinks(_)) => note(&mut findings, "notify", Err(text::chain(error))),
        Err(error) => note(&mut findings, "probe", Err(text::chain(error))),
    }
    let found = schema(settings).await;
    let current = matches!(found, Ok((_, true)));
    note(&mut findings, "database", found.map(|(fact, _)| fact).map_err(|error| text::chain(&error)));
    if let (true, Ok(kinds)) = (current, kinds) {
        match database::open(settings).await {
            Err(error) => note(&mut findings, "database", Err(text::chain(&error))),
            Ok(store) => rows(&*store, &kinds, &mut findings).await,
        }
    }
    findings
}

/// Says what the database is, and whether its rows can be read as they are.
async fn schema(settings: &Settings) -> Result<(String, bool), SchemaError> {
    let found = database::inspect(settings).await?;
    let backend = found.backend;
    Ok(match found.schema {
        Some(version) if version == SCHEMA => (format!("ok ({backend}, schema {version})"), true),
        Some(version) => (format!("ok ({backend}, schema {version}; `migrate` makes it {SCHEMA})"), false),
        None => {
            (made_at_start(settings).map(|()| format!("ok ({backend}; is made at the first start)"))?, false)
        }
    })
}

/// A file that is not there yet must have a folder in which it can be made; that of the state is made too.
fn made_at_start(settings: &Settings) -> Result<(), SchemaError> {
    let DatabaseUrl::Sqlite(path) = &settings.database.url else {
        return Ok(());
    };
    let mut folder = path.parent().unwrap_or(path);
    while folder.starts_with(&settings.state_dir) || settings.state_dir.starts_with(folder) {
        match folder.parent() {
            Some(parent) if !folder.exists() => folder = parent,
            _ => break,
        }
    }
    let usable = access(folder, Access::WRITE_OK | Access::EXEC_OK);
    usable.map_err(|error| SchemaError::Folder(folder.to_owned(), error.into()))
}

async fn rows(store: &dyn Store, kinds: &Kinds, findings: &mut Findings) {
    if let Err(error) = targets(store, kinds, findings).await {
        note(findings, "targets", Err(text::chain(&error)));
    }
    if let Err(error) = notifiers(store, kinds, findings).await {
        note(findings, "notifiers", Err(text::chain(&error)));
    }
}

async fn targets(store: &dyn Store, kinds: &Kinds, findings: &mut Findings) -> Result<(), StoreError> {
    let rows = store.load_targets().await?;
    let notifiers = store.load_notifiers().await?;
    let known: Vec<_> = notifiers.iter().map(|row| row.definition.name.as_str()).collect();
    let mut sound = 0;
    for row in &rows {
        let (target, prober) = plan_probe(&*kinds.probers, row.id, &row.definition);
        let mut faults = prober.err().unwrap_or_default();
        let unknown = target.options.notify.iter().filter(|name| !known.contains(&name.as_str()));
        faults.extend(unknown.map(|name| Fault::new("notify", format!("no notifier has the name {name:?}"))));
        match faults.is_empty() {
            true => sound += 1,
            false => note(findings, &label("target", row.id.0, &target.name), told(&faults)),
        }
    }
    note(findings, "targets", Ok(format!("{sound} of {} ok", rows.len())));
    Ok(())
}

async fn notifiers(store: &dyn Store, kinds: &Kinds, findings: &mut Findings) -> Result<(), StoreError> {
    let rows = store.load_notifiers().await?;
    let mut sound = 0;
    for row in &rows {
        match plan_sink(&*kinds.sinks, row) {
            Ok(_) => sound += 1,
            Err(faults) => {
                note(findings, &label("notifier", row.id.0, &row.definition.name), told(&faults));
            }
        }
    }
    note(findings, "notifiers", Ok(format!("{sound} of {} ok", rows.len())));
    Ok(())
}

fn label(kind: &str, id: u64, name: &str) -> String {
    format!("{kind} {id} ({})", text::reason(&text::cut(name, 60)))
}

fn told(faults: &[Fault]) -> Result<String, String> {
    Err(text::reason(&Fault::join(faults)))
}
