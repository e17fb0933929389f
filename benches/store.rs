//! What the verbs of the file store cost, fsyncs included, for one hand and for 64 at once, beside the
//! memory store. `cargo bench --bench store`, on the disk that `TMPDIR` is on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use latchkey::infra::clock::Clock;
use latchkey::infra::store::{
    CommitOutcome, FileStore, MemoryStore, Partition, Precondition, RawKey, Store, Transaction,
};

const SPAN: Duration = Duration::from_secs(1);
const RECORDS: u64 = 20_000;
const LIFETIME: Duration = Duration::from_secs(3600);

type Verb = (&'static str, fn(Arc<dyn Store>, u64) -> Doing);
type Doing = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

const VERBS: [Verb; 5] = [
    ("get and commit", |store, n| Box::pin(update(store, n))),
    ("take", |store, n| Box::pin(take(store, n))),
    ("tally", |store, n| Box::pin(tally(store, n))),
    ("get", |store, n| Box::pin(get(store, n))),
    ("names, 100 of them", |store, n| Box::pin(names(store, n))),
];

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a folder");
        measured("memory", Arc::new(MemoryStore::new(Clock::System))).await;
        let file = FileStore::open(folder.path(), Clock::System).await.expect("a disk");
        measured("file", Arc::new(file)).await;

        let begun = Instant::now();
        let file = FileStore::open(folder.path(), Clock::System).await.expect("the same disk");
        let (records, _) = file.count_entries().await.expect("readable");
        println!("opened again with {records} records in {:?}", begun.elapsed());
    });
}

async fn measured(name: &str, store: Arc<dyn Store>) {
    // All at once, so that they share their fsyncs.
    let filling = (0..RECORDS / 50).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { fill(&*store, n * 50).await })
    });
    for filled in filling.collect::<Vec<_>>() {
        filled.await.expect("a hand");
    }
    for (verb, done) in VERBS {
        for hands in [1, 64] {
            let rate = rate(&store, hands, done).await;
            println!("{name:8}{verb:20}{hands:4} hands {rate:10} /s");
        }
    }
}

async fn rate(store: &Arc<dyn Store>, hands: u64, done: fn(Arc<dyn Store>, u64) -> Doing) -> u64 {
    let count = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let hands: Vec<_> = (0..hands)
        .map(|_| {
            let (store, count) = (Arc::clone(store), Arc::clone(&count));
            tokio::spawn(async move {
                while begun.elapsed() < SPAN {
                    let n = count.fetch_add(1, Ordering::Relaxed);
                    done(Arc::clone(&store), n * 7919 % RECORDS).await;
                }
            })
        })
        .collect();
    for hand in hands {
        hand.await.expect("a hand");
    }
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    count.load(Ordering::Relaxed) * 1000 / millis
}

fn key(n: u64) -> RawKey {
    RawKey::new(Partition::new(format!("grant:{:016x}", n * 0x9e37_79b9)), "grant.v1", None)
}

fn index() -> RawKey {
    RawKey::new(Partition::new("users"), "index.v1", None)
}

fn put(change: Transaction, key: RawKey, n: u64) -> Transaction {
    let until = Clock::System.now().plus(LIFETIME);
    change.put(key, n.to_be_bytes().repeat(60), Some(until))
}

/// Fifty records and fifty names.
async fn fill(store: &dyn Store, from: u64) {
    let mut names = Transaction::within(index().partition().clone());
    for n in from..from + 50 {
        names = names.index_add(index(), format!("{:08x}", n * 7919));
    }
    let _ = store.commit(names).await.expect("a store");
    for n in from..from + 50 {
        let key = key(n);
        let change = put(Transaction::within(key.partition().clone()), key, n);
        let _ = store.commit(change).await.expect("a store");
    }
}

async fn update(store: Arc<dyn Store>, n: u64) {
    let key = key(n);
    let held = store.get(&key).await.expect("a store");
    let expect = held.map_or(Precondition::Absent, Precondition::Unchanged);
    let change = Transaction::within(key.partition().clone()).require(key.clone(), expect);
    let _: CommitOutcome = store.commit(put(change, key, n + 1)).await.expect("a store");
}

async fn take(store: Arc<dyn Store>, n: u64) {
    let key = key(n);
    if store.get_and_remove(&key).await.expect("a store").is_none() {
        let change = Transaction::within(key.partition().clone());
        let _: CommitOutcome = store.commit(put(change, key, n)).await.expect("a store");
    }
}

async fn tally(store: Arc<dyn Store>, n: u64) {
    let counter = RawKey::new(Partition::new(format!("attempts:{}", n % 64)), "attempts.v1", None);
    store.increment(&counter, LIFETIME).await.expect("a store");
}

async fn get(store: Arc<dyn Store>, n: u64) {
    store.get(&key(n)).await.expect("a store");
}

async fn names(store: Arc<dyn Store>, n: u64) {
    store.scan_index(&index(), &format!("{:08x}", n * 7919), 100).await.expect("a store");
}
