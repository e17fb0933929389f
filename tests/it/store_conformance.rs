//! One suite, every backend. A backend that passes is a backend.

mod file_crashes;
mod file_faults;
mod redis_failover;
mod redis_faults;
mod redis_topologies;

use std::sync::Arc;
use std::time::Duration;

use latchkey::infra::clock::{Clock, UnixTime};
use latchkey::infra::store::{
    CommitOutcome, CreateOutcome, FileStore, Key, MemoryStore, Partition, Precondition, RawKey,
    Record, RedisOptions, RedisStore, Store, Transaction,
};
use serde::{Deserialize, Serialize};

use crate::support::redis::RedisServer;

const PREFIX: &str = "test:";

/// What the suite leaves behind without a deadline: indexes, which go with their last name.
const PERMANENT: [&str; 1] = ["index"];

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Grant {
    id: String,
    code: Code,
    redeemed_by: Option<usize>,
    generation: u32,
    forget_at: UnixTime,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
enum Code {
    Issued,
    Redeemed,
}

#[derive(Debug, PartialEq)]
struct AlreadyRedeemed;

impl Record for Grant {
    const KIND: &'static str = "grant.v1";

    fn key(&self) -> Key<Self> {
        Key::single(Partition::new(format!("grant:{}", self.id)))
    }

    fn delete_after(&self) -> Option<UnixTime> {
        Some(self.forget_at)
    }
}

fn issued() -> Grant {
    Grant {
        id: uuid::Uuid::new_v4().to_string(),
        code: Code::Issued,
        redeemed_by: None,
        generation: 0,
        forget_at: Clock::System.now().plus(LIFETIME),
    }
}

fn raw(kind: &str) -> RawKey {
    RawKey::new(Partition::new(format!("t:{}", uuid::Uuid::new_v4())), kind, None)
}

const LIFETIME: Duration = Duration::from_mins(1);

/// A store under test, and how its time passes.
struct Backend {
    store: Arc<dyn Store>,
    time: Time,
}

enum Time {
    Clock(Clock),
    /// Redis keeps its own time: that a key would go is read from it, and then it is made to go.
    Redis(Says),
}

/// Says something to whichever redis has the key.
type Says = Box<dyn Fn(&[&[u8]]) -> String + Send + Sync>;

impl Backend {
    fn memory() -> Self {
        let clock = Clock::manual(Clock::System.now());
        Self { store: Arc::new(MemoryStore::new(clock.clone())), time: Time::Clock(clock) }
    }

    async fn file(folder: &std::path::Path) -> Self {
        let clock = Clock::manual(Clock::System.now());
        let store = FileStore::open(folder, clock.clone()).await.expect("a folder");
        Self { store: Arc::new(store), time: Time::Clock(clock) }
    }

    async fn redis() -> Self {
        let server = RedisServer::shared();
        Self::on(RedisOptions::new(server.url()), |words| server.command(words)).await
    }

    async fn on(
        options: RedisOptions,
        says: impl Fn(&[&[u8]]) -> String + Send + Sync + 'static,
    ) -> Self {
        let options = RedisOptions { prefix: PREFIX.to_owned(), ..options };
        let store = RedisStore::connect(&options).await.expect("a fit redis");
        assert!(store.warnings().is_empty());
        Self { store: Arc::new(store), time: Time::Redis(Box::new(says)) }
    }

    /// Lets this much time pass, as far as this key is concerned.
    fn passes(&self, by: Duration, key: &RawKey) {
        match &self.time {
            // It stands since the suite began, and the record was made since.
            Time::Clock(clock) => clock.advance(by.saturating_add(LIFETIME)),
            Time::Redis(says) => {
                let name = format!("{PREFIX}{key}");
                let left = says(&[b"PTTL", name.as_bytes()]);
                let left: i64 = left.trim_start_matches(':').trim_end().parse().expect("a number");
                let by = i64::try_from(by.as_millis()).expect("a short time");
                assert!((1..=by).contains(&left), "{name} is forgotten in {left} ms, not {by}");
                says(&[b"DEL", name.as_bytes()]);
            }
        }
    }

    /// Sixty-four hands at once, each with its number; what they came back with.
    async fn hands<T: Send + 'static, F>(&self, hand: impl Fn(usize, Arc<dyn Store>) -> F) -> Vec<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let hands: Vec<_> =
            (0..64).map(|who| tokio::spawn(hand(who, Arc::clone(&self.store)))).collect();
        let mut held = Vec::new();
        for hand in hands {
            held.push(hand.await.expect("no panic"));
        }
        held
    }
}

async fn create_is_exclusive(on: &Backend) {
    let grant = issued();
    let created = on.hands(|who, store| {
        let grant = Grant { redeemed_by: Some(who), ..grant.clone() };
        async move { (who, store.create(&grant).await.unwrap()) }
    });
    let created = created.await;
    let winners: Vec<_> =
        created.iter().filter(|(_, made)| *made == CreateOutcome::Created).collect();
    let &[&(winner, _)] = winners.as_slice() else { panic!("{} winners", winners.len()) };
    let filed = on.store.load(&grant.key()).await.unwrap().unwrap().record;
    assert_eq!(filed, Grant { redeemed_by: Some(winner), ..grant });
}

async fn consume_yields_once(on: &Backend) {
    let grant = issued();
    assert_eq!(on.store.create(&grant).await.unwrap(), CreateOutcome::Created);
    let got = on.hands(|_, store| {
        let key = grant.key();
        async move { store.consume(&key).await.unwrap() }
    });
    assert_eq!(got.await.into_iter().flatten().collect::<Vec<_>>(), [grant]);
}

async fn a_code_is_redeemed_by_exactly_one_of_many(on: &Backend) {
    let grant = issued();
    assert_eq!(on.store.create(&grant).await.unwrap(), CreateOutcome::Created);
    let redeemed = on.hands(|who, store| {
        let key = grant.key();
        let redeem = move |grant: &mut Grant| match grant.code {
            Code::Redeemed => Err(AlreadyRedeemed),
            Code::Issued => {
                grant.code = Code::Redeemed;
                grant.redeemed_by = Some(who);
                Ok(who)
            }
        };
        async move { store.update(&key, redeem).await.unwrap().unwrap() }
    });
    let winners: Vec<_> = redeemed.await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1, "redeemed by {winners:?}");
    // The spent grant is still there to say who spent it: that is what makes a replay detectable.
    let spent = on.store.load(&grant.key()).await.unwrap().unwrap().record;
    assert_eq!((spent.code, spent.redeemed_by), (Code::Redeemed, winners.first().copied()));
}

async fn no_update_is_lost(on: &Backend) {
    let grant = issued();
    assert_eq!(on.store.create(&grant).await.unwrap(), CreateOutcome::Created);
    let counted = on.hands(|_, store| {
        let key = grant.key();
        async move { store.update(&key, |grant: &mut Grant| grant.generation += 1).await.is_ok() }
    });
    // Those that lost every race say so; those that say nothing have counted.
    let counted = counted.await.into_iter().filter(|ok| *ok).count();
    let after = on.store.load(&grant.key()).await.unwrap().unwrap().record;
    assert!(counted >= 16, "only {counted} of 64");
    assert_eq!(after.generation as usize, counted);
    assert_eq!(after.forget_at, grant.forget_at);
}

async fn an_update_of_nothing_writes_nothing(on: &Backend) {
    let key = issued().key();
    assert_eq!(on.store.update(&key, |_: &mut Grant| ()).await.unwrap(), None);
    assert!(on.store.load(&key).await.unwrap().is_none());
}

async fn a_change_is_all_or_nothing(on: &Backend) {
    let (store, a) = (&on.store, raw("a"));
    let partition = a.partition().clone();
    let b = RawKey::new(partition.clone(), "b", Some("x"));
    let index = RawKey::new(partition.clone(), "index", None);
    let write = |expect: Precondition| {
        Transaction::within(partition.clone())
            .require(a.clone(), expect)
            .put(a.clone(), b"1".to_vec(), None)
            .put(b.clone(), b"2".to_vec(), None)
            .index_add(index.clone(), "b")
    };
    let stale = write(Precondition::Unchanged(b"0".to_vec()));
    assert_eq!(store.commit(stale).await.unwrap(), CommitOutcome::Conflict);
    assert_eq!(store.get(&b).await.unwrap(), None);
    assert!(store.scan_index(&index, "", 10).await.unwrap().is_empty());

    assert_eq!(store.commit(write(Precondition::Absent)).await.unwrap(), CommitOutcome::Committed);
    assert_eq!(store.get(&b).await.unwrap(), Some(b"2".to_vec()));
    assert_eq!(store.scan_index(&index, "", 10).await.unwrap(), ["b"]);
    assert_eq!(store.commit(write(Precondition::Absent)).await.unwrap(), CommitOutcome::Conflict);

    let undo =
        Transaction::within(partition).delete(a.clone()).delete(b).index_remove(index.clone(), "b");
    assert_eq!(store.commit(undo).await.unwrap(), CommitOutcome::Committed);
    assert_eq!(store.get(&a).await.unwrap(), None);
    assert!(store.scan_index(&index, "", 10).await.unwrap().is_empty());
}

async fn an_index_pages_in_name_order_without_repeats(on: &Backend) {
    let (store, index) = (&on.store, raw("index"));
    for name in ["c", "a", "b", "a", "é"] {
        store.index_add(&index, name).await.unwrap();
    }
    assert_eq!(store.scan_index(&index, "", 2).await.unwrap(), ["a", "b"]);
    assert_eq!(store.scan_index(&index, "b", 2).await.unwrap(), ["c", "é"]);
    assert!(store.scan_index(&index, "é", 2).await.unwrap().is_empty());
    assert!(store.scan_index(&index, "", 0).await.unwrap().is_empty());
    store.index_remove(&index, "b").await.unwrap();
    store.index_remove(&index, "never there").await.unwrap();
    assert_eq!(store.scan_index(&index, "", 9).await.unwrap(), ["a", "c", "é"]);
}

async fn put_replaces_and_remove_removes(on: &Backend) {
    let grant = issued();
    on.store.put(&grant).await.unwrap();
    let again = Grant { generation: 7, ..grant };
    on.store.put(&again).await.unwrap();
    assert_eq!(on.store.load(&again.key()).await.unwrap().unwrap().record, again);
    on.store.remove(&again.key()).await.unwrap();
    on.store.remove(&again.key()).await.unwrap();
    assert!(on.store.load(&again.key()).await.unwrap().is_none());
}

async fn bytes_that_are_no_record_count_as_absent(on: &Backend) {
    for bytes in [&b"\xff\xfe{"[..], b"", b"{}", b"null"] {
        let grant = issued();
        let key = grant.key();
        let garbage = Transaction::within(key.raw().partition().clone()).put(
            key.raw().clone(),
            bytes.to_vec(),
            Some(grant.forget_at),
        );
        assert_eq!(on.store.commit(garbage).await.unwrap(), CommitOutcome::Committed);
        assert!(on.store.load(&key).await.unwrap().is_none());
        assert_eq!(on.store.update(&key, |_| ()).await.unwrap(), None);
        assert_eq!(on.store.create(&grant).await.unwrap(), CreateOutcome::Exists);
        assert_eq!(on.store.get(key.raw()).await.unwrap().as_deref(), Some(bytes));
        assert_eq!(on.store.consume(&key).await.unwrap(), None);
    }
}

async fn records_are_forgotten_at_their_time(on: &Backend) {
    let mut grant = issued();
    assert_eq!(on.store.create(&grant).await.unwrap(), CreateOutcome::Created);
    let later = |grant: &mut Grant| grant.forget_at = grant.forget_at.plus(LIFETIME);
    on.store.update(&grant.key(), later).await.unwrap();
    assert!(on.store.load(&grant.key()).await.unwrap().is_some());
    on.passes(LIFETIME * 2, grant.key().raw());
    assert!(on.store.load(&grant.key()).await.unwrap().is_none());

    for past in [UnixTime::from_millis(0), UnixTime::from_secs(1)] {
        grant.forget_at = past;
        assert_eq!(on.store.create(&grant).await.unwrap(), CreateOutcome::Created);
        assert!(on.store.load(&grant.key()).await.unwrap().is_none());
    }
    grant.forget_at = UnixTime::from_millis(u64::MAX);
    assert_eq!(on.store.create(&grant).await.unwrap(), CreateOutcome::Created);
    assert!(on.store.load(&grant.key()).await.unwrap().is_some());
}

async fn a_tally_counts_within_its_window(on: &Backend) {
    let counter = raw("tally");
    let counts = on.hands(|_, store| {
        let counter = counter.clone();
        async move { store.increment(&counter, LIFETIME).await.unwrap() }
    });
    let mut counts = counts.await;
    counts.sort_unstable();
    assert_eq!(counts, (1..=64).collect::<Vec<u64>>());
    on.passes(LIFETIME, &counter);
    assert_eq!(on.store.increment(&counter, LIFETIME).await.unwrap(), 1);
    assert_eq!(on.store.increment(&raw("tally"), Duration::MAX).await.unwrap(), 1);
}

async fn conforms(on: &Backend) {
    on.store.ping().await.unwrap();
    create_is_exclusive(on).await;
    consume_yields_once(on).await;
    a_code_is_redeemed_by_exactly_one_of_many(on).await;
    no_update_is_lost(on).await;
    an_update_of_nothing_writes_nothing(on).await;
    a_change_is_all_or_nothing(on).await;
    an_index_pages_in_name_order_without_repeats(on).await;
    put_replaces_and_remove_removes(on).await;
    bytes_that_are_no_record_count_as_absent(on).await;
    records_are_forgotten_at_their_time(on).await;
    a_tally_counts_within_its_window(on).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn memory_conforms() {
    conforms(&Backend::memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_conforms_and_again_when_it_is_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        conforms(&Backend::file(folder.path()).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_conforms_and_leaves_nothing_without_a_deadline() {
    let on = Backend::redis().await;
    conforms(&on).await;

    let server = RedisServer::shared();
    let keys = server.command(&[b"KEYS", b"*"]);
    let keys: Vec<_> = keys.lines().filter(|line| line.starts_with("test:{")).collect();
    assert!(keys.len() > 5, "{keys:?}");
    for key in keys {
        let permanent = PERMANENT.iter().any(|kind| key.ends_with(&format!("}}{kind}")));
        let forever = server.command(&[b"PTTL", key.as_bytes()]).starts_with(":-1");
        assert_eq!(forever, permanent, "{key}");
    }
}

#[test]
#[should_panic(expected = "outside partition")]
fn a_change_across_partitions_is_refused_everywhere() {
    let elsewhere = RawKey::new(Partition::new("b"), "x", None);
    let _ = Transaction::within(Partition::new("a")).delete(elsewhere);
}
