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
pub mod interaction_context;
pub mod logged_error;
pub mod page_error;
pub mod pages;
pub mod parties;
pub mod presented_token;
pub mod request_info;
pub mod request_quota;
pub mod session_state;
pub mod shared_pages;
pub mod sign_in;
pub mod stop_page;
pub mod token_issuer;
pub mod token_response;

#[cfg(test)]
pub(crate) mod page_test_util;
