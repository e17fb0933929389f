//! The middleware around every endpoint, from the outside in.
//!
//! ```text
//! request_context   request id, span, security headers, access log, metrics
//!   error_body    gives a response without a body one: 404, 405, a panic, a timeout; a page for browsers,
//!              and CORS headers where the endpoint's own responses have them
//!     validate_request     rejects what no handler should have to look at: foreign hosts, oversized requests
//!       timeout_handler      the time a handler has
//!         catch_panic     turns a panic into a 500, so that the connection goes on
//!           buffer_body   pages only: reads the body before a permit is taken (`body_buffering.rs`)
//!             acquire_permit    pages only: so many requests at a time (`concurrency_limit.rs`)
//! ```

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::HttpBody;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, timeout};
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;

use super::allowed_hosts::AllowedHosts;
use super::connection::{MAX_URI_LEN, OverRequestLimit};
use super::error_response::{ErrorResponse, RejectedHost};
use super::issuer_redirect::IssuerRedirect;
use super::response_format::ResponseFormat;
use super::response_headers::{X_REQUEST_ID, set_security_headers};
use crate::http::cors;
use crate::http::logged_error::LoggedError;
use crate::http::request_info::RequestId;
use crate::infra::jose::MAX_OWN_JWT_LEN;
use crate::infra::password::HASH_WAIT_TIMEOUT;
use crate::infra::random;

/// What the layers need to know.
#[derive(Clone)]
pub struct LayerSettings {
    /// The accepted values of `Host`.
    pub hosts: AllowedHosts,
    /// Sends pages to the issuer's own host.
    pub issuer_redirect: Arc<IssuerRedirect>,
    /// Whether the issuer is `https`, so that responses have `Strict-Transport-Security`.
    pub https: bool,
    /// How long a handler may take.
    pub handler_timeout: Duration,
    /// Called after each response.
    pub observer: ResponseObserver,
}

/// Called with the route (`unmatched` if there is none), the method, the status and how long it took.
pub type ResponseObserver = Arc<dyn Fn(&str, &Method, StatusCode, Duration) + Send + Sync>;

impl LayerSettings {
    /// For these values of `Host` (none means any), without an observer.
    pub fn new(hosts: &[String], https: bool) -> Self {
        Self {
            hosts: AllowedHosts::new(hosts, https),
            issuer_redirect: Arc::default(),
            https,
            handler_timeout: Duration::from_secs(15),
            observer: Arc::new(|_, _, _, _| {}),
        }
    }
}

impl fmt::Debug for LayerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerSettings").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

/// Puts all layers around the router. Routes that are added afterwards have none of them.
pub fn wrap(router: Router, settings: LayerSettings) -> Router {
    let settings = Arc::new(settings);
    let routes = router.clone();
    router
        .layer(CatchPanicLayer::custom(catch_panic))
        .layer(from_fn_with_state(Arc::clone(&settings), timeout_handler))
        .layer(from_fn_with_state(Arc::clone(&settings), validate_request))
        .layer(from_fn_with_state(routes, error_body))
        .layer(from_fn_with_state(settings, request_context))
}

async fn request_context(
    State(settings): State<Arc<LayerSettings>>,
    mut request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let id = request_id(request.headers());
    request.extensions_mut().insert(RequestId(id.clone()));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    // Without the query: it may hold codes, tokens and hints of who is signing in.
    let span = tracing::info_span!("request", %id, %method, path = request.uri().path());

    let mut response = next.run(request).instrument(span.clone()).await;
    set_security_headers(response.headers_mut(), settings.https);
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }

    let (status, took) = (response.status(), begun.elapsed());
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    span.in_scope(|| {
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let status = status.as_u16();
        let told = response.extensions().get::<LoggedError>();
        let (error, why) = (told.map(|it| it.error), told.and_then(|it| it.why.as_deref()));
        // Health checks and assets are requested all the time, and are of interest only when they fail.
        if status < 400 && (MONITORING_PATHS.contains(&route) || is_asset(route)) {
            tracing::debug!(status, ms, "answered");
        } else {
            tracing::info!(status, ms, error, why, "answered");
        }
    });
    (settings.observer)(route, &method, status, took);
    response
}

/// The client's request id, if it is harmless in a log line; else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let harmless = |id: &&str| {
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (1..=64).contains(&id.len()) && id.bytes().all(safe)
    };
    let theirs = headers.get(X_REQUEST_ID).and_then(|id| id.to_str().ok()).filter(harmless);
    theirs.map_or_else(new_request_id, str::to_owned)
}

/// 80 random bits as 16 letters and digits that are not mistaken for one another: short enough to be read out.
fn new_request_id() -> String {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    random::bytes::<16>().iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

/// Writes the body of error responses that axum and the inner layers leave empty.
async fn error_body(State(routes): State<Router>, request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let reader = ResponseFormat::negotiate(request.uri(), request.headers());
    // An overloaded server does not ask the store whose origin the request is from.
    let overloaded = request.extensions().get::<OverRequestLimit>().is_some();
    let question =
        if overloaded { None } else { cors::preflight_for(request.uri(), request.headers()) };
    let one_at_a_time = request.version() < Version::HTTP_2;
    let mut response = next.run(request).await;
    if response.body().size_hint().exact() != Some(0) {
        return response;
    }
    let told = response.extensions_mut().remove::<ErrorResponse>();
    let Some(refusal) = told.or_else(|| ErrorResponse::from_status(response.status())) else {
        return response;
    };

    let reader = response.extensions_mut().remove::<ResponseFormat>().unwrap_or(reader);
    let rejected = response.extensions_mut().remove::<RejectedHost>();
    let worded = refusal.to_response(reader, &id, rejected.as_ref());
    response.extensions_mut().insert(refusal.to_log(rejected));
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    for (name, value) in worded.headers() {
        headers.insert(name, value.clone());
    }
    if let Some(seconds) = refusal.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    // In HTTP/2 the stream ends, and `Connection` means nothing (RFC 9113 §8.2.2).
    if refusal.closes_connection() && one_at_a_time {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(question) = question {
        copy_cors_headers(routes, question, headers).await;
    }
    *response.body_mut() = worded.into_body();
    response
}

/// Copies the CORS headers of the endpoint to a response that a layer made, so that a browser application can read the
/// error. The endpoint is asked by a preflight, inside the layers, which has no other effect.
async fn copy_cors_headers(routes: Router, question: Request, headers: &mut HeaderMap) {
    let Ok(Ok(answer)) = timeout(Duration::from_secs(2), routes.oneshot(question)).await else {
        return;
    };
    cors::copy_cors_headers(answer.headers(), headers);
}

async fn validate_request(
    State(settings): State<Arc<LayerSettings>>,
    request: Request,
    next: Next,
) -> Response {
    let (uri, headers) = (request.uri(), request.headers());
    let overloaded =
        request.extensions().get::<OverRequestLimit>().map(|_| ErrorResponse::Overloaded);
    if let Some(refusal) = overloaded.or_else(|| reject_reason(&settings.hosts, uri, headers)) {
        let mut answer = refusal.into_response();
        if refusal == ErrorResponse::HostNotAllowed {
            let came =
                uri.authority().map_or_else(|| host_header(headers), |it| escape_host(it.as_str()));
            let issuer = settings.issuer_redirect.issuer().unwrap_or_default().to_owned();
            let rejected =
                RejectedHost { presented: came, issuer, allowed: settings.hosts.names() };
            answer.extensions_mut().insert(rejected);
        }
        return answer;
    }
    match settings.issuer_redirect.redirect(&settings.hosts, &request) {
        Some(answer) => answer,
        None => next.run(request).await,
    }
}

fn reject_reason(hosts: &AllowedHosts, uri: &Uri, headers: &HeaderMap) -> Option<ErrorResponse> {
    if has_unsupported_transfer_coding(headers) {
        return Some(ErrorResponse::UnsupportedTransferCoding);
    }
    if uri_len(uri) > max_uri_len(uri.path()) {
        return Some(ErrorResponse::UriTooLong);
    }
    let head: usize =
        headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if head > MAX_HEADER_BYTES {
        return Some(ErrorResponse::HeadersTooLarge);
    }
    if !accepts_any_host(uri.path())
        && let Err(status) = hosts.check(uri, headers)
    {
        let is_missing = status == StatusCode::BAD_REQUEST;
        return Some(if is_missing {
            ErrorResponse::HostMissing
        } else {
            ErrorResponse::HostNotAllowed
        });
    }
    // A body without a declared length is limited where it is read.
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    let declared = declared.and_then(|length| length.parse::<u64>().ok());
    declared.is_some_and(|length| length > MAX_BODY_BYTES).then_some(ErrorResponse::BodyTooLarge)
}

/// Paths that answer under every host: health checks call by address, the web server of a domain forwards WebFinger under
/// its own name, and the page about a wrong host needs its stylesheet. None of them has anything that a host name protects.
fn accepts_any_host(path: &str) -> bool {
    MONITORING_PATHS.contains(&path) || path == "/.well-known/webfinger" || is_asset(path)
}

/// The value of `Host`, escaped for a log line.
fn host_header(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    escape_host(host.unwrap_or_default())
}

/// Escapes and truncates a host that the client chose: a name has at most 255 characters.
fn escape_host(host: &str) -> String {
    host.chars().flat_map(char::escape_default).take(260).collect()
}

/// Whether the body is framed by anything but one `chunked` or a length: two servers that disagree about codings disagree
/// about where the body ends ([RFC 9112 §6.1]).
///
/// [RFC 9112 §6.1]: https://www.rfc-editor.org/rfc/rfc9112#section-6.1
fn has_unsupported_transfer_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(first) = codings.next() else { return false };
    codings.next().is_some() || !first.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked")
}

fn uri_len(uri: &Uri) -> usize {
    uri.path_and_query().map_or(0, |path| path.as_str().len())
}

async fn timeout_handler(
    State(settings): State<Arc<LayerSettings>>,
    request: Request,
    next: Next,
) -> Response {
    // The wait for a permit to hash a password is not counted.
    let waits = if request.uri().path() == "/login" { HASH_WAIT_TIMEOUT } else { Duration::ZERO };
    let limit = settings.handler_timeout + waits;
    let Ok(response) = timeout(limit, next.run(request)).await else {
        tracing::error!("a handler took too long");
        return ErrorResponse::HandlerTimeout.into_response();
    };
    response
}

/// The panic message is not shown: it may quote what the handler was holding.
fn catch_panic(_panic: Box<dyn Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// The longest path and query. `id_token_hint` is an ID token of ours, and may be as long as those are.
fn max_uri_len(path: &str) -> usize {
    let takes_hints = ["/authorize", "/logout"].contains(&path);
    if takes_hints { MAX_URI_LEN + MAX_OWN_JWT_LEN } else { MAX_URI_LEN }
}

/// All header lines of a request together.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// The largest body that any endpoint reads.
const MAX_BODY_BYTES: u64 = 64 * 1024;

/// Whether the route is a stylesheet or an icon.
fn is_asset(route: &str) -> bool {
    route.starts_with("/static/") || route.starts_with("/favicon.")
}

/// What load balancers, health checks and Prometheus request, under whatever host.
const MONITORING_PATHS: [&str; 4] = ["/health", "/live", "/ready", "/metrics"];

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::body::Body;

    use super::*;

    #[tokio::test]
    async fn a_request_without_a_place_is_refused_without_a_word_to_the_rooms() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let endpoint = async move || {
            count.fetch_add(1, Ordering::Relaxed);
            StatusCode::NOT_FOUND
        };
        let app = wrap(Router::new().fallback(endpoint), LayerSettings::new(&[], false));
        let request = || Request::post("/token").header(header::ORIGIN, "https://shop.example");
        let mut overloaded = request().body(Body::empty()).unwrap();
        overloaded.extensions_mut().insert(OverRequestLimit);
        let refused = app.clone().oneshot(overloaded).await.unwrap();
        assert_eq!((refused.status().as_u16(), asked.load(Ordering::Relaxed)), (503, 0));

        let missing = app.oneshot(request().body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!((missing.status().as_u16(), asked.load(Ordering::Relaxed)), (404, 2));
    }
}
