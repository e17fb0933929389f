//! The house's front: sockets, TLS and what every answer has in common; and the putting together.

mod bodies;
pub mod census;
mod connection;
pub mod control;
pub mod couriers;
mod crowd;
pub mod demo;
mod demo_app;
pub mod events;
pub mod homeward;
pub mod hosts;
pub mod layers;
pub mod logging;
pub mod process;
mod queue;
mod reader;
mod refusal;
mod response_headers;
pub mod rotation;
pub mod routes;
pub mod run;
pub mod serve;
pub mod tls;
