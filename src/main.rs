//! skypunch: watches REST and cloud services and tells people when they fail.

use std::process::ExitCode;

use skypunch::{app::App, cli};
use tikv_jemallocator::Jemalloc;

/// Takes a tenth less time than the system's for what a probe asks of it, and hands back what is free: the results of a
/// minute are gone through at once, and would leave the daemon that much larger for good.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    cli::main(&App)
}
