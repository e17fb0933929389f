//! Checks the `Host` of a request against the hosts that this server answers to.
//!
//! Nothing is ever built from `Host`, but a response under a foreign name is still one that a cache or a DNS rebinding page
//! can use ([RFC 9110 §7.2, §15.5.20](https://www.rfc-editor.org/rfc/rfc9110#section-15.5.20)).

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, header};

/// The allowed values of `Host`.
#[derive(Clone, Debug, Default)]
pub struct AllowedHosts {
    allowed: Vec<String>,
    default_port: &'static str,
}

impl AllowedHosts {
    /// These names, each `host` or `host:port`; none at all means any. The port that `https` or `http` has
    /// anyway may be there or not, on either side.
    pub fn new(names: &[String], https: bool) -> Self {
        let default_port = if https { ":443" } else { ":80" };
        let allowed = names.iter().map(|name| normalize(name, default_port)).collect();
        Self { allowed, default_port }
    }

    /// `Err` with the status for a request that names another host, several or none.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), StatusCode> {
        if self.allowed.is_empty() {
            return Ok(());
        }
        let mut named = headers.get_all(header::HOST).iter();
        // More than one is an attempt to be read differently by two servers; none is only for HTTP/1.0,
        // which has no place here (RFC 9112 §3.2).
        let (Some(host), None) = (named.next(), named.next()) else {
            return Err(StatusCode::BAD_REQUEST);
        };
        let Ok(host) = host.to_str() else { return Err(StatusCode::BAD_REQUEST) };
        // The absolute form wins over the header; here both have to be ours.
        let written = uri.authority().is_none_or(|authority| self.contains(authority.as_str()));
        if written && self.contains(host) { Ok(()) } else { Err(StatusCode::MISDIRECTED_REQUEST) }
    }

    /// Whether the request is for the first of them, the issuer's own.
    pub fn is_issuer(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let written = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = uri.authority().map(Authority::as_str).or(written);
        let host = host.map(|host| normalize(host, self.default_port));
        host.as_ref() == self.allowed.first()
    }

    /// All of them, for messages.
    pub fn names(&self) -> String {
        self.allowed.join(", ")
    }

    fn contains(&self, host: &str) -> bool {
        let host = normalize(host, self.default_port);
        self.allowed.iter().any(|allowed| *allowed == host || same_loopback(allowed, &host))
    }
}

fn normalize(host: &str, default_port: &str) -> String {
    let host = host.trim().to_ascii_lowercase();
    host.strip_suffix(default_port).map(str::to_owned).unwrap_or(host)
}

/// `localhost:5000`, `127.0.0.1:5000` and `[::1]:5000` are the same.
fn same_loopback(allowed: &str, host: &str) -> bool {
    let ((allowed_name, allowed_port), (name, port)) = (split_port(allowed), split_port(host));
    allowed_port == port && is_loopback(allowed_name) && is_loopback(name)
}

fn split_port(host: &str) -> (&str, &str) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        Some(_) | None => (host, ""),
    }
}

fn is_loopback(name: &str) -> bool {
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    name == "localhost" || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn asked(hosts: &AllowedHosts, host: &str) -> bool {
        let headers = [(header::HOST, HeaderValue::from_str(host).expect("a header"))];
        hosts.check(&Uri::from_static("/"), &headers.into_iter().collect()).is_ok()
    }

    #[test]
    fn only_the_names_of_the_issuer_are_ours() {
        let hosts = AllowedHosts::new(&["id.example".into()], true);
        #[rustfmt::skip]
        let table = [
            ("id.example",          true),
            ("ID.Example",          true),
            ("id.example:443",      true),
            ("id.example:8443",     false),
            ("id.example.evil",     false),
            ("evil.example",        false),
            ("id.example@evil",     false),
            ("localhost",           false),
            ("",                    false),
        ];
        for (host, ours) in table {
            assert_eq!(asked(&hosts, host), ours, "{host}");
        }
    }

    #[test]
    fn a_loopback_issuer_answers_to_every_loopback_name_with_its_port() {
        let hosts = AllowedHosts::new(&["localhost:5000".into()], false);
        for ours in ["localhost:5000", "127.0.0.1:5000", "[::1]:5000", "127.8.8.8:5000"] {
            assert!(asked(&hosts, ours), "{ours}");
        }
        for strange in
            ["localhost", "localhost:5001", "[::1]", "10.0.0.1:5000", "evil.example:5000"]
        {
            assert!(!asked(&hosts, strange), "{strange}");
        }
    }

    #[test]
    fn two_hosts_or_none_are_a_bad_request() {
        let hosts = AllowedHosts::new(&["id.example".into()], true);
        let ours = || HeaderValue::from_static("id.example");
        let twice: HeaderMap =
            [(header::HOST, ours()), (header::HOST, ours())].into_iter().collect();
        let uri = Uri::from_static("/");
        assert_eq!(hosts.check(&uri, &twice), Err(StatusCode::BAD_REQUEST));
        assert_eq!(hosts.check(&uri, &HeaderMap::new()), Err(StatusCode::BAD_REQUEST));
    }

    #[test]
    fn an_absolute_request_target_must_be_ours_too() {
        let hosts = AllowedHosts::new(&["id.example".into()], true);
        let headers: HeaderMap =
            [(header::HOST, HeaderValue::from_static("id.example"))].into_iter().collect();
        let admitted = |uri| hosts.check(&Uri::from_static(uri), &headers);
        assert_eq!(admitted("http://id.example/"), Ok(()));
        assert_eq!(admitted("http://evil.example/"), Err(StatusCode::MISDIRECTED_REQUEST));
    }
}
