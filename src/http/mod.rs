//! What every endpoint shares to speak HTTP: the state, extractors, cookies, pages, errors.

pub mod accept;
pub mod app;
pub mod assets;
pub mod authenticated_client;
pub mod authorization_response;
pub mod cached_json;
pub mod cookies;
pub mod cors;
pub mod error;
pub mod form;
pub mod logged_error;
pub mod page;
pub mod page_error;
pub mod parties;
pub mod presented_token;
pub mod request_info;
pub mod session_state;
pub mod shared_pages;
pub mod sign_in;
pub mod stopped;
pub mod token_issuer;
pub mod token_response;
pub mod turns;
pub mod visit;

#[cfg(test)]
pub(crate) mod page_checks;
