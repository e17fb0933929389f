//! Latchkey, a standalone `OpenID` Connect Provider. The map, in layer order: a layer uses the ones above it
//! in this list, never the ones below, and endpoints never use endpoints (`tests/it/architecture.rs` checks).

// Layer 0: what the protocols say. Pure: no store, no HTTP, no clock.
pub mod protocol;

// Layer 1: bytes, time, sockets, records; nothing of OAuth.
pub mod infra;

// Layer 2: the settings, read whole and checked whole.
pub mod config;

// Layer 3: the records of a provider: their transitions and their few store calls.
pub mod domain;

// Layer 4: what an operator does: the verbs of the command line, the bootstrap file, backups.
pub mod operations;

// Layer 5: what every endpoint shares: state, extractors, cookies, pages, errors.
pub mod http;

// Layer 6: one folder for each endpoint family. No endpoint uses another.
pub mod endpoints;

// Layer 7: the process: listeners, connections, middleware, workers; the only place where endpoints meet.
pub mod server;

// Layer 8: the command line.
pub mod cli;
