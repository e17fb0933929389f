//! The outgoing HTTP client for URLs that clients registered, safe against server-side request forgery.
//!
//! The name is resolved once, every address of it must be public, and exactly those addresses are connected to, so that a
//! name that resolves differently a moment later (DNS rebinding) gains nothing. Redirects are not followed, since each
//! would be another such URL. Every size and time has a limit.

mod allowlist;
mod error;
mod limiter;
pub(crate) mod public_ip;
#[cfg(test)]
mod tests;
mod tls;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Response, StatusCode, redirect, retry};
use rustls::ClientConfig;
use serde_json::Value;
use tokio::net::lookup_host;
use tokio::time::timeout;
use url::{Host, Url};

use self::limiter::FetchPermit;
use crate::protocol::redirect_uri;

pub use allowlist::AllowlistEntry;
pub use error::{CaFileError, FetchError};
pub use limiter::FetchLimiter;
pub(crate) use tls::client_config;

/// What may be fetched, and how long it may take.
#[derive(Clone, Debug)]
pub struct OutboundOptions {
    /// Certificate authorities to trust besides the public ones, PEM.
    pub ca_file: Option<PathBuf>,
    /// Hosts and networks that may be private, with any port.
    pub allow_private: Vec<AllowlistEntry>,
    /// The time for name, connection and TLS.
    pub connect_timeout: Duration,
    /// The time for the whole request once it has a permit, and the longest wait for one.
    pub total_timeout: Duration,
    /// The largest response body that is read.
    pub max_bytes: usize,
}

impl Default for OutboundOptions {
    fn default() -> Self {
        Self {
            ca_file: None,
            allow_private: Vec::new(),
            connect_timeout: Duration::from_secs(2),
            total_timeout: Duration::from_secs(3),
            max_bytes: 64 * 1024,
        }
    }
}

/// Sends requests to URLs that clients chose.
pub struct OutboundClient {
    settings: OutboundOptions,
    tls: ClientConfig,
    limiter: FetchLimiter,
}

impl OutboundClient {
    /// Reads the extra certificate authorities, if there are any.
    pub fn new(settings: OutboundOptions) -> Result<Self, CaFileError> {
        let tls = client_config(settings.ca_file.as_deref())?;
        Ok(Self { settings, tls, limiter: FetchLimiter::new(MAX_CONCURRENT_FETCHES, 1) })
    }

    /// A client with the same options and a limiter of its own: so many requests in all, so many to each host.
    #[must_use]
    pub fn with_limits(&self, in_all: usize, per_host: usize) -> Self {
        let (settings, tls) = (self.settings.clone(), self.tls.clone());
        Self { settings, tls, limiter: FetchLimiter::new(in_all, per_host) }
    }

    /// Posts a form and returns the status; the body of the response is not read. The caller limits how many at once.
    ///
    /// Plain http is allowed to this machine, if it is on the allowlist.
    pub async fn post_form(&self, url: &str, fields: &[(&str, &str)]) -> Result<u16, FetchError> {
        timeout(self.settings.total_timeout, self.post(url, fields))
            .await
            .map_err(|_| FetchError::TooSlow)?
    }

    async fn post(&self, url: &str, fields: &[(&str, &str)]) -> Result<u16, FetchError> {
        let target = Target::parse(url, true)?;
        let addresses = self.resolve(&target).await?;
        if target.is_plain() && !addresses.iter().all(|at| at.ip().is_loopback()) {
            return Err(FetchError::BadUrl);
        }
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.client(&target, &addresses)?.post(target.url);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        Ok(request.send().await?.status().as_u16())
    }

    /// Fetches a JSON document.
    pub async fn get_json(&self, url: &str) -> Result<Value, FetchError> {
        let body =
            self.get(url, |headers| is_json(headers).then_some(()).ok_or(FetchError::NotJson));
        serde_json::from_slice(&body.await?).map_err(|_| FetchError::NotJson)
    }

    /// Fetches text of any content type, or fails at once if there is no permit. For what is verified by itself, such as a
    /// signed request object.
    pub async fn try_get_text(&self, url: &str) -> Result<String, FetchError> {
        let target = Target::parse(url, false)?;
        let turn = self.limiter.try_acquire(&target.name).ok_or(FetchError::Busy)?;
        let body = self.fetch(turn, target, |_| Ok(())).await?;
        String::from_utf8(body).map_err(|_| FetchError::NotText)
    }

    /// Fails with `Busy` if there is no permit in time, which says nothing about the host.
    async fn get(
        &self,
        url: &str,
        check: impl Fn(&HeaderMap) -> Result<(), FetchError>,
    ) -> Result<Vec<u8>, FetchError> {
        let target = Target::parse(url, false)?;
        let turn = timeout(self.settings.total_timeout, self.limiter.acquire(&target.name)).await;
        let turn = turn.ok().flatten().ok_or(FetchError::Busy)?;
        self.fetch(turn, target, check).await
    }

    async fn fetch(
        &self,
        _turn: FetchPermit,
        target: Target,
        check: impl Fn(&HeaderMap) -> Result<(), FetchError>,
    ) -> Result<Vec<u8>, FetchError> {
        let fetched = timeout(self.settings.total_timeout, async {
            let addresses = self.resolve(&target).await?;
            let response = self.client(&target, &addresses)?.get(target.url).send().await?;
            if response.status() != StatusCode::OK {
                return Err(FetchError::Status(response.status().as_u16()));
            }
            check(response.headers())?;
            self.read(response).await
        });
        fetched.await.map_err(|_| FetchError::TooSlow)?
    }

    /// Resolves the host, and checks every address.
    async fn resolve(&self, target: &Target) -> Result<Vec<SocketAddr>, FetchError> {
        let addresses: Vec<SocketAddr> = match target.literal {
            Some(address) => vec![SocketAddr::new(address, target.port)],
            None => match timeout(
                self.settings.connect_timeout,
                lookup_host((&*target.name, target.port)),
            )
            .await
            {
                Ok(Ok(found)) => found.collect(),
                Ok(Err(error)) => return Err(FetchError::NoAddress(error.to_string())),
                Err(_) => return Err(FetchError::TooSlow),
            },
        };
        self.check_addresses(target, addresses)
    }

    /// The addresses that a request to this URL would connect to, if its name resolved to `resolved`. For tests and fuzzing.
    pub fn destinations(
        &self,
        url: &str,
        resolved: &[IpAddr],
    ) -> Result<Vec<SocketAddr>, FetchError> {
        let target = Target::parse(url, false)?;
        let at = |address: IpAddr| SocketAddr::new(address, target.port);
        let addresses = match target.literal {
            Some(address) => vec![at(address)],
            None => resolved.iter().copied().map(at).collect(),
        };
        self.check_addresses(&target, addresses)
    }

    /// Returns all of these addresses if each is allowed.
    fn check_addresses(
        &self,
        target: &Target,
        addresses: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, FetchError> {
        if addresses.is_empty() {
            return Err(FetchError::NoAddress("the name has no address".into()));
        }
        let allowlist = &self.settings.allow_private;
        let named = allowlist.iter().any(|place| place.matches_name(&target.name));
        let listed =
            |at: &SocketAddr| named || allowlist.iter().any(|place| place.contains(at.ip()));
        if let Some(private) =
            addresses.iter().find(|at| !listed(at) && !public_ip::is_public(at.ip()))
        {
            return Err(FetchError::PrivateAddress(private.ip()));
        }
        if target.port != 443 && !addresses.iter().all(listed) {
            return Err(FetchError::Port(target.port));
        }
        Ok(addresses)
    }

    /// A client for this one request. It connects to the checked addresses and resolves nothing.
    fn client(&self, target: &Target, addresses: &[SocketAddr]) -> Result<Client, FetchError> {
        let accept = [(ACCEPT, HeaderValue::from_static("application/json"))];
        let client = Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .resolve_to_addrs(&target.name, addresses)
            .no_proxy()
            .https_only(!target.is_plain())
            .http1_only()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .pool_max_idle_per_host(0)
            .connect_timeout(self.settings.connect_timeout)
            .user_agent(concat!("Latchkey/", env!("CARGO_PKG_VERSION")))
            .default_headers(accept.into_iter().collect())
            .build()?;
        Ok(client)
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, FetchError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > self.settings.max_bytes {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Requests under way in all.
const MAX_CONCURRENT_FETCHES: usize = 16;

/// A URL whose text is acceptable; its addresses are not checked yet.
struct Target {
    url: Url,
    name: String,
    literal: Option<IpAddr>,
    port: u16,
}

impl Target {
    fn is_plain(&self) -> bool {
        self.url.scheme() == "http"
    }

    /// With `plain`, http is accepted for a loopback host.
    fn parse(text: &str, plain: bool) -> Result<Self, FetchError> {
        let url = Url::parse(text).map_err(|_| FetchError::BadUrl)?;
        let bare = url.username().is_empty() && url.password().is_none();
        let plain = plain && url.scheme() == "http" && redirect_uri::is_loopback(&url);
        if !(plain || url.scheme() == "https") || !bare {
            return Err(FetchError::BadUrl);
        }
        // The parser has read `0x7f.1` and its like as the IPv4 addresses they are.
        let (name, literal) = match url.host().ok_or(FetchError::BadUrl)? {
            Host::Domain(name) => (name.to_owned(), None),
            Host::Ipv4(address) => (address.to_string(), Some(address.into())),
            Host::Ipv6(address) => (address.to_string(), Some(address.into())),
        };
        let port = url.port_or_known_default().ok_or(FetchError::BadUrl)?;
        Ok(Self { url, name, literal, port })
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let said = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let kind = said.split(|byte| *byte == b';').next().unwrap_or_default();
    let kind = String::from_utf8_lossy(kind).trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}
