//! What every endpoint shares to speak HTTP: the state, extractors, cookies, pages, errors.

pub mod accept;
pub mod answer;
pub mod app;
pub mod assets;
pub mod cacheable;
pub mod caller;
pub mod client;
pub mod cookies;
pub mod cors;
pub mod error;
pub mod form;
pub mod page;
pub mod parties;
pub mod presented_token;
pub mod session_state;
pub mod shared_pages;
pub mod sign_in;
pub mod stopped;
pub mod token_issuer;
pub mod token_response;
pub mod told;
pub mod trouble;
pub mod turns;
pub mod visit;

#[cfg(test)]
pub(crate) mod page_checks;
