//! Redis that stops, dies, is slow or refuses: what the store returns, and how it recovers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use latchkey::infra::store::{
    CreateOutcome, RawKey, Record, RedisOptions, RedisStore, Store, StoreError,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Code, Grant, LIFETIME, issued, raw};
use crate::support::redis::{RedisServer, ServerSignal};

async fn connected(server: &RedisServer) -> Box<dyn Store> {
    let store = RedisStore::connect(&RedisOptions::new(server.url())).await;
    Box::new(store.expect("a fit redis"))
}

fn wrong_type(server: &RedisServer, key: &RawKey) {
    let reply = server.command(&[b"RPUSH", key.as_str().as_bytes(), b"what is this"]);
    assert!(reply.starts_with(':'), "{reply}");
}

/// How long it takes until a write goes through again, failing fast and cleanly until then.
async fn recovery(store: &dyn Store) -> Duration {
    let since = Instant::now();
    while let Err(error) = store.ping().await {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        assert!(since.elapsed() < Duration::from_secs(10), "does not recover: {error}");
        tokio::task::yield_now().await;
    }
    since.elapsed()
}

#[tokio::test]
async fn something_of_another_type_counts_as_absent_and_is_not_created_over() {
    let server = RedisServer::start();
    let store = connected(&server).await;
    let grant = issued();
    let key = grant.key();
    wrong_type(&server, key.raw());

    assert!(store.load(&key).await.unwrap().is_none());
    assert_eq!(store.update(&key, |_| ()).await.unwrap(), None);
    assert_eq!(store.consume(&key).await.unwrap(), None);
    assert_eq!(store.create(&grant).await.unwrap(), CreateOutcome::Exists);
    assert_eq!(store.get(key.raw()).await.unwrap_err().kind(), "corrupt");
    store.put(&grant).await.unwrap();
    assert_eq!(store.load(&key).await.unwrap().unwrap().record, grant);

    let index = raw("index");
    wrong_type(&server, &index);
    assert!(store.scan_index(&index, "", 9).await.unwrap().is_empty());
    store.index_add(&index, "a").await.unwrap();
    assert_eq!(store.scan_index(&index, "", 9).await.unwrap(), ["a"]);

    let counter = raw("tally");
    wrong_type(&server, &counter);
    assert_eq!(store.increment(&counter, LIFETIME).await.unwrap(), 1);
    assert_eq!(store.increment(&counter, LIFETIME).await.unwrap(), 2);
}

#[tokio::test]
async fn a_redis_that_forgets_is_refused_or_warned_about() {
    let no_file: &[&str] = &["--save", "", "--appendonly", "no"];
    let evicts: &[&str] = &["--appendonly", "yes", "--maxmemory-policy", "allkeys-lru"];
    for (args, complaint) in [(no_file, "appendonly yes"), (evicts, "allkeys-lru")] {
        let server = RedisServer::start_with(args);
        let mut options = RedisOptions::new(server.url());
        let refusal = RedisStore::connect(&options).await.err().expect("a refusal").to_string();
        assert!(refusal.contains(complaint), "{refusal}");
        assert!(refusal.contains("ALLOW_VOLATILE_STORE=true"), "{refusal}");
        assert!(!refusal.contains("127.0.0.1"), "{refusal}");

        options.allow_volatile = true;
        let store = RedisStore::connect(&options).await.expect("allowed");
        let [warning] = store.warnings() else { panic!("{:?}", store.warnings()) };
        assert!(warning.contains(complaint), "{warning}");
        store.ping().await.unwrap();
    }
}

#[tokio::test]
async fn a_password_is_used_and_a_wrong_one_is_not_repeated() {
    let mut args = vec!["--requirepass", "hunter2"];
    args.extend(["--appendonly", "yes", "--maxmemory-policy", "noeviction"]);
    let server = RedisServer::start_with(&args);
    let address = format!("127.0.0.1:{}", server.port());
    let right = RedisOptions::new(format!("redis://:hunter2@{address}/3"));
    RedisStore::connect(&right).await.expect("the right password").ping().await.unwrap();
    for wrong in [format!("redis://:hunter3@{address}"), format!("redis://{address}")] {
        let refusal = RedisStore::connect(&RedisOptions::new(wrong)).await.err().expect("refused");
        assert!(!format!("{refusal} {refusal:?}").contains("hunter"), "{refusal}");
    }
}

#[tokio::test]
async fn a_redis_that_stands_still_fails_fast_and_serves_again_when_it_goes_on() {
    let server = RedisServer::start();
    let store = connected(&server).await;
    let grant = issued();
    assert_eq!(store.create(&grant).await.unwrap(), CreateOutcome::Created);

    server.signal(ServerSignal::Stop);
    // Twice: once on the connection there was, once while there is none.
    for _ in 0..2 {
        let since = Instant::now();
        let error = store.load(&grant.key()).await.unwrap_err();
        assert_eq!(error.kind(), "unavailable");
        // A second by the options; the rest is for a machine that has other things to do.
        assert!(since.elapsed() < Duration::from_secs(6), "{:?}", since.elapsed());
    }
    server.signal(ServerSignal::Continue);
    recovery(&*store).await;
    assert_eq!(store.load(&grant.key()).await.unwrap().unwrap().record, grant);
}

/// A relay to redis that, once it is told to, lets five bytes through every 20 ms: the answer to one GET of
/// a key that is not there. Answers its port, the brake, and how many came.
async fn brakeable(port: u16) -> (u16, Arc<AtomicBool>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let own = listener.local_addr().expect("an address").port();
    let (brake, came) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (braked, counted) = (Arc::clone(&brake), Arc::clone(&came));
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let braked = Arc::clone(&braked);
            let far = TcpStream::connect(("127.0.0.1", port)).await.expect("redis");
            let ((mut asks, mut hears), (mut said, mut ask)) =
                (near.into_split(), far.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut asks, &mut ask).await });
            tokio::spawn(async move {
                let mut bytes = [0; 5];
                while let Ok(count @ 1..) = said.read(&mut bytes).await {
                    if braked.load(Ordering::SeqCst) {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    if hears.write_all(&bytes[..count]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (own, brake, came)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_is_answered_too_slowly_does_not_cost_everybody_the_connection() {
    let server = RedisServer::start();
    let (port, brake, came) = brakeable(server.port()).await;
    let options = RedisOptions::new(format!("redis://127.0.0.1:{port}"));
    let store = Arc::new(RedisStore::connect(&options).await.expect("a fit redis"));
    let before = came.load(Ordering::SeqCst);

    brake.store(true, Ordering::SeqCst);
    let crowd: Vec<_> = (0..100)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.get(&raw("nothing")).await })
        })
        .collect();
    let (mut answered, mut late) = (0, 0);
    for one in crowd {
        match one.await.expect("no panic") {
            Ok(found) => {
                assert_eq!(found, None);
                answered += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), "unavailable");
                late += 1;
            }
        }
    }
    assert!(answered > 0 && late > 0, "{answered} answered, {late} late");
    brake.store(false, Ordering::SeqCst);
    assert!(recovery(&*store).await < Duration::from_secs(5));
    assert_eq!(came.load(Ordering::SeqCst), before, "nobody had to dial again");
}

#[tokio::test]
async fn once_redis_is_known_to_be_away_nobody_waits_for_it_any_more() {
    let server = RedisServer::start();
    let patience = Duration::from_secs(2);
    let options = RedisOptions { timeout: patience, ..RedisOptions::new(server.url()) };
    let store = RedisStore::connect(&options).await.expect("a fit redis");
    let key = raw("a");

    server.signal(ServerSignal::Stop);
    let stopped = Instant::now();
    while stopped.elapsed() < patience * 2 {
        assert_eq!(store.get(&key).await.unwrap_err().kind(), "unavailable");
        tokio::task::yield_now().await;
    }
    // One after the other: if each of them waited at all, a hundred would take far longer.
    let since = Instant::now();
    for _ in 0..100 {
        assert_eq!(store.get(&key).await.unwrap_err().kind(), "unavailable");
    }
    assert!(since.elapsed() < patience, "{:?}", since.elapsed());

    server.signal(ServerSignal::Continue);
    let took = recovery(&store).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn what_would_pile_up_behind_a_redis_that_stands_still_is_turned_away_at_once() {
    let server = RedisServer::start();
    let store = connected(&server).await;
    server.signal(ServerSignal::Stop);
    let key = raw("a");
    let waiting: Vec<_> = (0..1024).map(|_| Box::pin(store.get(&key))).collect();
    let given_up = AtomicBool::new(false);
    let waiting = async {
        let mut waiting = waiting;
        std::future::poll_fn(|context| {
            waiting.retain_mut(|one| one.as_mut().poll(context).is_pending());
            given_up.fetch_or(waiting.len() < 1024, Ordering::SeqCst);
            if waiting.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    };
    let late = async {
        let error = store.get(&key).await.unwrap_err().to_string();
        assert!(error.contains("too many"), "{error}");
        assert!(!given_up.load(Ordering::SeqCst), "it waited as long as those before it");
    };
    tokio::join!(biased; waiting, late);
    server.signal(ServerSignal::Continue);
    recovery(&*store).await;
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_restart_of_redis() {
    let server = RedisServer::start_strict();
    let store = connected(&server).await;
    let grant = issued();
    assert_eq!(store.create(&grant).await.unwrap(), CreateOutcome::Created);
    let before = server.pid();
    server.signal(ServerSignal::Kill);
    let error = store.load(&grant.key()).await.unwrap_err();
    assert_eq!(error.kind(), "unavailable");
    server.restart();
    assert_ne!(server.pid(), before);
    recovery(&*store).await;
    assert_eq!(store.load(&grant.key()).await.unwrap().unwrap().record, grant);
}

#[tokio::test]
async fn a_primary_that_is_demoted_is_unavailable_until_there_is_one_again() {
    let (server, other) = (RedisServer::start(), RedisServer::shared());
    let store = connected(&server).await;
    server.command(&[b"CONFIG", b"SET", b"replica-serve-stale-data", b"yes"]);
    server.command(&[b"REPLICAOF", b"127.0.0.1", other.port().to_string().as_bytes()]);

    let grant = issued();
    assert_eq!(store.create(&grant).await.unwrap_err().kind(), "unavailable");
    assert_eq!(store.ping().await.unwrap_err().kind(), "unavailable");
    let refusal = RedisStore::connect(&RedisOptions::new(server.url())).await.err();
    assert!(refusal.expect("a replica is refused").to_string().contains("replica"));

    server.command(&[b"REPLICAOF", b"NO", b"ONE"]);
    let took = recovery(&*store).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(store.create(&grant).await.unwrap(), CreateOutcome::Created);
}

#[tokio::test]
async fn a_full_redis_takes_nothing_new_but_what_is_there_can_still_change() {
    let server = RedisServer::start();
    let store = connected(&server).await;
    let grant = issued();
    assert_eq!(store.create(&grant).await.unwrap(), CreateOutcome::Created);
    server.command(&[b"CONFIG", b"SET", b"maxmemory", b"1"]);

    assert_eq!(store.create(&issued()).await.unwrap_err().kind(), "unavailable");
    assert_eq!(store.ping().await.unwrap_err().kind(), "unavailable");
    let redeem = |grant: &mut Grant| grant.code = Code::Redeemed;
    store.update(&grant.key(), redeem).await.unwrap().expect("it is there");
    let spent = store.load(&grant.key()).await.unwrap().unwrap().record;
    assert_eq!(spent.code, Code::Redeemed);
    let left = server.command(&[b"PTTL", grant.key().raw().as_str().as_bytes()]);
    assert!(!left.starts_with(":-"), "the deadline is kept: {left}");
    store.remove(&grant.key()).await.unwrap();

    server.command(&[b"CONFIG", b"SET", b"maxmemory", b"0"]);
    assert_eq!(store.create(&grant).await.unwrap(), CreateOutcome::Created);
}
