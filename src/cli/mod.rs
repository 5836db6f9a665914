//! The command line.
//!
//! | file | what |
//! |---|---|
//! | `args` | what can be said |
//! | `daemon` | `start`, `stop`: the process in the background |
//! | `apply`, `definitions` | definitions as a file, both ways |
//! | `query` | whatever is asked of the daemon, or of the database |
//! | `kinds` | what kinds of notifiers there are |
//! | `show`, `past`, `table`, `bar` | answers as tables, and the newest results as a bar |
//! | `error` | failures, and how the process ends then |

mod apply;
mod args;
mod bar;
mod daemon;
mod definitions;
mod error;
mod kinds;
mod past;
mod query;
mod show;
mod table;

use std::{
    env,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Value, json};
use skypunch_actors::domain::text;

use self::{
    args::{Command, CommandLine, New, NotificationAction, TargetAction, choose},
    daemon::DaemonError,
    error::CliError,
    query::{NOTIFIERS, Query, TARGETS},
};
use crate::{
    control::Api,
    settings::{Loaded, Overrides, Settings},
};

/// Why the program behind a command failed.
#[derive(Debug)]
pub struct Failure {
    source: Box<dyn std::error::Error + Send + Sync>,
    of_configuration: bool,
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { source: error.into(), of_configuration: false }
    }
}

impl Failure {
    /// The configuration is wrong: another try without a change will not help.
    pub fn of_configuration(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { of_configuration: true, ..error.into() }
    }
}

/// What the commands cannot do by themselves. All but `run` are called within an actix system.
#[async_trait(?Send)]
pub trait Program {
    /// Runs the daemon until it is stopped; `quiet` keeps the log off standard output.
    fn run(&self, settings: Settings, quiet: bool) -> Result<(), Failure>;

    /// Checks log configuration, database and every row. Changes nothing.
    async fn check(&self, settings: &Settings) -> Findings;

    /// The kinds of notifiers, as the objects that `--json` prints.
    fn kinds(&self, settings: &Settings) -> Result<Value, Failure>;

    /// Creates the database, or brings it up to date. Returns what was done, in a line.
    async fn migrate(&self, settings: &Settings) -> Result<String, Failure>;

    /// The methods of the control socket over the database alone.
    async fn offline(&self, settings: &Settings) -> Result<Api, Failure>;
}

/// What a check found, a line each.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Findings {
    /// What is in order.
    pub facts: Vec<String>,
    /// What is not.
    pub faults: Vec<String>,
}

/// Does what the command line says, and says how the process is to end.
pub fn main(program: &impl Program) -> ExitCode {
    // What is not UTF-8 names no command, option or row.
    let args: Vec<_> = env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let done = args::parse(&args).map_err(CliError::from).and_then(|line| execute(line, program));
    done.unwrap_or_else(|error| error.report())
}

fn execute(line: CommandLine, program: &impl Program) -> Result<ExitCode, CliError> {
    let CommandLine { overrides, json, command } = line;
    if let Command::Version(_) = command {
        let version = env!("CARGO_PKG_VERSION");
        return say(json, &json!({ "version": version }), &format!("skypunch {version}"));
    }
    let Loaded { settings, warnings, .. } = Settings::load(&overrides)?;
    if let Command::Run(_) | Command::Start(_) | Command::Restart(_) | Command::Check(_) = command {
        warnings.iter().for_each(|warning| complain(&format!("skypunch: warning: {warning}\n")));
    }
    if let Command::Run(run) = command {
        program.run(settings, run.quiet).map_err(CliError::Program)?;
        return Ok(ExitCode::SUCCESS);
    }
    let done = perform(command, &settings, &overrides, json, program);
    actix::System::new().block_on(done)
}

async fn perform(
    command: Command,
    settings: &Settings,
    overrides: &Overrides,
    json: bool,
    program: &impl Program,
) -> Result<ExitCode, CliError> {
    match command {
        Command::Start(_) => {
            let pid = daemon::start(settings, overrides).await?;
            say(json, &json!({ "pid": pid }), &format!("the daemon serves (pid {pid})"))
        }
        Command::Stop(_) => {
            let pid = daemon::stop(settings).await?;
            say(json, &json!({ "pid": pid }), &format!("the daemon is stopped (pid {pid})"))
        }
        Command::Restart(_) => {
            match daemon::stop(settings).await {
                Ok(_) | Err(DaemonError::NotRunning) => {}
                Err(error) => return Err(error.into()),
            }
            let pid = daemon::start(settings, overrides).await?;
            say(json, &json!({ "pid": pid }), &format!("the daemon serves (pid {pid})"))
        }
        Command::Reload(_) => Query::of_daemon(settings, json).await?.reload().await,
        Command::Status(_) => Query::of_daemon(settings, json).await?.status().await,
        Command::Targets(targets) => {
            let choice = targets.choose()?;
            let query = Query::of_rows(settings, json, program).await?;
            let Some((target, action)) = choice else {
                return query.rows(TARGETS, None).await;
            };
            match action {
                Some(TargetAction::History) => query.history(target, &targets).await,
                Some(TargetAction::Incidents) => query.incidents(target).await,
                Some(TargetAction::OfRow(action)) => query.rows(TARGETS, Some((target, Some(action)))).await,
                None => query.rows(TARGETS, Some((target, None))).await,
            }
        }
        Command::Notifications(notifications) => {
            let choice = notifications.choose()?;
            match choice {
                Some((id, Some(NotificationAction::Retry))) => {
                    Query::of_daemon(settings, json).await?.retry(id).await
                }
                _ => {
                    let query = Query::of_rows(settings, json, program).await?;
                    match choice {
                        Some((id, _)) => query.notification(id).await,
                        None => query.notifications(&notifications).await,
                    }
                }
            }
        }
        Command::Notifiers(args::Notifiers { choice })
            if choice.first().is_some_and(|word| word == "kinds") =>
        {
            let kinds = program.kinds(settings).map_err(CliError::Program)?;
            kinds::show(&kinds, &choice[1..], json)
        }
        Command::Notifiers(notifiers) => {
            let choice = choose(&notifiers.choice)?;
            Query::of_rows(settings, json, program).await?.rows(NOTIFIERS, choice).await
        }
        Command::Add(add) => {
            let query = Query::of_rows(settings, json, program).await?;
            match add.what {
                New::Target(new) => query.add_target(new).await,
                New::Notifier(new) => query.add_notifier(new).await,
            }
        }
        Command::Apply(apply) => {
            let rows = definitions::read(Path::new(&apply.file))?;
            let mut query = Query::of_rows(settings, json, program).await?;
            apply::apply(&mut query, &apply, &rows).await
        }
        Command::Export(_) => apply::export(&mut Query::of_rows(settings, json, program).await?).await,
        Command::Migrate(_) => {
            let done = program.migrate(settings).await.map_err(CliError::Program)?;
            say(json, &json!({ "done": done }), &done)
        }
        Command::Check(_) => {
            let findings = program.check(settings).await;
            let faults = &findings.faults;
            let facts: String =
                findings.facts.iter().map(|fact| format!("{}\n", text::reason(fact))).collect();
            let counted = if faults.len() == 1 { "1 fault" } else { &format!("{} faults", faults.len()) };
            say(json, &json!(findings), &format!("{facts}{counted}"))?;
            faults.iter().for_each(|fault| complain(&format!("skypunch: {}\n", text::reason(fault))));
            Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Run(_) | Command::Version(_) => unreachable!("these need no system"),
    }
}

/// Prints lines for people or a document for programs.
fn say(json: bool, document: &Value, line: &str) -> Result<ExitCode, CliError> {
    print(&if json { pretty(document) } else { format!("{line}\n") })?;
    Ok(ExitCode::SUCCESS)
}

fn pretty(document: &Value) -> String {
    format!("{document:#}\n")
}

/// Unlike `print!`, without a panic when nobody reads any more.
fn print(text: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(CliError::Output)
}

/// Unlike `eprint!`, without a panic when standard error cannot be written: nobody can be told of that.
fn complain(text: &str) {
    io::stderr().lock().write_all(text.as_bytes()).ok();
}
