//! The end of a session ([OpenID Connect RP-Initiated Logout]).
//!
//! `GET` or `POST /logout` is where an application sends people to sign out. With a good hint of who it
//! means, and that person here, it happens at once; otherwise the person is asked, and their form comes
//! to `POST /logout/confirm`. Somebody is sent on only to an address that the application registered.
//!
//! Ends sessions.
//!
//! [OpenID Connect RP-Initiated Logout]: https://openid.net/specs/openid-connect-rpinitiated-1_0.html

mod after;
mod farewell;
mod http;
pub mod page;
mod request;

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;
use crate::config::Config;
use crate::protocol::Metadata;

/// The room's paths.
pub fn routes() -> Router<App> {
    // A HEAD must not do what the GET would.
    let head = async || axum::http::StatusCode::NO_CONTENT;
    Router::new()
        .route("/logout", get(http::get).post(http::post).head(head))
        .route("/logout/confirm", post(http::confirm))
}

/// The room's lines in the metadata.
pub fn advertise(metadata: &mut Metadata, config: &Config) {
    metadata.end_session_endpoint = Some(config.issuer.url("/logout"));
}
