//! Records with a lifetime, changed all or nothing.
//!
//! - A **partition** is the set of keys that may change in one step. In Redis it is the hash tag.
//! - A **transaction** is a set of preconditions and writes in one partition.
//! - An **index** may list too much, never too little: add the name before the record, drop stale names on read.
//! - **Expiry** here is housekeeping. A record that must not be honoured after a moment carries that moment, and
//!   its reader checks. A backend with a clock of its own is told the remaining lifetime, so that a wrong clock
//!   of one server deletes nothing.
//! - **Nothing is retried.** After [`StoreError::Unavailable`] the write may have happened. A caller that repeats it
//!   must recognise its own first attempt.
//! - **What cannot be read** counts as absent and is logged as an error. `create` does not overwrite it.
//!
//! Decisions: docs/decisions/six-store-operations.md, hash-tags-as-partitions.md.

mod cached;
mod change_listener;
mod contention;
mod error;
mod file;
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

/// The result of an operation, boxed so that `dyn Store` works.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// The six operations of a backend. A feature adds a record type, not an operation. The two provided methods
/// are for a backend across a network.
pub trait Store: Send + Sync + 'static {
    /// The value of the key.
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>>;

    /// Removes the key and answers its value, to one caller only.
    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>>;

    /// Applies every write, or none if a precondition does not hold.
    fn commit(&self, transaction: Transaction) -> StoreFuture<'_, CommitOutcome>;

    /// Up to `limit` names of the index that sort after `after`, in byte order. A name begins with what the
    /// index is ordered by: a v7 UUID, or a time in fixed-width hex.
    fn scan_index<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<String>>;

    /// Adds one to a counter and answers the sum. The counter expires `window` after its first increment.
    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64>;

    /// Checks that the backend takes a write now.
    fn ping(&self) -> StoreFuture<'_, PingInfo>;

    /// [`get`](Self::get) that may answer a value from a moment ago. Only [`CachedStore`] does.
    fn get_cached<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        self.get(key)
    }

    /// Reports every change to the listener, of whichever server, until the subscription is dropped. `None` for a
    /// backend in this process, where nothing is gained by a cache.
    fn subscribe(&self, _listener: &Arc<dyn ChangeListener>) -> Option<Subscription> {
        None
    }
}

/// What [`Store::ping`] learns of a backend that is well.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PingInfo {
    /// How far our clock is ahead of the backend's: of several servers the one that differs most, zero if the
    /// backend uses ours, `None` if it does not report its own.
    pub ahead_millis: Option<i64>,
}

/// Whether a transaction was applied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum CommitOutcome {
    Committed,
    /// A precondition does not hold, and nothing was written. Read again and decide again.
    Conflict,
}

/// Writes in one partition, and the preconditions under which they are applied.
#[derive(Clone, Debug)]
#[must_use = "a transaction does nothing until it is committed"]
pub struct Transaction {
    pub(crate) partition: Partition,
    pub(crate) preconditions: Vec<(RawKey, Precondition)>,
    pub(crate) writes: Vec<Write>,
}

/// What must hold of a key when the transaction is applied.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Precondition {
    /// The key has no value.
    Absent,
    /// The value is these bytes, as they were read.
    Unchanged(Vec<u8>),
}

#[derive(Clone, Debug)]
pub(crate) enum Write {
    Put { key: RawKey, bytes: Vec<u8>, delete_after: Option<UnixTime> },
    Delete { key: RawKey },
    IndexAdd { index: RawKey, name: String, until: Option<UnixTime> },
    IndexRemove { index: RawKey, name: String },
}

impl Transaction {
    /// An empty transaction.
    pub fn within(partition: Partition) -> Self {
        Self { partition, preconditions: Vec::new(), writes: Vec::new() }
    }

    /// Applies the whole transaction only if the precondition holds of `key`.
    pub fn require(mut self, key: RawKey, precondition: Precondition) -> Self {
        self.assert_inside(&key);
        self.preconditions.push((key, precondition));
        self
    }

    /// Sets the value of the key. With `delete_after` at or before now, the key is removed.
    pub fn put(mut self, key: RawKey, bytes: Vec<u8>, delete_after: Option<UnixTime>) -> Self {
        self.assert_inside(&key);
        self.writes.push(Write::Put { key, bytes, delete_after });
        self
    }

    /// Removes the key, if it exists.
    pub fn delete(mut self, key: RawKey) -> Self {
        self.assert_inside(&key);
        self.writes.push(Write::Delete { key });
        self
    }

    /// Adds the name to the index, if it is not there.
    pub fn index_add(mut self, index: RawKey, name: impl Into<String>) -> Self {
        self.assert_inside(&index);
        self.writes.push(Write::IndexAdd { index, name: name.into(), until: None });
        self
    }

    /// [`index_add`](Self::index_add) to an index whose names all expire: the whole index may be deleted after
    /// the last `until`. An index takes either such names or others.
    pub fn index_add_until(
        mut self,
        index: RawKey,
        name: impl Into<String>,
        until: UnixTime,
    ) -> Self {
        self.assert_inside(&index);
        self.writes.push(Write::IndexAdd { index, name: name.into(), until: Some(until) });
        self
    }

    /// Removes the name from the index. An index without names does not exist.
    pub fn index_remove(mut self, index: RawKey, name: impl Into<String>) -> Self {
        self.assert_inside(&index);
        self.writes.push(Write::IndexRemove { index, name: name.into() });
        self
    }

    /// A transaction across partitions is a bug that only a Redis Cluster would show, in production. Every
    /// backend panics, the in-memory store included.
    fn assert_inside(&self, key: &RawKey) {
        assert!(
            key.partition() == &self.partition,
            "{key} is outside partition {}",
            self.partition
        );
    }
}
