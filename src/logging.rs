//! The log: log4rs, set up by the built-in `conf/log4rs.yaml` or by a file of the operator's.
//!
//! # Design notes
//!
//! 2026-11: log4rs' own loader prints a fault and goes on without the appender, and takes relative paths from
//! the working directory. So its configuration is read here, with its own deserializers for each part.
//! YAML, and with it the unmaintained serde_yaml, since that is what log4rs is documented in. `refresh_rate`
//! is not supported: its reloading knows nothing of the state directory.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use log::{LevelFilter, Record};
use log4rs::{
    append::{Append, AppenderConfig},
    config::{Appender, Config, Deserializers, Logger, Root},
    encode::{Encode, pattern::PatternEncoder, writer::simple::SimpleWriter},
    filter::Filter,
};
use rustix::fs::Mode;
use serde::Deserialize;
use serde_yaml::Value;

use crate::settings::Settings;

const BUILT_IN: &str = include_str!("../conf/log4rs.yaml");

/// Takes every line and creates nothing: stands in for the log's files while they are only checked.
const NOWHERE: &str = "/dev/null";

/// Whether the log goes to the terminal too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Terminal {
    /// As the configuration says.
    Shown,
    /// Without the appenders of kind `console`.
    Hidden,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The configuration cannot be read.
    #[error("cannot read the log configuration {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not YAML, or not of the right shape.
    #[error("the log configuration {name} is malformed")]
    Malformed {
        /// The file.
        name: String,
        /// Why, and where.
        source: serde_yaml::Error,
    },
    /// Parts of it are wrong: all of them, a line each.
    #[error("{}", lines(name, faults))]
    Invalid {
        /// The file.
        name: String,
        /// What is wrong.
        faults: Vec<String>,
    },
    /// This process has a log already.
    #[error("cannot begin a second log")]
    Second(#[from] log::SetLoggerError),
}

/// Begins the log of this process.
///
/// From now on all files that the process creates are its user's alone: log4rs creates them with what the
/// umask leaves, and does so again at each rotation.
pub fn init(settings: &Settings, terminal: Terminal) -> Result<(), LoggingError> {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let logger = logger(settings, terminal)?;
    log::set_max_level(logger.max_log_level());
    Ok(log::set_boxed_logger(Box::new(logger))?)
}

/// The log, not begun.
pub fn logger(settings: &Settings, terminal: Terminal) -> Result<log4rs::Logger, LoggingError> {
    configure(settings, terminal, Some(&settings.state_dir)).map(log4rs::Logger::new)
}

/// Finds what is wrong with the configuration, and creates nothing.
pub fn check(settings: &Settings) -> Result<(), LoggingError> {
    configure(settings, Terminal::Shown, None).map(drop)
}

/// What log4rs calls the raw configuration, whose type it keeps closed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    appenders: BTreeMap<String, Value>,
    root: Branch,
    #[serde(default)]
    loggers: BTreeMap<String, Branch>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Branch {
    level: LevelFilter,
    #[serde(default)]
    appenders: Vec<String>,
    /// Whether the appenders of the branches above are used too; means nothing in the root.
    #[serde(default = "yes")]
    additive: bool,
}

fn yes() -> bool {
    true
}

/// Reads the configuration; its files are opened in `directory`, or not at all.
fn configure(
    settings: &Settings,
    terminal: Terminal,
    directory: Option<&Path>,
) -> Result<Config, LoggingError> {
    let (name, text) = match &settings.log.config {
        None => ("(built-in)".to_owned(), BUILT_IN.to_owned()),
        Some(path) => {
            let read = fs::read_to_string(path);
            let text = read.map_err(|source| LoggingError::Read { path: path.clone(), source })?;
            (path.display().to_string(), text)
        }
    };
    let malformed = |source| LoggingError::Malformed { name: name.clone(), source };
    let file: File = serde_yaml::from_str(&text).map_err(malformed)?;
    build(file, terminal, directory).map_err(|faults| LoggingError::Invalid { name, faults })
}

fn build(file: File, terminal: Terminal, directory: Option<&Path>) -> Result<Config, Vec<String>> {
    let (mut faults, mut left_out) = (Vec::new(), Vec::new());
    let mut config = Config::builder();
    for (name, mut value) in file.appenders {
        if terminal == Terminal::Hidden && value["kind"] == "console" {
            left_out.push(name);
            continue;
        }
        let path = value["path"].as_str().map(|path| directory.unwrap_or(Path::new("")).join(path));
        place_files(&mut value, directory);
        match appender(&name, &value) {
            Ok(appender) => config = config.appender(appender),
            Err(fault) => {
                let path = path.map(|path| format!(" ({})", path.display())).unwrap_or_default();
                faults.push(format!("appender {name}{path}: {fault}"));
                left_out.push(name);
            }
        }
    }
    let used =
        |names: Vec<String>| names.into_iter().filter(|name| !left_out.contains(name)).collect::<Vec<_>>();
    for (name, branch) in file.loggers {
        let logger = Logger::builder().additive(branch.additive).appenders(used(branch.appenders));
        config = config.logger(logger.build(name, branch.level));
    }
    let root = Root::builder().appenders(used(file.root.appenders)).build(file.root.level);
    let (config, wrong) = config.build_lossy(root);
    faults.extend(wrong.errors().iter().map(ToString::to_string));
    if faults.is_empty() { Ok(config) } else { Err(faults) }
}

/// Puts relative paths of an appender below `directory`.
fn place_files(appender: &mut Value, directory: Option<&Path>) {
    let below = |path: &str| directory.map(|directory| directory.join(path).to_string_lossy().into_owned());
    if let Some(Value::String(path)) = appender.get_mut("path") {
        *path = below(path).unwrap_or_else(|| NOWHERE.to_owned());
    }
    let roller = appender.get_mut("policy").and_then(|policy| policy.get_mut("roller"));
    if let Some(Value::String(pattern)) = roller.and_then(|roller| roller.get_mut("pattern")) {
        *pattern = below(pattern).unwrap_or_else(|| pattern.clone());
    }
}

fn appender(name: &str, value: &Value) -> Result<Appender, String> {
    if let Some(pattern) = value["encoder"]["pattern"].as_str() {
        check_pattern(pattern)?;
    }
    let config = AppenderConfig::deserialize(value).map_err(|error| error.to_string())?;
    let parts = Deserializers::default();
    let mut builder = Appender::builder();
    for filter in config.filters {
        let filter = parts.deserialize::<dyn Filter>(&filter.kind, filter.config);
        builder = builder.filter(filter.map_err(|error| error.to_string())?);
    }
    let append = parts.deserialize::<dyn Append>(&config.kind, config.config);
    Ok(builder.build(name, append.map_err(|error| error.to_string())?))
}

/// log4rs takes any pattern, and writes what is wrong with it into every line.
fn check_pattern(pattern: &str) -> Result<(), String> {
    let mut line = SimpleWriter(Vec::new());
    let encoded = PatternEncoder::new(pattern).encode(&mut line, &Record::builder().build());
    encoded.map_err(|error| error.to_string())?;
    match String::from_utf8_lossy(&line.0).split_once("{ERROR: ") {
        Some((_, fault)) => Err(format!("its pattern: {}", fault.trim_end().trim_end_matches('}'))),
        None => Ok(()),
    }
}

fn lines(name: &str, faults: &[String]) -> String {
    let lines = faults.iter().map(|fault| format!("the log configuration {name}: {fault}"));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str, terminal: Terminal) -> Result<Config, Vec<String>> {
        build(serde_yaml::from_str(text).unwrap(), terminal, None)
    }

    fn appenders(text: &str, terminal: Terminal) -> Vec<String> {
        let config = config(text, terminal).unwrap();
        let names: Vec<String> = config.appenders().iter().map(|it| it.name().to_owned()).collect();
        assert_eq!(config.root().appenders(), names);
        names
    }

    #[test]
    fn the_terminal_is_shown_or_left_out() {
        assert_eq!(appenders(BUILT_IN, Terminal::Shown), ["file", "terminal"]);
        assert_eq!(appenders(BUILT_IN, Terminal::Hidden), ["file"]);
    }

    #[test]
    fn libraries_speak_up_only_when_something_is_wrong() {
        let logger = log4rs::Logger::new(config(BUILT_IN, Terminal::Hidden).unwrap());
        let says = |target, level| {
            log::Log::enabled(&logger, &log::Metadata::builder().target(target).level(level).build())
        };
        assert!(says("skypunch::app", log::Level::Info));
        assert!(says("skypunch_actors::logger", log::Level::Info));
        assert!(!says("skypunch::app", log::Level::Debug));
        assert!(!says("refinery_core::traits", log::Level::Info));
        assert!(says("mysql_async", log::Level::Warn));
    }

    #[test]
    fn all_faults_are_named_at_once() {
        let text = r#"
appenders:
  a: { kind: rolling_file, path: a.log, policy: { trigger: { kind: size, limit: 1 mb }, roller: { kind: fixed_window, pattern: a.gz, count: 2 } } }
  b: { kind: syslog }
  c: { kind: file, path: c.log, encoder: { pattern: "{wrong} {m}{n}" } }
  d: { kind: file, path: d.log, limit: 4 }
  e: { path: e.log }
root: { level: info, appenders: [a, b, c, d, f] }
"#;
        assert_eq!(
            config(text, Terminal::Shown).unwrap_err(),
            [
                "appender a (a.log): pattern does not contain `{}`",
                "appender b: no appender deserializer for kind `syslog` registered",
                "appender c (c.log): its pattern: unknown formatter `wrong`",
                "appender d (d.log): Unknown field limit. Expected one of path, encoder, append",
                "appender e (e.log): missing field `kind`",
                "Reference to nonexistent appender: `f`",
            ]
        );
    }
}
