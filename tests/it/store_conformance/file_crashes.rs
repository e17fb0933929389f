//! A process that is killed fifty times while it commits: every acknowledged change is there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use latchkey::infra::clock::Clock;
use latchkey::infra::store::{
    CommitOutcome, FileStore, Partition, Precondition, RawKey, Store, Transaction,
};

const FOLDER: &str = "LATCHKEY_TEST_FOLDER";
const LIFE: &str = "LATCHKEY_TEST_LIFE";
const HANDS: usize = 4;
const LIVES: usize = 50;

/// Two records that must be the same, and a name, in one change.
struct Pair {
    a: RawKey,
    b: RawKey,
    index: RawKey,
    bytes: Vec<u8>,
}

impl Pair {
    fn new(life: &str, hand: usize, number: usize) -> Self {
        let partition = Partition::new(format!("pair:{life}-{hand}-{number}"));
        let size = (number * 997 + hand * 131) % 9000 + 1;
        Self {
            a: RawKey::new(partition.clone(), "a", None),
            b: RawKey::new(partition.clone(), "b", None),
            index: RawKey::new(partition, "index", None),
            bytes: format!("{number} ").into_bytes().into_iter().cycle().take(size).collect(),
        }
    }

    async fn commit(&self, store: &dyn Store) -> CommitOutcome {
        let change = Transaction::within(self.a.partition().clone())
            .require(self.a.clone(), Precondition::Absent)
            .put(self.a.clone(), self.bytes.clone(), None)
            .put(
                self.b.clone(),
                self.bytes.clone(),
                Some(Clock::System.now().plus(super::LIFETIME)),
            )
            .index_add(self.index.clone(), "name");
        store.commit(change).await.expect("a disk with room")
    }

    /// Whether all of it is there; some of it is never.
    async fn is_there(&self, store: &dyn Store) -> bool {
        let [a, b] = [&self.a, &self.b].map(|key| store.get(key));
        let (a, b) = (a.await.expect("readable"), b.await.expect("readable"));
        let named = !store.scan_index(&self.index, "", 9).await.expect("readable").is_empty();
        let there = a.is_some();
        assert!(a == b && there == named, "torn: {}", self.a);
        assert!(a.is_none_or(|bytes| bytes == self.bytes), "changed: {}", self.a);
        there
    }
}

/// Commits pair after pair and says so, each time after the store did, until it is killed; three of them
/// if nobody is there to do it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_commits_pairs_and_says_so() {
    let own = tempfile::tempdir().expect("a folder");
    let given = std::env::var(FOLDER);
    let folder = given.as_deref().map_or(own.path(), Path::new);
    let life = std::env::var(LIFE).unwrap_or_default();
    let killed = given.is_ok();
    let most = if killed { usize::MAX } else { 3 };
    let store = FileStore::open(folder, Clock::System).await.expect("a folder");
    let store: Arc<dyn Store> = Arc::new(store);
    let hands = (0..HANDS).map(|hand| {
        let (store, life) = (Arc::clone(&store), life.clone());
        tokio::spawn(async move {
            for number in 0..most {
                let pair = Pair::new(&life, hand, number);
                assert_eq!(pair.commit(&*store).await, CommitOutcome::Committed);
                if killed {
                    let mut out = std::io::stdout().lock();
                    let said = writeln!(out, "\ncommitted {hand} {number}");
                    said.and_then(|()| out.flush()).expect("a reader");
                }
            }
        })
    });
    for hand in hands.collect::<Vec<_>>() {
        hand.await.expect("no panic");
    }
    assert!(Pair::new(&life, 0, 2).is_there(&*store).await);
}

/// What a process said before it was killed, which is after it said so much.
fn killed_after(folder: &Path, life: &str, enough: usize) -> BTreeSet<(usize, usize)> {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "store_conformance::file_crashes::a_hand_commits_pairs_and_says_so"])
        .args(["--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(LIFE, life)
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test again");
    let mut said = BTreeSet::new();
    // Until the pipe is empty: what was said before the end counts, too.
    for line in BufReader::new(child.stdout.take().expect("a pipe")).lines() {
        let line = line.expect("text");
        let mut words = line.split(' ').skip_while(|word| *word != "committed").skip(1);
        let numbers = (words.next(), words.next());
        if let (Some(hand), Some(number)) = numbers {
            said.insert((hand.parse().expect("digits"), number.parse().expect("digits")));
        }
        if said.len() == enough {
            child.kill().expect("a running process");
        }
    }
    assert!(!child.wait().expect("an end").success(), "it was not killed: {said:?}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_everything_acknowledged_is_there_and_nothing_is_torn() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut acknowledged, mut unsaid) = (0, 0);
    for life in 0..LIVES {
        let enough = 1 + life * 37 % 40;
        let life = life.to_string();
        let path = folder.path().to_owned();
        let named = life.clone();
        let killed = tokio::task::spawn_blocking(move || killed_after(&path, &named, enough));
        let said = killed.await.expect("no panic");
        assert!(said.len() >= enough, "{} of {enough}", said.len());

        let store = FileStore::open(folder.path(), Clock::System).await.expect("a whole file");
        let mut next: BTreeMap<usize, usize> = (0..HANDS).map(|hand| (hand, 0)).collect();
        for &(hand, number) in &said {
            assert!(
                Pair::new(&life, hand, number).is_there(&store).await,
                "{life} {hand} {number}"
            );
            next.insert(hand, number + 1);
        }
        acknowledged += said.len();
        // What was under way is there or not.
        for (hand, number) in next {
            unsaid += usize::from(Pair::new(&life, hand, number).is_there(&store).await);
            assert!(!Pair::new(&life, hand, number + 1).is_there(&store).await);
        }
        assert_eq!(Pair::new(&life, HANDS, 0).commit(&store).await, CommitOutcome::Committed);
    }
    assert!(acknowledged >= 50 && unsaid <= LIVES * HANDS, "{acknowledged} {unsaid}");
}
