use std::sync::Mutex;

use tokio::sync::Semaphore;
use tokio::time::{Instant, advance};

use super::entries::{MAX_BYTES, MAX_ENTRIES, MAX_ENTRY_BYTES};
use super::*;
use crate::infra::clock::Clock;
use crate::infra::store::{MemoryStore, Partition, Precondition};

/// A store that is far away: it counts who comes, can keep its answers back, and tells of changes when the
/// test says so.
struct Far {
    filed: MemoryStore,
    asked: Mutex<usize>,
    answers: Semaphore,
    listener: Mutex<Option<Arc<dyn ChangeListener>>>,
}

impl Far {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            filed: MemoryStore::new(Clock::System),
            asked: Mutex::default(),
            answers: Semaphore::new(1_000_000),
            listener: Mutex::default(),
        })
    }

    fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }

    fn listener(&self) -> Arc<dyn ChangeListener> {
        self.listener.lock().unwrap().clone().expect("somebody who listens")
    }

    fn is_heard_for(&self, millis: u64) {
        self.listener().valid_until(Instant::now() + Duration::from_millis(millis));
    }

    /// Somebody else files it, and it is not told of yet.
    async fn files(&self, key: &RawKey, bytes: &[u8]) {
        let change = Transaction::within(key.partition().clone());
        let _ = self.filed.commit(change.put(key.clone(), bytes.to_vec(), None)).await.unwrap();
    }
}

impl Store for Far {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        *self.asked.lock().unwrap() += 1;
        Box::pin(async move {
            let found = self.filed.get(key).await;
            self.answers.acquire().await.expect("an answer").forget();
            found
        })
    }

    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        self.filed.get_and_remove(key)
    }

    fn commit(&self, change: Transaction) -> StoreFuture<'_, CommitOutcome> {
        Box::pin(async move {
            let outcome = self.filed.commit(change).await;
            self.answers.acquire().await.expect("an answer").forget();
            outcome
        })
    }

    fn scan_index<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<String>> {
        self.filed.scan_index(index, after, limit)
    }

    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64> {
        self.filed.increment(counter, window)
    }

    fn ping(&self) -> StoreFuture<'_, PingInfo> {
        self.filed.ping()
    }

    fn subscribe(&self, listener: &Arc<dyn ChangeListener>) -> Option<Subscription> {
        *self.listener.lock().unwrap() = Some(Arc::clone(listener));
        Some(Subscription::new(tokio::spawn(std::future::pending())))
    }
}

const LIFE: Duration = Duration::from_secs(5);

fn key(name: &str) -> RawKey {
    RawKey::new(Partition::new(format!("client:{name}")), "client.v1", None)
}

fn around(far: &Arc<Far>) -> Arc<dyn Store> {
    CachedStore::wrap(Arc::clone(far) as _, LIFE, |_| ())
}

async fn lately(store: &Arc<dyn Store>, key: &RawKey) -> Option<Vec<u8>> {
    store.get_cached(key).await.unwrap()
}

type Reading = std::pin::Pin<Box<dyn Future<Output = Option<Vec<u8>>>>>;

/// Asks, and has not got the answer yet.
async fn begins(store: &Arc<dyn Store>, key: &RawKey) -> Reading {
    let (store, key) = (Arc::clone(store), key.clone());
    let mut read: Reading = Box::pin(async move { lately(&store, &key).await });
    let first = std::future::poll_fn(|context| std::task::Poll::Ready(read.as_mut().poll(context)));
    assert!(first.await.is_pending());
    read
}

#[tokio::test(start_paused = true)]
async fn what_was_read_a_moment_ago_is_not_asked_for_again_and_a_moment_is_short() {
    let far = Far::new();
    let store = around(&far);
    far.files(&key("a"), b"1").await;
    far.is_heard_for(60_000);
    for _ in 0..3 {
        assert_eq!(lately(&store, &key("a")).await.as_deref(), Some(&b"1"[..]));
    }
    assert_eq!(far.asked(), 1);
    assert_eq!(store.get(&key("a")).await.unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(far.asked(), 2, "whoever wants what is so now asks");
    lately(&store, &key("a")).await;
    assert_eq!(far.asked(), 2, "and it was still so");
    advance(LIFE).await;
    lately(&store, &key("a")).await;
    assert_eq!(far.asked(), 3);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_unless_changes_are_told_and_what_nobody_tells_of_never() {
    let far = Far::new();
    let store = around(&far);
    let other = RawKey::new(Partition::new("grant:a"), "grant.v1", None);
    far.files(&key("a"), b"1").await;
    far.files(&other, b"1").await;
    lately(&store, &key("a")).await;
    lately(&store, &key("a")).await;
    assert_eq!(far.asked(), 2, "nobody tells");
    far.is_heard_for(1500);
    for key in [&key("a"), &other, &key("absent")] {
        lately(&store, key).await;
        lately(&store, key).await;
    }
    assert_eq!(far.asked(), 2 + 1 + 2 + 2, "neither grants nor what is not there");
    advance(Duration::from_millis(1500)).await;
    lately(&store, &key("a")).await;
    assert_eq!(far.asked(), 8, "nobody has proven to tell for too long");
    far.is_heard_for(1500);
    lately(&store, &key("a")).await;
    assert_eq!(far.asked(), 8, "told late is told");
    far.listener().invalidate_all();
    far.is_heard_for(1500);
    lately(&store, &key("a")).await;
    assert_eq!(far.asked(), 9, "what was kept before is gone");
}

#[tokio::test]
async fn that_there_is_no_epoch_is_kept_until_there_is_one() {
    let epoch = RawKey::new(Partition::new("client:a"), "epoch.v1", None);
    let far = Far::new();
    let store = around(&far);
    far.is_heard_for(60_000);
    for _ in 0..3 {
        assert_eq!(lately(&store, &epoch).await, None);
    }
    assert_eq!(far.asked(), 1);
    assert_eq!(store.get(&epoch).await.unwrap(), None);
    lately(&store, &epoch).await;
    assert_eq!(far.asked(), 2, "it was still so");
    // Somebody else's, told; then one of our own.
    far.files(&epoch, b"1").await;
    far.listener().invalidate(epoch.as_str());
    assert_eq!(lately(&store, &epoch).await.as_deref(), Some(&b"1"[..]));
    assert!(store.get_and_remove(&epoch).await.unwrap().is_some());
    assert_eq!(lately(&store, &epoch).await, None);
    let change =
        Transaction::within(epoch.partition().clone()).put(epoch.clone(), b"2".to_vec(), None);
    assert_eq!(store.commit(change).await.unwrap(), CommitOutcome::Committed);
    assert_eq!(lately(&store, &epoch).await.as_deref(), Some(&b"2"[..]));
}

#[tokio::test]
async fn a_read_that_was_under_way_when_the_change_came_is_not_kept() {
    for told in
        [(|far: &Far| far.listener().invalidate("{client:a}client.v1")) as fn(&Far), |far| {
            far.listener().invalidate_all();
            far.is_heard_for(60_000);
        }]
    {
        let far = Far::new();
        let store = around(&far);
        far.files(&key("a"), b"old").await;
        far.is_heard_for(60_000);
        far.answers.forget_permits(1_000_000);
        let read = begins(&store, &key("a")).await;
        far.files(&key("a"), b"new").await;
        told(&far);
        far.answers.add_permits(1_000);
        assert_eq!(read.await.as_deref(), Some(&b"old"[..]), "it was so when it was read");
        assert_eq!(lately(&store, &key("a")).await.as_deref(), Some(&b"new"[..]));
        assert_eq!(far.asked(), 2);
    }
}

#[tokio::test]
async fn a_change_of_ones_own_is_seen_by_whoever_comes_after_it_and_not_hidden_by_who_came_before()
{
    let far = Far::new();
    let store = around(&far);
    far.files(&key("a"), b"old").await;
    far.is_heard_for(60_000);
    lately(&store, &key("a")).await;
    far.answers.forget_permits(1_000_000);
    let change = Transaction::within(key("a").partition().clone());
    let change = change.put(key("a"), b"new".to_vec(), None);
    let change = store.commit(change.require(key("a"), Precondition::Unchanged(b"old".to_vec())));
    // Dropped before it is sent: this one reads before the change, and gets the answer after it.
    let read = begins(&store, &key("a")).await;
    far.answers.add_permits(1);
    assert_eq!(read.await.as_deref(), Some(&b"old"[..]));
    far.answers.add_permits(1_000);
    assert_eq!(change.await.unwrap(), CommitOutcome::Committed);
    assert_eq!(lately(&store, &key("a")).await.as_deref(), Some(&b"new"[..]));
    assert_eq!(store.get_and_remove(&key("a")).await.unwrap().as_deref(), Some(&b"new"[..]));
    assert_eq!(lately(&store, &key("a")).await, None);
}

#[tokio::test]
async fn whoever_has_seen_the_new_does_not_see_the_old_again() {
    let far = Far::new();
    let store = around(&far);
    far.files(&key("a"), b"old").await;
    far.is_heard_for(60_000);
    lately(&store, &key("a")).await;
    far.files(&key("a"), b"new").await;
    assert_eq!(lately(&store, &key("a")).await.as_deref(), Some(&b"old"[..]), "not told yet");
    assert_eq!(store.get(&key("a")).await.unwrap().as_deref(), Some(&b"new"[..]));
    assert_eq!(lately(&store, &key("a")).await.as_deref(), Some(&b"new"[..]));
}

#[tokio::test]
async fn of_many_who_miss_the_same_the_first_files_it_and_one_who_goes_away_stops_nobody() {
    let far = Far::new();
    let store = around(&far);
    far.files(&key("a"), b"1").await;
    far.is_heard_for(60_000);
    far.answers.forget_permits(1_000_000);
    drop(begins(&store, &key("a")).await);
    let (first, second) = (begins(&store, &key("a")).await, begins(&store, &key("a")).await);
    far.answers.add_permits(1);
    first.await;
    lately(&store, &key("a")).await;
    assert_eq!(far.asked(), 3, "the first one's answer is here");
    far.answers.add_permits(1);
    second.await;
}

#[test]
fn what_is_kept_is_bounded_in_number_and_in_bytes() {
    for (count, size) in [(3 * MAX_ENTRIES, 10), (200, MAX_ENTRY_BYTES), (10, MAX_ENTRY_BYTES + 1)]
    {
        let shelf = CacheEntries::new(LIFE, Box::new(|_| ()));
        shelf.valid_until(Instant::now() + LIFE);
        let bytes = vec![0; size];
        let keys: Vec<String> = (0..count).map(|number| format!("{{client:{number}}}")).collect();
        for key in &keys {
            match shelf.look_up(key) {
                Lookup::Missing(Some(lease)) => lease.insert(Some(&bytes)),
                Lookup::Missing(None) | Lookup::Cached(_) => panic!("{key} is new"),
            }
        }
        let (kept, listed, held) = shelf.size();
        assert!(kept <= listed && listed <= MAX_ENTRIES && held <= MAX_BYTES, "{kept} {held}");
        let last = shelf.look_up(&keys[count - 1]);
        assert_eq!(matches!(last, Lookup::Cached(_)), size <= MAX_ENTRY_BYTES, "the newest stays");
        assert!(size > MAX_ENTRY_BYTES || kept >= 50, "{kept}");
        for key in &keys {
            shelf.invalidate(key);
        }
        assert_eq!((shelf.size().0, shelf.size().2), (0, 0), "everything was counted");
    }
}

#[test]
fn what_changes_all_the_time_takes_no_room_for_ever() {
    let shelf = CacheEntries::new(LIFE, Box::new(|_| ()));
    shelf.valid_until(Instant::now() + LIFE);
    for _ in 0..3 * MAX_ENTRIES {
        let Lookup::Missing(Some(lease)) = shelf.look_up("{client:a}") else {
            panic!("it changed")
        };
        lease.insert(Some(b"1"));
        shelf.invalidate("{client:a}");
    }
    assert!(shelf.size().1 <= 2, "{:?}", shelf.size());
}
