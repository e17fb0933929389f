//! From URL to handler: every path that this server answers, with its methods.
//!
//! A new endpoint is a line here and, if discovery has a member for it, one in its `add_metadata`.

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Router};

use super::body_buffering::SlowBodyLimit;
use super::concurrency_limit;
use super::demo_app;
use super::error_response::ErrorResponse;
use super::issuer_redirect::IssuerRedirect;
use super::layers::{LayerSettings, wrap};
use super::response_format::ResponseFormat;
use crate::config::{Config, MetricsListen};
use crate::endpoints::authorize;
use crate::endpoints::consent;
use crate::endpoints::discovery;
use crate::endpoints::health;
use crate::endpoints::home;
use crate::endpoints::introspect;
use crate::endpoints::jwks;
use crate::endpoints::login;
use crate::endpoints::logout;
use crate::endpoints::metrics;
use crate::endpoints::register;
use crate::endpoints::revoke;
use crate::endpoints::token;
use crate::endpoints::userinfo;
use crate::endpoints::webfinger;
use crate::http::accept::prefers_html;
use crate::http::app::App;
use crate::http::request_info::RequestInfo;
use crate::http::{assets, cors};
use crate::protocol::ProviderMetadata;
use crate::protocol::claims::ScopeCatalogue;
use crate::protocol::client_metadata::SubjectType;

/// The whole service.
pub fn router(app: &App) -> Router {
    let bodies = SlowBodyLimit::new(&app.config.trusted_proxies);
    let mut routes =
        concurrency_limit::limit_concurrency(pages(app), app.config.limits.hash_queue, bodies)
            .merge(for_every_origin(app))
            .merge(for_own_origins(app))
            .merge(without_cors());
    if app.demo_login.is_some() {
        routes = routes.merge(demo(app));
    }
    if app.config.metrics_listen == MetricsListen::MainListener {
        routes = routes.merge(metrics());
    }
    wrap(routes.fallback(not_found).with_state(app.clone()), layer_settings(app))
}

/// The pages. The number of these requests that are handled together is limited (`concurrency_limit.rs`).
fn pages(app: &App) -> Router<App> {
    let mut routes = Router::new()
        .route(
            "/authorize",
            get(authorize::handlers::get).post(authorize::handlers::post).head(no_content),
        )
        .route("/login", get(login::show).post(login::submit::submit))
        .route("/consent", get(consent::show).post(consent::submit))
        .route("/logout", get(logout::handlers::get).post(logout::handlers::post).head(no_content))
        .route("/logout/confirm", post(logout::handlers::confirm));
    if app.config.session_management {
        routes = routes.route("/check-session", get(logout::check_session::show));
    }
    routes
}

/// What scripts of any origin may read: documents, and registration.
fn for_every_origin(app: &App) -> Router<App> {
    let mut routes = Router::new()
        .route("/.well-known/openid-configuration", get(discovery::show))
        .route("/.well-known/oauth-authorization-server", get(discovery::show))
        .route("/.well-known/jwks.json", get(jwks::show))
        .route("/.well-known/{*name}", any(discovery::nothing))
        .route("/jwks.json", get(jwks::show))
        .route("/register", post(register::register))
        .route(
            "/register/{client_id}",
            get(register::configuration::read)
                .put(register::configuration::replace)
                .delete(register::configuration::remove),
        );
    if !app.config.webfinger_domains.is_empty() {
        // "Servers SHOULD support requests from all origins" (RFC 7033 §5).
        routes = routes.route("/.well-known/webfinger", get(webfinger::show));
    }
    routes.layer(from_fn_with_state(app.clone(), cors::any_origin))
}

/// What scripts of the clients' own origins may read.
fn for_own_origins(app: &App) -> Router<App> {
    Router::new()
        .route("/token", post(token::token))
        .route("/userinfo", get(userinfo::userinfo).post(userinfo::userinfo))
        .route("/revoke", post(revoke::revoke))
        .layer(from_fn_with_state(app.clone(), cors::own_origins))
}

/// What no script of another origin calls.
fn without_cors() -> Router<App> {
    Router::new()
        .route("/", get(home::show))
        .route("/introspect", post(introspect::introspect))
        .route(assets::stylesheet_path(), get(assets::stylesheet))
        .route("/favicon.svg", get(assets::icon))
        .route("/favicon.ico", get(assets::icon))
        .merge(health())
}

/// The demo application, a client that calls the endpoints of this process.
fn demo(app: &App) -> Router<App> {
    let endpoints = demo_app::LocalEndpoints(for_own_origins(app).with_state(app.clone()));
    Router::new()
        .route(demo_app::START_PATH, get(demo_app::start))
        .route(demo_app::CALLBACK_PATH, get(demo_app::callback))
        .layer(Extension(endpoints))
}

fn health() -> Router<App> {
    Router::new()
        .route("/live", get(health::live))
        .route("/ready", get(health::ready))
        .route("/health", get(health::health))
}

fn metrics() -> Router<App> {
    Router::new().route("/metrics", get(metrics::show))
}

/// The listener of its own that `METRICS_LISTEN` asks for.
pub fn metrics_router(app: &App) -> Router {
    let settings = LayerSettings::new(&[], false);
    wrap(metrics().merge(health()).with_state(app.clone()), settings)
}

/// A HEAD must not do what the GET would: it could spend an interaction, leave a code behind or end a session.
async fn no_content() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Every other path: a page where a page is preferred, whatever the path, and JSON otherwise. Reading the request's
/// [`RequestInfo`] warns of an `X-Forwarded-For` from an address that is not trusted, here as everywhere.
async fn not_found(_sender: RequestInfo, headers: HeaderMap) -> Response {
    let reader = if prefers_html(&headers) { ResponseFormat::Html } else { ResponseFormat::Json };
    let mut response = ErrorResponse::NotFound.into_response();
    response.extensions_mut().insert(reader);
    response
}

/// The metadata of discovery: what each endpoint says about itself.
pub fn metadata(config: &Config, catalogue: &ScopeCatalogue) -> ProviderMetadata {
    let scopes = catalogue.advertised();
    let mut claims: Vec<String> =
        catalogue.claims_for(&scopes).into_iter().map(str::to_owned).collect();
    claims.extend(["sub", "iss", "auth_time", "acr", "amr", "sid"].map(str::to_owned));
    let mut metadata = ProviderMetadata {
        issuer: config.issuer.as_str().to_owned(),
        scopes_supported: scopes.iter().map(str::to_owned).collect(),
        claims_supported: claims,
        subject_types_supported: SubjectType::ALL.iter().map(|it| it.as_str()).collect(),
        claim_types_supported: vec!["normal"],
        ..ProviderMetadata::default()
    };
    authorize::add_metadata(&mut metadata, config);
    introspect::add_metadata(&mut metadata, config);
    jwks::add_metadata(&mut metadata, config);
    logout::add_metadata(&mut metadata, config);
    register::add_metadata(&mut metadata, config);
    revoke::add_metadata(&mut metadata, config);
    token::add_metadata(&mut metadata, config);
    userinfo::add_metadata(&mut metadata, config);
    metadata
}

fn layer_settings(app: &App) -> LayerSettings {
    let config = &app.config;
    let mut hosts = vec![config.issuer.host()];
    hosts.extend(config.extra_hosts.iter().cloned());
    if config.issuer.is_loopback() {
        let port = config.issuer.port().map(|port| format!(":{port}")).unwrap_or_default();
        hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(|name| format!("{name}{port}")));
    }
    let counting = app.clone();
    let mut settings = LayerSettings::new(&hosts, config.issuer.is_https());
    settings.issuer_redirect = Arc::new(IssuerRedirect::new(config.issuer.as_str()));
    settings.observer = Arc::new(move |endpoint, _, status, took| {
        counting.events.counters.record_response(endpoint, status.as_u16(), took);
    });
    settings
}
