//! What a request without a scope comes to, and who is told which claims where.

use latchkey::domain::clients::ClientSettings;
use latchkey::operations::scopes;
use latchkey::server::maintenance;
use serde_json::json;

use crate::logs::logged;
use crate::support::browser::AuthorizationResponse;
use crate::support::http;
use crate::support::relying_party::{RelyingParty, Tokens};
use crate::support::test_server::{Backend, TestServer, on_every_store};

on_every_store![
    a_request_without_a_scope_asks_for_what_the_client_registered_or_the_operator_says,
    a_client_without_a_scope_of_its_own_is_told_who_the_person_is_and_no_more,
    a_default_that_the_client_may_not_have_is_refused_in_words_of_its_own,
    a_client_that_acts_for_itself_gets_its_default,
    a_refresh_without_a_scope_is_for_all_that_was_granted,
    claims_stand_in_the_id_token_where_the_client_is_set_so_and_the_scope_gives_them,
    a_resource_server_is_told_its_claims_where_the_scope_gives_them,
];

const ITSELF: (&str, &str) = ("grant_type", "client_credentials");

async fn shop(
    server: &TestServer,
    name: &str,
    scope: Option<&str>,
    settings: ClientSettings,
) -> RelyingParty {
    server.relying_party_with(name, &json!({ "scope": scope }), settings).await
}

fn by_default(scope: &str) -> ClientSettings {
    ClientSettings {
        default_scope: Some(scope.parse().expect("a scope")),
        ..ClientSettings::default()
    }
}

/// A sign-in by a request without a scope.
async fn signs_in_unscoped(server: &TestServer, client: &RelyingParty) -> Tokens {
    let request = client.authorization_request("").without("scope");
    let code = server.browser("ada").authorize(&request.url()).await.code();
    let body = client.redeem(&code, &request).await.success_json();
    Tokens { body, code, request }
}

async fn a_request_without_a_scope_asks_for_what_the_client_registered_or_the_operator_says(
    server: TestServer,
) {
    for (name, registered, settings, granted) in [
        ("registered", Some("openid email"), ClientSettings::default(), "email openid"),
        ("operator", Some("openid email"), by_default("openid"), "openid"),
        ("plain", Some("email phone"), ClientSettings::default(), "email phone"),
    ] {
        let client = shop(&server, name, registered, settings).await;
        let tokens = signs_in_unscoped(&server, &client).await;
        assert_eq!(tokens.body["scope"], granted, "{name}");
        let is_openid = granted.contains("openid");
        assert_eq!(tokens.body.get("id_token").is_some(), is_openid, "{name}");
        let userinfo = server.userinfo(tokens.access()).await;
        assert_eq!(userinfo.status, if is_openid { 200 } else { 403 }, "{name}");
    }
}

async fn a_client_without_a_scope_of_its_own_is_told_who_the_person_is_and_no_more(
    server: TestServer,
) {
    for (name, scope) in [("none", None), ("empty", Some("")), ("blank", Some("  "))] {
        let url = server.url("/register");
        let metadata = json!({"redirect_uris": ["https://shop.example/cb"], "scope": scope});
        let request = http::json(server.http(), reqwest::Method::POST, &url, &metadata);
        let registered = http::send(request).await;
        assert_eq!(registered.status, 201, "{name}: {registered:?}");
        assert_eq!(registered.json().get("scope"), None, "{name}");
        let client = shop(&server, name, scope, ClientSettings::default()).await;
        let tokens = signs_in_unscoped(&server, &client).await;
        assert_eq!(tokens.body["scope"], "openid", "{name}");
        let wider = client.sign_in(&server.browser("ada"), "openid email").await;
        assert_eq!(wider.body["scope"], "email openid", "it may ask for more: {name}");
    }
}

async fn a_default_that_the_client_may_not_have_is_refused_in_words_of_its_own(server: TestServer) {
    let client = shop(&server, "shop", None, by_default("reports.read")).await;
    let request = client.authorization_request("").without("scope");
    for (request, words) in [
        (request, "scope is missing"),
        (client.authorization_request("reports.read"), "scope names nothing this client may have"),
    ] {
        let landing =
            AuthorizationResponse::from_redirect(&server.browser("ada").get(&request.url()).await);
        assert_eq!(landing.error(), "invalid_scope");
        let said = landing.param("error_description").expect("words");
        assert!(said.starts_with(words), "{said}");
        assert_eq!(landing.param("state").as_deref(), Some("s t&a=te"));
    }
}

async fn a_client_that_acts_for_itself_gets_its_default(server: TestServer) {
    let scope = Some("openid reports.read reports.write");
    for (name, settings, granted) in [
        ("all", ClientSettings::default(), "reports.read reports.write"),
        ("some", by_default("openid reports.read"), "reports.read"),
    ] {
        let robot = shop(&server, name, scope, settings).await;
        assert_eq!(
            robot.post("/token", &[ITSELF]).await.success_json()["scope"],
            granted,
            "{name}"
        );
    }
}

async fn a_refresh_without_a_scope_is_for_all_that_was_granted(server: TestServer) {
    let client = shop(&server, "shop", Some("openid email phone"), by_default("openid")).await;
    let tokens = client.sign_in(&server.browser("ada"), "openid email").await;
    let next = client.refresh(tokens.refresh()).await.success_json();
    assert_eq!(next["scope"], "email openid");
}

async fn claims_stand_in_the_id_token_where_the_client_is_set_so_and_the_scope_gives_them(
    server: TestServer,
) {
    let claims = ["preferred_username", "email", "nothing"].map(str::to_owned).to_vec();
    let settings = ClientSettings { id_token_claims: claims, ..ClientSettings::default() };
    let client = shop(&server, "shop", Some("openid profile email"), settings).await;
    let ada = server.browser("ada");
    let told = client.sign_in(&ada, "openid profile").await.id_claims();
    assert_eq!(told["preferred_username"], "ada");
    assert_eq!((told.get("email"), told.get("name")), (None, None), "{told}");
    let told = client.sign_in(&ada, "openid email").await.id_claims();
    assert_eq!((told.get("preferred_username"), &told["email"]), (None, &json!("ada@ada.example")));
}

async fn a_resource_server_is_told_its_claims_where_the_scope_gives_them(server: TestServer) {
    let dovecot = vec!["https://imap.example".to_owned()];
    let settings = ClientSettings { audience: dovecot.clone(), ..ClientSettings::default() };
    let mail = shop(&server, "mail", Some("openid email"), settings).await;
    let claims = ["email", "name", "sub", "active"].map(str::to_owned).to_vec();
    let serves = ClientSettings {
        resource_server_for: dovecot,
        introspection_claims: claims,
        ..ClientSettings::default()
    };
    let imap = server.relying_party_with("imap", &json!({}), serves).await;
    let ada = server.browser("ada");
    let tokens = mail.sign_in(&ada, "openid email").await;
    let seen = imap.introspect(tokens.access()).await;
    assert_eq!((&seen["active"], &seen["email"]), (&json!(true), &json!("ada@ada.example")));
    assert_eq!((&seen["sub"], seen.get("name")), (&json!("sub-of-ada"), None), "{seen}");
    assert_eq!(mail.introspect(tokens.access()).await.get("email"), None, "it is not set so");
    let less = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh())];
    let less = [less[0], less[1], ("scope", "openid")];
    let less = mail.post("/token", &less).await.success_json();
    let seen = imap.introspect(less["access_token"].as_str().expect("a token")).await;
    assert_eq!((&seen["active"], seen.get("email")), (&json!(true), None), "{seen}");
}

#[tokio::test]
async fn a_scope_of_the_operators_own_is_in_discovery_only_where_that_is_wanted() {
    let server = TestServer::start(Backend::Memory).await;
    for (scope, advertised) in [("badge", None), ("desk", Some(true)), ("vault", Some(false))] {
        let (scope, claims) = (scope.to_owned(), vec![format!("{scope}_number")]);
        let add = scopes::Add { scope, description: None, claims, advertised };
        assert!(server.run_operation(add).await);
    }
    maintenance::refresh_catalogues(server.app()).await.expect("a store");
    let url = server.url("/.well-known/openid-configuration");
    let metadata = http::send(server.http().get(url)).await.success_json();
    let scopes = ["address", "desk", "email", "offline_access", "openid", "phone", "profile"];
    let listed = |name: &str| {
        let texts = metadata[name].as_array().expect("a list").iter();
        texts.map(|it| it.as_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    assert!(scopes.iter().all(|it| listed("scopes_supported").contains(&(*it).to_owned())));
    for (name, there) in [("badge", false), ("desk", true), ("vault", false)] {
        assert_eq!(listed("scopes_supported").contains(&name.to_owned()), there, "{name}");
        let claim = format!("{name}_number");
        assert_eq!(listed("claims_supported").contains(&claim), there, "{name}");
    }
    let client = shop(&server, "shop", Some("openid badge"), ClientSettings::default()).await;
    let tokens = client.sign_in(&server.browser("ada"), "openid badge").await;
    assert_eq!(tokens.body["scope"], "badge openid", "it can be asked for all the same");
}

/// Three sign-ins, of which one is followed by a question if it asks.
async fn three_sign_ins(asks: bool, settings: ClientSettings) {
    let server = TestServer::start(Backend::Memory).await;
    let client = server.relying_party_with("shop", &json!({}), settings).await;
    let ada = server.browser("ada");
    for round in 0..6 {
        let tokens = client.sign_in(&ada, "openid profile").await;
        if asks && round % 2 == 1 {
            server.userinfo(tokens.access()).await.success_json();
        }
        server.advance_time(std::time::Duration::from_secs(20));
    }
}

#[test]
fn who_never_asks_userinfo_is_told_of_once_and_who_does_or_need_not_is_not() {
    let in_token = ClientSettings { claims_in_id_token: true, ..ClientSettings::default() };
    for (asks, settings, times) in [
        (false, ClientSettings::default(), 1),
        (true, ClientSettings::default(), 0),
        (false, in_token, 0),
    ] {
        let ((), log) = logged(three_sign_ins(asks, settings));
        let hints = log.lines().filter(|line| line.contains("has not asked /userinfo"));
        assert_eq!(hints.count(), times, "asks: {asks}");
    }
}
