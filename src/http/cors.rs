//! Cross-origin calls ([Fetch §3.2]): which origins may read which answers, errors included.
//!
//! Discovery, JWKS and registration are open to all ([`any_origin`]). Token, userinfo and revocation answer
//! the origins of redirect URIs and those of `CORS_ORIGINS` ([`own_origins`]); exactly, never `null`, never with
//! credentials. A page of any other origin cannot read the response.
//!
//! The origin must be one of the client that sends the request. A preflight names no client, and some errors come before
//! there is one: the origins of all clients may read these.
//!
//! A response that a middleware makes without calling an endpoint gets the CORS headers that the endpoint would have set:
//! [`preflight_for`] makes the preflight request to send there, and [`copy_cors_headers`] copies the result.
//!
//! [Fetch §3.2]: https://fetch.spec.whatwg.org/#http-cors-protocol

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::domain::clients::{self, Client, origins};
use crate::http::app::App;

/// A layer for endpoints that every origin may read.
pub async fn any_origin(State(app): State<App>, request: Request, next: Next) -> Response {
    if !app.config.cors.enabled {
        return next.run(request).await;
    }
    let preflight = is_preflight(request.method(), request.headers());
    let mut answer = if preflight { preflight_response() } else { next.run(request).await };
    // Also without an `Origin`: a cache may give the same response to a request with one.
    allow_origin(answer.headers_mut(), HeaderValue::from_static("*"));
    if preflight {
        allow_preflight(answer.headers_mut(), "*", &[]);
    }
    answer
}

/// A layer for endpoints that only clients' own origins may read.
pub async fn own_origins(State(app): State<App>, mut request: Request, next: Next) -> Response {
    if !app.config.cors.enabled {
        return next.run(request).await;
    }
    let preflight = is_preflight(request.method(), request.headers());
    let origin = origin(request.headers()).map(str::to_owned);
    let cors_client = CorsClient::default();
    if origin.is_some() {
        request.extensions_mut().insert(cors_client.clone());
    }
    let mut answer = if preflight { preflight_response() } else { next.run(request).await };
    vary_by_origin(answer.headers_mut());
    let says_nothing = preflight || answer.status() == StatusCode::SERVICE_UNAVAILABLE;
    if let Some(origin) = origin
        && is_allowed(&app, &cors_client, &origin).await.unwrap_or(says_nothing)
        && let Ok(origin) = HeaderValue::try_from(origin)
    {
        allow_origin(answer.headers_mut(), origin);
        if preflight {
            allow_preflight(answer.headers_mut(), "", &app.config.cors.allowed_headers);
        }
    }
    answer
}

/// The origins of the client that sent a cross-origin request: set by the endpoint once it knows the client, read by
/// [`own_origins`] after it.
#[derive(Clone, Debug, Default)]
pub struct CorsClient(Arc<OnceLock<BTreeSet<String>>>);

impl<S: Sync> FromRequestParts<S> for CorsClient {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

impl CorsClient {
    /// That of this request; where it is not cross-origin, one that nothing reads.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// The origin has to be one of this client's.
    pub fn set_client(&self, client: &Client) {
        self.0.get_or_init(|| origins::web_origins(&client.metadata));
    }
}

/// `None` while the store is unavailable. An application has to be able to read that response, and to try again.
async fn is_allowed(app: &App, cors_client: &CorsClient, origin: &str) -> Option<bool> {
    if app.config.cors.origins.iter().any(|allowed| allowed == origin) {
        return Some(true);
    }
    if let Some(own) = cors_client.0.get() {
        return Some(own.contains(origin));
    }
    let known = clients::is_known_origin(&*app.store, origin).await;
    known
        .inspect_err(|cause| {
            tracing::warn!(%cause, kind = cause.kind(), "nobody knows whose origin this is");
        })
        .ok()
}

/// The preflight request that a browser would send before this request; `None` without an `Origin`.
pub fn preflight_for(uri: &Uri, headers: &HeaderMap) -> Option<Request> {
    let mut named = headers.get_all(header::ORIGIN).iter().peekable();
    named.peek()?;
    let question =
        Request::options(uri.path()).header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST");
    let question = named.fold(question, |asked, origin| asked.header(header::ORIGIN, origin));
    question.body(Body::empty()).ok()
}

/// Copies the CORS headers of the response to [`preflight_for`], without those that only a preflight has.
pub fn copy_cors_headers(from: &HeaderMap, to: &mut HeaderMap) {
    if from.contains_key(header::VARY) {
        vary_by_origin(to);
    }
    if let Some(allowed) = from.get(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        allow_origin(to, allowed.clone());
    }
}

fn allow_origin(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
}

/// Adds what a preflight allows of the request that may follow. `*` does not stand for `Authorization`
/// ([Fetch §4.9]), and is not understood by older browsers, so the usual names are always written out.
///
/// [Fetch §4.9]: https://fetch.spec.whatwg.org/#cors-preflight-fetch-0
fn allow_preflight(headers: &mut HeaderMap, any: &str, more: &[String]) {
    let own = more.iter().map(String::as_str);
    let names: Vec<&str> =
        HEADERS.into_iter().chain([any]).chain(own).filter(|name| !name.is_empty()).collect();
    if let Ok(names) = HeaderValue::try_from(names.join(", ")) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
}

/// A cache must not give one origin's answer to another ([RFC 9110 §12.5.5]).
///
/// [RFC 9110 §12.5.5]: https://www.rfc-editor.org/rfc/rfc9110#section-12.5.5
fn vary_by_origin(headers: &mut HeaderMap) {
    let named = |value: &HeaderValue| {
        let names = value.to_str().unwrap_or_default();
        names.split(',').any(|name| name.trim().eq_ignore_ascii_case("origin"))
    };
    if !headers.get_all(header::VARY).iter().any(named) {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
}

fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The response to a preflight, before its CORS headers.
fn preflight_response() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// The one `Origin` of the request. `null` counts as none: any page can have that.
fn origin(headers: &HeaderMap) -> Option<&str> {
    let mut named = headers.get_all(header::ORIGIN).iter();
    let (Some(origin), None) = (named.next(), named.next()) else { return None };
    let origin = origin.to_str().ok()?;
    (origin != "null" && origin.len() <= 512).then_some(origin)
}

const METHODS: &str = "GET, POST, PUT, DELETE";

/// Headers that clients send and that need a preflight: those of APIs, those that trace a request ([Trace
/// Context], [Baggage], Sentry), and the version that MCP clients speak.
///
/// [Trace Context]: https://www.w3.org/TR/trace-context/#trace-context-http-headers-format
/// [Baggage]: https://www.w3.org/TR/baggage/#header-name
const HEADERS: [&str; 9] = [
    "Authorization",
    "Content-Type",
    "X-Request-Id",
    "X-Requested-With",
    "traceparent",
    "tracestate",
    "baggage",
    "sentry-trace",
    "MCP-Protocol-Version",
];

const EXPOSED: &str = "WWW-Authenticate, X-Request-Id, Retry-After";

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(origins: &[&'static str]) -> HeaderMap {
        origins.iter().map(|it| (header::ORIGIN, HeaderValue::from_static(it))).collect()
    }

    #[test]
    fn a_request_has_one_origin_or_none() {
        let shop = "https://shop.example";
        assert_eq!(origin(&sent(&[shop])), Some(shop));
        for none in [&[][..], &["null"], &[shop, shop], &[shop, "null"]] {
            assert_eq!(origin(&sent(none)), None, "{none:?}");
        }
        let mut long = HeaderMap::new();
        long.insert(header::ORIGIN, HeaderValue::try_from("x".repeat(513)).unwrap());
        assert_eq!(origin(&long), None);
    }

    #[test]
    fn the_origin_is_named_once_among_what_answers_vary_by() {
        let mut headers = HeaderMap::new();
        for (before, after) in
            [("", 1), ("Accept", 2), ("accept, ORIGIN", 1), ("X-Origin", 2), ("Origin", 1)]
        {
            headers.clear();
            if !before.is_empty() {
                headers.insert(header::VARY, HeaderValue::from_static(before));
            }
            vary_by_origin(&mut headers);
            vary_by_origin(&mut headers);
            assert_eq!(headers.get_all(header::VARY).iter().count(), after, "{before}");
        }
    }

    #[test]
    fn what_the_room_allows_is_lent_and_nothing_else() {
        let mut from = sent(&["https://shop.example"]);
        let mut to = HeaderMap::new();
        copy_cors_headers(&from, &mut to);
        assert!(to.is_empty(), "{to:?}");
        allow_origin(&mut from, HeaderValue::from_static("https://shop.example"));
        allow_preflight(&mut from, "", &[]);
        vary_by_origin(&mut from);
        copy_cors_headers(&from, &mut to);
        assert_eq!(to[header::ACCESS_CONTROL_ALLOW_ORIGIN], "https://shop.example");
        assert_eq!(to[header::VARY], "Origin");
        assert!(!to.contains_key(header::ACCESS_CONTROL_ALLOW_METHODS), "{to:?}");
    }
}
