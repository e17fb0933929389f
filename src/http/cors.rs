//! Cross-origin calls ([Fetch §3.2]): which origins may read which answers, errors included.
//!
//! Discovery, JWKS and registration are open to all ([`open`]). Token, userinfo and revocation answer
//! the origins of redirect URIs and those the operator named ([`own_origins`]); exactly, never `null`,
//! never with credentials. A stranger's page gets the answer it would get anyway and cannot read it.
//!
//! Scripts send headers of their own: traces, versions of a protocol. Where every origin may read, any
//! header may come; elsewhere those of [`HEADERS`] and of `CORS_ALLOWED_HEADERS`.
//!
//! The origin must be one of the client that asks. A preflight names no client, and some errors are
//! found before there is one: these may be read from the origins of all clients, for all they say is
//! that something was wrong.
//!
//! An answer that is made further out, where no room is reached, borrows what the room would have
//! said: [`question`] asks it as browsers do, and [`lend`] copies its word.
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
pub async fn open(State(app): State<App>, request: Request, next: Next) -> Response {
    if !app.config.cors.enabled {
        return next.run(request).await;
    }
    let preflight = is_preflight(request.method(), request.headers());
    let mut answer = if preflight { cleared() } else { next.run(request).await };
    // Also where no other origin asks: a cache may give the same answer to one that does.
    allow(answer.headers_mut(), HeaderValue::from_static("*"));
    if preflight {
        clear(answer.headers_mut(), "*", &[]);
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
    let asker = Asker::default();
    if origin.is_some() {
        request.extensions_mut().insert(asker.clone());
    }
    let mut answer = if preflight { cleared() } else { next.run(request).await };
    vary_by_origin(answer.headers_mut());
    let says_nothing = preflight || answer.status() == StatusCode::SERVICE_UNAVAILABLE;
    if let Some(origin) = origin
        && is_allowed(&app, &asker, &origin).await.unwrap_or(says_nothing)
        && let Ok(origin) = HeaderValue::try_from(origin)
    {
        allow(answer.headers_mut(), origin);
        if preflight {
            clear(answer.headers_mut(), "", &app.config.cors.allowed_headers);
        }
    }
    answer
}

/// The client that turns out to ask, told by whoever finds out. Requests that no other origin sent
/// carry none.
#[derive(Clone, Debug, Default)]
pub struct Asker(Arc<OnceLock<BTreeSet<String>>>);

impl<S: Sync> FromRequestParts<S> for Asker {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

impl Asker {
    /// The one of this request; of one that carries none, one that nothing looks at.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// From now on the origin is held against this client.
    pub fn is(&self, client: &Client) {
        self.0.get_or_init(|| origins::of(&client.metadata));
    }
}

/// `None` while the store is away. Then an application has to be able to read just that, and to ask again.
async fn is_allowed(app: &App, asker: &Asker, origin: &str) -> Option<bool> {
    if app.config.cors.origins.iter().any(|allowed| allowed == origin) {
        return Some(true);
    }
    if let Some(own) = asker.0.get() {
        return Some(own.contains(origin));
    }
    let known = clients::is_known_origin(&*app.store, origin).await;
    known
        .inspect_err(|cause| {
            tracing::warn!(%cause, kind = cause.kind(), "nobody knows whose origin this is");
        })
        .ok()
}

/// The preflight a browser might have sent before a request; none if that names no origin.
pub fn question(uri: &Uri, headers: &HeaderMap) -> Option<Request> {
    let mut named = headers.get_all(header::ORIGIN).iter().peekable();
    named.peek()?;
    let question =
        Request::options(uri.path()).header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST");
    let question = named.fold(question, |asked, origin| asked.header(header::ORIGIN, origin));
    question.body(Body::empty()).ok()
}

/// Lets an answer be read by whom the answer to [`question`] allows.
pub fn lend(from: &HeaderMap, to: &mut HeaderMap) {
    if from.contains_key(header::VARY) {
        vary_by_origin(to);
    }
    if let Some(allowed) = from.get(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        allow(to, allowed.clone());
    }
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
}

/// What a preflight is told of the request that may follow. `*` does not stand for `Authorization`
/// ([Fetch §4.9]), and is not understood by older browsers, so the usual names are always written out.
///
/// [Fetch §4.9]: https://fetch.spec.whatwg.org/#cors-preflight-fetch-0
fn clear(headers: &mut HeaderMap, any: &str, more: &[String]) {
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

/// The answer to a preflight, whoever asks; its headers say what comes of it.
fn cleared() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// The one origin the request names. `null` is nobody's: any page can make itself one.
fn origin(headers: &HeaderMap) -> Option<&str> {
    let mut named = headers.get_all(header::ORIGIN).iter();
    let (Some(origin), None) = (named.next(), named.next()) else { return None };
    let origin = origin.to_str().ok()?;
    (origin != "null" && origin.len() <= 512).then_some(origin)
}

const METHODS: &str = "GET, POST, PUT, DELETE";

/// What clients send besides what needs no preflight: what an API takes, what traces a request ([Trace
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
        lend(&from, &mut to);
        assert!(to.is_empty(), "{to:?}");
        allow(&mut from, HeaderValue::from_static("https://shop.example"));
        clear(&mut from, "", &[]);
        vary_by_origin(&mut from);
        lend(&from, &mut to);
        assert_eq!(to[header::ACCESS_CONTROL_ALLOW_ORIGIN], "https://shop.example");
        assert_eq!(to[header::VARY], "Origin");
        assert!(!to.contains_key(header::ACCESS_CONTROL_ALLOW_METHODS), "{to:?}");
    }
}
