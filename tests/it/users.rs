//! Users over time: declared by several servers at once, given new passwords, disabled, removed, kept through a
//! change of keys.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use latchkey::domain::events::Actor;
use latchkey::domain::users;
use latchkey::operations::bootstrap::Bootstrap;
use serde_json::Value;

use crate::support::browser::AuthorizationResponse;
use crate::support::http::{self, HttpResponse};
use crate::support::relying_party::RelyingParty;
use crate::support::test_server::{Backend, PASSWORD, SECRET_KEY, TestServer, on_every_store};

on_every_store![
    sixteen_servers_that_apply_the_same_file_add_each_person_once,
    a_change_of_the_secret_key_signs_nobody_out,
    a_new_password_in_the_file_ends_what_the_old_one_opened,
    whoever_could_be_added_can_sign_in_however_long_the_name_is_in_bytes,
    a_cookie_of_another_application_in_another_script_is_no_hindrance,
];

async fn sixteen_servers_that_apply_the_same_file_add_each_person_once(provider: TestServer) {
    let names = ["grace", "edsger", "barbara", "donald"];
    let file = names.map(|name| format!("[[users]]\nusername = \"{name}\"\n")).concat();
    let file = Arc::new(Bootstrap::parse(&file).expect("a good file"));
    let begun: Vec<_> = (0..16)
        .map(|_| {
            let (file, app) = (Arc::clone(&file), provider.app().clone());
            tokio::spawn(
                async move { file.apply(&app.operation_context(Actor::BootstrapFile)).await },
            )
        })
        .collect();
    let mut created = 0;
    for server in begun {
        created += server.await.expect("an end").expect("applied").users.created;
    }
    assert_eq!(created, names.len());
    let everybody = users::list(provider.store()).await.expect("a store");
    assert_eq!(everybody.len(), names.len() + 2, "and Ada and Bob: {everybody:?}");
    for name in names {
        assert!(everybody.contains(&provider.user(name).await));
    }
}

/// 255 characters are allowed, whatever they take; a keyboard may compose them or not.
async fn whoever_could_be_added_can_sign_in_however_long_the_name_is_in_bytes(
    provider: TestServer,
) {
    let shop = provider.relying_party("shop").await;
    let names = ["\u{e9}".repeat(129), "\u{e9}".repeat(255), "\u{1f511}".repeat(255)];
    for (number, name) in names.iter().enumerate() {
        let file = format!("[[users]]\nusername = \"{name}\"\npassword = \"{PASSWORD}\"\n");
        let file = Bootstrap::parse(&file).expect("a good file");
        let context = provider.app().operation_context(Actor::BootstrapFile);
        file.apply(&context).await.expect("applied");
        let pieces = name.replace('\u{e9}', "e\u{301}");
        for typed in [name.clone(), pieces, format!("  {name} ")] {
            let browser = provider.browser("new");
            let login = browser
                .open(&shop.authorization_request("openid").with("login_hint", name).url())
                .await;
            let filled = login.attribute("#username", "value");
            assert_eq!(filled.as_ref(), Some(name), "the hint of {number}");
            let next = browser.sign_in_as(&login, &typed, PASSWORD).await;
            assert!(
                next.has_element("#consent-accept"),
                "{number}: {:?}",
                next.text_of("[role=alert]")
            );
        }
    }
}

async fn a_cookie_of_another_application_in_another_script_is_no_hindrance(provider: TestServer) {
    let shop = provider.relying_party("shop").await;
    let ada = provider.browser("ada");
    ada.set_cookie("a-name", "Andr\u{e9}");
    ada.set_cookie("z-name", "Zo\u{eb}");
    shop.sign_in(&ada, "openid").await;
}

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("no {name}: {body}")).to_owned()
}

async fn a_new_password_in_the_file_ends_what_the_old_one_opened(provider: TestServer) {
    let shop = provider.relying_party("shop").await;
    let browser = provider.browser("ada");
    let tokens = shop.sign_in(&browser, "openid offline_access").await;
    let file = "[[users]]\nusername = \"ada\"\npassword = \"quite another one\"\n";
    let file = Bootstrap::parse(file).expect("a good file");
    let context = provider.app().operation_context(Actor::BootstrapFile);
    let apply = || file.apply(&context);
    apply().await.expect("applied");
    assert_eq!(provider.userinfo(tokens.access()).await.status, 401);
    assert_eq!(shop.refresh(tokens.refresh()).await.error().1, "invalid_grant");
    assert!(
        browser
            .open(&shop.authorization_request("openid").url())
            .await
            .has_element("#login-submit")
    );
    // Applied again it changes nothing, so it ends nothing.
    assert_eq!(apply().await.expect("applied").users.changed, 0);
}

/// The application refreshes with another server than the one it knows.
async fn refreshes(provider: &TestServer, shop: &RelyingParty, token: &str) -> HttpResponse {
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_id", &shop.id),
        ("client_secret", &shop.secret),
    ];
    http::send(http::form(provider.http(), &provider.url("/token"), &fields)).await
}

async fn a_change_of_the_secret_key_signs_nobody_out(old: TestServer) {
    let method = serde_json::json!({"token_endpoint_auth_method": "client_secret_post"});
    let shop = old
        .relying_party_with("shop", &method, latchkey::domain::clients::ClientSettings::default())
        .await;
    let tokens = shop.sign_in(&old.browser("ada"), "openid").await;
    let next = [("SECRET_KEY", "another-key-another-key-another-key-another")];
    let both = old.start_another(&[next[0], ("SECRET_KEY_PREVIOUS", SECRET_KEY)]).await;
    let after = old.start_another(&next).await;

    let early = refreshes(&after, &shop, tokens.refresh()).await;
    assert_eq!(early.error(), (400, "invalid_grant".to_owned()), "the old key is not accepted");
    let second =
        text(&refreshes(&both, &shop, tokens.refresh()).await.success_json(), "refresh_token");
    let third = refreshes(&after, &shop, &second).await;
    assert_eq!(third.status, 200, "the successor is under the new key: {third:?}");
    let unknown = refreshes(&old, &shop, &text(&third.success_json(), "refresh_token")).await;
    assert_eq!(unknown.error(), (400, "invalid_grant".to_owned()));
}

/// Runs the real binary on the store of this server.
fn operator(provider: &TestServer, args: &[&str], typed: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = Command::new(env!("CARGO_BIN_EXE_latchkey"))
        .args(args)
        .current_dir(folder.path())
        .envs(provider.redis_settings())
        .env("ALLOW_VOLATILE_STORE", "true")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary");
    child.stdin.take().expect("its input").write_all(typed.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("an end");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_password_by_the_operator_in_redis_ends_what_the_old_one_opened() {
    let provider = TestServer::start(Backend::Redis).await;
    let shop = provider.relying_party("shop").await;
    let (ada, bob) = (provider.browser("ada"), provider.browser("bob"));
    let bound = shop.sign_in(&ada, "openid").await;
    let offline = shop.sign_in(&ada, "openid offline_access").await;
    let of_bob = shop.sign_in(&bob, "openid").await;
    let request = shop.authorization_request("openid");
    let pending = AuthorizationResponse::from_redirect(&ada.get(&request.url()).await).code();

    let told = operator(&provider, &["user", "set-password", "ada"], "coffee with nine otters\n");
    assert_eq!(told, "set the password of ada, ended sessions: 1, ended grants: 3");

    for token in [bound.refresh(), offline.refresh()] {
        assert_eq!(shop.refresh(token).await.error(), (400, "invalid_grant".to_owned()));
    }
    let exchanged = shop.redeem(&pending, &request).await;
    assert_eq!(exchanged.error(), (400, "invalid_grant".to_owned()));
    assert_eq!(provider.userinfo(offline.access()).await.status, 401);
    let page = ada.open(&shop.authorization_request("openid").url()).await;
    assert!(
        page.has_element("#login-submit") && !page.has_element("#again"),
        "nobody is signed in"
    );
    let page = ada.sign_in(&page).await;
    assert!(page.has_element("#alert"), "the old password is over");
    let landing = ada.sign_in_as(&page, "ada", "coffee with nine otters").await;
    assert!(!AuthorizationResponse::from_redirect(&landing).code().is_empty());
    assert_eq!(shop.refresh(of_bob.refresh()).await.status, 200, "Bob goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_let_back_in_finds_nothing_open_in_redis_and_a_removed_one_nothing_left() {
    let provider = TestServer::start(Backend::Redis).await;
    let shop = provider.relying_party("shop").await;
    let ada = provider.browser("ada");
    let before = shop.sign_in(&ada, "openid offline_access").await;
    let told = operator(&provider, &["user", "disable", "ada"], "");
    assert_eq!(told, "disabled ada, ended sessions: 1, ended grants: 1");
    assert_eq!(operator(&provider, &["user", "enable", "ada"], ""), "enabled ada");
    let refused = shop.refresh(before.refresh()).await;
    assert_eq!(refused.error(), (400, "invalid_grant".to_owned()));
    assert!(
        ada.open(&shop.authorization_request("openid").url()).await.has_element("#login-submit")
    );

    let again = shop.sign_in(&ada, "openid").await;
    let told = operator(&provider, &["user", "remove", "ada"], "");
    assert_eq!(told, "removed ada, ended sessions: 1, ended grants: 1");
    assert_eq!(provider.userinfo(again.access()).await.status, 401);
}
