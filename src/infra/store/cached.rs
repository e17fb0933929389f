//! A read cache in front of a store that reports changes (Redis, by `CLIENT TRACKING`).
//!
//! Contract: a `Consistency::Cached` read may be stale by at most 1.5 s, and only on servers other than the one
//! that acknowledged the change. Absence is cached for [epochs](crate::domain::epoch) only. Writes, grants, codes
//! and consents never read from here. Without a live tracking connection the cache is off.
//!
//! A miss takes a lease; a change of the key revokes it, so a value read before a change is not cached after it.
//!
//! Who reads `Cached` and why, alternatives, failure cases: docs/decisions/read-cache.md.

mod entries;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use self::entries::{CacheEntries, Lookup};
use super::{
    ChangeListener, CommitOutcome, PingInfo, RawKey, Store, StoreError, StoreFuture, Subscription,
    Transaction, Write,
};

/// A store that answers [`Consistency::Cached`](super::Consistency) reads from memory for a moment.
pub struct CachedStore {
    inner: Arc<dyn Store>,
    entries: Arc<CacheEntries>,
    _subscription: Subscription,
}

/// What the cache did, for metrics.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CacheEvent {
    /// The value was cached.
    Hit,
    /// The store was asked, and the value is cached if there is one.
    Miss,
    /// The store was asked, because changes are not reported.
    Off,
    /// A cached value was changed.
    Invalidated,
    /// Whether changes are reported from now on.
    Live(bool),
}

type Report = Box<dyn Fn(CacheEvent) + Send + Sync>;

impl CachedStore {
    /// Caches values for `ttl`. Answers `inner` itself if it does not report changes or `ttl` is zero. `report`
    /// must not block.
    pub fn wrap(
        inner: Arc<dyn Store>,
        ttl: Duration,
        report: impl Fn(CacheEvent) + Send + Sync + 'static,
    ) -> Arc<dyn Store> {
        if ttl.is_zero() {
            return inner;
        }
        let entries = Arc::new(CacheEntries::new(ttl, Box::new(report)));
        let listener: Arc<dyn ChangeListener> = Arc::clone(&entries) as _;
        match inner.subscribe(&listener) {
            Some(subscription) => Arc::new(Self { inner, entries, _subscription: subscription }),
            None => inner,
        }
    }

    async fn read_cached(&self, key: &RawKey) -> Result<Option<Vec<u8>>, StoreError> {
        let lease = match self.entries.look_up(key.as_str()) {
            Lookup::Cached(bytes) => return Ok(bytes.map(|bytes| bytes.to_vec())),
            Lookup::Missing(lease) => lease,
        };
        let value = self.inner.get(key).await?;
        if let Some(lease) = lease
            && (value.is_some() || CACHED_ABSENT_KINDS.contains(&key.kind()))
        {
            lease.insert(value.as_deref());
        }
        Ok(value)
    }

    /// A strong read drops an older cached value, so that no caller sees a value and then the one before it.
    async fn read_strong(&self, key: &RawKey) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.inner.get(key).await;
        if is_cacheable(key) {
            let current = value.as_ref().ok().and_then(Option::as_deref);
            self.entries.invalidate_if_stale(key.as_str(), current);
        }
        value
    }
}

impl Store for CachedStore {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(self.read_strong(key))
    }

    fn get_cached<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        if is_cacheable(key) { Box::pin(self.read_cached(key)) } else { self.get(key) }
    }

    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        let invalidation = InvalidationGuard::new(&self.entries, vec![key.clone()]);
        let command = self.inner.get_and_remove(key);
        Box::pin(async move {
            let _invalidation = invalidation;
            command.await
        })
    }

    fn commit(&self, transaction: Transaction) -> StoreFuture<'_, CommitOutcome> {
        let keys = transaction.writes.iter().filter_map(|write| match write {
            Write::Put { key, .. } | Write::Delete { key } => Some(key.clone()),
            Write::IndexAdd { .. } | Write::IndexRemove { .. } => None,
        });
        let invalidation = InvalidationGuard::new(&self.entries, keys.collect());
        let command = self.inner.commit(transaction);
        Box::pin(async move {
            let _invalidation = invalidation;
            command.await
        })
    }

    fn scan_index<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<String>> {
        self.inner.scan_index(index, after, limit)
    }

    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64> {
        self.inner.increment(counter, window)
    }

    fn ping(&self) -> StoreFuture<'_, PingInfo> {
        self.inner.ping()
    }
}

/// Drops the cached values of keys before they are changed, and again afterwards, however that ends: a read in
/// between may have cached the old value.
struct InvalidationGuard<'a> {
    entries: &'a CacheEntries,
    keys: Vec<RawKey>,
}

impl<'a> InvalidationGuard<'a> {
    fn new(entries: &'a CacheEntries, mut keys: Vec<RawKey>) -> Self {
        keys.retain(is_cacheable);
        let guard = Self { entries, keys };
        guard.remove_all();
        guard
    }

    fn remove_all(&self) {
        for key in &self.keys {
            self.entries.remove(key.as_str());
        }
    }
}

impl Drop for InvalidationGuard<'_> {
    fn drop(&mut self) {
        self.remove_all();
    }
}

/// Whether changes of the key are reported.
fn is_cacheable(key: &RawKey) -> bool {
    CACHED_PREFIXES.iter().any(|prefix| key.as_str().starts_with(prefix))
}

/// Kinds whose absence is cached.
const CACHED_ABSENT_KINDS: &[&str] = &["epoch.v1"];

/// Clients, users, sessions and their `sid`s. Other records in the partition of a user are reported, too, and
/// never read with `Consistency::Cached`.
const CACHED_PREFIXES: &[&str] = &["{client:", "{user:", "{session:", "{sid:"];
