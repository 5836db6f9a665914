//! What several tests need: real servers, and waiting.

pub mod http;
pub mod mariadb;
pub mod postfix;
pub mod tls;
pub mod wait;
