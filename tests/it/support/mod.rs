//! What several tests need: real servers, and waiting.

pub mod chance;
pub mod digest;
pub mod dns;
pub mod faults;
pub mod http;
pub mod http2;
pub mod keystone;
pub mod mariadb;
pub mod memory;
pub mod operator;
pub mod postfix;
pub mod proxy;
pub mod python;
pub mod row;
pub mod site;
pub mod tls;
pub mod wait;
pub mod world;
pub mod x;
