//! The stores a trace runs on, each with a way to inspect it and to roll it back.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as Lock};
use std::time::Duration;

use latchkey::infra::clock::{Clock, UnixTime};
use latchkey::infra::secret::Secret;
use latchkey::infra::store::{
    CommitOutcome, FileStore, MemoryStore, Partition, PingInfo, RawKey, RedisOptions, RedisStore,
    Store, StoreFuture, Transaction,
};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::support::redis::RedisServer;

/// Where the servers of a trace remember things.
pub enum ModelBackend {
    Memory(Arc<RewindableStore>),
    /// Its folder goes with it.
    File {
        _folder: TempDir,
    },
    /// What its keys begin with.
    Redis(String),
}

/// Which.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BackendKind {
    Memory,
    File,
    Redis,
}

/// A moment to go back to.
pub enum Snapshot {
    Journal(usize),
    Key(String),
}

impl ModelBackend {
    pub async fn open(kind: BackendKind, clock: &Clock) -> (Self, Arc<dyn Store>) {
        match kind {
            BackendKind::Memory => {
                let store = Arc::new(RewindableStore::new(clock.clone()));
                (Self::Memory(store.clone()), store)
            }
            BackendKind::File => {
                let folder = tempfile::tempdir().expect("a folder");
                let store = FileStore::open(folder.path(), clock.clone()).await.expect("a store");
                (Self::File { _folder: folder }, Arc::new(store))
            }
            BackendKind::Redis => {
                let prefix = format!("{}:", Secret::random().reveal());
                let options = RedisOptions {
                    prefix: prefix.clone(),
                    timeout: Duration::from_secs(10),
                    ..RedisOptions::new(format!("{}1", RedisServer::shared().url()))
                };
                let store = RedisStore::connect(&options).await.expect("redis");
                (Self::Redis(prefix), Arc::new(store))
            }
        }
    }

    /// Remembers this moment; a file cannot be turned back.
    pub async fn mark(&self) -> Option<Snapshot> {
        match self {
            Self::Memory(store) => Some(Snapshot::Journal(store.length().await)),
            Self::File { .. } => None,
            Self::Redis(prefix) => {
                let key = format!("mark-of-{prefix}{}", Secret::random().reveal());
                says(KEEP, &[&key, prefix]);
                Some(Snapshot::Key(key))
            }
        }
    }

    /// Makes the store hold what it held then, and nothing else.
    pub async fn rewind(&self, mark: &Snapshot) {
        match (self, mark) {
            (Self::Memory(store), Snapshot::Journal(length)) => store.rewind(*length).await,
            (Self::Redis(prefix), Snapshot::Key(key)) => drop(says(PUT_BACK, &[key, prefix])),
            (Self::Memory(_) | Self::Redis(_) | Self::File { .. }, _) => panic!("another's mark"),
        }
    }

    /// The keys that are there for ever: in Redis those without a deadline, in memory all that are left now.
    /// Nothing can be said about a file.
    pub async fn lasting(&self) -> Vec<String> {
        match self {
            Self::Memory(store) => store.lasting().await,
            Self::File { .. } => Vec::new(),
            Self::Redis(prefix) => {
                let said = says(LASTING, &["", prefix]);
                let (_, list) = said.split_once("\r\n").expect("a text");
                list.split_whitespace().map(str::to_owned).collect()
            }
        }
    }
}

impl Drop for ModelBackend {
    fn drop(&mut self) {
        if let Self::Redis(prefix) = self {
            says(CLEAR, &["", prefix]);
        }
    }
}

/// Keys of our own are only ever touched by scripts that run in the database the servers use.
fn says(script: &str, args: &[&str]) -> String {
    let script = format!("redis.call('SELECT', 1) {script}");
    let mut words: Vec<&[u8]> = vec![b"EVAL", script.as_bytes(), b"0"];
    words.extend(args.iter().map(|arg| arg.as_bytes()));
    let said = RedisServer::shared().command(&words);
    assert!(!said.starts_with('-'), "{said}");
    said
}

const KEEP: &str = "for _, key in ipairs(redis.call('KEYS', ARGV[2] .. '*')) do \
    redis.call('HSET', ARGV[1], key, redis.call('DUMP', key)) \
    redis.call('HSET', ARGV[1] .. '@', key, redis.call('PEXPIRETIME', key)) end return 'OK'";
const PUT_BACK: &str = "for _, key in ipairs(redis.call('KEYS', ARGV[2] .. '*')) do redis.call('DEL', key) end \
    local dumps = redis.call('HGETALL', ARGV[1]) \
    for i = 1, #dumps, 2 do \
        local ends = tonumber(redis.call('HGET', ARGV[1] .. '@', dumps[i])) \
        if ends < 0 then ends = 0 end \
        redis.call('RESTORE', dumps[i], ends, dumps[i + 1], 'ABSTTL', 'REPLACE') end return 'OK'";
const LASTING: &str = "local kinds = {} \
    for _, key in ipairs(redis.call('KEYS', ARGV[2] .. '*')) do \
        if redis.call('PTTL', key) == -1 then kinds[#kinds + 1] = string.sub(key, #ARGV[2] + 1) end end \
    return table.concat(kinds, ' ')";
const CLEAR: &str = "for _, key in ipairs(redis.call('KEYS', '*' .. ARGV[2] .. '*')) do redis.call('DEL', key) end \
    return 'OK'";

/// A store in memory that can be turned back: it writes down what was done, and does it again.
pub struct RewindableStore {
    clock: Clock,
    past: Mutex<Past>,
}

struct Past {
    store: MemoryStore,
    /// Its own clock, which follows the other one, so that doing it again happens when it happened.
    time: Clock,
    journal: Vec<(UnixTime, Done)>,
}

#[derive(Clone)]
enum Done {
    Commit(Transaction),
    Take(RawKey),
    Tally(RawKey, Duration),
}

impl Past {
    fn begin() -> Self {
        let time = Clock::manual(UnixTime::from_secs(0));
        Self { store: MemoryStore::new(time.clone()), time, journal: Vec::new() }
    }

    fn follow(&self, now: UnixTime) -> &MemoryStore {
        self.time.advance(now.since(self.time.now()));
        &self.store
    }

    fn note(&mut self, now: UnixTime, done: Done) {
        self.journal.push((now, done));
    }
}

impl RewindableStore {
    fn new(clock: Clock) -> Self {
        Self { clock, past: Mutex::new(Past::begin()) }
    }

    async fn length(&self) -> usize {
        self.past.lock().await.journal.len()
    }

    async fn rewind(&self, length: usize) {
        let mut past = self.past.lock().await;
        let kept = past.journal[..length].to_vec();
        *past = Past::begin();
        for (at, done) in &kept {
            let store = past.follow(*at);
            match done.clone() {
                Done::Commit(change) => drop(store.commit(change).await),
                Done::Take(key) => drop(store.get_and_remove(&key).await),
                Done::Tally(key, window) => drop(store.increment(&key, window).await),
            }
        }
        past.journal = kept;
    }

    /// Read off what it shows to a programmer.
    async fn lasting(&self) -> Vec<String> {
        let past = self.past.lock().await;
        // Any command makes it forget what is due.
        let nothing = RawKey::new(Partition::new("none"), "none", None);
        past.follow(self.clock.now()).get(&nothing).await.expect("memory");
        let mut shown = String::new();
        write!(shown, "{:?}", past.store).expect("text");
        let entries = shown.split("entries: {").nth(1).expect("entries");
        let (entries, rest) = entries.split_once("deadlines: {").expect("deadlines");
        let indexes = rest.split_once("indexes: {").expect("indexes").1;
        let named = |text: &str| {
            text.split("rendered: \"")
                .skip(1)
                .map(|it| it.split_once('"').expect("a name").0.to_owned())
                .collect::<Vec<String>>()
        };
        named(entries).into_iter().chain(named(indexes)).collect()
    }
}

impl Store for RewindableStore {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move { self.past.lock().await.follow(self.clock.now()).get(key).await })
    }

    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let (mut past, now) = (self.past.lock().await, self.clock.now());
            past.note(now, Done::Take(key.clone()));
            past.follow(now).get_and_remove(key).await
        })
    }

    fn commit(&self, change: Transaction) -> StoreFuture<'_, CommitOutcome> {
        Box::pin(async move {
            let (mut past, now) = (self.past.lock().await, self.clock.now());
            past.note(now, Done::Commit(change.clone()));
            past.follow(now).commit(change).await
        })
    }

    fn scan_index<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<String>> {
        Box::pin(async move {
            self.past.lock().await.follow(self.clock.now()).scan_index(index, after, limit).await
        })
    }

    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64> {
        Box::pin(async move {
            let (mut past, now) = (self.past.lock().await, self.clock.now());
            past.note(now, Done::Tally(counter.clone(), window));
            past.follow(now).increment(counter, window).await
        })
    }

    fn ping(&self) -> StoreFuture<'_, PingInfo> {
        Box::pin(async { Ok(PingInfo { ahead_millis: Some(0) }) })
    }
}

/// Around any store: counts what it is asked, and keeps a copy of what it last answered.
#[derive(Clone)]
pub struct RecordingStore {
    inner: Arc<dyn Store>,
    asked: Arc<AtomicUsize>,
    read: Arc<Lock<BTreeMap<String, Vec<u8>>>>,
}

impl RecordingStore {
    pub fn wrap(inner: Arc<dyn Store>) -> Self {
        Self { inner, asked: Arc::default(), read: Arc::default() }
    }

    pub fn count(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Every record that was read, as it was last read, under its key.
    pub fn records(&self) -> BTreeMap<String, Vec<u8>> {
        self.read.lock().expect("the copies").clone()
    }

    fn one_more(&self) {
        self.asked.fetch_add(1, Ordering::SeqCst);
    }

    fn copy(&self, key: &RawKey, bytes: Option<&Vec<u8>>) {
        if let Some(bytes) = bytes {
            self.read.lock().expect("the copies").insert(key.to_string(), bytes.clone());
        }
    }
}

impl Store for RecordingStore {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        self.one_more();
        Box::pin(async move {
            let held = self.inner.get(key).await?;
            self.copy(key, held.as_ref());
            Ok(held)
        })
    }

    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        self.one_more();
        Box::pin(async move {
            let held = self.inner.get_and_remove(key).await?;
            self.copy(key, held.as_ref());
            Ok(held)
        })
    }

    fn commit(&self, change: Transaction) -> StoreFuture<'_, CommitOutcome> {
        self.one_more();
        self.inner.commit(change)
    }

    fn scan_index<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<String>> {
        // The logout workers look there at times of their own.
        if !index.to_string().contains("logout-deliveries") {
            self.one_more();
        }
        self.inner.scan_index(index, after, limit)
    }

    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64> {
        self.one_more();
        self.inner.increment(counter, window)
    }

    fn ping(&self) -> StoreFuture<'_, PingInfo> {
        self.inner.ping()
    }
}
