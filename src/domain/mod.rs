//! The records of an identity provider. Each module has the record, its transitions as methods that may
//! refuse, and the few store calls that read and write it; none knows of HTTP.

pub mod authenticators;
pub mod authorization_request;
pub mod clients;
pub mod consent;
pub mod development;
pub mod epoch;
pub mod events;
pub mod grants;
pub mod interactions;
pub mod keys;
pub mod logout_notifications;
pub mod pairwise;
pub mod rate_limit;
pub mod resources;
pub mod scopes;
pub mod sessions;
pub mod token_claims;
pub mod users;
