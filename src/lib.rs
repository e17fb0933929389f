//! Latchkey, a standalone `OpenID` Connect Provider. The map, in floor order: a floor uses the ones
//! below it, never above, and rooms never use rooms (`tests/it/architecture.rs` holds the fences).

// Floor 0, words: pure, no store, no HTTP, no clock.
pub mod protocol;

// Floor 1, mechanism: bytes, time, sockets; no OAuth nouns.
pub mod client_ip;
pub mod clock;
pub mod fetch;
pub mod random;
pub mod secret;
pub mod store;

// Floor 5, the house: sockets and what every answer has in common.
pub mod server;
