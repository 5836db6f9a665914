//! Why a command did not do what it was told.

use std::{io, process::ExitCode};

use skypunch_actors::domain::text;

use super::{Failure, args::NoCommand, daemon::DaemonError, definitions::FileError};
use crate::{
    control::{CallError, ConnectError},
    settings::SettingsError,
};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error("the command line is wrong")]
    Usage(NoCommand),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("cannot write the definitions as TOML")]
    Toml(#[from] toml::ser::Error),
    #[error("no daemon is running: start it with `skypunch start`")]
    NoDaemon,
    #[error("there is no kind `{0}`: see `skypunch notifiers kinds`")]
    NoKind(String),
    #[error("the program failed")]
    Program(Failure),
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

impl From<NoCommand> for CliError {
    fn from(no_command: NoCommand) -> Self {
        Self::Usage(no_command)
    }
}

impl CliError {
    /// Says it on standard error, as far as that can be had, and how the process is to end.
    pub fn report(&self) -> ExitCode {
        let line = match self {
            Self::Usage(NoCommand::Help(text)) => {
                return super::print(text).map_or_else(|error| error.report(), |()| ExitCode::SUCCESS);
            }
            Self::Usage(NoCommand::Usage(text)) => text.clone(),
            // These have several lines of their own.
            Self::Settings(error) => format!("skypunch: {}\n", with_source(error)),
            Self::File(error) => {
                error.to_string().lines().map(|line| format!("skypunch: {line}\n")).collect()
            }
            Self::Daemon(error) => format!("skypunch: {}\n", with_source(error)),
            Self::Program(Failure { source, of_configuration: true }) => {
                format!("skypunch: {}\n", with_source(source.as_ref()))
            }
            Self::Program(Failure { source, .. }) => format!("skypunch: {}\n", text::chain(source.as_ref())),
            // Whoever read it has enough: `skypunch targets | head`.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => String::new(),
            error => format!("skypunch: {}\n", text::chain(error)),
        };
        super::complain(&line);
        match self {
            Self::Usage(_)
            | Self::Settings(_)
            | Self::File(_)
            | Self::Program(Failure { of_configuration: true, .. }) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

fn with_source(error: &dyn std::error::Error) -> String {
    let source = error.source().map(|source| format!(": {}", text::chain(source)));
    format!("{error}{}", source.unwrap_or_default())
}
