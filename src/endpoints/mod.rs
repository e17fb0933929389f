//! The endpoints, one folder for each family: its routes, its part of the provider metadata, its handlers and
//! what is its own to decide. No endpoint uses another; `server/routes.rs` puts them together.

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
