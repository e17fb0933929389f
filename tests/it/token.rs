//! The token endpoint over HTTP: what a code and a refresh token are worth, to whom, and for how long.

mod client_authentication;
mod codes;
mod failed_authentication;
mod refresh;
mod store_failures;
