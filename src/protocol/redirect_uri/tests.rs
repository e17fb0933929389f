use super::*;

#[test]
fn what_may_be_registered() {
    for good in [
        "https://shop.example/cb",
        "https://shop.example/cb?bar=foo",
        "https://SHOP.example:8443/cb",
        "https://[2001:db8:0:0::1]/cb",
        "http://127.0.0.1/cb",
        "http://[::1]:8080/cb",
        "http://localhost:5173/callback",
        "com.example.app:/oauth2redirect",
        "com.example.app://cb",
    ] {
        assert_eq!(check_registrable(good), Ok(()), "{good}");
        assert_eq!(operator_warning(good), None, "{good}");
    }
    for (bad, why) in [
        ("https://shop.example/cb#", RedirectUriError::Fragment),
        ("https://shop.example/cb#x", RedirectUriError::Fragment),
        ("https://a@shop.example/", RedirectUriError::UserInfo),
        ("https://@shop.example/", RedirectUriError::UserInfo),
        ("https://shop.example/a b", RedirectUriError::Illegal),
        ("https://shop.example\\@evil.example/", RedirectUriError::Illegal),
        ("https://shop.example/\u{7f}", RedirectUriError::Illegal),
        ("https://shop.example/*", RedirectUriError::Wildcard),
        ("/cb", RedirectUriError::NotAbsolute),
        ("shop.example/cb", RedirectUriError::NotAbsolute),
        ("https:shop.example/cb", RedirectUriError::NotAbsolute),
        ("http://shop.example/cb", RedirectUriError::CleartextHost),
        ("http://127.0.0.1.evil.example/", RedirectUriError::CleartextHost),
        ("https:///shop.example/cb", RedirectUriError::Host),
        ("https:////shop.example/cb", RedirectUriError::Host),
        ("https://%73hop.example/cb", RedirectUriError::Host),
        ("https://0x7f.1/cb", RedirectUriError::Host),
        ("http://127.1/cb", RedirectUriError::Host),
        ("http:///127.0.0.1/cb", RedirectUriError::Host),
        ("JavaScript:alert(1)", RedirectUriError::Scheme),
        ("data:text/html,x", RedirectUriError::Scheme),
        ("myapp:/cb", RedirectUriError::Scheme),
        ("mailto:a@shop.example", RedirectUriError::Scheme),
        ("https://*.shop.example/cb", RedirectUriError::Wildcard),
        ("https://shop.example/a/../b", RedirectUriError::DotSegment),
        ("https://shop.example/%2E%2e/b", RedirectUriError::DotSegment),
    ] {
        assert_eq!(check_registrable(bad), Err(why), "{bad}");
    }
}

#[test]
fn what_only_the_operator_may_declare() {
    for uri in [
        "myapp:/cb",
        "myapp://cb",
        "chrome-extension://abcdefgh/cb",
        "http://192.168.0.7:8123/auth/cb",
        "http://10.1.2.3/cb",
        "http://172.16.0.1/cb",
        "http://[fd00::1]/cb",
        "http://nas/cb",
        "http://printer.local/cb",
        "http://app.home.arpa/cb",
        "http://app.internal:8080/cb",
    ] {
        assert!(check_registrable(uri).is_err(), "{uri}");
        assert_eq!(check_operator_declared(uri), Ok(()), "{uri}");
        assert_eq!(
            operator_warning(uri).is_some_and(|it| it.contains("unencrypted")),
            uri.starts_with("http")
        );
        assert_eq!(
            operator_warning(uri).is_some_and(|it| it.contains("scheme")),
            !uri.starts_with("http")
        );
    }
    for (uri, why) in [
        ("javascript:alert(1)", RedirectUriError::Scheme),
        ("JavaScript:alert(1)", RedirectUriError::Scheme),
        ("data:text/html,x", RedirectUriError::Scheme),
        ("mailto:a@shop.example", RedirectUriError::Scheme),
        ("file:///etc/passwd", RedirectUriError::Scheme),
        ("about:blank", RedirectUriError::Scheme),
        ("blob:https://shop.example/1", RedirectUriError::Scheme),
        ("http://shop.example/cb", RedirectUriError::CleartextHost),
        ("http://8.8.8.8/cb", RedirectUriError::CleartextHost),
        ("http://172.32.0.1/cb", RedirectUriError::CleartextHost),
        ("http://internal.shop.example/cb", RedirectUriError::CleartextHost),
        ("http://192.168.0.7/cb#x", RedirectUriError::Fragment),
        ("http://ada@192.168.0.7/cb", RedirectUriError::UserInfo),
        ("http://192.168.7/cb", RedirectUriError::Host),
        ("myapp:/a/../b", RedirectUriError::DotSegment),
    ] {
        assert_eq!(check_operator_declared(uri), Err(why), "{uri}");
    }
}

#[test]
fn only_the_port_of_a_loopback_uri_is_free() {
    let native = |registered, requested| matches(registered, requested, true);
    assert!(native("http://127.0.0.1/cb", "http://127.0.0.1:49152/cb"));
    assert!(native("http://localhost:1/cb", "http://localhost:2/cb"));
    assert!(native("http://[::1]/cb?x=1", "http://[::1]:7/cb?x=1"));
    for (registered, requested) in [
        ("http://127.0.0.1/cb", "http://127.0.0.1:1/other"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:1/cb?x=1"),
        ("http://127.0.0.1/cb", "http://localhost:1/cb"),
        ("http://127.0.0.1/cb", "https://127.0.0.1:1/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:1@evil.example/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1.evil.example/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:+80/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:99999/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:/cb"),
        ("https://shop.example/cb", "https://shop.example:8443/cb"),
        ("https://shop.example/cb", "https://shop.example/cb/"),
        ("https://shop.example/cb", "https://SHOP.example/cb"),
    ] {
        assert!(!native(registered, requested), "{registered} {requested}");
    }
    assert!(matches("http://localhost/cb", "http://localhost:5/cb", false));
    assert!(!matches("http://localhost:4/cb", "http://localhost:5/cb", false));
}
