//! What is left in Redis after every feature was used once: only what is meant to stay has no time to live.

use std::collections::BTreeSet;
use std::sync::Arc;

use latchkey::domain::clients::ClientSettings;
use latchkey::domain::resources::{Resource, ResourceEntry};
use latchkey::infra::clock::Clock;
use latchkey::infra::store::{RedisOptions, RedisStore};
use latchkey::operations::{events, resources, scopes};
use reqwest::Method;
use serde_json::json;

use crate::support::http;
use crate::support::redis::RedisServer;
use crate::support::relying_party::RelyingParty;
use crate::support::test_server::{PASSWORD, TestServer};

/// What may stay, and why.
const PERMANENT: [&str; 12] = [
    // Until the operator or the client itself removes them; a registered client nobody ever signed in
    // with has its deadline.
    "{client:}client.v1",
    "{clients}index.v1",
    // One for each web origin that some client has among its redirect URIs.
    "{origins}index.v2",
    // One record, from which keys go one by one.
    "{keyring}keyring.v1",
    // One record of two numbers: which releases understand the rest.
    "{schema}schema.v1",
    // What the operator added.
    "{resource:}resource.v1",
    "{resources}index.v1",
    "{scope:}scope.v1",
    "{scopes}index.v1",
    // Until the operator removes them.
    "{user:}user.v1",
    "{username:}username.v1",
    "{users}index.v1",
];

/// Lives in Redis without a deadline, but is as long as the sessions that live: each new one takes out
/// those that ended.
const PRUNED: &str = "{sessions}index.v1";

/// The kinds of all keys, `{partition:}kind`, in `database`; those without a deadline if `lasting`.
fn kinds(server: &RedisServer, lasting: bool) -> BTreeSet<String> {
    // In one short answer, however many keys there are.
    let script = "local kinds = {} \
        for _, key in ipairs(redis.call('KEYS', '*')) do \
            if ARGV[1] == 'all' or redis.call('PTTL', key) == -1 then \
                local room, name = string.match(key, '^{([a-z]+:?)[^}]*}([^/]*)') \
                kinds['{' .. (room or key) .. '}' .. (name or '')] = true \
            end \
        end \
        local list = {} \
        for kind in pairs(kinds) do list[#list + 1] = kind end \
        return table.concat(list, ' ')";
    let which: &[u8] = if lasting { b"lasting" } else { b"all" };
    let reply = server.command(&[b"EVAL", script.as_bytes(), b"0", which]);
    let (_, list) = reply.split_once("\r\n").expect("a text");
    list.split_whitespace().map(str::to_owned).collect()
}

/// Everything a server can be asked to do.
pub async fn everything(provider: &TestServer) {
    let (shop, robot) =
        (provider.relying_party("shop").await, provider.relying_party("robot").await);
    let settings = ClientSettings { opaque_access_tokens: true, ..ClientSettings::default() };
    let opaque = provider.relying_party_with("opaque", &json!({}), settings).await;
    let ada = provider.browser("ada");
    for client in [&shop, &opaque] {
        lives(provider, client).await;
    }
    let login = ada.open(&shop.authorization_request("openid").with("prompt", "login").url()).await;
    ada.sign_in_as(&login, "ada", "wrong password").await;
    ada.sign_in_as(&login, "nobody", PASSWORD).await;
    ada.open(&shop.authorization_request("openid phone").url()).await;
    for browser in [&ada, &provider.browser("bob")] {
        let page = browser
            .open(&shop.authorization_request("openid phone").with("prompt", "login").url())
            .await;
        let consent = browser.sign_in(&page).await;
        browser.decide_consent(&consent, "deny").await;
    }
    for client in [&robot, &opaque] {
        let body =
            client.post("/token", &[("grant_type", "client_credentials")]).await.success_json();
        client.revoke(body["access_token"].as_str().expect("a token")).await;
    }
    let stranger = provider.client_with_secret("shop", "wrong");
    assert_eq!(stranger.post("/token", &[]).await.status, 401);
    let registered = json!({"redirect_uris": ["https://new.example/cb"]});
    let request =
        http::json(provider.http(), Method::POST, &provider.url("/register"), &registered);
    assert_eq!(http::send(request).await.status, 201);
    let (scope, claims) = ("badge".to_owned(), vec!["badge".to_owned()]);
    provider
        .run_operation(scopes::Add { scope, description: None, claims, advertised: None })
        .await;
    provider.run_operation(scopes::List {}).await;
    let (resource, entry) = ("https://api.example".to_owned(), ResourceEntry::default());
    provider.run_operation(resources::Add(Resource { resource, entry })).await;
    let since = provider.app().now();
    provider.run_operation(events::List { since, user: None, client: None, event: None }).await;
    http::send(provider.http().get(provider.url("/ready"))).await;
    http::send(provider.http().get(provider.url("/metrics"))).await;
}

/// A sign-in, and the end of each of its tokens.
async fn lives(provider: &TestServer, client: &RelyingParty) {
    let ada = provider.browser("ada");
    for scope in ["openid email", "openid offline_access"] {
        let tokens = client.sign_in(&ada, scope).await;
        assert_eq!(provider.userinfo(tokens.access()).await.status, 200);
        let next = client.refresh(tokens.refresh()).await.success_json();
        client.revoke(tokens.access()).await;
        client.revoke(next["refresh_token"].as_str().expect("the next one")).await;
    }
    let request = client.authorization_request("openid");
    ada.authorize(&request.url()).await;
    let tokens = client.sign_in(&ada, "openid").await;
    assert_eq!(client.redeem(&tokens.code, &tokens.request).await.status, 400, "a replay");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_key_has_its_deadline_or_a_reason_to_stay() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&RedisOptions::new(server.url())).await.expect("redis");
    let clock = Clock::manual(Clock::System.now());
    let limited = [("RATE_LIMITING_ENABLED", "true")];
    let provider = TestServer::start_on((Arc::new(store), clock), None, &limited).await;
    everything(&provider).await;

    let all = kinds(&server, false);
    for kind in [
        "{attempts:}attempts.v1",
        "{client:}client.v1",
        "{events:}events.v1",
        "{grant:}grant.v1",
        "{interaction:}interaction.v1",
        "{session:}session.v1",
        "{sid:}sid.v1",
        "{token:}revoked.v1",
        "{user:}consent.v1",
        // These are forgotten with the last of what they list, at the latest.
        "{user:}consents.v1",
        "{user:}grants.v1",
        "{user:}sessions.v1",
        PRUNED,
    ] {
        assert!(all.contains(kind), "{kind} was not made: {all:?}");
    }
    let lasting = kinds(&server, true);
    let chosen: BTreeSet<String> =
        PERMANENT.into_iter().chain([PRUNED]).map(str::to_owned).collect();
    assert_eq!(lasting, chosen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lists_of_what_is_over_do_not_grow_with_every_sign_in() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&RedisOptions::new(server.url())).await.expect("redis");
    let clock = Clock::manual(Clock::System.now());
    let provider = TestServer::start_on((Arc::new(store), clock), None, &[]).await;
    let shop = provider.relying_party("shop").await;
    let longest = |index: &str| -> usize {
        let reply = server.command(&[b"ZCARD", index.as_bytes()]);
        reply.trim_start_matches(':').trim().parse().unwrap_or_else(|_| panic!("{reply}"))
    };
    for _ in 0..12 {
        shop.sign_in(&provider.browser("ada"), "openid").await;
        // Longer than anything of it lives.
        provider.advance_time(provider.app().config.lifetimes.refresh_absolute * 2);
    }
    for index in
        ["{sessions}index.v1", "{user:sub-of-ada}grants.v1", "{user:sub-of-ada}sessions.v1"]
    {
        assert!(longest(index) <= 2, "{index}: {}", longest(index));
    }
}
