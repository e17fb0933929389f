//! Something in front of a server that may change what it is asked and what it answers.

use std::sync::atomic::AtomicBool;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use latchkey::http::app::App;
use serde_json::{Map, Value};

/// One way to be wrong, and who notices.
pub struct Fault {
    pub what: &'static str,
    /// Somebody has to sign in for it to show.
    pub person: bool,
    /// Changes the request; it is a kind of fault, too, to take one thing for another.
    pub ask: fn(&mut ProxiedRequest),
    /// Changes the answer.
    pub tell: fn(&ProxiedRequest, &mut ProxiedResponse),
    /// The checks that fail, and those that warn.
    pub fails: &'static [&'static str],
    pub warns: &'static [&'static str],
    /// No other check may notice.
    pub alone: bool,
}

/// A request on its way to the server.
pub struct ProxiedRequest {
    pub app: App,
    pub method: String,
    pub path: String,
    pub query: String,
    /// A form, or JSON.
    pub body: String,
    pub cookies: String,
    /// An answer that the server does not get to give.
    pub instead: Option<ProxiedResponse>,
    /// Has something been noted in this server?
    pub noted: &'static AtomicBool,
}

/// A response on its way back.
pub struct ProxiedResponse {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl ProxiedRequest {
    pub fn is(&self, path: &str) -> bool {
        self.path == path
    }

    /// A parameter of the query or the form.
    pub fn param(&self, name: &str) -> Option<String> {
        let pairs = [&self.query, &self.body];
        let mut pairs = pairs.into_iter().flat_map(|it| url::form_urlencoded::parse(it.as_bytes()));
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// A token of the server's own key.
    pub fn signed(&self, claims: Map<String, Value>) -> String {
        let signing = self.app.keys.sign("JWT", claims);
        let handle = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| handle.block_on(signing)).expect("a signature")
    }
}

impl ProxiedResponse {
    pub fn of(status: u16, kind: &'static str, body: &str) -> Self {
        let kind = (header::CONTENT_TYPE, HeaderValue::from_static(kind));
        Self { status, headers: HeaderMap::from_iter([kind]), body: body.to_owned() }
    }

    /// Changes a JSON answer.
    pub fn edit(&mut self, change: impl FnOnce(&mut Value)) {
        if let Ok(mut value) = serde_json::from_str(&self.body) {
            change(&mut value);
            self.body = value.to_string();
        }
    }

    pub fn without(&mut self, header: &'static str) {
        self.headers.remove(header);
    }

    pub fn location(&self) -> Option<String> {
        Some(self.headers.get(header::LOCATION)?.to_str().ok()?.to_owned())
    }

    pub fn goes_to(&mut self, url: &str) {
        let url = HeaderValue::from_str(url).expect("a header");
        self.status = 303;
        self.headers.insert(header::LOCATION, url);
    }

    /// Changes the claims of the ID token in it, and signs it again.
    pub fn forge(&mut self, asked: &ProxiedRequest, change: impl FnOnce(&mut Map<String, Value>)) {
        self.edit(|body| {
            let Some(token) = body["id_token"].as_str() else { return };
            let payload = token.split('.').nth(1).and_then(latchkey::infra::secret::from_base64url);
            let mut claims = serde_json::from_slice(&payload.expect("claims")).expect("claims");
            change(&mut claims);
            body["id_token"] = asked.signed(claims).into();
        });
    }
}

/// The server with the fault.
pub fn before(app: &App, server: Router, fault: &'static Fault) -> Router {
    let app = app.clone();
    let noted: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
    server.layer(from_fn(move |request, next| {
        let asked = (app.clone(), noted);
        async move { pass(asked, request, next, fault).await }
    }))
}

async fn pass(
    (app, noted): (App, &'static AtomicBool),
    request: Request,
    next: Next,
    fault: &Fault,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a body");
    let cookies = parts.headers.get(header::COOKIE).and_then(|it| it.to_str().ok());
    let mut asked = ProxiedRequest {
        app,
        noted,
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body: String::from_utf8(body.to_vec()).expect("text"),
        cookies: cookies.unwrap_or_default().to_owned(),
        instead: None,
    };
    (fault.ask)(&mut asked);
    let mut told = if let Some(told) = asked.instead.take() {
        told
    } else {
        let uri = format!("{}?{}", asked.path, asked.query);
        parts.uri = uri.trim_end_matches('?').parse().expect("an address");
        parts.headers.remove(header::CONTENT_LENGTH);
        let request = Request::from_parts(parts, Body::from(asked.body.clone()));
        let (parts, body) = next.run(request).await.into_parts();
        let body = to_bytes(body, 1 << 20).await.expect("a body");
        let body = String::from_utf8_lossy(&body).into_owned();
        ProxiedResponse { status: parts.status.as_u16(), headers: parts.headers, body }
    };
    (fault.tell)(&asked, &mut told);
    told.headers.remove(header::CONTENT_LENGTH);
    let status = StatusCode::from_u16(told.status).expect("a status");
    (status, told.headers, told.body).into_response()
}
