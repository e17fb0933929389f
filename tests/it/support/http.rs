//! One HTTP request and its whole response.

use std::net::SocketAddr;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Certificate, Client, Method, RequestBuilder, redirect};
use scraper::{Html, Selector};
use serde_json::Value;

/// Form parameters as they are written down.
pub type FormFields<'a> = &'a [(&'a str, &'a str)];

/// A client that follows nothing by itself, and for which `localhost` is this address.
pub fn client(address: SocketAddr) -> Client {
    build_client(address, [])
}

/// The same, trusting this certificate and no other.
pub fn client_trusting(address: SocketAddr, pem: &str) -> Client {
    build_client(address, [Certificate::from_pem(pem.as_bytes()).expect("a certificate")])
}

fn build_client(address: SocketAddr, trusted: impl IntoIterator<Item = Certificate>) -> Client {
    // The client is built with TLS and asks for a provider, also where plain http is spoken.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let builder = Client::builder().redirect(redirect::Policy::none()).no_proxy();
    builder.resolve("localhost", address).tls_certs_only(trusted).build().expect("a client")
}

/// The fields as `application/x-www-form-urlencoded`.
pub fn encode(fields: FormFields<'_>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// A request whose body is a form.
pub fn form(client: &Client, url: &str, fields: FormFields<'_>) -> RequestBuilder {
    let kind = "application/x-www-form-urlencoded";
    client.post(url).header(CONTENT_TYPE, kind).body(encode(fields))
}

/// A request whose body is JSON.
pub fn json(client: &Client, method: Method, url: &str, body: &Value) -> RequestBuilder {
    client.request(method, url).header(CONTENT_TYPE, "application/json").body(body.to_string())
}

/// Sends it.
pub async fn send(request: RequestBuilder) -> HttpResponse {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    HttpResponse { status, headers, body: response.text().await.expect("a whole answer") }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl HttpResponse {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    pub fn location(&self) -> Option<&str> {
        self.header("location")
    }

    /// The body, read as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The body of a success.
    pub fn success_json(&self) -> Value {
        assert!((200..300).contains(&self.status), "{self:?}");
        self.json()
    }

    /// Status and error code, as a table compares them.
    pub fn error(&self) -> (u16, String) {
        let code = serde_json::from_str::<Value>(&self.body).ok();
        let code = code.and_then(|body| body["error"].as_str().map(str::to_owned));
        (self.status, code.unwrap_or_default())
    }

    /// The text of what the selector finds first.
    pub fn text_of(&self, selector: &str) -> Option<String> {
        let html = Html::parse_document(&self.body);
        let found = html.select(&parse(selector)).next()?;
        Some(found.text().collect::<String>().trim().to_owned())
    }

    pub fn has_element(&self, selector: &str) -> bool {
        self.text_of(selector).is_some()
    }

    /// An attribute of what the selector finds first.
    pub fn attribute(&self, selector: &str, name: &str) -> Option<String> {
        let html = Html::parse_document(&self.body);
        let found = html.select(&parse(selector)).next()?;
        found.attr(name).map(str::to_owned)
    }

    /// The hidden fields of the form that has this element.
    pub fn hidden_fields_beside(&self, selector: &str) -> Vec<(String, String)> {
        let html = Html::parse_document(&self.body);
        let found = html.select(&parse("form")).find(|it| it.select(&parse(selector)).count() > 0);
        let form = found.unwrap_or_else(|| panic!("no form with {selector}: {}", self.body));
        let hidden = parse("input[type=hidden]");
        let fields = form.select(&hidden);
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        fields.map(|it| (text(it.attr("name")), text(it.attr("value")))).collect()
    }
}

fn parse(selector: &str) -> Selector {
    Selector::parse(selector).expect("a selector")
}
