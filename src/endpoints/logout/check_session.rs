//! The `check_session_iframe` ([Session Management §3.2]). It is the one page of ours that any site may frame: it shows
//! nothing, and it answers only a script that has a `session_state`.
//!
//! [Session Management §3.2]: https://openid.net/specs/openid-connect-session-1_0.html#OPiframe

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use crate::http::app::App;
use crate::http::cookies;
use crate::http::pages::nonce;

#[derive(Template)]
#[template(path = "logout/check_session.html")]
struct CheckSessionPage<'a> {
    /// The name of the state cookie.
    cookie: &'a str,
    nonce: &'a str,
}

/// `GET /check-session`.
pub async fn show(State(app): State<App>) -> Response {
    let nonce = nonce();
    let template = CheckSessionPage { cookie: &cookies::state_name(&app), nonce: &nonce };
    let Ok(html) = template.render() else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; form-action 'none'; frame-ancestors *; \
         base-uri 'none'"
    );
    let mut answer = Html(html).into_response();
    if let Ok(policy) = HeaderValue::try_from(policy) {
        answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    answer
}
