use std::sync::Mutex;

use tokio::sync::Semaphore;
use tokio::time::{Instant, advance};

use super::entries::{MAX_BYTES, MAX_ENTRIES, MAX_ENTRY_BYTES};
use super::*;
use crate::infra::clock::Clock;
use crate::infra::store::{MemoryStore, Partition, Precondition};

/// A store that is remote away: it counts who comes, can keep its answers back, and tells of changes when the
/// test says so.
struct RemoteStore {
    stored: MemoryStore,
    reads: Mutex<usize>,
    replies: Semaphore,
    listener: Mutex<Option<Arc<dyn ChangeListener>>>,
}

impl RemoteStore {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            stored: MemoryStore::new(Clock::System),
            reads: Mutex::default(),
            replies: Semaphore::new(1_000_000),
            listener: Mutex::default(),
        })
    }

    fn reads(&self) -> usize {
        *self.reads.lock().unwrap()
    }

    fn listener(&self) -> Arc<dyn ChangeListener> {
        self.listener.lock().unwrap().clone().expect("a listener")
    }

    fn valid_for(&self, millis: u64) {
        self.listener().valid_until(Instant::now() + Duration::from_millis(millis));
    }

    /// A change by another server, not reported yet.
    async fn put_elsewhere(&self, key: &RawKey, bytes: &[u8]) {
        let change = Transaction::within(key.partition().clone());
        let _ = self.stored.commit(change.put(key.clone(), bytes.to_vec(), None)).await.unwrap();
    }
}

impl Store for RemoteStore {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        *self.reads.lock().unwrap() += 1;
        Box::pin(async move {
            let found = self.stored.get(key).await;
            self.replies.acquire().await.expect("a reply").forget();
            found
        })
    }

    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        self.stored.get_and_remove(key)
    }

    fn commit(&self, change: Transaction) -> StoreFuture<'_, CommitOutcome> {
        Box::pin(async move {
            let outcome = self.stored.commit(change).await;
            self.replies.acquire().await.expect("a reply").forget();
            outcome
        })
    }

    fn scan_index<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<String>> {
        self.stored.scan_index(index, after, limit)
    }

    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64> {
        self.stored.increment(counter, window)
    }

    fn ping(&self) -> StoreFuture<'_, PingInfo> {
        self.stored.ping()
    }

    fn subscribe(&self, listener: &Arc<dyn ChangeListener>) -> Option<Subscription> {
        *self.listener.lock().unwrap() = Some(Arc::clone(listener));
        Some(Subscription::new(tokio::spawn(std::future::pending())))
    }
}

const TTL: Duration = Duration::from_secs(5);

fn key(name: &str) -> RawKey {
    RawKey::new(Partition::new(format!("client:{name}")), "client.v1", None)
}

fn cached_store(remote: &Arc<RemoteStore>) -> Arc<dyn Store> {
    CachedStore::wrap(Arc::clone(remote) as _, TTL, |_| ())
}

async fn read_cached(store: &Arc<dyn Store>, key: &RawKey) -> Option<Vec<u8>> {
    store.get_cached(key).await.unwrap()
}

type Reading = std::pin::Pin<Box<dyn Future<Output = Option<Vec<u8>>>>>;

/// Starts a read that has no reply yet.
async fn start_read(store: &Arc<dyn Store>, key: &RawKey) -> Reading {
    let (store, key) = (Arc::clone(store), key.clone());
    let mut read: Reading = Box::pin(async move { read_cached(&store, &key).await });
    let first = std::future::poll_fn(|context| std::task::Poll::Ready(read.as_mut().poll(context)));
    assert!(first.await.is_pending());
    read
}

#[tokio::test(start_paused = true)]
async fn what_was_read_a_moment_ago_is_not_asked_for_again_and_a_moment_is_short() {
    let remote = RemoteStore::new();
    let store = cached_store(&remote);
    remote.put_elsewhere(&key("a"), b"1").await;
    remote.valid_for(60_000);
    for _ in 0..3 {
        assert_eq!(read_cached(&store, &key("a")).await.as_deref(), Some(&b"1"[..]));
    }
    assert_eq!(remote.reads(), 1);
    assert_eq!(store.get(&key("a")).await.unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(remote.reads(), 2, "a strong read asks the store");
    read_cached(&store, &key("a")).await;
    assert_eq!(remote.reads(), 2, "and it was still so");
    advance(TTL).await;
    read_cached(&store, &key("a")).await;
    assert_eq!(remote.reads(), 3);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_unless_changes_are_told_and_what_nobody_tells_of_never() {
    let remote = RemoteStore::new();
    let store = cached_store(&remote);
    let other = RawKey::new(Partition::new("grant:a"), "grant.v1", None);
    remote.put_elsewhere(&key("a"), b"1").await;
    remote.put_elsewhere(&other, b"1").await;
    read_cached(&store, &key("a")).await;
    read_cached(&store, &key("a")).await;
    assert_eq!(remote.reads(), 2, "changes are not reported");
    remote.valid_for(1500);
    for key in [&key("a"), &other, &key("absent")] {
        read_cached(&store, key).await;
        read_cached(&store, key).await;
    }
    assert_eq!(remote.reads(), 2 + 1 + 2 + 2, "neither grants nor absence are cached");
    advance(Duration::from_millis(1500)).await;
    read_cached(&store, &key("a")).await;
    assert_eq!(remote.reads(), 8, "the validity is over");
    remote.valid_for(1500);
    read_cached(&store, &key("a")).await;
    assert_eq!(remote.reads(), 8, "it is valid again");
    remote.listener().invalidate_all();
    remote.valid_for(1500);
    read_cached(&store, &key("a")).await;
    assert_eq!(remote.reads(), 9, "everything was dropped");
}

#[tokio::test]
async fn that_there_is_no_epoch_is_kept_until_there_is_one() {
    let epoch = RawKey::new(Partition::new("client:a"), "epoch.v1", None);
    let remote = RemoteStore::new();
    let store = cached_store(&remote);
    remote.valid_for(60_000);
    for _ in 0..3 {
        assert_eq!(read_cached(&store, &epoch).await, None);
    }
    assert_eq!(remote.reads(), 1);
    assert_eq!(store.get(&epoch).await.unwrap(), None);
    read_cached(&store, &epoch).await;
    assert_eq!(remote.reads(), 2, "it was still so");
    // A reported change by another server, then one of our own.
    remote.put_elsewhere(&epoch, b"1").await;
    remote.listener().invalidate(epoch.as_str());
    assert_eq!(read_cached(&store, &epoch).await.as_deref(), Some(&b"1"[..]));
    assert!(store.get_and_remove(&epoch).await.unwrap().is_some());
    assert_eq!(read_cached(&store, &epoch).await, None);
    let change =
        Transaction::within(epoch.partition().clone()).put(epoch.clone(), b"2".to_vec(), None);
    assert_eq!(store.commit(change).await.unwrap(), CommitOutcome::Committed);
    assert_eq!(read_cached(&store, &epoch).await.as_deref(), Some(&b"2"[..]));
}

#[tokio::test]
async fn a_read_that_was_under_way_when_the_change_came_is_not_kept() {
    for report in [
        (|remote: &RemoteStore| remote.listener().invalidate("{client:a}client.v1"))
            as fn(&RemoteStore),
        |remote| {
            remote.listener().invalidate_all();
            remote.valid_for(60_000);
        },
    ] {
        let remote = RemoteStore::new();
        let store = cached_store(&remote);
        remote.put_elsewhere(&key("a"), b"old").await;
        remote.valid_for(60_000);
        remote.replies.forget_permits(1_000_000);
        let read = start_read(&store, &key("a")).await;
        remote.put_elsewhere(&key("a"), b"new").await;
        report(&remote);
        remote.replies.add_permits(1_000);
        assert_eq!(read.await.as_deref(), Some(&b"old"[..]), "it was so when it was read");
        assert_eq!(read_cached(&store, &key("a")).await.as_deref(), Some(&b"new"[..]));
        assert_eq!(remote.reads(), 2);
    }
}

#[tokio::test]
async fn a_change_of_ones_own_is_seen_by_whoever_comes_after_it_and_not_hidden_by_who_came_before()
{
    let remote = RemoteStore::new();
    let store = cached_store(&remote);
    remote.put_elsewhere(&key("a"), b"old").await;
    remote.valid_for(60_000);
    read_cached(&store, &key("a")).await;
    remote.replies.forget_permits(1_000_000);
    let change = Transaction::within(key("a").partition().clone());
    let change = change.put(key("a"), b"new".to_vec(), None);
    let change = store.commit(change.require(key("a"), Precondition::Unchanged(b"old".to_vec())));
    // Dropped before it is sent: this one reads before the change, and gets the answer after it.
    let read = start_read(&store, &key("a")).await;
    remote.replies.add_permits(1);
    assert_eq!(read.await.as_deref(), Some(&b"old"[..]));
    remote.replies.add_permits(1_000);
    assert_eq!(change.await.unwrap(), CommitOutcome::Committed);
    assert_eq!(read_cached(&store, &key("a")).await.as_deref(), Some(&b"new"[..]));
    assert_eq!(store.get_and_remove(&key("a")).await.unwrap().as_deref(), Some(&b"new"[..]));
    assert_eq!(read_cached(&store, &key("a")).await, None);
}

#[tokio::test]
async fn whoever_has_seen_the_new_does_not_see_the_old_again() {
    let remote = RemoteStore::new();
    let store = cached_store(&remote);
    remote.put_elsewhere(&key("a"), b"old").await;
    remote.valid_for(60_000);
    read_cached(&store, &key("a")).await;
    remote.put_elsewhere(&key("a"), b"new").await;
    assert_eq!(
        read_cached(&store, &key("a")).await.as_deref(),
        Some(&b"old"[..]),
        "not reported yet"
    );
    assert_eq!(store.get(&key("a")).await.unwrap().as_deref(), Some(&b"new"[..]));
    assert_eq!(read_cached(&store, &key("a")).await.as_deref(), Some(&b"new"[..]));
}

#[tokio::test]
async fn of_many_who_miss_the_same_the_first_files_it_and_one_who_goes_away_stops_nobody() {
    let remote = RemoteStore::new();
    let store = cached_store(&remote);
    remote.put_elsewhere(&key("a"), b"1").await;
    remote.valid_for(60_000);
    remote.replies.forget_permits(1_000_000);
    drop(start_read(&store, &key("a")).await);
    let (first, second) =
        (start_read(&store, &key("a")).await, start_read(&store, &key("a")).await);
    remote.replies.add_permits(1);
    first.await;
    read_cached(&store, &key("a")).await;
    assert_eq!(remote.reads(), 3, "the first read cached its value");
    remote.replies.add_permits(1);
    second.await;
}

#[test]
fn what_is_kept_is_bounded_in_number_and_in_bytes() {
    for (count, size) in [(3 * MAX_ENTRIES, 10), (200, MAX_ENTRY_BYTES), (10, MAX_ENTRY_BYTES + 1)]
    {
        let entries = CacheEntries::new(TTL, Box::new(|_| ()));
        entries.valid_until(Instant::now() + TTL);
        let bytes = vec![0; size];
        let keys: Vec<String> = (0..count).map(|number| format!("{{client:{number}}}")).collect();
        for key in &keys {
            match entries.look_up(key) {
                Lookup::Missing(Some(lease)) => lease.insert(Some(&bytes)),
                Lookup::Missing(None) | Lookup::Cached(_) => panic!("{key} is new"),
            }
        }
        let (cached, ordered, bytes_used) = entries.size();
        assert!(cached <= ordered && ordered <= MAX_ENTRIES, "{cached} {ordered}");
        assert!(bytes_used <= MAX_BYTES, "{bytes_used}");
        let last = entries.look_up(&keys[count - 1]);
        assert_eq!(matches!(last, Lookup::Cached(_)), size <= MAX_ENTRY_BYTES, "the newest stays");
        assert!(size > MAX_ENTRY_BYTES || cached >= 50, "{cached}");
        for key in &keys {
            entries.invalidate(key);
        }
        assert_eq!((entries.size().0, entries.size().2), (0, 0), "everything was counted");
    }
}

#[test]
fn what_changes_all_the_time_takes_no_room_for_ever() {
    let entries = CacheEntries::new(TTL, Box::new(|_| ()));
    entries.valid_until(Instant::now() + TTL);
    for _ in 0..3 * MAX_ENTRIES {
        let Lookup::Missing(Some(lease)) = entries.look_up("{client:a}") else {
            panic!("it changed")
        };
        lease.insert(Some(b"1"));
        entries.invalidate("{client:a}");
    }
    assert!(entries.size().1 <= 2, "{:?}", entries.size());
}
