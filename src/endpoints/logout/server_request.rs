//! Logout requests that a client's server sends itself, without the browser: some proxies and libraries call
//! `/logout` with the hint, and take any 2xx or 3xx for success.
//!
//! A request without a session cookie ends no session, so such a request gets an error. With client authentication
//! it is accepted: the audience of the hint may end the session of its `sid`, of whichever browser. The hint alone
//! is not enough, as it is no secret: it travels in URLs and is in logs.

use axum::Json;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::end_session;
use super::request::{IdTokenHint, LogoutError, LogoutRequest};
use crate::http::accept::names_html;
use crate::http::app::App;
use crate::http::authenticated_client::{self, BASIC_CHALLENGE};
use crate::http::error::{ApiError, no_store};
use crate::http::request_info::RequestInfo;
use crate::protocol::{ErrorCode, OAuthError, Params};

/// Whether a server sent the request, and not a browser. `form` may hold client credentials.
///
/// A browser says where a request comes from with each that it sends to a trustworthy address
/// (`Sec-Fetch-Site`, [Fetch Metadata §2.1]), and asks for HTML where it goes to a page; libraries do
/// neither. `Sec-Fetch-Mode` tells nothing, as Node.js sends it, too. In doubt it is a browser: a page does a program
/// no harm, and JSON does not help a user.
///
/// [Fetch Metadata §2.1]: https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
pub fn is_server_request(headers: &HeaderMap, has_session: bool, form: &Params) -> bool {
    let from_browser = has_session || headers.contains_key("sec-fetch-site");
    !from_browser && (has_client_credentials(headers, form) || !names_html(headers))
}

fn has_client_credentials(headers: &HeaderMap, form: &Params) -> bool {
    let in_form = ["client_secret", "client_assertion"];
    headers.contains_key(header::AUTHORIZATION) || in_form.iter().any(|it| form.get(it).is_some())
}

/// Ends the session, or responds with an error. `form` is empty for a GET: a client secret has no place in a URL
/// ([RFC 6749 §2.3.1]).
///
/// [RFC 6749 §2.3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
pub async fn handle(
    app: &App,
    caller: &RequestInfo,
    headers: &HeaderMap,
    params: &Params,
    form: &Params,
) -> Response {
    match end_by_client(app, caller, headers, params, form).await {
        Ok(signed_out) => no_store(Json(json!({ "signed_out": signed_out }))).into_response(),
        Err(refused) => refused.into_response(),
    }
}

/// Ends the session of the hint; `false` if it has ended before, which is no error.
async fn end_by_client(
    app: &App,
    caller: &RequestInfo,
    headers: &HeaderMap,
    params: &Params,
    form: &Params,
) -> Result<bool, ApiError> {
    if !has_client_credentials(headers, form) {
        return Err(unauthenticated());
    }
    let client = authenticated_client::authenticated(app, headers, form, caller).await?;
    let asked = LogoutRequest::read(app, params).await.map_err(|error| match error {
        LogoutError::OtherClient => ApiError::invalid(OTHER_CLIENT),
        LogoutError::Store(cause) => cause.into(),
    })?;
    match asked.hint {
        IdTokenHint::Of { client: to, sid } if to == client.id => {
            Ok(end_session::end_by_sid(app, caller, sid).await?)
        }
        IdTokenHint::Of { .. } => Err(ApiError::invalid(OTHER_CLIENT)),
        IdTokenHint::Absent => {
            Err(ApiError::invalid("nothing has ended: id_token_hint is required"))
        }
        IdTokenHint::Invalid => Err(ApiError::invalid(
            "nothing has ended: id_token_hint is not an ID token of this provider",
        )),
    }
}

fn unauthenticated() -> ApiError {
    let why = "nothing has ended: no session of a browser came with this request; send the person's \
               browser here, or authenticate as the client that id_token_hint was given to";
    ApiError::new(OAuthError::new(ErrorCode::InvalidClient, why)).with_challenge(BASIC_CHALLENGE)
}

const OTHER_CLIENT: &str = "nothing has ended: id_token_hint was given to another client";

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    type Sent = &'static [(&'static str, &'static str)];

    #[test]
    fn a_browser_is_told_from_a_library_by_where_it_comes_from_and_what_it_would_read() {
        const PAGE: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        const SITE: &str = "sec-fetch-site";
        const MODE: &str = "sec-fetch-mode";
        #[rustfmt::skip]
        let table: [(&str, Sent, bool); 9] = [
            // Who                       sends                                             a server asks
            ("Chromium, to a page",      &[(SITE, "none"), (MODE, "navigate"), ("accept", PAGE)], false),
            ("Firefox, from a script",   &[(SITE, "cross-site"), (MODE, "cors"), ("accept", "*/*")], false),
            ("an old browser",           &[("accept", PAGE)],                                    false),
            ("HttpURLConnection",        &[("accept", "text/html, image/gif, *; q=.2")],          false),
            ("net/http",                 &[("user-agent", "Go-http-client/1.1")],                true),
            ("requests, curl",           &[("accept", "*/*")],                                   true),
            ("fetch in Node.js",         &[("accept", "*/*"), (MODE, "cors")],                    true),
            ("HttpURLConnection, Basic", &[("accept", "text/html"), ("authorization", "Basic x")], true),
            ("Chromium, proxy's Basic",  &[(SITE, "none"), ("accept", PAGE), ("authorization", "Basic x")], false),
        ];
        for (who, sent, expected) in table {
            let pairs = sent.iter().map(|(name, value)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            });
            let headers: HeaderMap = pairs.collect();
            assert!(
                !is_server_request(&headers, true, &Params::default()),
                "{who} with our cookie"
            );
            assert_eq!(is_server_request(&headers, false, &Params::default()), expected, "{who}");
        }
    }
}
