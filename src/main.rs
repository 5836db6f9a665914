//! skypunch: watches REST and cloud services and tells people when they fail.

use std::process::ExitCode;

use skypunch::{app::App, cli};

fn main() -> ExitCode {
    cli::main(&App)
}
