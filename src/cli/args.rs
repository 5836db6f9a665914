//! What can be said on the command line.

mod add;

use std::path::PathBuf;

use argh::{FromArgValue, FromArgs};
use skypunch_actors::domain::Resolution;

pub use self::add::{Add, New, NewNotifier, NewTarget};

use crate::settings::Overrides;

/// Watches REST and cloud services, and tells people when they fail.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(
    help_triggers("-h", "--help", "help"),
    note = "`skypunch COMMAND --help` tells more of a command.",
    error_code(0, "Done."),
    error_code(1, "Failed; one line on standard error says why."),
    error_code(2, "The command line or the configuration is wrong.")
)]
struct Args {
    /// the configuration file
    #[argh(option, arg_name = "FILE")]
    config: Option<PathBuf>,
    /// where the daemon keeps its state, whatever the configuration says
    #[argh(option, arg_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// print one JSON document
    #[argh(switch)]
    json: bool,
    #[argh(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, FromArgs, PartialEq)]
#[argh(subcommand)]
pub enum Command {
    Run(Run),
    Start(Start),
    Stop(Stop),
    Restart(Restart),
    Reload(Reload),
    Status(Status),
    Targets(Targets),
    Notifiers(Notifiers),
    Notifications(Notifications),
    Add(Add),
    Apply(Apply),
    Export(Export),
    Migrate(Migrate),
    Check(Check),
    Version(Version),
}

/// Run the daemon in the foreground.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(subcommand, name = "run")]
pub struct Run {
    /// do not show the log on standard output
    #[argh(switch)]
    pub quiet: bool,
}

/// Start the daemon in the background, and wait until it serves.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(subcommand, name = "start")]
pub struct Start {}

/// Stop the daemon, and wait until it is gone.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(subcommand, name = "stop")]
pub struct Stop {}

/// Stop the daemon if it runs, and start it.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(subcommand, name = "restart")]
pub struct Restart {}

/// Have the daemon act now on what changed in the database.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(subcommand, name = "reload")]
pub struct Reload {}

/// Show how the daemon is.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(subcommand, name = "status")]
pub struct Status {}

/// List the targets; or show, enable, disable, test or delete one, or tell its past.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(
    subcommand,
    name = "targets",
    example = "{command_name} home history --since 7days --by hour",
    note = "Time during which nobody looked is UNKNOWN: it counts neither as up nor as down."
)]
pub struct Targets {
    /// how far back the history goes, as 90min, 24h (if unsaid) or 7days
    #[argh(option, arg_name = "TIME", from_str_fn(duration))]
    pub since: Option<String>,
    /// what the history is summed up by: minute, hour or day (if unsaid, as fits its length)
    #[argh(option, arg_name = "PERIOD", from_str_fn(period))]
    pub by: Option<String>,
    /// which one, by id or name; then enable, disable, test (probe it now), history, incidents or delete
    #[argh(positional, arg_name = "ID|NAME [ACTION]")]
    pub choice: Vec<String>,
}

/// What is done with one target.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TargetAction {
    OfRow(Action),
    History,
    Incidents,
}

impl FromArgValue for TargetAction {
    fn from_arg_value(word: &str) -> Result<Self, String> {
        match word {
            "history" => Ok(Self::History),
            "incidents" => Ok(Self::Incidents),
            _ => Action::from_arg_value(word).map(Self::OfRow).map_err(|_| {
                r#"expected "enable", "disable", "test", "history", "incidents" or "delete""#.to_owned()
            }),
        }
    }
}

impl Targets {
    /// Reads which row is meant, and what is done with it.
    pub fn choose(&self) -> Result<Option<(&str, Option<TargetAction>)>, NoCommand> {
        let chosen = choose(&self.choice)?;
        if !matches!(chosen, Some((_, Some(TargetAction::History)))) {
            for (option, said) in [("--since", &self.since), ("--by", &self.by)] {
                if said.is_some() {
                    return Err(NoCommand::usage(&format!("{option} is for `targets ID history`.")));
                }
            }
        }
        Ok(chosen)
    }
}

/// List the notifiers; or show, enable, disable, test or delete one; or list their kinds.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(
    subcommand,
    name = "notifiers",
    note = "`{command_name} kinds` lists the kinds of notifiers, `{command_name} kinds KIND` says what one needs."
)]
pub struct Notifiers {
    /// which one, by id or name; then enable, disable, test (send it a message) or delete
    #[argh(positional, arg_name = "ID|NAME [ACTION] | kinds [KIND]")]
    pub choice: Vec<String>,
}

/// What is done with one row.
#[derive(Clone, Copy, Debug, Eq, FromArgValue, PartialEq)]
pub enum Action {
    Enable,
    Disable,
    Test,
    Delete,
}

/// List the newest notifications, and what became of them; or show or retry one.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(subcommand, name = "notifications", example = "{command_name} --failed --target home")]
pub struct Notifications {
    /// only those that were refused, or found no way in time
    #[argh(switch)]
    pub failed: bool,
    /// only those about this target
    #[argh(option, arg_name = "ID|NAME")]
    pub target: Option<String>,
    /// which one, by the beginning of its id; then retry (try it now, or send it again)
    #[argh(positional, arg_name = "ID [ACTION]")]
    pub choice: Vec<String>,
}

/// What is done with one notification.
#[derive(Clone, Copy, Debug, Eq, FromArgValue, PartialEq)]
pub enum NotificationAction {
    Retry,
}

impl Notifications {
    /// Reads which one is meant, and what is done with it.
    pub fn choose(&self) -> Result<Option<(&str, Option<NotificationAction>)>, NoCommand> {
        let chosen = choose(&self.choice)?;
        if chosen.is_some() && (self.failed || self.target.is_some()) {
            return Err(NoCommand::usage("--failed and --target are for the list of all notifications."));
        }
        Ok(chosen)
    }
}

/// Reads which row is meant, if it is one, and what is done with it beyond showing it.
pub fn choose<A: FromArgValue>(words: &[String]) -> Result<Option<(&str, Option<A>)>, NoCommand> {
    match words {
        [] => Ok(None),
        [row] => Ok(Some((row, None))),
        [row, action] => match A::from_arg_value(action) {
            Ok(action) => Ok(Some((row, Some(action)))),
            Err(expected) => Err(NoCommand::usage(&format!("`{action}` is no action: {}", expected.trim()))),
        },
        [_, _, further, ..] => Err(NoCommand::usage(&format!("Unrecognized argument: {further}"))),
    }
}

/// Make targets and notifiers what a file says: add what is missing, change what differs.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(
    subcommand,
    name = "apply",
    note = "Nothing is changed unless every row of the file is right. A row is known by its name;\nwhat it does not say is the default. conf/targets.toml is a sample."
)]
pub struct Apply {
    /// the file, in TOML
    #[argh(positional, arg_name = "FILE")]
    pub file: String,
    /// only say what would be done
    #[argh(switch)]
    pub dry_run: bool,
    /// delete what the file does not name
    #[argh(switch)]
    pub prune: bool,
}

/// Print targets and notifiers as a file for `apply`, without their secrets.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(subcommand, name = "export")]
pub struct Export {}

/// Create the database, or bring it up to date.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(subcommand, name = "migrate")]
pub struct Migrate {}

/// Check the configuration, the database and every row, and name all faults.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(subcommand, name = "check")]
pub struct Check {}

/// Print the version.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(subcommand, name = "version")]
pub struct Version {}

/// A command line that is complete.
#[derive(Debug)]
pub struct CommandLine {
    pub overrides: Overrides,
    pub json: bool,
    pub command: Command,
}

/// A command line that is no command, and what is printed for it.
#[derive(Debug, PartialEq)]
pub enum NoCommand {
    /// It asks for help.
    Help(String),
    /// It is wrong.
    Usage(String),
}

impl NoCommand {
    pub fn usage(problem: &str) -> Self {
        Self::Usage(format!("{}\nRun `skypunch --help` for what is possible.\n", problem.trim_end()))
    }
}

/// Reads the arguments that follow the program's name.
pub fn parse(args: &[&str]) -> Result<CommandLine, NoCommand> {
    let read = |args: &[&str]| {
        Args::from_args(&["skypunch"], args).map_err(|exit| match exit.status {
            Ok(()) => NoCommand::Help(exit.output),
            Err(()) => NoCommand::usage(&exit.output),
        })
    };
    let Args { config, state_dir, json, command } = read(&hoist(args)?)?;
    match (command, read(&["--help"])) {
        (Some(command), _) => Ok(CommandLine { overrides: Overrides { config, state_dir }, json, command }),
        (None, Err(NoCommand::Help(help))) => Err(NoCommand::Usage(help)),
        (None, _) => unreachable!("--help asks for help"),
    }
}

/// Moves the global options to the front, where they are expected: people write `targets --json`.
fn hoist<'a>(args: &[&'a str]) -> Result<Vec<&'a str>, NoCommand> {
    let (mut global, mut rest) = (Vec::new(), Vec::new());
    let mut args = args.iter().copied();
    while let Some(arg) = args.next() {
        match arg {
            "--json" => global.push(arg),
            "--config" | "--state-dir" => match args.next() {
                Some(value) => global.extend([arg, value]),
                None => return Err(NoCommand::usage(&format!("No value provided for option '{arg}'."))),
            },
            // What follows is no option.
            "--" => rest.extend([arg].into_iter().chain(args.by_ref())),
            _ => rest.push(arg),
        }
    }
    global.append(&mut rest);
    Ok(global)
}

fn duration(text: &str) -> Result<String, String> {
    let read = humantime::parse_duration(text);
    read.map(|_| text.to_owned()).map_err(|_| "expected a time such as 90min, 24h or 7days".to_owned())
}

fn period(text: &str) -> Result<String, String> {
    let read = text.parse::<Resolution>();
    read.map(|_| text.to_owned()).map_err(|_| r#"expected "minute", "hour" or "day""#.to_owned())
}

fn whole_number(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "not a whole number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help(args: &[&str]) -> String {
        match parse(args) {
            Err(NoCommand::Help(text)) => text,
            other => panic!("{args:?} is no call for help: {other:?}"),
        }
    }

    fn usage(args: &[&str]) -> String {
        match parse(args) {
            Err(NoCommand::Usage(text)) => text,
            other => panic!("{args:?} is no usage error: {other:?}"),
        }
    }

    #[test]
    fn every_help_text() {
        let mut texts = help(&["--help"]);
        for command in [
            "run",
            "start",
            "stop",
            "restart",
            "reload",
            "status",
            "targets",
            "notifiers",
            "notifications",
            "add",
            "add target",
            "add notifier",
            "apply",
            "export",
            "migrate",
            "check",
            "version",
        ] {
            let args: Vec<_> = command.split(' ').chain(["--help"]).collect();
            texts += &format!("\n--- {command}\n{}", help(&args));
        }
        insta::assert_snapshot!(texts);
    }

    #[test]
    fn every_usage_error() {
        let wrong: [&[&str]; 9] = [
            &["punch"],
            &["--punch"],
            &["run", "--loud"],
            &["add"],
            &["add", "target", "home"],
            &["add", "target", "home", "http://h/", "--frequency", "often"],
            &["status", "--config"],
            &["targets", "1", "history", "--since", "yesterday"],
            &["targets", "1", "history", "--by", "week"],
        ];
        let texts = wrong.map(|args| format!("--- {}\n{}\n", args.join(" "), usage(args)));
        insta::assert_snapshot!(texts.concat());
    }

    #[test]
    fn no_command_is_a_usage_error_that_shows_the_commands() {
        assert_eq!(usage(&[]), help(&["--help"]));
        assert_eq!(usage(&["--json"]), help(&["--help"]));
    }

    #[test]
    fn global_options_may_stand_anywhere() {
        let before = parse(&["--json", "--config", "a.toml", "--state-dir", "/s", "targets", "1"]).unwrap();
        let after = parse(&["targets", "--config", "a.toml", "1", "--json", "--state-dir", "/s"]).unwrap();
        assert_eq!(format!("{before:?}"), format!("{after:?}"));
        assert!(before.json && before.overrides.config.is_some() && before.overrides.state_dir.is_some());
    }

    #[test]
    fn what_follows_two_dashes_is_no_option() {
        let args = parse(&["targets", "--", "--json"]).unwrap();
        assert!(!args.json);
        let targets = Targets { since: None, by: None, choice: vec!["--json".to_owned()] };
        assert_eq!(args.command, Command::Targets(targets));
    }

    #[test]
    fn a_row_and_an_action_are_chosen() {
        let chosen = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
            match choose::<Action>(&words) {
                Ok(chosen) => format!("{chosen:?}"),
                Err(NoCommand::Usage(text) | NoCommand::Help(text)) => {
                    text.lines().next().unwrap().to_owned()
                }
            }
        };
        assert_eq!(chosen(&[]), "None");
        assert_eq!(chosen(&["1"]), r#"Some(("1", None))"#);
        assert_eq!(chosen(&["1", "test"]), r#"Some(("1", Some(Test)))"#);
        assert_eq!(chosen(&["1", "test", "now"]), "Unrecognized argument: now");
        assert_eq!(
            chosen(&["1", "punch"]),
            r#"`punch` is no action: expected "enable", "disable", "test" or "delete""#
        );
    }

    fn misuse(args: &[&str]) -> String {
        let told = match parse(args).unwrap().command {
            Command::Targets(targets) => targets.choose().map(|chosen| format!("{chosen:?}")),
            Command::Notifications(notifications) => {
                notifications.choose().map(|chosen| format!("{chosen:?}"))
            }
            other => panic!("{other:?} has no choice"),
        };
        match told {
            Ok(chosen) => chosen,
            Err(NoCommand::Usage(text) | NoCommand::Help(text)) => text.lines().next().unwrap().to_owned(),
        }
    }

    #[test]
    fn the_past_is_asked_for_by_what_fits_it() {
        let history = ["targets", "1", "history", "--since", "2h", "--by", "minute"];
        assert_eq!(misuse(&history), r#"Some(("1", Some(History)))"#);
        assert_eq!(misuse(&["targets", "1", "incidents"]), r#"Some(("1", Some(Incidents)))"#);
        assert_eq!(misuse(&["targets", "1", "test"]), r#"Some(("1", Some(OfRow(Test))))"#);
        assert_eq!(misuse(&["targets", "1", "--by", "day"]), "--by is for `targets ID history`.");
        assert_eq!(misuse(&["targets", "--since", "1h"]), "--since is for `targets ID history`.");
        assert_eq!(
            misuse(&["targets", "1", "past"]),
            r#"`past` is no action: expected "enable", "disable", "test", "history", "incidents" or "delete""#
        );
        assert_eq!(misuse(&["notifications", "--failed", "--target", "home"]), "None");
        assert_eq!(misuse(&["notifications", "0a", "retry"]), r#"Some(("0a", Some(Retry)))"#);
        assert_eq!(misuse(&["notifications", "0a", "again"]), r#"`again` is no action: expected "retry""#);
        assert_eq!(
            misuse(&["notifications", "0a", "--failed"]),
            "--failed and --target are for the list of all notifications."
        );
    }
}
