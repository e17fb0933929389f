//! A change by one server invalidates the caches of all servers.

use std::sync::Arc;
use std::time::Duration;

use latchkey::domain::authenticators::Authentication;
use latchkey::domain::clients::{self, Client, ClientId};
use latchkey::domain::epoch::Epoch;
use latchkey::domain::sessions::{self, Session, SessionLifetimes};
use latchkey::infra::clock::Clock;
use latchkey::infra::secret::Digest;
use latchkey::infra::store::{CachedStore, MemoryStore, Store};
use latchkey::protocol::Subject;

use super::{Server, key};
use crate::support::redis::RedisServer;
use crate::support::test_server::{Backend, TestServer};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_by_another_server_is_seen_here_and_at_once_there() {
    let redis = RedisServer::start();
    let (here, there) =
        (Server::listening_on(&redis.url()).await, Server::listening_on(&redis.url()).await);
    there.files(&key("a"), "0").await;
    for round in 1..100 {
        let (old, new) = ((round - 1).to_string(), round.to_string());
        here.keeps(&key("a"), &old).await;
        there.keeps(&key("a"), &old).await;
        there.files(&key("a"), &new).await;
        assert_eq!(there.lately(&key("a")).await, new, "whoever made the change");
        here.sees(&key("a"), &new).await;
    }
    assert!(here.invalidated() >= 99, "{}", here.invalidated());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_by_hand_is_seen_and_so_are_removal_expiry_and_an_empty_database() {
    let redis = RedisServer::start();
    let here = Server::listening_on(&redis.url()).await;
    let key = key("a");
    let name = key.as_str().as_bytes();
    let by_hand: [(&[&[u8]], &str); 5] = [
        (&[b"SET", name, b"2"], "2"),
        (&[b"DEL", name], ""),
        (&[b"PEXPIRE", name, b"20"], ""),
        (&[b"RENAME", name, b"elsewhere"], ""),
        (&[b"FLUSHALL"], ""),
    ];
    for (words, after) in by_hand {
        here.files(&key, "1").await;
        here.keeps(&key, "1").await;
        let said = redis.command(words);
        assert!(!said.starts_with('-'), "{said}");
        here.sees(&key, after).await;
    }
    here.files(&key, "1").await;
    here.keeps(&key, "1").await;
    assert!(here.turns().contains(&false), "nothing of before an empty database is believed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_against_what_is_not_so_any_more_looks_again_and_settles() {
    let redis = RedisServer::start();
    let (here, there) =
        (Server::listening_on(&redis.url()).await, Server::listening_on(&redis.url()).await);
    let now = Clock::System.now();
    let limits =
        SessionLifetimes { idle: Duration::from_secs(600), absolute: Duration::from_secs(6000) };
    let ada = Subject::parse("ada").expect("a subject");
    let (session, _) =
        Session::begin(Authentication::by_password(ada, Epoch::default(), now), limits);
    sessions::begin(&*here.store, &session, None).await.expect("redis");
    // Each of them believes that the session is as it was at the beginning.
    for (server, later) in [(&there, 100), (&here, 300), (&there, 200)] {
        let now = now.plus(Duration::from_secs(later));
        sessions::touch(&*server.store, &session, limits.idle, now).await.expect("redis");
    }
    for server in [&here, &there] {
        let found = sessions::find(&*server.store, session.id, now).await.expect("redis");
        assert_eq!(found.expect("a session").idle_end, now.plus(Duration::from_secs(900)));
        assert_eq!(sessions::count_live(&*server.store, now).await.expect("redis"), 1);
    }
    let ended = sessions::end(&*there.store, session.id).await.expect("redis");
    assert!(ended.is_some());
    let late = now.plus(Duration::from_secs(400));
    sessions::touch(&*here.store, &session, limits.idle, late).await.expect("redis");
    let after = sessions::count_live(&*here.store, now).await.expect("redis");
    assert_eq!(after, 0, "a session that is gone is not listed again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_cut_off_on_one_server_is_cut_off_on_the_other_and_a_new_secret_works_at_once() {
    let redis = RedisServer::start();
    let here = provider(&redis).await;
    let there = here.start_another(&[]).await;
    let shop = here.relying_party("shop").await;
    let tokens = shop.sign_in(&here.browser("ada"), "openid").await;
    let there_shop = there.client_with_secret("shop", &shop.secret);
    let mut refresh = tokens.refresh().to_owned();
    for _ in 0..3 {
        let body = there_shop.refresh(&refresh).await.success_json();
        body["refresh_token"].as_str().expect("the next one").clone_into(&mut refresh);
    }
    // The person alone, without ending the grant: only who looks at the person can know.
    here.disable_user("ada").await;
    assert_eq!(shop.refresh(&refresh).await.error().1, "invalid_grant", "at once here");
    super::until("the other server knows", async || {
        there_shop.refresh(&refresh).await.status == 400
    })
    .await;
    assert_eq!(there_shop.introspect(&refresh).await["active"], false);

    // Let back in: a no is never said from memory.
    let sub = here.user("ada").await.sub;
    let done =
        latchkey::domain::users::update(here.store(), &sub, |user| user.enabled = true).await;
    assert_eq!(done.expect("redis"), Some(()));
    assert_eq!(there_shop.introspect(&refresh).await["active"], true);

    // And so a secret that was made on the one server works on the other at once.
    let secret = "a secret of many characters, made just now";
    let (id, now) = (ClientId::parse("shop").expect("an id"), here.app().now());
    let rotate = |shop: &mut Client| shop.rotate_secret(Digest::of(secret.as_bytes()), now, now);
    clients::update(here.store(), &id, rotate).await.expect("redis").expect("a shop");
    let renewed = there.client_with_secret("shop", secret);
    assert_eq!(renewed.introspect(&refresh).await["active"], true);
    let about = [("token", refresh.as_str())];
    assert_eq!(
        here.client_with_secret("shop", &shop.secret).post("/introspect", &about).await.status,
        401
    );
    super::until("the other server knows", async || {
        there_shop.post("/introspect", &about).await.status == 401
    })
    .await;
}

async fn connected(redis: &RedisServer) -> Arc<dyn Store> {
    use latchkey::infra::store::{RedisOptions, RedisStore};
    Arc::new(RedisStore::connect(&RedisOptions::new(redis.url())).await.expect("redis"))
}

async fn provider(redis: &RedisServer) -> TestServer {
    let clock = Clock::manual(Clock::System.now());
    TestServer::start_on((connected(redis).await, clock), None, &[]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_near_is_left_as_it_is() {
    let near: Arc<dyn Store> = Arc::new(MemoryStore::new(Clock::System));
    let around = CachedStore::wrap(Arc::clone(&near), Duration::from_secs(5), |_| ());
    assert!(Arc::ptr_eq(&near, &around));
    let redis = RedisServer::start();
    let far = connected(&redis).await;
    assert!(Arc::ptr_eq(&far, &CachedStore::wrap(Arc::clone(&far), Duration::ZERO, |_| ())));

    let provider = TestServer::start(Backend::Memory).await;
    let shop = provider.relying_party("shop").await;
    shop.sign_in(&provider.browser("ada"), "openid").await;
    let metrics = provider.metrics().await;
    assert!(metrics.contains("oidc_store_cache_live 0"), "{metrics}");
    for outcome in ["hit", "miss", "off"] {
        let line = format!("oidc_store_cache_lookups_total{{outcome=\"{outcome}\"}} 0");
        assert!(metrics.contains(&line), "{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_epoch_that_begins_on_one_server_is_known_on_the_other_that_kept_that_there_was_none() {
    let redis = RedisServer::start();
    let here = provider(&redis).await;
    let there = here.start_another(&[]).await;
    let shop = here.relying_party("shop").await;
    let tokens = shop.sign_in(&here.browser("ada"), "openid offline_access").await;
    let there_shop = there.client_with_secret("shop", &shop.secret);
    for _ in 0..3 {
        assert_eq!(there_shop.introspect(tokens.refresh()).await["active"], true);
    }
    let id = ClientId::parse("shop").expect("an id");
    let switches = async |enabled| {
        let step = |client: &mut Client| client.enabled = enabled;
        clients::update(here.store(), &id, step).await.expect("redis");
    };
    switches(false).await;
    clients::revoke_all(here.store(), &id, here.app().now()).await.expect("redis");
    switches(true).await;
    assert_eq!(shop.introspect(tokens.refresh()).await["active"], false, "at once here");
    super::until("the other server knows", async || {
        there_shop.introspect(tokens.refresh()).await["active"] == false
    })
    .await;
    assert_eq!(there_shop.refresh(tokens.refresh()).await.error().1, "invalid_grant");
}
