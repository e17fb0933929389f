//! The house's front: sockets, TLS and what every answer has in common.

mod connection;
mod crowd;
pub mod hosts;
pub mod layers;
pub mod process;
mod refusal;
pub mod serve;
pub mod tls;
