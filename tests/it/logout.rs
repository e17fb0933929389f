//! The ends of a session.

mod back_channel;
mod front_channel;
pub mod rp_initiated;
mod server;
mod session_management;
