//! A part of a request that cannot be read does not invalidate the other parts.

use reqwest::header::{ACCEPT, CONTENT_TYPE, COOKIE, HeaderValue};

use crate::support::browser::AuthorizationResponse;
use crate::support::http;
use crate::support::test_server::{TestServer, on_every_store};

on_every_store![
    a_session_is_found_among_cookies_in_whatever_bytes,
    a_page_is_found_whatever_else_its_address_says,
    a_client_is_heard_whatever_else_its_form_says,
    a_wish_that_nobody_understands_is_no_reason_to_refuse_the_others,
];

fn octets(bytes: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(bytes).expect("a value")
}

/// RFC 6265 §5.2: octets, pair by pair.
async fn a_session_is_found_among_cookies_in_whatever_bytes(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    shop.sign_in(&ada, "openid").await;
    let session = ada.cookie("-session").expect("a session");
    let name =
        ada.cookie_names().into_iter().find(|name| name.ends_with("-session")).expect("a name");
    let ours = format!("{name}={session}");
    for (before, after) in [
        (&b"caf\xe9=1; "[..], &b""[..]),
        (b"a=\xff\xfe; novalue; =noname; ", b"; b=\xc3"),
        (b"a=\"quoted; ", b"; b;c"),
        (b"; ;", b";;"),
    ] {
        let url = shop.authorization_request("openid").with("prompt", "none").url();
        let line = octets(&[before, ours.as_bytes(), after].concat());
        let answer = http::send(server.http().get(url).header(COOKIE, line)).await;
        assert!(!AuthorizationResponse::from_redirect(&answer).code().is_empty(), "{before:?}");
    }
}

async fn a_page_is_found_whatever_else_its_address_says(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let asked = ada.get(&shop.authorization_request("openid").url()).await;
    let login = asked.location().expect("a way on").to_owned();
    let more = "&utm=1&utm=2&%FF=1&x=%zz";
    let page = ada.open(&server.url(&format!("{login}{more}"))).await;
    let consent = ada.sign_in(&page).await;
    assert!(consent.has_element("#consent-accept"));
    assert!(
        ada.open(&server.url(&format!("/logout?a=1&a=2{more}")))
            .await
            .has_element("#logout-confirm")
    );
    // A browser is a browser, whatever else it accepts.
    let accepts = octets(b"text/caf\xe9;q=0.1, text/html");
    let nothing = server.http().get(server.url("/logout/nothing")).header(ACCEPT, accepts);
    let kind = http::send(nothing).await.header("content-type").map(str::to_owned);
    assert_eq!(kind.as_deref(), Some("text/html; charset=utf-8"));
}

async fn a_client_is_heard_whatever_else_its_form_says(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid").await;
    let more = "&utm=1&utm=2&%FF=1&x=%zz";
    let form = octets(b"application/x-www-form-urlencoded; charset=caf\xe9");
    for (path, fields) in [
        ("/token", vec![("grant_type", "client_credentials")]),
        ("/introspect", vec![("token", tokens.access())]),
        ("/userinfo", vec![("access_token", tokens.access())]),
        ("/revoke", vec![("token", tokens.access())]),
    ] {
        let post = server.http().post(server.url(path)).header(CONTENT_TYPE, form.clone());
        let post = post.body(format!("{}{more}", http::encode(&fields)));
        let post = if path == "/userinfo" { post } else { shop.with_basic_auth(post) };
        let answer = http::send(post).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
}

async fn a_wish_that_nobody_understands_is_no_reason_to_refuse_the_others(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let claims = r#"{"userinfo":{"name":true,"email":{"essential":"yes","new":1}},"id_token":[]}"#;
    let request =
        shop.authorization_request("openid").with("claims", claims).with("prompt", "create login");
    let request = request.with("ui_locales", "xx-\u{fffd} de").with("display", "hologram");
    let ada = server.browser("ada");
    let code = ada.authorize(&request.url()).await.code();
    let tokens = shop.redeem(&code, &request).await.success_json();
    let userinfo =
        server.userinfo(tokens["access_token"].as_str().expect("a token")).await.success_json();
    assert_eq!((&userinfo["email"], userinfo.get("name")), (&"ada@ada.example".into(), None));
}
