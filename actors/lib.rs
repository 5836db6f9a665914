//! The core of skypunch.
pub mod domain;
pub mod event;
pub mod lifecycle;
pub mod meter;
pub mod notifier;
pub mod persister;
pub mod port;
pub mod supervisor;
pub mod target;
pub mod tester;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
