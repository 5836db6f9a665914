//! What can be said on the command line.

use std::path::PathBuf;

use argh::{FromArgValue, FromArgs};

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

/// List the targets; or show, enable, disable, test or delete one.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(subcommand, name = "targets")]
pub struct Targets {
    /// which one, by id or name; then enable, disable, test (probe it now) or delete
    #[argh(positional, arg_name = "ID|NAME [ACTION]")]
    pub choice: Vec<String>,
}

/// List the notifiers; or show, enable, disable, test or delete one.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(subcommand, name = "notifiers")]
pub struct Notifiers {
    /// which one, by id or name; then enable, disable, test (send it a message) or delete
    #[argh(positional, arg_name = "ID|NAME [ACTION]")]
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

/// Reads which row is meant, if it is one, and what is done with it beyond showing it.
pub fn choose(words: &[String]) -> Result<Option<(&str, Option<Action>)>, NoCommand> {
    match words {
        [] => Ok(None),
        [row] => Ok(Some((row, None))),
        [row, action] => match Action::from_arg_value(action) {
            Ok(action) => Ok(Some((row, Some(action)))),
            Err(expected) => Err(NoCommand::usage(&format!("`{action}` is no action: {}", expected.trim()))),
        },
        [_, _, further, ..] => Err(NoCommand::usage(&format!("Unrecognized argument: {further}"))),
    }
}

/// Add a target or a notifier.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(subcommand, name = "add")]
pub struct Add {
    #[argh(subcommand)]
    pub what: New,
}

#[derive(Debug, FromArgs, PartialEq)]
#[argh(subcommand)]
pub enum New {
    Target(NewTarget),
    Notifier(NewNotifier),
}

/// Add a target.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(
    subcommand,
    name = "target",
    example = "{command_name} home https://example.org/ --frequency 10 --pass-result 2xx",
    note = "Others can read a command line: give a secret as env:NAME or file:PATH."
)]
pub struct NewTarget {
    /// how it is called
    #[argh(positional, arg_name = "NAME")]
    pub name: String,
    /// what is probed
    #[argh(positional, arg_name = "URL")]
    pub url: String,
    /// GET (if unsaid), HEAD, POST, PUT, PATCH, DELETE or OPTIONS
    #[argh(option, arg_name = "METHOD")]
    pub method: Option<String>,
    /// the expected status, as 200 (if unsaid), 200-299, 2xx, or a list of these
    #[argh(option, arg_name = "STATUS")]
    pub pass_result: Option<String>,
    /// seconds from one probe to the next (if unsaid, 60)
    #[argh(option, arg_name = "SECONDS", from_str_fn(whole_number))]
    pub frequency: Option<i64>,
    /// seconds that a probe may take (if unsaid, 10)
    #[argh(option, arg_name = "SECONDS", from_str_fn(whole_number))]
    pub timeout: Option<i64>,
    /// how the target knows us: NONE (if unsaid), BASIC, …
    #[argh(option, arg_name = "KIND")]
    pub authn: Option<String>,
    /// parameters of that, as key=value,key=value
    #[argh(option, arg_name = "PARAMETERS")]
    pub authn_parms: Option<String>,
    /// whose it is (if unsaid, 0)
    #[argh(option, arg_name = "ID")]
    pub tenantid: Option<String>,
    /// further options, as a JSON object
    #[argh(option, arg_name = "JSON")]
    pub options: Option<String>,
    /// do not probe it yet
    #[argh(switch)]
    pub disabled: bool,
}

/// Add a notifier.
#[derive(Debug, FromArgs, PartialEq)]
#[argh(
    subcommand,
    name = "notifier",
    example = "{command_name} ops SMTP ops@example.org --params server=mail.example.org,user=ops,password=env:MAIL_PASSWORD",
    note = "Others can read a command line: give a secret as env:NAME or file:PATH."
)]
pub struct NewNotifier {
    /// how it is called
    #[argh(positional, arg_name = "NAME")]
    pub name: String,
    /// the kind: SMTP, WEBHOOK, …
    #[argh(positional, arg_name = "TYPE")]
    pub kind: String,
    /// who is told: mail addresses, or a URL
    #[argh(positional, arg_name = "ADDRESS")]
    pub address: String,
    /// parameters of its kind, as key=value,key=value
    #[argh(option, arg_name = "PARAMETERS")]
    pub params: Option<String>,
    /// further options, as a JSON object
    #[argh(option, arg_name = "JSON")]
    pub options: Option<String>,
    /// do not tell it anything yet
    #[argh(switch)]
    pub disabled: bool,
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
    fn usage(problem: &str) -> Self {
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
        let wrong: [&[&str]; 7] = [
            &["punch"],
            &["--punch"],
            &["run", "--loud"],
            &["add"],
            &["add", "target", "home"],
            &["add", "target", "home", "http://h/", "--frequency", "often"],
            &["status", "--config"],
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
        assert_eq!(args.command, Command::Targets(Targets { choice: vec!["--json".to_owned()] }));
    }

    #[test]
    fn a_row_and_an_action_are_chosen() {
        let chosen = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
            match choose(&words) {
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
}
