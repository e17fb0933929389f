//! Cross-origin calls ([Fetch §3.2]): which origins may read which answers, errors included.
//!
//! Discovery, JWKS and registration are open to all. Token, userinfo and revocation answer the origins
//! of registered redirect URIs and those the operator named; exactly, never `null`, never with
//! credentials. A stranger's page gets the answer it would get anyway and cannot read it.
//!
//! [Fetch §3.2]: https://fetch.spec.whatwg.org/#http-cors-protocol

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::clients;

/// A layer for endpoints that every origin may read.
pub async fn open(State(app): State<App>, request: Request, next: Next) -> Response {
    if !app.config.cors.enabled {
        return next.run(request).await;
    }
    answer(request, next, |_| Some(HeaderValue::from_static("*"))).await
}

/// A layer for endpoints that only clients' own origins may read.
pub async fn own_origins(State(app): State<App>, request: Request, next: Next) -> Response {
    if !app.config.cors.enabled {
        return next.run(request).await;
    }
    let allowed = match origin(request.headers()) {
        Some(origin) if is_allowed(&app, origin).await => HeaderValue::from_str(origin).ok(),
        Some(_) | None => None,
    };
    let mut answer = answer(request, next, |_| allowed).await;
    answer.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
    answer
}

async fn answer(
    request: Request,
    next: Next,
    allowed: impl FnOnce(&HeaderMap) -> Option<HeaderValue>,
) -> Response {
    let headers = request.headers();
    if origin(headers).is_none() {
        return next.run(request).await;
    }
    let allowed = allowed(headers);
    let preflight = request.method() == Method::OPTIONS
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut answer =
        if preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    if let Some(allowed) = allowed {
        let set = answer.headers_mut();
        set.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if preflight {
            for (name, value) in PREFLIGHT {
                set.insert(name, HeaderValue::from_static(value));
            }
        } else {
            let readable = HeaderValue::from_static("WWW-Authenticate, X-Request-Id, Retry-After");
            set.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, readable);
        }
    }
    answer
}

const PREFLIGHT: [(header::HeaderName, &str); 3] = [
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, DELETE"),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, X-Request-Id"),
    (header::ACCESS_CONTROL_MAX_AGE, "3600"),
];

/// The one origin the request names. `null` is nobody's.
fn origin(headers: &HeaderMap) -> Option<&str> {
    let origin = headers.get(header::ORIGIN)?.to_str().ok()?;
    (origin != "null" && origin.len() <= 512).then_some(origin)
}

async fn is_allowed(app: &App, origin: &str) -> bool {
    if app.config.cors.origins.iter().any(|allowed| allowed == origin) {
        return true;
    }
    clients::is_known_origin(&*app.store, origin).await.unwrap_or(false)
}
