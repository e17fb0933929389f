//! The store goes away in the middle of things: what is answered then, and that nothing is lost by it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use latchkey::domain::clients::ClientSettings;
use latchkey::infra::clock::Clock;
use latchkey::infra::store::{RedisOptions, RedisStore};
use serde_json::json;

use crate::support::browser::AuthorizationResponse;
use crate::support::failing_store::Fault;
use crate::support::http::{self, HttpResponse};
use crate::support::redis::{RedisServer, ServerSignal};
use crate::support::test_server::{Backend, PASSWORD, TestServer, on_every_store};

on_every_store![what_no_replica_has_is_never_said_to_be_done];

/// What happens in the middle of a request.
#[derive(Clone, Copy)]
enum Trouble {
    /// No command reaches the store any more.
    Away,
    /// One command is carried out and its answer gets lost.
    AnswerLost,
}

/// What the store has to go through, and the server with it.
enum Outage {
    /// The store fails at the first call of a request, then at the second, and so on.
    Faults(Trouble),
    /// Redis is killed before each request, and started again after it.
    Kills(RedisServer),
}

impl Outage {
    /// Sends the very same request until it is through. Whatever was half done before, the answer at
    /// last is a good one.
    async fn passes(
        &self,
        provider: &TestServer,
        what: &str,
        request: impl AsyncFn() -> HttpResponse,
    ) -> HttpResponse {
        let answer = match self {
            Self::Faults(trouble) => {
                let mut answer = None;
                for calls in 0..100 {
                    match trouble {
                        Trouble::Away => provider.failing_store().fail_from(calls),
                        Trouble::AnswerLost => {
                            provider.failing_store().fail_once(calls, Fault::ReplyLost);
                        }
                    }
                    let tried = request().await;
                    provider.failing_store().heal();
                    if !is_outage(&tried) {
                        assert!(calls > 0, "{what} does not ask the store");
                        answer = Some(tried);
                        break;
                    }
                }
                answer.unwrap_or_else(|| panic!("{what} never gets through"))
            }
            Self::Kills(server) => {
                server.signal(ServerSignal::Kill);
                let tried = request().await;
                assert!(is_outage(&tried), "{what}: {tried:?}");
                assert_eq!(
                    http::send(provider.http().get(provider.url("/ready"))).await.status,
                    503
                );
                server.restart();
                comes_back(provider).await;
                request().await
            }
        };
        assert!(answer.status < 400, "{what}: {answer:?}");
        answer
    }
}

async fn comes_back(provider: &TestServer) {
    let since = Instant::now();
    while let Err(error) = provider.store().ping().await {
        assert!(since.elapsed() < Duration::from_secs(10), "does not recover: {error}");
        tokio::task::yield_now().await;
    }
}

/// "Not now", and nothing that would make anybody throw anything away.
fn is_outage(answer: &HttpResponse) -> bool {
    if answer.status != 503 {
        return false;
    }
    let seconds = answer.header("retry-after").and_then(|it| it.parse::<u64>().ok());
    assert!(seconds.is_some_and(|it| (1..=10).contains(&it)), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let kind = answer.header("content-type").unwrap_or_default();
    if kind.starts_with("application/json") {
        assert_eq!(answer.json()["error"], "temporarily_unavailable", "{answer:?}");
    } else {
        assert!(answer.has_element("h1"), "{answer:?}");
    }
    true
}

/// The form around this element, with what was typed into it.
fn filled<'a>(
    hidden: &'a [(String, String)],
    typed: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let hidden = hidden.iter().map(|(name, value)| (&**name, &**value));
    hidden.chain(typed.iter().copied()).collect()
}

/// From the authorization request to the code.
async fn signs_in(provider: &TestServer, outage: &Outage, url: &str) -> String {
    let ada = provider.browser("ada");
    let on = |answer: &HttpResponse| provider.url(answer.location().expect("the way on"));
    let begun = outage.passes(provider, "authorize", || ada.get(url)).await;
    let to = on(&begun);
    let login = outage.passes(provider, "the login page", || ada.get(&to)).await;
    let hidden = login.hidden_fields_beside("#login-submit");
    let typed = filled(&hidden, &[("username", "ada"), ("password", PASSWORD)]);
    let hub = outage.passes(provider, "login", || ada.post("/login", &typed)).await;
    let to = on(&hub);
    let sent_on = outage.passes(provider, "the hub", || ada.get(&to)).await;
    let to = on(&sent_on);
    let consent = outage.passes(provider, "the consent page", || ada.get(&to)).await;
    let hidden = consent.hidden_fields_beside("#consent-accept");
    let agreed = filled(&hidden, &[("decision", "accept")]);
    let hub = outage.passes(provider, "consent", || ada.post("/consent", &agreed)).await;
    let to = on(&hub);
    let landed = outage.passes(provider, "the way back", || ada.get(&to)).await;
    let code = AuthorizationResponse::from_redirect(&landed).code();
    // Signed in and agreed: the short way.
    let again = outage.passes(provider, "single sign-on", || ada.get(url)).await;
    assert!(!AuthorizationResponse::from_redirect(&again).code().is_empty());
    code
}

/// A whole life of a sign-in, each step of it in this outage.
async fn lives_through(provider: &TestServer, outage: &Outage, settings: ClientSettings) {
    let shop = provider.relying_party_with("shop", &json!({}), settings).await;
    let request = shop.authorization_request("openid offline_access");
    let code = signs_in(provider, outage, &request.url()).await;

    let tokens = outage.passes(provider, "the code", || shop.redeem(&code, &request)).await;
    let body = tokens.json();
    let text = |name: &str| body[name].as_str().expect("a token").to_owned();
    let (access, refresh) = (text("access_token"), text("refresh_token"));
    let claims = outage.passes(provider, "userinfo", || provider.userinfo(&access)).await;
    assert_eq!(claims.json()["sub"], "sub-of-ada");
    let about = [("token", &*access)];
    let seen = outage.passes(provider, "introspection", || shop.post("/introspect", &about)).await;
    assert_eq!(seen.json()["active"], true);
    let body = outage.passes(provider, "refresh", || shop.refresh(&refresh)).await.json();
    let next = body["refresh_token"].as_str().expect("the next one");
    assert_eq!(shop.introspect(next).await["active"], true);
    let back = [("token", next)];
    outage.passes(provider, "revocation", || shop.post("/revoke", &back)).await;
    assert_eq!(shop.introspect(next).await, json!({"active": false}));
    assert_eq!(provider.userinfo(&access).await.status, 401);

    let itself = [("grant_type", "client_credentials")];
    let alone = outage.passes(provider, "a client alone", || shop.post("/token", &itself)).await;
    let body = alone.json();
    let token = body["access_token"].as_str().expect("a token");
    assert_eq!(shop.introspect(token).await["active"], true);
}

/// Who tries again until the store is there would be slowed down as somebody who guesses.
const UNLIMITED: (&str, &str) = ("DEV_GUESS_LIMITS_ENABLED", "false");

async fn in_faults(trouble: Trouble, opaque: bool) {
    let provider = TestServer::start_with(Backend::Memory, &[UNLIMITED]).await;
    let settings = ClientSettings { opaque_access_tokens: opaque, ..ClientSettings::default() };
    lives_through(&provider, &Outage::Faults(trouble), settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_goes_away_at_any_moment_costs_nobody_anything() {
    in_faults(Trouble::Away, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_goes_away_costs_nothing_where_access_tokens_are_opaque() {
    in_faults(Trouble::Away, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_of_the_store_that_gets_lost_costs_nobody_anything() {
    in_faults(Trouble::AnswerLost, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_costs_nothing_where_access_tokens_are_opaque() {
    in_faults(Trouble::AnswerLost, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_killed_before_every_step_costs_a_moment() {
    let server = RedisServer::start_strict();
    let store = RedisStore::connect(&RedisOptions::new(server.url())).await.expect("redis");
    let clock = Clock::manual(Clock::System.now());
    let provider = TestServer::start_on((Arc::new(store), clock), None, &[UNLIMITED]).await;
    lives_through(&provider, &Outage::Kills(server), ClientSettings::default()).await;
}

async fn what_no_replica_has_is_never_said_to_be_done(provider: TestServer) {
    let shop = provider.relying_party("shop").await;
    let ada = provider.browser("ada");
    let tokens = shop.sign_in(&ada, "openid").await;
    let request = shop.authorization_request("openid");
    let code = ada.authorize(&request.url()).await.code();
    provider.failing_store().lose_commit_replies();
    // A try finds what the one before it has changed, and that is no better known to be safe.
    let answer = shop.redeem(&code, &request).await;
    assert!(is_outage(&answer), "{answer:?}");
    for _ in 0..2 {
        let fields = [("token", tokens.refresh())];
        assert!(is_outage(&shop.post("/revoke", &fields).await));
    }
    provider.failing_store().heal();
    shop.revoke(tokens.refresh()).await;
    assert_eq!(shop.introspect(tokens.access()).await["active"], false);
}
