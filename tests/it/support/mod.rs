//! What several tests need: real servers, and waiting.

pub mod digest;
pub mod dns;
pub mod http;
pub mod keystone;
pub mod mariadb;
pub mod memory;
pub mod operator;
pub mod postfix;
pub mod python;
pub mod row;
pub mod site;
pub mod tls;
pub mod wait;
pub mod x;
