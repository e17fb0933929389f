//! The client address of a request, as far as it can be trusted, and the request id.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use ipnet::IpNet;

use super::cookies::Cookies;
use crate::http::app::App;
use crate::infra::client_ip::{PeerAddr, client_ip, is_trusted};

/// The request's id, echoed in `X-Request-Id` and in every log line.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// What is known of a request beside its parameters.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// The client's address behind the trusted proxies.
    pub address: IpAddr,
    /// Shown on error pages, so that users can report it.
    pub request_id: String,
    /// The state cookie that `/check-session` reads; empty where there is none.
    pub browser_state: String,
}

impl FromRequestParts<App> for RequestInfo {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let proxies = &app.config.trusted_proxies;
        let from = peer(parts);
        let speaks_for_others = parts.headers.contains_key(X_FORWARDED_FOR);
        if speaks_for_others && !is_trusted(from, proxies) && app.untrusted_proxies.is_first(from) {
            tracing::warn!(
                %from,
                "X-Forwarded-For came from an address that TRUSTED_PROXIES does not name; it is not \
                 believed, and if that is a proxy, everybody behind it counts as one address"
            );
        }
        let address = address(parts, proxies);
        let id = parts.extensions.get::<RequestId>().map(|RequestId(id)| id.clone());
        let browser_state = Cookies::read(app, &parts.headers).state();
        Ok(Self { address, request_id: id.unwrap_or_default(), browser_state })
    }
}

/// The client's address behind these proxies.
pub fn address(parts: &Parts, proxies: &[IpNet]) -> IpAddr {
    let forwarded = parts.headers.get_all(X_FORWARDED_FOR).iter();
    client_ip(peer(parts), forwarded.map(HeaderValue::as_bytes), proxies)
}

fn peer(parts: &Parts) -> IpAddr {
    let peer = parts.extensions.get::<PeerAddr>();
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |PeerAddr(peer)| peer.ip())
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
