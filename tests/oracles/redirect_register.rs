use latchkey::protocol::redirect_uri::{RedirectUriError, check_registrable};
use url::Url;

use super::reference_parsers::Uri;
use super::text;

/// What may be registered is absolute, without fragment, user and control characters ([RFC 6749 §3.1.2]),
/// of a scheme on the list ([RFC 8252 §7]), and means the same to a browser and to a reader by RFC 3986:
/// scheme, host, port and the segments of the path.
///
/// [RFC 6749 §3.1.2]: https://www.rfc-editor.org/rfc/rfc6749#section-3.1.2
/// [RFC 8252 §7]: https://www.rfc-editor.org/rfc/rfc8252#section-7
pub fn redirect_register(data: &[u8]) {
    holds(data, check_registrable);
}

pub fn holds(data: &[u8], check: impl Fn(&str) -> Result<(), RedirectUriError>) {
    let uri = text(data);
    if check(&uri).is_err() {
        return;
    }
    assert!(uri.len() <= 2048, "{} bytes", uri.len());
    assert!(uri.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b'\\'), "{uri:?}");
    let read = Uri::split(&uri);
    assert_eq!((read.fragment, read.user), (None, None), "{uri}");
    let scheme = read.scheme.unwrap_or_else(|| panic!("{uri} is relative")).to_ascii_lowercase();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    assert!(scheme.bytes().all(plain) && scheme.as_bytes()[0].is_ascii_alphabetic(), "{uri}");
    match &*scheme {
        "https" => assert!(read.host.is_some_and(|host| !host.is_empty()), "{uri} has no host"),
        "http" => assert!(read.is_loopback(), "{uri} is in the clear"),
        private => assert!(private.contains('.'), "{uri} is of a scheme of everybody's"),
    }

    let seen = Url::parse(&uri).expect("a browser can read it");
    assert_eq!(seen.scheme(), scheme);
    assert!(read.host_is(seen.host_str()), "{uri}: a browser goes to {seen}");
    let digits = |port: &str| -> u16 {
        assert!(port.bytes().all(|byte| byte.is_ascii_digit()), "{uri}");
        port.parse().expect("a port")
    };
    let port = read.port.filter(|port| !port.is_empty()).map(digits);
    let usual = match &*scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    };
    assert_eq!(seen.port().or(usual), port.or(usual), "{uri}: a browser goes to {seen}");
    let count = |path: &str| path.trim_start_matches('/').split('/').count();
    assert_eq!(count(seen.path()), count(read.path), "{uri}: a browser goes to {seen}");
}
