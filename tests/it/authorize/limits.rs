use std::time::Duration;

use latchkey::domain::grants::{self, OpaqueToken, TokenKind};
use latchkey::domain::interactions::{self, Interaction};
use latchkey::infra::secret::Secret;

use crate::support::browser::AuthorizationResponse;
use crate::support::http::HttpResponse;
use crate::support::test_server::{Backend, TestServer, on_every_store};

const LIMITED: [(&str, &str); 2] =
    [("RATE_LIMITING_ENABLED", "true"), ("RATE_LIMIT_PER_MINUTE", "1")];

on_every_store! {
    &super::LIMITED;
    beginning_is_limited_and_who_is_signed_in_is_not,
    of_a_request_only_what_means_something_here_is_kept,
    a_request_longer_than_what_is_kept_is_refused_at_the_client,
    a_long_request_takes_more_turns_than_a_short_one,
    a_session_is_answered_so_often_without_a_page,
    a_persons_list_is_as_long_as_what_lives,
}

/// How many an address may begin in a minute, for one failure it may make.
const STARTS: usize = 10;

async fn beginning_is_limited_and_who_is_signed_in_is_not(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    shop.sign_in(&ada, "openid").await;
    let stranger = server.browser("bob");
    for _ in 1..STARTS {
        assert_eq!(stranger.get(&shop.authorization_request("openid").url()).await.status, 303);
    }
    let refused = stranger.get(&shop.authorization_request("openid").url()).await;
    assert_eq!((refused.status, refused.location()), (429, None));
    assert_eq!(refused.text_of("h1").as_deref(), Some("One moment"));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    // Nobody has to be asked for this, so nothing is kept of it.
    assert!(
        ada.get(&shop.authorization_request("openid").url())
            .await
            .location()
            .unwrap()
            .contains("code=")
    );
    let silent = shop.authorization_request("openid").with("prompt", "none");
    let told = stranger.get(&silent.url()).await;
    assert!(told.location().unwrap().contains("error=login_required"));
    server.advance_time(Duration::from_secs(wait));
    assert_eq!(
        stranger.get(&shop.authorization_request("openid").url()).await.status,
        303,
        "a minute later"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beginning_is_not_limited_when_the_store_does_not_count() {
    let server = TestServer::start_with(Backend::Memory, &LIMITED).await;
    let shop = server.relying_party("shop").await;
    server.failing_store().fail_operation("tally");
    for _ in 0..=STARTS {
        let answer = server.browser("bob").get(&shop.authorization_request("openid").url()).await;
        assert_eq!(answer.status, 303);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_finished_is_soon_forgotten_and_what_was_finished_can_say_so_for_an_hour() {
    let server = TestServer::start(Backend::Memory).await;
    let shop = server.relying_party("shop").await;
    let (ada, bob) = (server.browser("ada"), server.browser("bob"));
    let unfinished = bob.open(&shop.authorization_request("openid").url()).await;
    let finished = ada.open(&shop.authorization_request("openid").url()).await;
    let consent = ada.sign_in(&finished).await;
    assert!(ada.decide_consent(&consent, "accept").await.location().is_some());
    server.advance_time(server.app().config.lifetimes.interaction * 2);
    let heading = async |answer: crate::support::http::HttpResponse| answer.text_of("h1");
    let forgotten = heading(bob.sign_in(&unfinished).await).await;
    assert_eq!(forgotten.as_deref(), Some("Please start again"));
    let told = heading(ada.sign_in(&finished).await).await;
    assert_eq!(told.as_deref(), Some("Already signed in"));
}

/// What is kept of the request that was just begun.
async fn kept(server: &TestServer, answer: &HttpResponse) -> Interaction {
    let to = answer.location().unwrap_or_else(|| panic!("goes nowhere: {answer:?}"));
    let (_, id) = to.split_once("?interaction=").expect("an interaction");
    let id = Secret::parse(id).expect("a secret");
    let found = interactions::find(server.store(), &id).await;
    found.expect("a store").expect("an interaction")
}

async fn of_a_request_only_what_means_something_here_is_kept(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let stranger = server.browser("bob");
    stranger.get(&shop.authorization_request("openid").url()).await;
    let (long, request) = ("\"".repeat(20_000), shop.authorization_request("openid"));
    let request = request.with("junk", &long).with("x", "1").with("ui_locales", "en");
    let answer = stranger.post("/authorize", &request.fields()).await;
    let kept = kept(&server, &answer).await.request;
    let again = url::form_urlencoded::parse(kept.query.as_bytes()).into_owned();
    let mut names: Vec<String> = again.map(|(name, _)| name).collect();
    names.sort();
    let asked = shop.authorization_request("openid").with("ui_locales", "en");
    let fields = asked.fields();
    let mut expected: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    expected.sort_unstable();
    assert_eq!(names, expected);
    let bytes = serde_json::to_vec(&kept).expect("JSON").len();
    assert!(bytes < 2_048, "{bytes} bytes are kept of 60 KB");
}

async fn a_request_longer_than_what_is_kept_is_refused_at_the_client(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let stranger = server.browser("bob");
    for long in ["ui_locales", "login_hint", "claims_locales", "acr_values"] {
        let request = shop.authorization_request("openid").with(long, &"x".repeat(9_000));
        let refused = AuthorizationResponse::from_redirect(
            &stranger.post("/authorize", &request.fields()).await,
        );
        assert!(refused.0.as_str().starts_with(&shop.redirect_uri), "{}", refused.0);
        assert_eq!(refused.error(), "invalid_request");
        assert!(refused.param("error_description").is_some_and(|text| text.contains("8 KiB")));
        assert_eq!(refused.param("state").as_deref(), request.get("state"));
    }
    let long_hint = shop.authorization_request("openid").with("id_token_hint", &"x".repeat(9_000));
    let refused = AuthorizationResponse::from_redirect(
        &stranger.submit("/authorize", &long_hint.fields()).await,
    );
    let why = refused.param("error_description").unwrap_or_default();
    assert!(why.contains("id_token_hint"), "a hint is not kept: {why}");
}

async fn a_long_request_takes_more_turns_than_a_short_one(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let stranger = server.browser("bob");
    let long = shop.authorization_request("openid").with("acr_values", &"x".repeat(7_000));
    for _ in 0..2 {
        let answer = stranger.get(&long.url()).await;
        let kept = kept(&server, &answer).await;
        let bytes = serde_json::to_vec(&kept.request).expect("JSON").len();
        assert!((6_145..8_192).contains(&bytes), "{bytes} bytes make four turns");
    }
    assert_eq!(stranger.get(&long.url()).await.status, 429);
    server.advance_time(Duration::from_secs(60));
    for _ in 0..STARTS {
        assert_eq!(
            stranger.get(&shop.authorization_request("openid").url()).await.status,
            303,
            "short ones"
        );
    }
}

async fn a_session_is_answered_so_often_without_a_page(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let (ada, bob) = (server.browser("ada"), server.browser("bob"));
    shop.sign_in(&ada, "openid").await;
    let silent = shop.authorization_request("openid").with("prompt", "none");
    let asks = async || AuthorizationResponse::from_redirect(&ada.get(&silent.url()).await);
    for _ in 0..STARTS {
        assert!(!asks().await.code().is_empty());
    }
    let refused = asks().await;
    assert_eq!(refused.error(), "temporarily_unavailable");
    assert_eq!(refused.param("state").as_deref(), silent.get("state"));
    server.advance_time(Duration::from_secs(60));
    assert!(!asks().await.code().is_empty(), "a minute later");
    shop.sign_in(&bob, "openid").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_nobody_redeemed_is_forgotten_soon_and_one_that_was_is_remembered() {
    for backing in [Backend::Memory, Backend::File] {
        let server = TestServer::start(backing).await;
        let shop = server.relying_party("shop").await;
        let ada = server.browser("ada");
        let tokens = shop.sign_in(&ada, "openid").await;
        let silent = shop.authorization_request("openid").with("prompt", "none");
        let unused = AuthorizationResponse::from_redirect(&ada.get(&silent.url()).await).code();
        let is_kept = async |code: &str| {
            let grant = OpaqueToken::parse(TokenKind::Code, code).expect("a code").grant;
            grants::find(server.store(), grant).await.expect("a store").is_some()
        };
        let lifetimes = &server.app().config.lifetimes;
        server.advance_time(lifetimes.code);
        assert!(is_kept(&unused).await && is_kept(&tokens.code).await);
        server.advance_time(Duration::from_secs(60));
        assert!(!is_kept(&unused).await && is_kept(&tokens.code).await);
        let late = shop.redeem(&unused, &silent).await.error();
        assert_eq!(late, (400, "invalid_grant".to_owned()));
        assert_eq!(shop.refresh(tokens.refresh()).await.status, 200);
    }
}

async fn a_persons_list_is_as_long_as_what_lives(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let tokens = shop.sign_in(&ada, "openid offline_access").await;
    let sub = server.user("ada").await.sub;
    let listed =
        async || grants::list_for_subject(server.store(), &sub).await.expect("a store").len();
    let silent = shop.authorization_request("openid").with("prompt", "none");
    for _ in 0..12 {
        for _ in 0..2 {
            assert!(
                !AuthorizationResponse::from_redirect(&ada.get(&silent.url()).await)
                    .code()
                    .is_empty()
            );
        }
        server.advance_time(Duration::from_secs(180));
    }
    assert!(listed().await <= 5, "{} are listed of what nobody came for", listed().await);
    // The one that lives on has not been lost, and goes with its person.
    let ended = grants::revoke_all_for_subject(server.store(), &sub, server.app().now())
        .await
        .expect("a store");
    assert!(ended.grants >= 1, "{ended:?}");
    assert_eq!(shop.refresh(tokens.refresh()).await.error().1, "invalid_grant");
    assert_eq!(listed().await, 0);
}
