//! What several tests need: real servers, and waiting.

pub mod postfix;
pub mod wait;
