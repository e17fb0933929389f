//! What was revoked stays revoked, whatever is stored at the same moment: every record belongs to an epoch, and
//! ends with it.

use std::time::Duration;

use latchkey::domain::authenticators::Authentication;
use latchkey::domain::clients::ClientSettings;
use latchkey::domain::events::Actor;
use latchkey::domain::grants;
use latchkey::domain::sessions::{self, Session};
use latchkey::domain::users;
use latchkey::infra::store::RawKey;
use latchkey::operations::bootstrap::Bootstrap;
use serde_json::json;

use crate::logout::rp_initiated::logout;
use crate::support::browser::{AuthorizationResponse, Browser};
use crate::support::relying_party::RelyingParty;
use crate::support::test_server::{Backend, TestServer, on_every_store};

on_every_store![
    a_code_that_is_filed_behind_a_cut_off_brings_nothing,
    a_token_that_is_filed_behind_a_cut_off_is_worth_nothing,
    a_session_that_begins_behind_a_cut_off_opens_nothing,
    a_person_signs_in_again_at_once_even_where_the_clock_is_behind,
    a_sign_out_ends_every_session_of_that_name_and_what_hangs_on_it,
    nothing_is_granted_in_a_session_that_ends_at_the_same_moment,
    what_a_client_had_before_it_was_disabled_does_not_come_back_when_it_is_enabled,
    what_was_listed_of_a_person_is_off_the_list_once_it_is_ended,
    a_client_that_is_disabled_while_a_person_agrees_gets_nothing_later_either,
];

fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

async fn cuts_off(server: &TestServer, name: &str) {
    let sub = server.user(name).await.sub;
    grants::revoke_all_for_subject(server.store(), &sub, server.app().now())
        .await
        .expect("a store");
}

/// What a request without any page comes back with.
async fn silently(shop: &RelyingParty, browser: &Browser) -> AuthorizationResponse {
    AuthorizationResponse::from_redirect(
        &browser.get(&shop.authorization_request("openid").with("prompt", "none").url()).await,
    )
}

async fn a_code_that_is_filed_behind_a_cut_off_brings_nothing(server: TestServer) {
    let shop = server.relying_party("shop").await;
    for scope in ["openid", "openid offline_access"] {
        let ada = server.browser("ada");
        shop.sign_in(&ada, scope).await;
        let request = shop.authorization_request(scope);
        let held = server.failing_store().pause_next_commit("grant.v1");
        let (answer, ()) = tokio::join!(ada.authorize_silently(&request), async {
            held.wait_until_reached().await;
            cuts_off(&server, "ada").await;
            held.resume();
        });
        let code = AuthorizationResponse::from_redirect(&answer).code();
        let exchanged = shop.redeem(&code, &request).await;
        assert_eq!(exchanged.error(), invalid_grant(), "{scope}");
    }
}

async fn a_token_that_is_filed_behind_a_cut_off_is_worth_nothing(server: TestServer) {
    let opaque = ClientSettings { opaque_access_tokens: true, ..ClientSettings::default() };
    let shop = server.relying_party_with("shop", &json!({}), opaque).await;
    let ada = server.browser("ada");
    let request = shop.authorization_request("openid offline_access");
    let code = ada.authorize(&request.url()).await.code();
    // Found by the sweep before it is redeemed, and redeemed all the same: the swap sees to that already.
    let held = server.failing_store().pause_next_commit("grant.v1");
    let (exchanged, ()) = tokio::join!(shop.redeem(&code, &request), async {
        held.wait_until_reached().await;
        cuts_off(&server, "ada").await;
        held.resume();
    });
    assert_eq!(exchanged.error(), invalid_grant());
    let tokens = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
    // Not found by the sweep: its listing is lost.
    let sub = server.user("ada").await.sub;
    let index = RawKey::new(users::partition(&sub), "grants.v1", None);
    for name in server.store().scan_index(&index, "", 99).await.expect("a store") {
        server.store().index_remove(&index, &name).await.expect("a store");
    }
    cuts_off(&server, "ada").await;
    assert_eq!(shop.refresh(tokens.refresh()).await.error(), invalid_grant());
    for token in [tokens.access(), tokens.refresh()] {
        assert_eq!(shop.introspect(token).await, json!({"active": false}));
    }
    assert_eq!(server.userinfo(tokens.access()).await.status, 401);
}

async fn a_session_that_begins_behind_a_cut_off_opens_nothing(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let page = ada.open(&shop.authorization_request("openid").url()).await;
    let held = server.failing_store().pause_next_commit("session.v1");
    let (_, ()) = tokio::join!(ada.sign_in(&page), async {
        held.wait_until_reached().await;
        cuts_off(&server, "ada").await;
        held.resume();
    });
    assert_eq!(silently(&shop, &ada).await.error(), "login_required");
    let page = ada.open(&shop.authorization_request("openid").url()).await;
    assert!(page.has_element("#login-submit"), "{page:?}");
}

async fn a_person_signs_in_again_at_once_even_where_the_clock_is_behind(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    shop.sign_in(&ada, "openid offline_access").await;
    // The one who cuts off has a clock that is ten seconds ahead.
    let sub = server.user("ada").await.sub;
    let ahead = server.app().now().plus(Duration::from_secs(10));
    grants::revoke_all_for_subject(server.store(), &sub, ahead).await.expect("a store");
    assert_eq!(silently(&shop, &ada).await.error(), "login_required");
    let tokens = shop.sign_in(&ada, "openid offline_access").await;
    assert_eq!(shop.refresh(tokens.refresh()).await.status, 200);
    assert!(!silently(&shop, &ada).await.code().is_empty());
}

async fn a_sign_out_ends_every_session_of_that_name_and_what_hangs_on_it(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let tokens = shop.sign_in(&ada, "openid").await;
    let offline = shop.sign_in(&ada, "openid offline_access").await;
    // Two tabs signed in at once, and one of the cookies was the later one.
    let (store, now) = (server.store(), server.app().now());
    let sub = server.user("ada").await.sub;
    let listed = sessions::list_ids(store, &sub).await.expect("a store");
    let first = sessions::find(store, listed[0], now).await.expect("a store").expect("a session");
    let limits = server.app().session_lifetimes();
    let epoch = first.epoch.expect("an epoch");
    let (second, _) = Session::begin(Authentication::by_password(sub, epoch, now), limits);
    let second = Session { sid: first.sid, ..second };
    sessions::begin(store, &second, None).await.expect("a store");
    assert_eq!(shop.refresh(tokens.refresh()).await.status, 200);

    let answer = ada.get(&logout(&server, &[("id_token_hint", tokens.id())])).await;
    assert_eq!(answer.text_of("h1").as_deref(), Some("Signed out"));
    assert_eq!(server.userinfo(tokens.access()).await.status, 401);
    assert_eq!(shop.introspect(tokens.access()).await, json!({"active": false}));
    assert_eq!(shop.refresh(tokens.refresh()).await.error(), invalid_grant());
    for id in [first.id, second.id] {
        assert_eq!(sessions::find(store, id, now).await.expect("a store"), None);
    }
    assert_eq!(shop.refresh(offline.refresh()).await.status, 200, "offline_access");
}

async fn nothing_is_granted_in_a_session_that_ends_at_the_same_moment(server: TestServer) {
    let hears = json!({"backchannel_logout_uri": "https://shop.example/out"});
    let own = ClientSettings { first_party: true, ..ClientSettings::default() };
    let shop = server.relying_party_with("shop", &hears, own).await;
    let ada = server.browser("ada");
    let tokens = server.relying_party("other").await.sign_in(&ada, "openid").await;
    let sid = tokens.id_claims()["sid"].as_str().expect("a sid").parse().expect("a UUID");
    let request = shop.authorization_request("openid");
    let held = server.failing_store().pause_next_commit("logout-participants.v1");
    let (answer, ()) = tokio::join!(ada.authorize_silently(&request), async {
        held.wait_until_reached().await;
        let (store, now) = (server.store(), server.app().now());
        let session = sessions::find_by_sid(store, sid, now).await.expect("a store");
        sessions::end(store, session.expect("a session").id).await.expect("a store");
        held.resume();
    });
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(answer.text_of("h1").as_deref(), Some("Please start again"));
}

/// Whether the client may do anything, as the operator writes it down.
async fn declares(server: &TestServer, shop: &RelyingParty, enabled: bool) {
    let (id, uri, secret) = (&shop.id, &shop.redirect_uri, &shop.secret);
    let file = format!(
        "[[clients]]\nclient_id = \"{id}\"\nclient_secret = '{secret}'\nenabled = {enabled}\n\
         redirect_uris = [\"{uri}\"]\n\
         grant_types = [\"authorization_code\", \"refresh_token\", \"client_credentials\"]\n\
         [clients.settings]\nopaque_access_tokens = {}\n",
        id == "opaque"
    );
    let file = Bootstrap::parse(&file).expect("a good file");
    let context = server.app().operation_context(Actor::BootstrapFile);
    file.apply(&context).await.expect("applied");
}

async fn what_a_client_had_before_it_was_disabled_does_not_come_back_when_it_is_enabled(
    server: TestServer,
) {
    for id in ["shop", "opaque"] {
        let shop = server.relying_party(id).await;
        declares(&server, &shop, true).await;
        let tokens = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
        let alone = [("grant_type", "client_credentials")];
        let token = async || {
            let answer = shop.post("/token", &alone).await.success_json();
            answer["access_token"].as_str().expect("a token").to_owned()
        };
        let before = token().await;
        let request = shop.authorization_request("openid");
        let code = server.browser("ada").authorize(&request.url()).await.code();
        declares(&server, &shop, false).await;
        declares(&server, &shop, true).await;
        for token in [tokens.access(), tokens.refresh(), &before] {
            assert_eq!(shop.introspect(token).await, json!({"active": false}), "{id}");
        }
        assert_eq!(shop.refresh(tokens.refresh()).await.error(), invalid_grant());
        assert_eq!(shop.redeem(&code, &request).await.error(), invalid_grant());
        assert_eq!(server.userinfo(tokens.access()).await.status, 401);
        // What it is given from now on is as good as ever, and a change that disables nothing ends nothing.
        let after = token().await;
        let tokens = shop.sign_in(&server.browser("ada"), "openid offline_access").await;
        declares(&server, &shop, true).await;
        for token in [tokens.access(), &after] {
            assert_eq!(shop.introspect(token).await["active"], true, "{id}");
        }
        assert_eq!(shop.refresh(tokens.refresh()).await.status, 200);
    }
}

async fn a_client_that_is_disabled_while_a_person_agrees_gets_nothing_later_either(
    server: TestServer,
) {
    let shop = server.relying_party("shop").await;
    declares(&server, &shop, true).await;
    let ada = server.browser("ada");
    shop.sign_in(&ada, "openid").await;
    let request = shop.authorization_request("openid");
    let held = server.failing_store().pause_next_commit("grant.v1");
    let (answer, ()) = tokio::join!(ada.authorize_silently(&request), async {
        held.wait_until_reached().await;
        declares(&server, &shop, false).await;
        held.resume();
    });
    declares(&server, &shop, true).await;
    let code = AuthorizationResponse::from_redirect(&answer).code();
    assert_eq!(shop.redeem(&code, &request).await.error(), invalid_grant());
}

async fn what_was_listed_of_a_person_is_off_the_list_once_it_is_ended(server: TestServer) {
    let shop = server.relying_party("shop").await;
    for scope in ["openid", "openid offline_access"] {
        shop.sign_in(&server.browser("ada"), scope).await;
    }
    let sub = server.user("ada").await.sub;
    assert_eq!(grants::list_for_subject(server.store(), &sub).await.expect("a store").len(), 2);
    cuts_off(&server, "ada").await;
    assert_eq!(grants::list_for_subject(server.store(), &sub).await.expect("a store"), []);
    assert_eq!(sessions::list_ids(server.store(), &sub).await.expect("a store"), []);
}

/// A list has an end of its own, where nobody comes by to take names off it. Redis goes by its own clock: there
/// `stored` looks at the deadlines.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_listed_of_a_person_who_never_comes_back_is_forgotten_with_the_last_of_it() {
    for backing in [Backend::Memory, Backend::File] {
        let server = TestServer::start(backing).await;
        let shop = server.relying_party("shop").await;
        shop.sign_in(&server.browser("ada"), "openid offline_access").await;
        let sub = server.user("ada").await.sub;
        let lists = async || {
            let mut lengths = Vec::new();
            for kind in ["grants.v1", "sessions.v1", "consents.v1"] {
                let index = RawKey::new(users::partition(&sub), kind, None);
                lengths
                    .push(server.store().scan_index(&index, "", 9).await.expect("a store").len());
            }
            lengths
        };
        assert_eq!(lists().await, [1, 1, 1], "{backing:?}");
        server.advance_time(server.app().config.lifetimes.refresh_absolute);
        // Somebody else comes by: what is due goes with any change.
        shop.sign_in(&server.browser("bob"), "openid").await;
        assert_eq!(lists().await[0], 1, "{backing:?}: replays of it are still told apart");
        server.advance_time(Duration::from_hours(400 * 24));
        shop.sign_in(&server.browser("bob"), "openid").await;
        assert_eq!(lists().await, [0, 0, 0], "{backing:?}");
    }
}
