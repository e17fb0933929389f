//! Who is calling: the address, as far as it can be trusted, and the request's id.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::cookies::Cookies;
use crate::app::App;
use crate::client_ip::{PeerAddr, client_ip};

/// The request's id, echoed in `X-Request-Id` and in every log line.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// The caller.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The client's address behind the trusted proxies.
    pub address: IpAddr,
    /// For pages that ask people to name it.
    pub request_id: String,
    /// What `/check-session` would see in this browser; empty where there is nothing.
    pub browser_state: String,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<PeerAddr>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |PeerAddr(peer)| peer.ip());
        let forwarded = parts.headers.get_all("x-forwarded-for");
        let values: Vec<_> = forwarded.iter().filter_map(|value| value.to_str().ok()).collect();
        let address = client_ip(peer, values.into_iter(), &app.config.trusted_proxies);
        let id = parts.extensions.get::<RequestId>().map(|RequestId(id)| id.clone());
        let browser_state = Cookies::read(app, &parts.headers).state();
        Ok(Self { address, request_id: id.unwrap_or_default(), browser_state })
    }
}
