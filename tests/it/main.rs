//! The tests of the whole: one binary, a line a module.

mod architecture;
mod config;
mod logging;
mod repository;
