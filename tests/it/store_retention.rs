//! What is left in Redis after everything was done once: nothing stays for ever that nobody chose to
//! keep.

use std::collections::BTreeSet;
use std::sync::Arc;

use latchkey::domain::clients::Settings;
use latchkey::domain::resources::{Resource, ResourceEntry};
use latchkey::infra::clock::Clock;
use latchkey::infra::store::{RedisOptions, RedisStore};
use latchkey::operations::{events, resources, scopes};
use reqwest::Method;
use serde_json::json;

use crate::support::http;
use crate::support::redis::RedisServer;
use crate::support::relying_party::RelyingParty;
use crate::support::test_server::{House, PASSWORD};

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
    let reply = server.says(&[b"EVAL", script.as_bytes(), b"0", which]);
    let (_, list) = reply.split_once("\r\n").expect("a text");
    list.split_whitespace().map(str::to_owned).collect()
}

/// Everything a house can be asked to do.
pub async fn everything(house: &House) {
    let (shop, robot) = (house.relying_party("shop").await, house.relying_party("robot").await);
    let settings = Settings { opaque_access_tokens: true, ..Settings::default() };
    let opaque = house.relying_party_with("opaque", &json!({}), settings).await;
    let ada = house.browser("ada");
    for client in [&shop, &opaque] {
        lives(house, client).await;
    }
    let login = ada.opens(&shop.asks("openid").with("prompt", "login").url()).await;
    ada.tries(&login, "ada", "wrong password").await;
    ada.tries(&login, "nobody", PASSWORD).await;
    ada.opens(&shop.asks("openid phone").url()).await;
    for browser in [&ada, &house.browser("bob")] {
        let page = browser.opens(&shop.asks("openid phone").with("prompt", "login").url()).await;
        let consent = browser.signs_in(&page).await;
        browser.decides(&consent, "deny").await;
    }
    for client in [&robot, &opaque] {
        let body = client.posts("/token", &[("grant_type", "client_credentials")]).await.good();
        client.revokes(body["access_token"].as_str().expect("a token")).await;
    }
    let stranger = house.claims_to_be("shop", "wrong");
    assert_eq!(stranger.posts("/token", &[]).await.status, 401);
    let registered = json!({"redirect_uris": ["https://new.example/cb"]});
    let request = http::json(house.http(), Method::POST, &house.url("/register"), &registered);
    assert_eq!(http::send(request).await.status, 201);
    let (scope, claims) = ("badge".to_owned(), vec!["badge".to_owned()]);
    house.operates(scopes::Add { scope, description: None, claims, advertised: None }).await;
    house.operates(scopes::List {}).await;
    let (resource, entry) = ("https://api.example".to_owned(), ResourceEntry::default());
    house.operates(resources::Add(Resource { resource, entry })).await;
    let since = house.app().now();
    house.operates(events::List { since, user: None, client: None, event: None }).await;
    http::send(house.http().get(house.url("/ready"))).await;
    http::send(house.http().get(house.url("/metrics"))).await;
}

/// A sign-in, and the end of each of its tokens.
async fn lives(house: &House, client: &RelyingParty) {
    let ada = house.browser("ada");
    for scope in ["openid email", "openid offline_access"] {
        let tokens = client.signs_in(&ada, scope).await;
        assert_eq!(house.userinfo(tokens.access()).await.status, 200);
        let next = client.refreshes(tokens.refresh()).await.good();
        client.revokes(tokens.access()).await;
        client.revokes(next["refresh_token"].as_str().expect("the next one")).await;
    }
    let request = client.asks("openid");
    ada.authorizes(&request.url()).await;
    let tokens = client.signs_in(&ada, "openid").await;
    assert_eq!(client.exchanges(&tokens.code, &tokens.request).await.status, 400, "a replay");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_key_has_its_deadline_or_a_reason_to_stay() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&RedisOptions::new(server.url())).await.expect("redis");
    let clock = Clock::manual(Clock::System.now());
    let limited = [("RATE_LIMITING_ENABLED", "true")];
    let house = House::start_on((Arc::new(store), clock), None, &limited).await;
    everything(&house).await;

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
    let house = House::start_on((Arc::new(store), clock), None, &[]).await;
    let shop = house.relying_party("shop").await;
    let longest = |index: &str| -> usize {
        let reply = server.says(&[b"ZCARD", index.as_bytes()]);
        reply.trim_start_matches(':').trim().parse().unwrap_or_else(|_| panic!("{reply}"))
    };
    for _ in 0..12 {
        shop.signs_in(&house.browser("ada"), "openid").await;
        // Longer than anything of it lives.
        house.later(house.app().config.lifetimes.refresh_absolute * 2);
    }
    for index in
        ["{sessions}index.v1", "{user:sub-of-ada}grants.v1", "{user:sub-of-ada}sessions.v1"]
    {
        assert!(longest(index) <= 2, "{index}: {}", longest(index));
    }
}
