//! The client's side of HTTP: nothing is followed, everything is bounded, and a name that only the
//! server under test has told us does not lead into our own network.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, redirect, retry};
use serde_json::Value;
use tokio::net::lookup_host;
use url::{Host, Url};

use super::http_response::HttpResponse;
use super::report::{CheckFailure, fail, skip};
use crate::infra::outbound::client_config;
use crate::infra::outbound::public_ip::is_public;
use crate::protocol::redirect_uri::is_loopback;

/// The longest answer that is read.
const MAX_RESPONSE_BYTES: usize = 1024 * 1024;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The client everything is asked with.
pub(super) struct Http {
    client: Client,
    policy: AddressPolicy,
}

/// Where requests may go: to the issuer's own host, wherever that is, for the operator named it; to
/// other hosts only at public addresses, unless private ones are allowed.
#[derive(Clone)]
struct AddressPolicy {
    issuer_host: String,
    private: bool,
}

/// A request in the making.
pub(super) struct HttpRequest {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: String,
}

/// Form parameters as they are written down.
pub(super) type FormFields<'a> = &'a [(&'a str, &'a str)];

impl HttpRequest {
    pub fn new(method: Method, url: &Url) -> Self {
        let (headers, body) = (HeaderMap::new(), String::new());
        Self { method, url: url.clone(), headers, body }
    }

    pub fn get(url: &Url) -> Self {
        Self::new(Method::GET, url)
    }

    pub fn form(url: &Url, fields: FormFields<'_>) -> Self {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        let body = form.extend_pairs(fields).finish();
        Self::new(Method::POST, url).body("application/x-www-form-urlencoded", body)
    }

    pub fn json(url: &Url, value: &Value) -> Self {
        Self::new(Method::POST, url).body("application/json", value.to_string())
    }

    pub fn body(mut self, kind: &'static str, body: String) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        self.body = body;
        self
    }

    /// A value that no header can hold is left out: it comes from the other side then, and the answer
    /// will show it.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    pub fn url(&self) -> &Url {
        &self.url
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header(reqwest::header::AUTHORIZATION, &format!("Bearer {token}"))
    }
}

impl Http {
    pub fn new(issuer: &Url, extra_ca: Option<&Path>, private: bool) -> Result<Self, String> {
        let issuer_host = issuer.host_str().unwrap_or_default().to_owned();
        let policy = AddressPolicy { issuer_host, private };
        let tls = client_config(extra_ca).map_err(|complaint| complaint.to_string())?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(Arc::new(policy.clone()))
            .no_proxy()
            .http1_only()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .timeout(REQUEST_TIMEOUT)
            .user_agent(concat!("Latchkey-selftest/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { client, policy })
    }

    /// Asks, and reads the whole answer; that there is none is a failure.
    pub async fn send(&self, ask: HttpRequest) -> Result<HttpResponse, CheckFailure> {
        let what = format!("{} {}", ask.method, shown(&ask.url));
        self.policy.check(&ask.url).map_err(|why| fail(format!("{what}: {why}")))?;
        let HttpRequest { method, url, headers, body } = ask;
        let request = self.client.request(method, url.clone()).headers(headers).body(body);
        let mut response = request.send().await.map_err(|error| {
            let why = if error.is_timeout() { "no answer in time".into() } else { root(&error) };
            fail(format!("{what}: {why}"))
        })?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // Everything here looks like guessing: a server that has had enough of it breaks no rule.
        if status == 429 {
            return Err(skip(format!("{what} answered 429, too many requests")));
        }
        let mut body = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| fail(format!("{what}: {}", root(&error))))?
        {
            if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
                return Err(fail(format!(
                    "{what}: the answer is longer than {MAX_RESPONSE_BYTES} bytes"
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpResponse { what, url, status, headers, body })
    }
}

/// Without the query: it may hold what should not be printed.
fn shown(url: &Url) -> String {
    super::report::printable(url.as_str().split(['?', '#']).next().unwrap_or_default())
}

/// The cause at the bottom says most.
fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    super::report::printable(&cause.to_string())
}

impl AddressPolicy {
    fn allows(&self, host: &str, address: IpAddr) -> bool {
        self.private || host == self.issuer_host || is_public(address)
    }

    /// As far as the text can tell; the resolver judges names.
    fn check(&self, url: &Url) -> Result<(), String> {
        // Secrets and passwords travel here: over TLS, or on this machine.
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(url)) {
            return Err("not asked, it is neither https nor loopback".into());
        }
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::from(address),
            Some(Host::Ipv6(address)) => IpAddr::from(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        if self.allows(url.host_str().unwrap_or_default(), literal) {
            return Ok(());
        }
        Err(PRIVATE.into())
    }
}

const PRIVATE: &str =
    "not asked, it is a private address of another host (--allow-private permits that)";

impl Resolve for AddressPolicy {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.clone();
        Box::pin(async move {
            let found: Vec<_> = lookup_host((name.as_str(), 0)).await?.collect();
            if found.is_empty() || !found.iter().all(|at| policy.allows(name.as_str(), at.ip())) {
                return Err(PRIVATE.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
