//! Which redirect URIs may be registered, and which requested one equals a registered one.

use url::{Host, Url};

/// Why a redirect URI cannot be registered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RedirectUriError {
    /// `http` with a host that is not loopback, nor, where the operator declares it, on a private network.
    #[error(
        "must be https, or http on a loopback host (where the operator declares it, also on a private network)"
    )]
    CleartextHost,
    /// A host that browsers read as another: `https:///host`, `127.1`, `%61.example`.
    #[error("must name its host as browsers will read it")]
    Host,
    /// A fragment, even an empty one ([RFC 6749 §3.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.1.2)).
    #[error("must not have a fragment")]
    Fragment,
    /// White space, a control character, a backslash, or anything outside ASCII.
    #[error("must be printable ASCII without spaces and backslashes")]
    Illegal,
    /// More than 2048 bytes.
    #[error("must be at most 2048 bytes")]
    TooLong,
    /// Relative, or not a URI at all.
    #[error("must be an absolute URI with a host")]
    NotAbsolute,
    /// `javascript:`, `data:` and their like, or a private-use scheme without a dot.
    #[error(
        "must be https, loopback http, or a private-use scheme with a dot in it (where the operator declares it, \
         also without one)"
    )]
    Scheme,
    /// `.` or `..` as a path segment, spelled out or percent-encoded.
    #[error("must not contain . or .. as a path segment")]
    DotSegment,
    /// A user name or password before the host.
    #[error("must not contain a user name or password")]
    UserInfo,
    /// A `*` in the host.
    #[error("must not contain a wildcard")]
    Wildcard,
}

/// Checks one redirect URI before it is registered ([RFC 6749 §3.1.2], [RFC 8252 §7]).
///
/// [RFC 6749 §3.1.2]: https://www.rfc-editor.org/rfc/rfc6749#section-3.1.2
/// [RFC 8252 §7]: https://www.rfc-editor.org/rfc/rfc8252#section-7
pub fn check_registrable(uri: &str) -> Result<(), RedirectUriError> {
    let url = check_syntax(uri)?;
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(&url) => Ok(()),
        "http" => Err(RedirectUriError::CleartextHost),
        // A private-use scheme is a reversed domain name, so it has a dot (RFC 8252 §7.1).
        private if private.contains('.') && !private.starts_with("javascript") => Ok(()),
        _ => Err(RedirectUriError::Scheme),
    }
}

/// Checks a redirect URI that the operator declares. Two kinds are allowed that clients may not register themselves,
/// because only the operator can know whose they are: a scheme without a dot, and `http` on a private network, where the
/// response can be read on the way.
pub fn check_operator_declared(uri: &str) -> Result<(), RedirectUriError> {
    let url = check_syntax(uri)?;
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_loopback(&url) || is_private(&url) => Ok(()),
        "http" => Err(RedirectUriError::CleartextHost),
        private if !BROWSER_SCHEMES.contains(&private) && !private.starts_with("javascript") => {
            Ok(())
        }
        _ => Err(RedirectUriError::Scheme),
    }
}

/// A warning about a redirect URI that only an operator may declare.
pub fn operator_warning(uri: &str) -> Option<&'static str> {
    match check_registrable(uri) {
        Err(RedirectUriError::CleartextHost) => Some(
            "goes over a private network unencrypted: whoever is on it can read and change what is sent there",
        ),
        Err(RedirectUriError::Scheme) => Some(
            "has a scheme that is nobody's domain name: another application on the same device may claim it, \
             and gets what is sent there",
        ),
        Err(
            RedirectUriError::Host
            | RedirectUriError::Fragment
            | RedirectUriError::Illegal
            | RedirectUriError::TooLong
            | RedirectUriError::NotAbsolute
            | RedirectUriError::DotSegment
            | RedirectUriError::UserInfo
            | RedirectUriError::Wildcard,
        )
        | Ok(()) => None,
    }
}

/// Schemes that browsers or operating systems handle themselves.
const BROWSER_SCHEMES: [&str; 17] = [
    "about",
    "blob",
    "chrome",
    "data",
    "file",
    "filesystem",
    "ftp",
    "intent",
    "jar",
    "livescript",
    "mailto",
    "sms",
    "tel",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// The checks that hold for operators and clients alike.
fn check_syntax(uri: &str) -> Result<Url, RedirectUriError> {
    if uri.len() > 2048 {
        return Err(RedirectUriError::TooLong);
    }
    // The URL parser silently drops tabs and turns backslashes, so the bytes are checked.
    if !uri.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return Err(RedirectUriError::Illegal);
    }
    if uri.contains('#') {
        return Err(RedirectUriError::Fragment);
    }
    let url = Url::parse(uri).map_err(|_| RedirectUriError::NotAbsolute)?;
    if !url.username().is_empty() || url.password().is_some() || authority(uri).contains('@') {
        return Err(RedirectUriError::UserInfo);
    }
    if has_dot_segment(uri) {
        return Err(RedirectUriError::DotSegment);
    }
    // URIs are compared character by character, so a star would match only itself, which is not what it is meant for.
    if uri.split('?').next().is_some_and(|place| place.contains('*')) {
        return Err(RedirectUriError::Wildcard);
    }
    match url.scheme() {
        "https" | "http" if !uri[url.scheme().len() + 1..].starts_with("//") => {
            Err(RedirectUriError::NotAbsolute)
        }
        // A parser with other rules than a browser's has to find the same host.
        _ if !is_host_literal(uri, &url) => Err(RedirectUriError::Host),
        _ => Ok(url),
    }
}

/// Whether the host is one of a private network: an address of one ([RFC 1918], [RFC 4193]), a name without a
/// dot, or one under a name that is never public ([RFC 6762], [RFC 8375], [RFC 2606], ICANN's `internal`).
///
/// [RFC 1918]: https://www.rfc-editor.org/rfc/rfc1918
/// [RFC 4193]: https://www.rfc-editor.org/rfc/rfc4193
/// [RFC 6762]: https://www.rfc-editor.org/rfc/rfc6762
/// [RFC 8375]: https://www.rfc-editor.org/rfc/rfc8375
/// [RFC 2606]: https://www.rfc-editor.org/rfc/rfc2606
fn is_private(url: &Url) -> bool {
    const NEVER_PUBLIC: [&str; 5] = [".local", ".home.arpa", ".internal", ".lan", ".test"];
    match url.host() {
        Some(Host::Domain(name)) => {
            !name.contains('.') || NEVER_PUBLIC.iter().any(|end| name.ends_with(end))
        }
        Some(Host::Ipv4(ip)) => ip.is_private() || ip.is_link_local(),
        Some(Host::Ipv6(ip)) => ip.is_unique_local() || ip.is_unicast_link_local(),
        None => false,
    }
}

/// Whether the requested URI is the registered one ([RFC 9700 §4.1.3]: simple string comparison).
///
/// The one freedom is the port of a registered `http` loopback URI ([RFC 8252 §7.3]), given to native
/// clients, and to any client that registered such a URI without a port.
///
/// [RFC 9700 §4.1.3]: https://www.rfc-editor.org/rfc/rfc9700#section-4.1.3
/// [RFC 8252 §7.3]: https://www.rfc-editor.org/rfc/rfc8252#section-7.3
pub fn matches(registered: &str, requested: &str, native: bool) -> bool {
    if registered == requested {
        return true;
    }
    let (Some(ours), Some(theirs)) = (Loopback::split(registered), Loopback::split(requested))
    else {
        return false;
    };
    (native || ours.port.is_none()) && ours.host == theirs.host && ours.rest == theirs.rest
}

/// Whether the URI leads to an application on the user's device: a private-use scheme, or `http` on the loopback
/// interface. Which application receives it is up to that device.
pub fn is_native(uri: &str) -> bool {
    Url::parse(uri).is_ok_and(|url| match url.scheme() {
        "https" => false,
        "http" => is_loopback(&url),
        _ => true,
    })
}

/// Whether the URI has a private-use scheme, which browsers may not follow without a gesture.
pub fn is_private_use(uri: &str) -> bool {
    Url::parse(uri).is_ok_and(|url| !matches!(url.scheme(), "https" | "http"))
}

/// The source expression for a content security policy: the origin, or the scheme with a colon.
pub fn csp_source(uri: &str) -> Option<String> {
    let url = Url::parse(uri).ok()?;
    Some(match url.scheme() {
        "https" | "http" => url.origin().ascii_serialization(),
        private => format!("{private}:"),
    })
}

/// The web origin of an `http` or `https` URI, as a browser would send it in `Origin`.
pub fn web_origin(uri: &str) -> Option<String> {
    let url = Url::parse(uri).ok()?;
    matches!(url.scheme(), "https" | "http").then(|| url.origin().ascii_serialization())
}

/// Whether the host is the machine itself: `localhost`, `*.localhost` (RFC 6761 §6.3), 127.0.0.0/8
/// or `::1`.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// An `http` loopback URI, split without interpreting anything but the port.
struct Loopback<'a> {
    host: &'a str,
    port: Option<&'a str>,
    rest: &'a str,
}

impl<'a> Loopback<'a> {
    fn split(uri: &'a str) -> Option<Self> {
        let after = uri.strip_prefix("http://")?;
        let host = ["127.0.0.1", "[::1]", "localhost"]
            .into_iter()
            .find(|host| after.starts_with(host))
            .map(str::len)?;
        let (host, tail) = after.split_at(host);
        let end = tail.find(['/', '?']).unwrap_or(tail.len());
        let (port, rest) = tail.split_at(end);
        let port = match port.strip_prefix(':') {
            Some(digits) => Some(digits.parse::<u16>().ok().map(|_| digits)?),
            None if port.is_empty() => None,
            None => return None,
        };
        // `u16` would also read "+80".
        let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        port.is_none_or(digits).then_some(Self { host, port, rest })
    }
}

fn authority(uri: &str) -> &str {
    let after = uri.split_once("://").map_or("", |(_, after)| after);
    &after[..after.find(['/', '?']).unwrap_or(after.len())]
}

/// Whether the host that a browser uses is the one that is written.
fn is_host_literal(uri: &str, url: &Url) -> bool {
    let after = uri[url.scheme().len() + 1..].strip_prefix("//").unwrap_or_default();
    let authority = &after[..after.find(['/', '?']).unwrap_or(after.len())];
    let written = match authority.find(']') {
        Some(end) => &authority[..=end],
        None => authority.split(':').next().unwrap_or_default(),
    };
    match url.host() {
        Some(Host::Domain(name)) => written.eq_ignore_ascii_case(name),
        Some(Host::Ipv4(address)) => written.parse() == Ok(address),
        Some(Host::Ipv6(address)) => written
            .strip_prefix('[')
            .and_then(|it| it.strip_suffix(']'))
            .is_some_and(|it| it.parse() == Ok(address)),
        None => written.is_empty(),
    }
}

fn has_dot_segment(uri: &str) -> bool {
    let path = uri.split('?').next().unwrap_or_default().to_ascii_lowercase().replace("%2e", ".");
    path.split(['/', ':']).any(|segment| segment == "." || segment == "..")
        || path.contains("%2f..")
        || path.contains("..%2f")
}

#[cfg(test)]
mod tests;
