//! A page that is asked for under another of our names (`127.0.0.1`, one of `EXTRA_HOSTS`) is to be asked for
//! at the issuer's own address first: cookies are a host's, and forms are taken from the issuer's origin
//! only. The endpoints for programs answer under every name.
//!
//! A proxy that changes `Host` makes each request look like that, also in a browser which is at the right
//! address already. So whoever was sent carries a mark, and a request that comes with it is served. It says
//! nothing about any other request, for anybody can write it.
//!
//! A program that asks (a server of the client's own, at `/logout`) is served where it is: it may not follow,
//! and one that does leaves `Authorization` behind on the way to another host.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::allowed_hosts::AllowedHosts;
use crate::http::accept::names_html;

/// Sends pages to the issuer's own address.
#[derive(Debug, Default)]
pub struct IssuerRedirect {
    /// The issuer; nothing if nobody is to be sent anywhere.
    issuer: Option<String>,
    /// Whether the log says that something between browsers and us seems to change `Host`.
    warned: AtomicBool,
}

impl IssuerRedirect {
    /// To this issuer.
    pub fn new(issuer: &str) -> Self {
        Self { issuer: Some(issuer.to_owned()), ..Self::default() }
    }

    /// The issuer, for people.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Where this request is to go instead, method and body with it ([RFC 9110 §15.4.8]).
    ///
    /// [RFC 9110 §15.4.8]: https://www.rfc-editor.org/rfc/rfc9110#section-15.4.8
    pub fn redirect(&self, hosts: &AllowedHosts, request: &Request) -> Option<Response> {
        let issuer = self.issuer.as_deref()?;
        let (uri, headers) = (request.uri(), request.headers());
        let is_sent = is_entry_point(request.method(), uri.path())
            && names_html(headers)
            && !headers.contains_key(header::AUTHORIZATION)
            && !hosts.is_issuer(uri, headers);
        if !is_sent {
            return None;
        }
        if uri.query().is_some_and(|query| query.split('&').any(|pair| pair == REDIRECTED_PARAM)) {
            if !self.warned.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    issuer,
                    "a page came under another name than the issuer's, also when asked for at its address: \
                     if a proxy in front changes Host, it should pass it on unchanged"
                );
            }
            return None;
        }
        let separator = if uri.query().is_some() { '&' } else { '?' };
        let place = uri.path_and_query().map_or("/", |it| it.as_str());
        let to =
            HeaderValue::try_from(format!("{issuer}{place}{separator}{REDIRECTED_PARAM}")).ok()?;
        Some((StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response())
    }
}

/// Where people come in from elsewhere. A form of ours that was filled in under another name finds none of
/// its cookies at the issuer's address, so it stays where it is.
fn is_entry_point(method: &Method, path: &str) -> bool {
    match *method {
        Method::GET | Method::HEAD => {
            matches!(path, "/authorize" | "/login" | "/consent" | "/logout")
        }
        Method::POST => matches!(path, "/authorize" | "/logout"),
        _ => false,
    }
}

/// Unknown parameters mean nothing to our pages.
const REDIRECTED_PARAM: &str = "other_host=1";
