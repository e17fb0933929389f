//! The table of contents of the service: one line for each room.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::bodies::Bodies;
use super::demo_app;
use super::homeward::Homeward;
use super::layers::{LayerSettings, wrap};
use super::queue;
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
use crate::http::app::App;
use crate::http::assets;
use crate::http::caller::Caller;
use crate::http::trouble::Trouble;
use crate::protocol::Metadata;
use crate::protocol::claims::ScopeCatalogue;
use crate::protocol::client_metadata::SubjectType;

/// The whole service.
pub fn router(app: &App) -> Router {
    let pages = Router::new()
        .merge(authorize::routes())
        .merge(consent::routes())
        .merge(login::routes())
        .merge(logout::routes(app));
    let bodies = Bodies::new(&app.config.trusted_proxies);
    let mut rooms = queue::before(pages, app.config.limits.hash_queue, bodies)
        .merge(assets::routes())
        .merge(discovery::routes(app))
        .merge(health::routes())
        .merge(home::routes())
        .merge(introspect::routes(app))
        .merge(jwks::routes(app))
        .merge(register::routes(app))
        .merge(revoke::routes(app))
        .merge(token::routes(app))
        .merge(userinfo::routes(app))
        .merge(webfinger::routes(app));
    if app.trial.is_some() {
        let endpoints = token::routes(app).merge(userinfo::routes(app));
        rooms = rooms.merge(demo_app::routes(endpoints.with_state(app.clone())));
    }
    if app.config.metrics_listen == MetricsListen::WithTheRest {
        rooms = rooms.merge(metrics::routes());
    }
    wrap(rooms.fallback(not_found).with_state(app.clone()), layers(app))
}

/// The listener of its own that `METRICS_LISTEN` asks for.
pub fn metrics_router(app: &App) -> Router {
    let settings = LayerSettings::new(&[], false);
    wrap(metrics::routes().merge(health::routes()).with_state(app.clone()), settings)
}

/// What the rooms say about themselves, together.
pub fn advertise(config: &Config, catalogue: &ScopeCatalogue) -> Metadata {
    let scopes = catalogue.advertised();
    let mut claims: Vec<String> =
        catalogue.exposed_by(&scopes).into_iter().map(str::to_owned).collect();
    claims.extend(["sub", "iss", "auth_time", "acr", "amr", "sid"].map(str::to_owned));
    let mut metadata = Metadata {
        issuer: config.issuer.as_str().to_owned(),
        scopes_supported: scopes.iter().map(str::to_owned).collect(),
        claims_supported: claims,
        subject_types_supported: SubjectType::ALL.iter().map(|it| it.as_str()).collect(),
        claim_types_supported: vec!["normal"],
        ..Metadata::default()
    };
    authorize::advertise(&mut metadata, config);
    introspect::advertise(&mut metadata, config);
    jwks::advertise(&mut metadata, config);
    logout::advertise(&mut metadata, config);
    register::advertise(&mut metadata, config);
    revoke::advertise(&mut metadata, config);
    token::advertise(&mut metadata, config);
    userinfo::advertise(&mut metadata, config);
    metadata
}

fn layers(app: &App) -> LayerSettings {
    let config = &app.config;
    let mut hosts = vec![config.issuer.host()];
    hosts.extend(config.extra_hosts.iter().cloned());
    if config.issuer.is_loopback() {
        let port = config.issuer.port().map(|port| format!(":{port}")).unwrap_or_default();
        hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(|name| format!("{name}{port}")));
    }
    let counting = app.clone();
    let mut settings = LayerSettings::new(&hosts, config.issuer.is_https());
    settings.homeward = Arc::new(Homeward::to(config.issuer.as_str()));
    settings.observe = Arc::new(move |endpoint, _, status, took| {
        counting.events.counters.answered(endpoint, status.as_u16(), took);
    });
    settings
}

/// A page for people, nothing much for programs.
async fn not_found(caller: Caller, headers: HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if !accepts.is_some_and(|accepts| accepts.contains("text/html")) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let trouble = Trouble {
        status: StatusCode::NOT_FOUND,
        title: "Nothing here",
        message: "There is no page at this address.".into(),
        detail: None,
        way_on: Some(("/".into(), "To the start".into())),
        request_id: caller.request_id,
    };
    trouble.into_response()
}
