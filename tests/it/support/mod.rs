//! What several modules of tests need: real servers, and how to wait for something.

pub mod mariadb;
pub mod wait;
