//! Latchkey, a standalone `OpenID` Connect Provider. The map, in floor order: a floor uses the ones
//! below it, never above, and rooms never use rooms (`tests/it/architecture.rs` holds the fences).

// Floor 0, words: pure, no store, no HTTP, no clock.
pub mod protocol;

// Floor 1, mechanism: bytes, time, sockets; no OAuth nouns.
pub mod clock;
pub mod random;
pub mod secret;
pub mod store;

// Floor 3, how a page leaves the house.
pub mod http;

// Floor 4, rooms: one family of endpoints each.
pub mod authorize;
pub mod consent;
pub mod home;
pub mod login;
