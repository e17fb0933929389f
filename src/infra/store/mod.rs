//! Records with a lifetime, changed all-or-nothing.
//!
//! Three ideas carry the whole module:
//!
//! * a **partition** is the set of keys that may change in one step; in Redis it is the hash tag, so
//!   it is also what makes the step legal on a cluster;
//! * a **change** is "if these keys still hold what I saw, then write all of this";
//! * an **index** may list too much, never too little: link before you write, prune when you read.
//!
//! Expiry here is housekeeping. A record that must not be honoured after a moment says so in its own
//! fields, and its reader checks; the store only promises to forget it some time later. A backend with
//! a clock of its own is told how long a record has to live, not until when: a server whose clock is
//! wrong by an hour neither loses what it has just written nor ends what others wrote.
//!
//! No call is repeated behind its caller's back. [`StoreError::Unavailable`] leaves open whether a
//! write happened: the reply may be lost on the way back, and a command that timed out may still be
//! run. Whoever asks again must recognise their own first attempt: an update whose step finds its
//! attempt's id in the record, a `create` under an id that nobody else can have chosen.
//!
//! What cannot be read (random bytes, something of another type) counts as absent and is an `error`
//! line in the log. It is not overwritten by a `create`, which answers [`CreateOutcome::Taken`].

mod cached;
mod change_listener;
mod contention;
mod error;
mod file;
mod fitness;
mod instrumented;
mod key;
mod memory;
mod open;
mod record;
mod redis;
pub mod schema;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use self::cached::{CacheEvent, CachedStore};
pub use self::change_listener::{ChangeListener, Subscription};
pub use self::error::{OpenError, StoreError};
pub use self::file::FileStore;
pub use self::instrumented::{CommandMetrics, InstrumentedStore, OPERATIONS};
pub use self::key::{Partition, RawKey};
pub use self::memory::MemoryStore;
pub use self::open::{StoreSettings, open, open_to_read};
pub use self::record::{Consistency, CreateOutcome, Key, Record, Versioned};
pub use self::redis::{RedisOptions, RedisStore, RedisTls, RedisUrl};
use crate::infra::clock::UnixTime;

/// What a verb answers, sooner or later: boxed, so that `dyn Store` works.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// What a backend must be able to do. Six verbs; features add record types, not verbs. The two methods
/// after them are for a backend that is far away, and need nothing from any other.
pub trait Store: Send + Sync + 'static {
    /// What the key holds now.
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>>;

    /// What the key held, and nobody else gets it.
    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>>;

    /// Applies every write of the change, or none if anything it expected is no longer so.
    fn commit(&self, change: Transaction) -> StoreFuture<'_, CommitOutcome>;

    /// Up to `limit` names in the index that sort after `after`, in byte order. A name begins with
    /// whatever the index is ordered by: a v7 id, or a moment in fixed-width hex.
    fn scan_index<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<String>>;

    /// Adds one to a counter that forgets itself `window` after its first count; returns the sum.
    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64>;

    /// Whether the backend takes a write now, which is more than whether it answers.
    fn ping(&self) -> StoreFuture<'_, PingInfo>;

    /// [`get`](Self::get) for a reader who is content with what was so a moment ago. Only [`CachedStore`] has
    /// anything to gain by that; everybody else asks.
    fn get_cached<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        self.get(key)
    }

    /// Tells the listener of every change that anybody makes, until what is returned is dropped. `None`
    /// where reading costs so little that nobody needs to know.
    fn subscribe(&self, _listener: &Arc<dyn ChangeListener>) -> Option<Subscription> {
        None
    }
}

/// What a backend that is well tells about itself.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PingInfo {
    /// By how many milliseconds our clock is ahead of the backend's, the farthest of them if it is
    /// several servers; zero if it goes by ours, nothing if it does not tell.
    pub ahead_millis: Option<i64>,
}

/// Whether a change was applied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum CommitOutcome {
    /// All of it.
    Committed,
    /// Somebody was faster. Read again and decide again.
    Conflict,
}

/// A set of writes inside one partition, and what must hold for them to happen.
#[derive(Clone, Debug)]
#[must_use = "a change does nothing until it is committed"]
pub struct Transaction {
    pub(crate) partition: Partition,
    pub(crate) expected: Vec<(RawKey, Precondition)>,
    pub(crate) writes: Vec<Write>,
}

/// What must be so about a key for a change to be applied.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Precondition {
    /// Nothing is filed there.
    Absent,
    /// The very bytes that were read.
    Unchanged(Vec<u8>),
}

#[derive(Clone, Debug)]
pub(crate) enum Write {
    Put { key: RawKey, bytes: Vec<u8>, forget_at: Option<UnixTime> },
    Delete { key: RawKey },
    Link { index: RawKey, name: String, until: Option<UnixTime> },
    Unlink { index: RawKey, name: String },
}

impl Transaction {
    /// An empty change.
    pub fn within(partition: Partition) -> Self {
        Self { partition, expected: Vec::new(), writes: Vec::new() }
    }

    /// Holds the whole change against what `key` holds when it is applied.
    pub fn require(mut self, key: RawKey, expect: Precondition) -> Self {
        self.assert_inside(&key);
        self.expected.push((key, expect));
        self
    }

    /// Files the bytes, whatever the key held. With `delete_after` at or before now, nothing stays.
    pub fn put(mut self, key: RawKey, bytes: Vec<u8>, forget_at: Option<UnixTime>) -> Self {
        self.assert_inside(&key);
        self.writes.push(Write::Put { key, bytes, forget_at });
        self
    }

    /// Removes what the key holds, if anything.
    pub fn delete(mut self, key: RawKey) -> Self {
        self.assert_inside(&key);
        self.writes.push(Write::Delete { key });
        self
    }

    /// Lists the name in the index, once.
    pub fn index_add(mut self, index: RawKey, name: impl Into<String>) -> Self {
        self.assert_inside(&index);
        self.writes.push(Write::Link { index, name: name.into(), until: None });
        self
    }

    /// Lists the name in an index whose names all have an end: the index may be forgotten whole once that of
    /// the last is over. An index takes either such names or others.
    pub fn index_add_until(
        mut self,
        index: RawKey,
        name: impl Into<String>,
        until: UnixTime,
    ) -> Self {
        self.assert_inside(&index);
        self.writes.push(Write::Link { index, name: name.into(), until: Some(until) });
        self
    }

    /// Takes the name off the index; an index without names does not exist.
    pub fn index_remove(mut self, index: RawKey, name: impl Into<String>) -> Self {
        self.assert_inside(&index);
        self.writes.push(Write::Unlink { index, name: name.into() });
        self
    }

    /// A change across partitions is a bug in the caller that Redis Cluster would only show in
    /// production, so it is refused everywhere, the in-memory store included.
    fn assert_inside(&self, key: &RawKey) {
        assert!(
            key.partition() == &self.partition,
            "{key} is outside partition {}",
            self.partition
        );
    }
}
