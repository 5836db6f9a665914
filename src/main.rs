//! skypunch: watches REST and cloud services and tells people when they fail.

use std::process::ExitCode;

use skypunch::{app::App, cli};
use tikv_jemallocator::Jemalloc;

/// Hands back what is free. The system's keeps most of it: the results of a minute, which are gone through at once, would
/// leave the daemon that much larger for good.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    cli::main(&App)
}
