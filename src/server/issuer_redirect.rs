//! Redirects a page that was requested under another accepted host (`127.0.0.1`, one of `EXTRA_HOSTS`) to the issuer's
//! own: cookies belong to a host, and forms are accepted from the issuer's origin only. The endpoints for programs
//! answer under every accepted host.
//!
//! Behind a proxy that changes `Host` every request looks like that. So the redirect adds a parameter, and a request
//! that has it is served where it is. Nothing else follows from the parameter, since anybody can write it.
//!
//! A program (a client's server that calls `/logout`) is not redirected: it may not follow, and one that does leaves
//! `Authorization` behind on the way to another host.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::allowed_hosts::AllowedHosts;
use crate::http::accept::names_html;

/// Redirects pages to the issuer.
#[derive(Debug, Default)]
pub struct IssuerRedirect {
    /// The issuer; `None` turns redirects off.
    issuer: Option<String>,
    /// Whether the log has said that a proxy seems to change `Host`.
    warned: AtomicBool,
}

impl IssuerRedirect {
    /// Redirects to this issuer.
    pub fn new(issuer: &str) -> Self {
        Self { issuer: Some(issuer.to_owned()), ..Self::default() }
    }

    /// The issuer, for messages.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The redirect for this request, if it needs one; it keeps method and body ([RFC 9110 §15.4.8]).
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

/// Whether other sites link or post here. The other forms are our own: one that was shown under another host finds none of
/// its cookies at the issuer, so it is not redirected.
fn is_entry_point(method: &Method, path: &str) -> bool {
    match *method {
        Method::GET | Method::HEAD => {
            matches!(path, "/authorize" | "/login" | "/consent" | "/logout")
        }
        Method::POST => matches!(path, "/authorize" | "/logout"),
        _ => false,
    }
}

/// The parameter that marks a redirected request. Endpoints ignore unknown parameters.
const REDIRECTED_PARAM: &str = "other_host=1";
