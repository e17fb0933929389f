//! One request to one server and its outcome, which may be no response at all.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HOST, HeaderMap};
use reqwest::{Client as Http, Method, RequestBuilder, redirect};
use scraper::{Html, Selector};
use serde_json::Value;

/// Form parameters as they are written down.
pub type FormFields<'a> = &'a [(&'a str, &'a str)];

/// How long a client waits before it gives a request up.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The way to one server, under the issuer's name. Clones share their connections.
#[derive(Clone)]
pub struct HttpClient {
    http: Http,
    at: SocketAddr,
    host: String,
}

impl HttpClient {
    /// `host` is the `Host` header.
    pub fn new(at: SocketAddr, host: &str) -> Self {
        Self::with_timeout(at, host, RESPONSE_TIMEOUT)
    }

    /// With connections of its own, and another patience.
    pub fn with_timeout(at: SocketAddr, host: &str, patience: Duration) -> Self {
        // The client is built with TLS and asks for a provider, also where plain http is spoken.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let builder = Http::builder().redirect(redirect::Policy::none()).no_proxy();
        let http = builder.tls_certs_only([]).timeout(patience).build().expect("a client");
        Self { http, at, host: host.to_owned() }
    }

    /// What stands in `Host`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// A request to be added to.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        // Whoever follows a redirect has the issuer in front.
        let path = path.strip_prefix("http://").map_or(path, |rest| &rest[self.host.len()..]);
        self.http.request(method, format!("http://{}{path}", self.at)).header(HOST, &self.host)
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// A request whose body is a form.
    pub fn form(&self, path: &str, fields: FormFields<'_>) -> RequestBuilder {
        let body = encode(fields);
        let kind = "application/x-www-form-urlencoded";
        self.request(Method::POST, path).header(CONTENT_TYPE, kind).body(body)
    }

    /// The status of `GET path`, if there was an answer.
    pub async fn status(&self, path: &str) -> Option<u16> {
        send(self.get(path)).await.status()
    }
}

/// The fields as `application/x-www-form-urlencoded`.
pub fn encode(fields: FormFields<'_>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// Sends it. Never fails: no answer is an outcome, too.
pub async fn send(request: RequestBuilder) -> HttpOutcome {
    let since = Instant::now();
    let came = exchange(request).await;
    HttpOutcome { came, took: since.elapsed() }
}

async fn exchange(request: RequestBuilder) -> ResponseKind {
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) if error.is_connect() => return ResponseKind::NeverSent,
        Err(_) => return ResponseKind::Silence,
    };
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    match response.text().await {
        Ok(body) => ResponseKind::Answer { status, headers, body },
        Err(_) => ResponseKind::Silence,
    }
}

/// What came back.
#[derive(Clone, Debug)]
enum ResponseKind {
    Answer {
        status: u16,
        headers: HeaderMap,
        body: String,
    },
    /// No whole answer. What was asked for may have happened.
    Silence,
    /// There was nobody to send it to.
    NeverSent,
}

/// What came of a request.
#[derive(Clone, Debug)]
pub struct HttpOutcome {
    came: ResponseKind,
    pub took: Duration,
}

impl HttpOutcome {
    /// None if there was no whole answer.
    pub fn status(&self) -> Option<u16> {
        match self.came {
            ResponseKind::Answer { status, .. } => Some(status),
            ResponseKind::Silence | ResponseKind::NeverSent => None,
        }
    }

    pub fn has_status(&self, status: u16) -> bool {
        self.status() == Some(status)
    }

    /// No answer, and it may have been carried out.
    pub fn is_ambiguous(&self) -> bool {
        matches!(self.came, ResponseKind::Silence)
    }

    /// Nothing to conclude from: an honest client asks again. No answer, or "not now".
    pub fn is_inconclusive(&self) -> bool {
        self.status().is_none_or(|status| status >= 500)
    }

    /// Empty if there was none.
    pub fn body(&self) -> &str {
        match &self.came {
            ResponseKind::Answer { body, .. } => body,
            ResponseKind::Silence | ResponseKind::NeverSent => "",
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let ResponseKind::Answer { headers, .. } = &self.came else { return None };
        headers.get(name)?.to_str().ok()
    }

    pub fn headers(&self, name: &str) -> Vec<&str> {
        let ResponseKind::Answer { headers, .. } = &self.came else { return Vec::new() };
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect()
    }

    pub fn location(&self) -> Option<&str> {
        self.header("location")
    }

    /// A parameter of the query it is redirected to.
    pub fn redirect_param(&self, name: &str) -> Option<String> {
        let to: url::Url = self.location()?.parse().ok()?;
        to.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(self.body()).unwrap_or_default()
    }

    /// A text member of the body.
    pub fn text(&self, name: &str) -> Option<String> {
        self.json()[name].as_str().map(str::to_owned)
    }

    /// The `error` of RFC 6749 §5.2.
    pub fn is_error(&self, code: &str) -> bool {
        self.json()["error"] == code
    }

    /// Whether the page has this element.
    pub fn has_element(&self, selector: &str) -> bool {
        let html = Html::parse_document(self.body());
        html.select(&parse(selector)).next().is_some()
    }

    /// The hidden fields of the form that has this element.
    pub fn hidden_fields_beside(&self, selector: &str) -> Vec<(String, String)> {
        let html = Html::parse_document(self.body());
        let form =
            html.select(&parse("form")).find(|it| it.select(&parse(selector)).next().is_some());
        let Some(form) = form else { return Vec::new() };
        let hidden = parse("input[type=hidden]");
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let fields = form.select(&hidden).map(|it| (text(it.attr("name")), text(it.attr("value"))));
        fields.collect()
    }
}

fn parse(selector: &str) -> Selector {
    Selector::parse(selector).expect("a selector")
}
