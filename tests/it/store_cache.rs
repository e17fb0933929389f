//! The read cache in front of Redis, and its invalidation.

mod invalidation;
mod round_trips;
mod topologies;
mod tracking_loss;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use latchkey::infra::store::{
    CacheEvent, CachedStore, CommitOutcome, Partition, RawKey, RedisOptions, RedisStore, Store,
    Transaction,
};

/// One server's store, with the memory around it.
struct Server {
    store: Arc<dyn Store>,
    noted: Arc<Ledger>,
}

/// What was noted.
#[derive(Default)]
struct Ledger {
    hits: AtomicUsize,
    invalidated: AtomicUsize,
    live: Mutex<Vec<bool>>,
}

impl Server {
    async fn on(url: &str) -> Self {
        Self::with(RedisOptions::new(url)).await
    }

    /// Keeps things for so long that nothing here is over by itself.
    async fn with(options: RedisOptions) -> Self {
        let noted = Arc::new(Ledger::default());
        let (store, ledger) = (RedisStore::connect(&options).await.expect("redis"), noted.clone());
        let store =
            CachedStore::wrap(Arc::new(store), Duration::from_mins(10), move |noted| match noted {
                CacheEvent::Hit => drop(ledger.hits.fetch_add(1, Ordering::SeqCst)),
                CacheEvent::Invalidated => drop(ledger.invalidated.fetch_add(1, Ordering::SeqCst)),
                CacheEvent::Live(live) => ledger.live.lock().expect("a ledger").push(live),
                CacheEvent::Miss | CacheEvent::Off => {}
            });
        Self { store, noted }
    }

    /// One that hears of changes.
    async fn listening_on(url: &str) -> Self {
        let server = Self::on(url).await;
        server.hears(1).await;
        server
    }

    /// Until it has begun to hear for the so-manieth time.
    async fn hears(&self, times: usize) {
        until("changes are heard", async || self.begun() >= times).await;
    }

    /// How often it has begun to hear. On a machine with too much to do it may have stopped in between.
    fn begun(&self) -> usize {
        self.turns().iter().filter(|live| **live).count()
    }

    /// When it began to hear, and when it stopped.
    fn turns(&self) -> Vec<bool> {
        self.noted.live.lock().expect("a ledger").clone()
    }

    fn hits(&self) -> usize {
        self.noted.hits.load(Ordering::SeqCst)
    }

    fn invalidated(&self) -> usize {
        self.noted.invalidated.load(Ordering::SeqCst)
    }

    async fn files(&self, key: &RawKey, bytes: &str) {
        let change = Transaction::within(key.partition().clone());
        let change = change.put(key.clone(), bytes.as_bytes().to_vec(), None);
        assert_eq!(self.store.commit(change).await.expect("redis"), CommitOutcome::Committed);
    }

    async fn lately(&self, key: &RawKey) -> String {
        let found = self.store.get_cached(key).await.expect("redis").unwrap_or_default();
        String::from_utf8(found).expect("text")
    }

    /// Looks until it is kept here.
    async fn keeps(&self, key: &RawKey, bytes: &str) {
        until("it is kept", async || {
            let before = self.hits();
            self.lately(key).await == bytes && self.hits() > before
        })
        .await;
    }

    /// Looks until it is this.
    async fn sees(&self, key: &RawKey, bytes: &str) {
        until("the change is seen", async || self.lately(key).await == bytes).await;
    }
}

/// Asks again until it is so, for ten seconds at most.
async fn until(what: &str, so: impl AsyncFn() -> bool) {
    let since = Instant::now();
    while !so().await {
        assert!(since.elapsed() < Duration::from_secs(10), "not in time: {what}");
        tokio::task::yield_now().await;
    }
}

fn key(name: &str) -> RawKey {
    RawKey::new(Partition::new(format!("client:{name}")), "client.v1", None)
}
