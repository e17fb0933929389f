//! Listeners, TLS, trusted proxies, CORS and outgoing requests.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use url::{Host, Url};

use super::Config;
use super::issuer::Issuer;
use super::parser::ConfigParser;

/// Certificate and key, for TLS without a proxy.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// PEM certificate chain.
    pub cert_path: PathBuf,
    /// PEM private key.
    pub key_path: PathBuf,
}

/// Which origins a browser may call the API from.
#[derive(Clone, Debug)]
pub struct CorsSettings {
    /// Whether any origin may.
    pub enabled: bool,
    /// Exact origins besides those of registered clients.
    pub origins: Vec<String>,
    /// Request headers that scripts may send besides the usual ones; `*` for any.
    pub allowed_headers: Vec<String>,
}

/// Where HTTP/2 is spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Http2 {
    /// Where TLS is, with clients that ask for it by ALPN.
    Tls,
    /// There, and without TLS with clients that begin with it
    /// ([RFC 9113 §3.3](https://www.rfc-editor.org/rfc/rfc9113#section-3.3)).
    PriorKnowledge,
    /// HTTP/2 is off.
    Off,
}

impl Http2 {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::PriorKnowledge => "prior-knowledge",
            Self::Off => "off",
        }
    }
}

/// Where `/metrics` is served.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MetricsListen {
    /// On the listener of everything else.
    MainListener,
    /// On a listener of its own.
    Separate {
        /// `host:port`.
        address: String,
        /// Whether the operator named it. Otherwise a port that is taken is no reason not to serve.
        asked: bool,
    },
    /// Nowhere.
    Off,
}

/// The default for metrics on a public issuer: a port that Prometheus lists for exporters of this kind.
const DEFAULT_METRICS_ADDRESS: &str = "127.0.0.1:9464";

/// Exceptions for outgoing requests, which otherwise reach public addresses and public authorities only.
#[derive(Clone, Debug)]
pub struct OutboundSettings {
    /// Further certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// Host names, addresses and networks that may be reached although private.
    pub allow_private: Vec<String>,
}

pub(super) fn listen(parser: &mut ConfigParser<'_>, issuer: &Issuer) -> Vec<String> {
    let on = |port: u16| {
        if issuer.is_loopback() {
            vec![format!("127.0.0.1:{port}"), format!("[::1]:{port}")]
        } else {
            vec![format!("0.0.0.0:{port}")]
        }
    };
    if parser.get("LISTEN").is_none() {
        let own = issuer.port().filter(|_| issuer.is_loopback());
        return on(own.unwrap_or(5000));
    }
    let expected = "host:port or a port, for example 0.0.0.0:5000";
    let addresses = parser.list("LISTEN", expected, |text| match port(text) {
        Some(port) => Some(on(port)),
        None => host_and_port(text).then(|| vec![text.to_owned()]),
    });
    let addresses: Vec<String> = addresses.into_iter().flatten().collect();
    if issuer.is_loopback() && !addresses.iter().all(|address| names_loopback(address)) {
        parser.warn(
            "LISTEN reaches beyond this machine, but ISSUER_URL is a loopback one: the defaults are those of development",
        );
    }
    addresses
}

/// On the main listener only in development: the numbers are not public, and strangers must not be able to cause the work of
/// a scrape.
pub(super) fn metrics_listen(parser: &mut ConfigParser<'_>, issuer: &Issuer) -> MetricsListen {
    if parser.get("METRICS_LISTEN").is_none() {
        return if issuer.is_loopback() {
            MetricsListen::MainListener
        } else {
            MetricsListen::Separate { address: DEFAULT_METRICS_ADDRESS.to_owned(), asked: false }
        };
    }
    let expected = "host:port or a port, for example 127.0.0.1:9090, or off";
    let read = parser.parse("METRICS_LISTEN", expected, |text| {
        let address = match port(text) {
            _ if text.eq_ignore_ascii_case("off") => return Some(MetricsListen::Off),
            Some(port) => format!("127.0.0.1:{port}"),
            None => host_and_port(text).then(|| text.to_owned())?,
        };
        Some(MetricsListen::Separate { address, asked: true })
    });
    read.unwrap_or(MetricsListen::Off)
}

pub(super) fn trusted_proxies(parser: &mut ConfigParser<'_>) -> Vec<IpNet> {
    let expected = "addresses or networks, for example 10.0.0.0/8";
    let proxies = parser.list("TRUSTED_PROXIES", expected, network);
    if proxies.iter().any(|network| network.prefix_len() == 0) {
        parser.warn("TRUSTED_PROXIES trusts everybody: any visitor can claim any address");
    }
    proxies
}

pub(super) fn tls(parser: &mut ConfigParser<'_>, issuer: &Issuer) -> Option<TlsSettings> {
    let (cert, key) = (parser.get("TLS_CERT_PATH"), parser.get("TLS_KEY_PATH"));
    match (cert, key) {
        (Some(cert), Some(key)) => {
            if !issuer.is_https() {
                parser.warn("TLS_CERT_PATH is set, but ISSUER_URL says http");
            }
            Some(TlsSettings { cert_path: cert.into(), key_path: key.into() })
        }
        (Some(_), None) => {
            parser.add_error("TLS_KEY_PATH", "must be set, because TLS_CERT_PATH is");
            None
        }
        (None, Some(_)) => {
            parser.add_error("TLS_CERT_PATH", "must be set, because TLS_KEY_PATH is");
            None
        }
        (None, None) => None,
    }
}

pub(super) fn http2(parser: &mut ConfigParser<'_>) -> Http2 {
    let read = parser.parse("HTTP2", "tls, prior-knowledge or off", |text| match text {
        "tls" => Some(Http2::Tls),
        "prior-knowledge" => Some(Http2::PriorKnowledge),
        "off" => Some(Http2::Off),
        _ => None,
    });
    read.unwrap_or(Http2::Off)
}

pub(super) fn webfinger_domains(parser: &mut ConfigParser<'_>) -> Vec<String> {
    parser.list("WEBFINGER_DOMAINS", "hosts, for example example.com", |text| {
        (is_host(text) || host_and_port(text)).then(|| text.to_ascii_lowercase())
    })
}

/// An https issuer without TLS of our own is behind a proxy, whose address must be trusted to see those of clients.
pub(super) fn warn_of_plain_http(parser: &mut ConfigParser<'_>, config: &Config) {
    if config.issuer.is_https() && config.tls.is_none() && config.trusted_proxies.is_empty() {
        parser.warn(
            "ISSUER_URL is https, but there is neither TLS_CERT_PATH nor TRUSTED_PROXIES: if a proxy speaks \
             TLS, name its address in TRUSTED_PROXIES, or everybody behind it counts as one address",
        );
    }
}

pub(super) fn cors(parser: &mut ConfigParser<'_>) -> CorsSettings {
    // A token (RFC 9110 §5.6.2).
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let header =
        |text: &str| (!text.is_empty() && text.bytes().all(token)).then(|| text.to_owned());
    let expected = "names of headers, for example X-Trace-Id, or *";
    CorsSettings {
        enabled: parser.flag("CORS_ENABLED"),
        origins: origins(parser),
        allowed_headers: parser.list("CORS_ALLOWED_HEADERS", expected, header),
    }
}

fn origins(parser: &mut ConfigParser<'_>) -> Vec<String> {
    let name = "CORS_ORIGINS";
    if parser.get(name).is_some_and(|text| text.contains('*')) {
        parser.add_error(
            name,
            "must name every origin in full: there is no pattern, and a * would match nothing",
        );
        return Vec::new();
    }
    let expected = "exact origins, for example https://app.example or capacitor://localhost";
    parser.list(name, expected, |text| is_origin(text).then(|| text.to_owned()))
}

/// Whether a browser would send this text as `Origin`: in lower case, without a path, and without the port
/// that the scheme has anyway. Web views have schemes of their own, such as `capacitor` and `tauri`.
fn is_origin(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    if matches!(url.scheme(), "https" | "http" | "ftp" | "ws" | "wss" | "file") {
        let web = matches!(url.scheme(), "https" | "http");
        return web && url.origin().ascii_serialization() == text;
    }
    let lower = |host: &str| !host.bytes().any(|byte| byte.is_ascii_uppercase());
    let rest = text.strip_prefix(url.scheme()).and_then(|rest| rest.strip_prefix("://"));
    rest.is_some_and(|rest| lower(rest) && (is_host(rest) || host_and_port(rest)))
}

pub(super) fn outgoing(parser: &mut ConfigParser<'_>) -> OutboundSettings {
    let target =
        |text: &str| (network(text).is_some() || is_host(text)).then(|| text.to_ascii_lowercase());
    let expected = "hosts, addresses or networks, for example hooks.internal or 10.1.0.0/16";
    let allow_private = parser.list("OUTGOING_ALLOW_PRIVATE", expected, target);
    if !allow_private.is_empty() {
        parser.warn(format!(
            "OUTGOING_ALLOW_PRIVATE lets requests made for clients reach {}",
            allow_private.join(", ")
        ));
    }
    OutboundSettings { ca_file: parser.get("OUTGOING_CA_FILE").map(PathBuf::from), allow_private }
}

pub(super) fn extra_hosts(parser: &mut ConfigParser<'_>) -> Vec<String> {
    parser.list("EXTRA_HOSTS", "host or host:port, for example latchkey:5000", |text| {
        (is_host(text) || host_and_port(text)).then(|| text.to_ascii_lowercase())
    })
}

fn network(text: &str) -> Option<IpNet> {
    let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse::<IpNet>().ok().or_else(address).map(|network| network.trunc())
}

fn port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, digits)| is_host(host) && port(digits).is_some())
}

/// A name, an IPv4 address, or an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match Host::parse(text) {
        Ok(Host::Domain(_)) => text.bytes().all(plain),
        Ok(Host::Ipv4(ip)) => ip.to_string() == text,
        Ok(Host::Ipv6(_)) => true,
        Err(_) => false,
    }
}

fn names_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
