//! Sends the authorization response to the client: by redirect, by a form that posts itself, or by a page with a link
//! where a browser does not follow a redirect by itself.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::logged_error::LoggedError;
use super::pages::{FormTargets, PagePolicy, nonce, page};
use super::shared_pages::{ContinuePage, FormPostPage};
use crate::domain::authorization_request::Destination;
use crate::protocol::{OAuthError, ResponseMode, redirect_uri};

/// What a response needs beside its destination.
#[derive(Clone, Copy, Debug)]
pub struct ResponseContext<'a> {
    /// `iss`.
    pub issuer: &'a str,
    /// The name of the client on pages.
    pub client_name: &'a str,
    /// The user just pressed a button, so browsers follow any redirect.
    pub after_gesture: bool,
}

/// A redirect that turns a POST into a GET and leaves its body behind ([RFC 9700 §4.12]).
///
/// [RFC 9700 §4.12]: https://www.rfc-editor.org/rfc/rfc9700#section-4.12
pub fn see_other(to: &str) -> Response {
    match HeaderValue::from_str(to) {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Sends what was granted to the client. `iss` goes with every answer ([RFC 9207 §2]).
///
/// [RFC 9207 §2]: https://www.rfc-editor.org/rfc/rfc9207#section-2
pub fn success(
    to: &Destination,
    fields: Vec<(String, String)>,
    sender: &ResponseContext<'_>,
) -> Response {
    send(to, fields, sender)
}

/// Sends an error to the client ([RFC 6749 §4.1.2.1]); `more` is a parameter beside those of the error.
///
/// [RFC 6749 §4.1.2.1]: https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1
pub fn failure(
    to: &Destination,
    error: &OAuthError,
    more: Option<(String, String)>,
    sender: &ResponseContext<'_>,
) -> Response {
    let mut fields = vec![
        ("error".to_owned(), error.code.as_str().to_owned()),
        ("error_description".to_owned(), error.description.clone().into_owned()),
    ];
    fields.extend(more);
    LoggedError::from(error).attach_to(send(to, fields, sender))
}

fn send(
    to: &Destination,
    mut fields: Vec<(String, String)>,
    sender: &ResponseContext<'_>,
) -> Response {
    if let Some(state) = to.state() {
        fields.push(("state".to_owned(), state.to_owned()));
    }
    fields.push(("iss".to_owned(), sender.issuer.to_owned()));
    match to.mode() {
        ResponseMode::Query => in_query(to.redirect_uri(), &fields, sender),
        ResponseMode::Fragment => in_fragment(to.redirect_uri(), &fields, sender),
        ResponseMode::FormPost => in_form(to.redirect_uri(), &fields),
    }
}

fn in_query(uri: &str, fields: &[(String, String)], sender: &ResponseContext<'_>) -> Response {
    follow(uri, &with_query(uri, fields), sender)
}

/// The URI with these fields added. Its own query stays as it is, byte for byte (RFC 6749 §3.1.2).
pub fn with_query(uri: &str, fields: &[(String, String)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(fields);
    let separator = match uri.split_once('?') {
        None => "?",
        Some((_, own)) if own.is_empty() || own.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{uri}{separator}{}", query.finish())
}

/// A registered URI has no fragment of its own.
fn in_fragment(uri: &str, fields: &[(String, String)], sender: &ResponseContext<'_>) -> Response {
    let mut fragment = url::form_urlencoded::Serializer::new(String::new());
    fragment.extend_pairs(fields);
    follow(uri, &format!("{uri}#{}", fragment.finish()), sender)
}

fn follow(uri: &str, target: &str, sender: &ResponseContext<'_>) -> Response {
    if redirect_uri::is_private_use(uri) && !sender.after_gesture {
        // Browsers on phones follow such a scheme only after a tap.
        let template = ContinuePage { client_name: sender.client_name, href: target };
        return page(&template, StatusCode::OK, &PagePolicy::default());
    }
    see_other(target)
}

fn in_form(uri: &str, fields: &[(String, String)]) -> Response {
    let nonce = nonce();
    let template = FormPostPage { action: uri, fields, nonce: &nonce };
    let policy = PagePolicy {
        form_targets: FormTargets::Anywhere,
        script_nonce: Some(nonce.clone()),
        ..PagePolicy::default()
    };
    page(&template, StatusCode::OK, &policy)
}
