//! Latchkey, a standalone `OpenID` Connect Provider. The map, in floor order: a floor uses the ones
//! below it, never above, and rooms never use rooms (`tests/it/architecture.rs` holds the fences).

// Floor 0, words: pure, no store, no HTTP, no clock.
pub mod protocol;

// Floor 1, mechanism: bytes, time, sockets; no OAuth nouns.
pub mod clock;
pub mod config;
pub mod password;
pub mod random;
pub mod secret;
pub mod secret_key;
pub mod store;

// Floor 2, nouns: a record, its transitions, its few store calls.
pub mod bootstrap;
pub mod clients;
pub mod consents;
pub mod grants;
pub mod sessions;
pub mod throttle;
pub mod users;
