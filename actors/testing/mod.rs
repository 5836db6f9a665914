//! Doubles of the ports for tests, and the contracts that every [`Store`](crate::port::Store) and
//! [`Journal`](crate::port::Journal) keeps.

mod clock;
mod collector;
mod faulty_store;
pub mod fixtures;
mod memory_journal;
mod memory_store;
mod recording_sink;
mod script;
mod scripted_prober;

pub mod journal_suite;
pub mod store_suite;

pub use clock::TestClock;
pub use collector::Collector;
pub use faulty_store::{Fault, Faults, FaultyStore};
pub use memory_journal::MemoryJournal;
pub use memory_store::MemoryStore;
pub use recording_sink::{Answer, RecordingSinks};
pub use scripted_prober::{ScriptedProbers, Step};
