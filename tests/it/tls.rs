//! The whole service over TLS, with a certificate of the test's own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use latchkey::infra::clock::Clock;
use latchkey::infra::store::MemoryStore;
use latchkey::server::tls::CertReloader;
use tokio::time::timeout;

use crate::support::browser::AuthorizationResponse;
use crate::support::http;
use crate::support::test_server::{TestServer, Tls};

/// Writes a new certificate and its key into the folder; gives the certificate.
fn renewed(folder: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(["localhost".into()]).expect("a certificate");
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("written");
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).expect("written");
    made.cert.pem()
}

async fn start(folder: &Path) -> (TestServer, CertReloader) {
    let pem = renewed(folder);
    let keeper = CertReloader::load(folder.join("cert.pem"), folder.join("key.pem"));
    let keeper = keeper.expect("a good pair");
    let clock = Clock::manual(Clock::System.now());
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let tls = Tls { keeper: keeper.clone(), pem };
    (TestServer::start_on((store, clock), Some(tls), &[]).await, keeper)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_code_flow_goes_by_https_with_cookies_that_stay_on_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, _) = start(folder.path()).await;
    assert!(server.issuer().starts_with("https://"));
    let place = server.url("/.well-known/openid-configuration");
    let said = http::send(server.http().get(place)).await.success_json();
    assert_eq!(said["issuer"], server.issuer());
    for (name, value) in said.as_object().expect("an object") {
        let url = value.as_str().unwrap_or("https://");
        assert!(url.starts_with("https://"), "{name}: {url}");
    }

    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let request = shop.authorization_request("openid offline_access");
    let begun = ada.get(&request.url()).await;
    let login = ada.open(&server.url(begun.location().expect("the login page"))).await;
    let hidden = login.hidden_fields_beside("#login-submit");
    let mut typed: Vec<(&str, &str)> = hidden.iter().map(|(n, v)| (&**n, &**v)).collect();
    typed.extend([("username", "ada"), ("password", crate::support::test_server::PASSWORD)]);
    let signed_in = ada.post("/login", &typed).await;
    let named = |what: &str| format!("__Host-latchkey-{}-{what}", server.at().port());
    for (answer, name) in [(&begun, named("interaction-")), (&signed_in, named("session="))] {
        let cookie = answer.header("set-cookie").expect("a cookie");
        assert!(cookie.starts_with(&name), "{cookie}");
        for rule in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Secure"] {
            assert!(cookie.contains(rule), "{cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
    for answer in [&begun, &login, &signed_in] {
        let insisted = answer.header("strict-transport-security");
        assert_eq!(insisted, Some("max-age=31536000"));
    }

    let landing = ada.authorize(&server.url(signed_in.location().expect("the hub"))).await;
    assert_eq!(landing.param("iss").as_deref(), Some(server.issuer()));
    let body = shop.redeem(&landing.code(), &request).await.success_json();
    let text = |name: &str| body[name].as_str().expect("a token").to_owned();
    assert_eq!(server.userinfo(&text("access_token")).await.success_json()["sub"], "sub-of-ada");
    assert_eq!(shop.refresh(&text("refresh_token")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_of_the_development_name_is_not_believed_over_https() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, _) = start(folder.path()).await;
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    shop.sign_in(&ada, "openid").await;
    let other = server.browser("ada");
    other.set_cookie(&server.cookie_name("session"), &ada.cookie("session").expect("a session"));
    let silent = shop.authorization_request("openid").with("prompt", "none");
    assert_eq!(
        AuthorizationResponse::from_redirect(&other.get(&silent.url()).await).error(),
        "login_required"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_certificate_is_served_to_new_connections_and_nobody_is_signed_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, keeper) = start(folder.path()).await;
    let shop = server.relying_party("shop").await;
    let tokens = shop.sign_in(&server.browser("ada"), "openid").await;

    let reloading = keeper.spawn_reload(Duration::from_millis(20));
    let new = renewed(folder.path());
    let place = server.url("/userinfo");
    let asked = async || {
        // A client of its own each time: a resting connection keeps the certificate it began with.
        let http = http::client_trusting(server.at(), &new);
        http.get(&place).bearer_auth(tokens.access()).send().await
    };
    let taken_over = async {
        loop {
            if let Ok(answer) = asked().await {
                return answer.status().as_u16();
            }
            tokio::task::yield_now().await;
        }
    };
    let status = timeout(Duration::from_secs(10), taken_over).await.expect("the new one");
    assert_eq!(status, 200);
    assert_eq!(server.userinfo(tokens.access()).await.status, 200, "on the old connection");
    reloading.abort();
}
