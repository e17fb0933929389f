//! The page at `/`: what this is, where discovery is, and on a development installation how to try it.
//!
//! Writes nothing.

pub mod page;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use self::page::{DemoLogin, HomePage};
use crate::http::app::App;
use crate::http::pages::{PagePolicy, page as render};

/// `GET /`.
pub async fn show(State(app): State<App>) -> Response {
    let discovery = app.config.issuer.url("/.well-known/openid-configuration");
    let trial = app.demo_login.as_ref().map(|it| DemoLogin { user: &it.user });
    let template = HomePage {
        issuer: app.issuer(),
        discovery: &discovery,
        version: env!("CARGO_PKG_VERSION"),
        trial,
    };
    render(&template, StatusCode::OK, &PagePolicy::default())
}
