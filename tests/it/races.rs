//! Concurrent requests for one thing: exactly one of them succeeds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use latchkey::domain::clients::ClientId;
use latchkey::domain::consent::{self, Consent};
use latchkey::domain::grants::AttemptId;
use latchkey::domain::interactions;
use latchkey::domain::rate_limit::{self, LimitPolicy, RateLimitError};
use latchkey::infra::secret::{Digest, Secret};
use uuid::Uuid;

use crate::support::browser::AuthorizationResponse;
use crate::support::failing_store::Fault;
use crate::support::http::HttpResponse;
use crate::support::relying_party::{AuthorizationRequest, RelyingParty};
use crate::support::test_server::{TestServer, on_every_store};

on_every_store![
    sixty_four_hands_on_a_code_make_one_grant,
    sixty_four_hands_on_a_refresh_token_get_the_same_next_one,
    thirty_two_hands_on_a_consent_form_get_one_code,
    sixteen_hands_on_a_login_form_get_one_code_whichever_session_the_browser_keeps,
    whoever_denies_many_times_at_once_is_taken_back_each_time,
    however_many_change_one_record_each_gets_through,
    many_who_agree_to_more_and_more_lose_nothing,
    of_all_who_finish_an_interaction_one_is_told_so_whatever_the_store_answers,
];

/// How many begin at once.
async fn at_once<F>(hands: usize, one: impl Fn(usize) -> F) -> Vec<HttpResponse>
where
    F: Future<Output = HttpResponse> + Send + 'static,
{
    let begun: Vec<_> = (0..hands).map(|hand| tokio::spawn(one(hand))).collect();
    let mut answers = Vec::new();
    for hand in begun {
        answers.push(hand.await.expect("an answer"));
    }
    answers
}

async fn sixty_four_hands_on_a_code_make_one_grant(server: TestServer) {
    let shop = Arc::new(server.relying_party("shop").await);
    let request = shop.authorization_request("openid");
    let code = server.browser("ada").authorize(&request.url()).await.code();
    let answers = at_once(64, |_| {
        let (shop, request, code) = (shop.clone(), request.clone(), code.clone());
        async move { shop.redeem(&code, &request).await }
    })
    .await;
    let good: Vec<&HttpResponse> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(good.len(), 1);
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(refused.error(), (400, "invalid_grant".to_owned()));
    }
    let token = good[0].json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(server.userinfo(&token).await.status, 401, "the replays ended the grant");
}

async fn sixty_four_hands_on_a_refresh_token_get_the_same_next_one(server: TestServer) {
    let shop = Arc::new(server.relying_party("shop").await);
    let tokens = shop.sign_in(&server.browser("ada"), "openid").await;
    let answers = at_once(64, |_| {
        let (shop, token) = (shop.clone(), tokens.refresh().to_owned());
        async move { shop.refresh(&token).await }
    })
    .await;
    let mut next: Vec<String> = answers
        .iter()
        .map(|it| it.success_json()["refresh_token"].as_str().unwrap().to_owned())
        .collect();
    next.dedup();
    assert_eq!(next.len(), 1);
    assert_ne!(next[0], tokens.refresh());
    assert_eq!(shop.refresh(&next[0]).await.status, 200);
}

async fn thirty_two_hands_on_a_consent_form_get_one_code(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = Arc::new(server.browser("ada"));
    let request = shop.authorization_request("openid");
    let consent = ada.sign_in(&ada.open(&request.url()).await).await;
    let answers = at_once(32, |_| {
        let (ada, consent) = (ada.clone(), consent.clone());
        async move { ada.decide_consent(&consent, "accept").await }
    })
    .await;
    one_code_for_all(&shop, &request, &answers).await;
}

/// Each of them signs in, and a browser keeps what it was told last.
async fn sixteen_hands_on_a_login_form_get_one_code_whichever_session_the_browser_keeps(
    server: TestServer,
) {
    let shop = server.relying_party("shop").await;
    shop.sign_in(&server.browser("ada"), "openid").await;
    for prompt in ["login", "select_account"] {
        let ada = server.browser("ada");
        let request = shop.authorization_request("openid").with("prompt", prompt);
        let login = ada.open(&request.url()).await;
        let answers = at_once(16, |_| {
            let (window, login) = (ada.new_window(), login.clone());
            async move { window.sign_in(&login).await }
        })
        .await;
        one_code_for_all(&shop, &request, &answers).await;
    }
}

async fn whoever_denies_many_times_at_once_is_taken_back_each_time(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = Arc::new(server.browser("ada"));
    let consent = ada.sign_in(&ada.open(&shop.authorization_request("openid").url()).await).await;
    let answers = at_once(16, |_| {
        let (ada, consent) = (ada.clone(), consent.clone());
        async move { ada.decide_consent(&consent, "deny").await }
    })
    .await;
    for answer in &answers {
        assert_eq!(AuthorizationResponse::from_redirect(answer).error(), "access_denied");
    }
}

/// The same code, which is good once.
async fn one_code_for_all(
    shop: &RelyingParty,
    request: &AuthorizationRequest,
    answers: &[HttpResponse],
) {
    let mut codes: Vec<String> =
        answers.iter().map(|it| AuthorizationResponse::from_redirect(it).code()).collect();
    codes.dedup();
    assert_eq!(codes.len(), 1);
    let good = shop.redeem(&codes[0], request).await.success_json();
    assert!(good["refresh_token"].is_string(), "{good}");
    assert_eq!(shop.redeem(&codes[0], request).await.error().1, "invalid_grant");
}

/// Each of them has to win once, so this is the worst that can be: nobody's work is done by another.
async fn however_many_change_one_record_each_gets_through(server: TestServer) {
    let now = server.app().now();
    for hands in [64, 256] {
        let schedule = LimitPolicy::Address { per_minute: hands };
        let begun: Vec<_> = (0..hands)
            .map(|_| {
                let (store, name) = (Arc::clone(&server.app().store), format!("{hands} hands"));
                tokio::spawn(async move {
                    rate_limit::record_attempt(&*store, &name, schedule, now).await
                })
            })
            .collect();
        for hand in begun {
            assert!(hand.await.unwrap().is_ok(), "{hands} hands");
        }
        let name = format!("{hands} hands");
        let one_more = rate_limit::record_attempt(server.store(), &name, schedule, now);
        let limited = matches!(one_more.await, Err(RateLimitError::Limited(_)));
        assert!(limited, "each of {hands} was counted");
    }
}

async fn many_who_agree_to_more_and_more_lose_nothing(server: TestServer) {
    let (sub, client) = (server.user("ada").await.sub, ClientId::parse("shop").unwrap());
    let begun: Vec<_> = (0..64)
        .map(|hand| {
            let given = Consent {
                sub: sub.clone(),
                client: client.clone(),
                scope: format!("scope-{}", hand % 32).parse().unwrap(),
                claims: BTreeSet::new(),
                apis: BTreeMap::new(),
                display_digest: Digest::of(b"face"),
                given_at: server.app().now().plus(Duration::from_millis(hand)),
            };
            let store = Arc::clone(&server.app().store);
            tokio::spawn(async move { consent::remember(&*store, &given).await })
        })
        .collect();
    for hand in begun {
        hand.await.unwrap().unwrap();
    }
    let held = consent::find(server.store(), &sub, &client).await.unwrap().unwrap();
    assert_eq!(held.scope.iter().count(), 32, "{}", held.scope);
}

async fn of_all_who_finish_an_interaction_one_is_told_so_whatever_the_store_answers(
    server: TestServer,
) {
    let shop = server.relying_party("shop").await;
    // After the write of the one whose reply is lost, and before the look of the one who comes second.
    for lost in [Some(Fault::ReplyLost), None] {
        for second in [Some((0, Fault::NotRun)), Some((0, Fault::ReplyLost)), None] {
            let login =
                server.browser("ada").open(&shop.authorization_request("openid").url()).await;
            let hidden = login.hidden_fields_beside("#login-submit");
            let id = &hidden.iter().find(|(name, _)| name == "interaction").unwrap().1;
            let id = Secret::parse(id).unwrap();
            let answer = interactions::InteractionOutcome {
                at: server.app().now(),
                sid: None,
                refused: None,
            };
            let attempts = [1, 2].map(|n| AttemptId(Uuid::from_u128(n)));
            if let Some(fault) = lost {
                server.failing_store().fail_once(1, fault);
            }
            let told = interactions::finish(server.store(), &id, attempts[0], answer).await;
            assert!(told.unwrap(), "the reply was lost, not the write");
            if let Some((spared, fault)) = second {
                server.failing_store().fail_once(spared, fault);
            }
            let told = interactions::finish(server.store(), &id, attempts[1], answer).await;
            assert!(!told.unwrap(), "{lost:?} {second:?}: two would answer");
            assert!(!server.failing_store().heal(), "what was planned has happened");
        }
    }
}
