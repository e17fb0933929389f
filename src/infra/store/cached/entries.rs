use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{CACHED_PREFIXES, CacheEvent, ChangeListener, Report};

/// The cached values, and the leases of reads under way. One lock for all of it, never held for longer than
/// a lookup takes.
pub(super) struct CacheEntries {
    ttl: Duration,
    state: Mutex<State>,
    report: Report,
}

#[derive(Default)]
struct State {
    entries: HashMap<Arc<str>, Entry>,
    /// Every entry that was inserted, oldest first. One that is no longer cached under its number is skipped.
    order: VecDeque<(Arc<str>, u64)>,
    bytes: usize,
    /// The read under way that may insert its value, by number: the first that missed. Of reads that follow one
    /// another without a pause there is no last.
    leases: HashMap<String, u64>,
    last_number: u64,
    /// Entries may be served until then. `None` while changes are not reported.
    valid_until: Option<Instant>,
}

struct Entry {
    number: u64,
    /// `None` if the key is known to have no value.
    bytes: Option<Arc<[u8]>>,
    expires_at: Instant,
}

/// The outcome of a lookup.
pub(super) enum Lookup<'a> {
    /// The value, or `None` if the key is known to have none.
    Cached(Option<Arc<[u8]>>),
    /// The store has to be asked. The value may be inserted with the lease, if this is the first read.
    Missing(Option<Lease<'a>>),
}

/// The right to insert the value that is being read. A change of the key revokes it.
pub(super) struct Lease<'a> {
    entries: &'a CacheEntries,
    key: &'a str,
    number: u64,
}

impl CacheEntries {
    pub(super) fn new(ttl: Duration, report: Report) -> Self {
        Self { ttl, state: Mutex::default(), report }
    }

    pub(super) fn look_up<'a>(&'a self, key: &'a str) -> Lookup<'a> {
        let now = Instant::now();
        let (lookup, event) = self.lock().look_up(self, key, now);
        (self.report)(event);
        lookup
    }

    /// Drops the cached value unless it is `current`, and revokes the lease.
    pub(super) fn invalidate_if_stale(&self, key: &str, current: Option<&[u8]>) {
        let mut state = self.lock();
        state.leases.remove(key);
        if state.entries.get(key).is_some_and(|entry| entry.bytes.as_deref() != current) {
            state.remove(key);
        }
    }

    /// Drops the cached value, and revokes the lease.
    pub(super) fn remove(&self, key: &str) {
        let mut state = self.lock();
        state.leases.remove(key);
        state.remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize, usize) {
        let state = self.lock();
        (state.entries.len(), state.order.len(), state.bytes)
    }
}

impl Lease<'_> {
    /// Inserts the value, unless the key was changed since the lease was taken.
    pub(super) fn insert(self, bytes: Option<&[u8]>) {
        let mut state = self.entries.lock();
        let fits = bytes.is_none_or(|bytes| bytes.len() <= MAX_ENTRY_BYTES);
        if state.leases.get(self.key) == Some(&self.number) && fits {
            let now = Instant::now();
            state.make_room(now);
            state.insert(self.key, self.number, bytes, now + self.entries.ttl);
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut state = self.entries.lock();
        if state.leases.get(self.key) == Some(&self.number) {
            state.leases.remove(self.key);
        }
    }
}

impl State {
    fn look_up<'a>(
        &mut self,
        entries: &'a CacheEntries,
        key: &'a str,
        now: Instant,
    ) -> (Lookup<'a>, CacheEvent) {
        if self.valid_until.is_none_or(|until| until <= now) {
            return (Lookup::Missing(None), CacheEvent::Off);
        }
        match self.entries.get(key) {
            Some(entry) if now < entry.expires_at => {
                return (Lookup::Cached(entry.bytes.clone()), CacheEvent::Hit);
            }
            Some(_) => self.remove(key),
            None => {}
        }
        if self.leases.contains_key(key) {
            return (Lookup::Missing(None), CacheEvent::Miss);
        }
        self.last_number += 1;
        self.leases.insert(key.to_owned(), self.last_number);
        let lease = Lease { entries, key, number: self.last_number };
        (Lookup::Missing(Some(lease)), CacheEvent::Miss)
    }

    fn insert(&mut self, key: &str, number: u64, bytes: Option<&[u8]>, expires_at: Instant) {
        self.remove(key);
        let key: Arc<str> = key.into();
        self.bytes += entry_bytes(&key, bytes);
        self.order.push_back((Arc::clone(&key), number));
        self.entries.insert(key, Entry { number, bytes: bytes.map(Arc::from), expires_at });
    }

    /// Removes the oldest entries while they are expired, or there is no room for one more.
    fn make_room(&mut self, now: Instant) {
        while let Some((oldest, number)) = self.order.front() {
            let entry = self.entries.get(oldest).filter(|entry| entry.number == *number);
            let is_live = entry.is_some_and(|entry| now < entry.expires_at);
            let fits = self.order.len() < MAX_ENTRIES && self.bytes + MAX_ENTRY_BYTES <= MAX_BYTES;
            if is_live && fits {
                return;
            }
            let (oldest, holds) = (Arc::clone(oldest), entry.is_some());
            self.order.pop_front();
            if holds {
                self.remove(&oldest);
            }
        }
    }

    fn remove(&mut self, key: &str) {
        if let Some((key, entry)) = self.entries.remove_entry(key) {
            self.bytes -= entry_bytes(&key, entry.bytes.as_deref());
        }
    }

    /// Removes every entry and every lease.
    fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
        self.leases.clear();
        self.bytes = 0;
    }
}

impl ChangeListener for CacheEntries {
    fn key_prefixes(&self) -> &'static [&'static str] {
        CACHED_PREFIXES
    }

    fn invalidate(&self, key: &str) {
        let mut state = self.lock();
        state.leases.remove(key);
        if state.entries.contains_key(key) {
            state.remove(key);
            drop(state);
            (self.report)(CacheEvent::Invalidated);
        }
    }

    fn valid_until(&self, at: Instant) {
        if self.lock().valid_until.replace(at).is_none() {
            (self.report)(CacheEvent::Live(true));
        }
    }

    fn invalidate_all(&self) {
        let mut state = self.lock();
        state.clear();
        if state.valid_until.take().is_some() {
            drop(state);
            (self.report)(CacheEvent::Live(false));
        }
    }
}

/// The memory of an entry: its bytes, and about what the tables need for it.
fn entry_bytes(key: &str, bytes: Option<&[u8]>) -> usize {
    key.len() + bytes.map_or(0, <[u8]>::len) + 200
}

pub(super) const MAX_ENTRIES: usize = 10_000;

/// Of all entries together.
pub(super) const MAX_BYTES: usize = 16 << 20;

/// Larger values are not cached: a few of them would leave no room for anything else.
pub(super) const MAX_ENTRY_BYTES: usize = 256 << 10;
