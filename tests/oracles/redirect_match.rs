use latchkey::protocol::redirect_uri::{check_registrable, matches};
use url::Url;

use super::reference_parsers::Uri;
use super::{edited, lines, text};

/// A requested redirect URI matches if it is the registered one, byte for byte ([RFC 9700 §4.1.3]), or if
/// both are `http` on one loopback host and nothing but the digits of the port tells them apart
/// ([RFC 8252 §7.3]). And where one matches, a browser's reader and that of RFC 3986 see one host in it.
///
/// Lines: registered, requested (an [edit](super::edited) of it if it begins with `~`), `n` for native.
///
/// [RFC 9700 §4.1.3]: https://www.rfc-editor.org/rfc/rfc9700#section-4.1.3
/// [RFC 8252 §7.3]: https://www.rfc-editor.org/rfc/rfc8252#section-7.3
pub fn redirect_match(data: &[u8]) {
    holds(data, matches);
}

pub fn holds(data: &[u8], matches: impl Fn(&str, &str, bool) -> bool) {
    let [registered, requested, native] = lines(data);
    let native = native == b"n";
    let requested = match requested.strip_prefix(b"~") {
        Some(how) => text(&edited(registered, how)),
        None => text(requested),
    };
    let registered = text(registered);
    let allowed = matches(&registered, &requested, native);
    if registered == requested {
        assert!(allowed, "{registered} is not itself");
    }
    if !allowed || check_registrable(&registered).is_err() {
        return;
    }
    let (ours, theirs) = (Uri::split(&registered), Uri::split(&requested));
    if registered != requested {
        for uri in [&ours, &theirs] {
            assert!(uri.scheme == Some("http") && uri.is_loopback(), "{registered} ≠ {requested}");
        }
        assert_eq!((ours.host, ours.path), (theirs.host, theirs.path));
        assert_eq!((ours.query, ours.fragment), (theirs.query, theirs.fragment));
        assert!(native || ours.port.is_none(), "only the port of native clients is free");
        let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        assert!(theirs.port.is_none_or(digits), "{requested}");
        assert_eq!(theirs.user, None, "{requested}");
    }
    let seen = Url::parse(&requested).expect("a browser can read it");
    assert!(theirs.host_is(seen.host_str()), "{requested}: a browser goes to {seen}");
}
