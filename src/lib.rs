//! Latchkey, a standalone `OpenID` Connect Provider. The map, in floor order: a floor uses the ones
//! below it, never above, and rooms never use rooms (`tests/it/architecture.rs` holds the fences).

// Floor 0, words: pure, no store, no HTTP, no clock.
pub mod protocol;

// Floor 1, mechanism: bytes, time, sockets; no OAuth nouns.
pub mod client_ip;
pub mod clock;
pub mod config;
pub mod fetch;
pub mod jose;
pub mod password;
pub mod random;
pub mod secret;
pub mod secret_key;
pub mod store;

// Floor 2, nouns: a record, its transitions, its few store calls.
pub mod backup;
pub mod bootstrap;
pub mod clients;
pub mod consents;
pub mod development;
pub mod epoch;
pub mod events;
pub mod grants;
pub mod interactions;
pub mod keys;
pub mod logouts;
pub mod operations;
pub mod requests;
pub mod resources;
pub mod scopes;
pub mod sessions;
pub mod subjects;
pub mod throttle;
pub mod tokens;
pub mod users;

// Floor 3, the hall: what every room may reach, and what it speaks HTTP with.
pub mod app;
pub mod http;
pub mod mint;

// Floor 4, rooms: one endpoint family each. No room uses another.
pub mod authorize;
pub mod consent;
pub mod discovery;
pub mod health;
pub mod home;
pub mod introspect;
pub mod jwks;
pub mod login;
pub mod logout;
pub mod metrics;
pub mod register;
pub mod revoke;
pub mod token;
pub mod userinfo;
pub mod webfinger;

// Floor 5, the house: the only place where rooms meet.
pub mod cli;
pub mod server;
