use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{BEGINNINGS, CacheEvent, ChangeListener, Tell};

/// What is kept, and who is about to bring something. One lock for all of it, never held for longer than
/// a look into a table takes.
pub(super) struct CacheEntries {
    life: Duration,
    state: Mutex<State>,
    tell: Tell,
}

#[derive(Default)]
struct State {
    kept: HashMap<Arc<str>, Kept>,
    /// Everything that was filed, oldest first: what is not kept any more under its number is skipped.
    order: VecDeque<(Arc<str>, u64)>,
    bytes: usize,
    /// Who may file what, by number: the first who missed it, for of many who come after one another
    /// without a pause the last is never there.
    leases: HashMap<String, u64>,
    numbers: u64,
    /// Changes are told, at least until then.
    heard_until: Option<Instant>,
}

struct Kept {
    number: u64,
    /// Nothing: it was asked for, and there is none.
    bytes: Option<Arc<[u8]>>,
    until: Instant,
}

/// What came of a look.
pub(super) enum Lookup<'a> {
    /// It is here, or it is known here that there is none.
    Kept(Option<Arc<[u8]>>),
    /// It has to be asked for, and may be filed by whoever has the lease.
    Missing(Option<Lease<'a>>),
}

/// The right to file what is about to be read, as long as nobody changes it. It ends with this value.
pub(super) struct Lease<'a> {
    shelf: &'a CacheEntries,
    key: &'a str,
    number: u64,
}

impl CacheEntries {
    pub(super) fn new(life: Duration, tell: Tell) -> Self {
        Self { life, state: Mutex::default(), tell }
    }

    pub(super) fn look<'a>(&'a self, key: &'a str) -> Lookup<'a> {
        let now = Instant::now();
        let (looked, noted) = self.locked().look(self, key, now);
        (self.tell)(noted);
        looked
    }

    /// Drops what is kept of the key unless it is this, and whatever is being brought.
    pub(super) fn invalidate_if_stale(&self, key: &str, seen: Option<&[u8]>) {
        let mut state = self.locked();
        state.leases.remove(key);
        if state.kept.get(key).is_some_and(|kept| kept.bytes.as_deref() != seen) {
            state.remove(key);
        }
    }

    /// Drops whatever is kept of the key, and whatever is being brought.
    pub(super) fn remove(&self, key: &str) {
        let mut state = self.locked();
        state.leases.remove(key);
        state.remove(key);
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize, usize) {
        let state = self.locked();
        (state.kept.len(), state.order.len(), state.bytes)
    }
}

impl Lease<'_> {
    /// Files what was read, if nobody has changed it since the lease was taken.
    pub(super) fn file(self, bytes: Option<&[u8]>) {
        let mut state = self.shelf.locked();
        let fits = bytes.is_none_or(|bytes| bytes.len() <= MAX_ENTRY_BYTES);
        if state.leases.get(self.key) == Some(&self.number) && fits {
            let now = Instant::now();
            state.make_room(now);
            state.keep(self.key, self.number, bytes, now + self.shelf.life);
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut state = self.shelf.locked();
        if state.leases.get(self.key) == Some(&self.number) {
            state.leases.remove(self.key);
        }
    }
}

impl State {
    fn look<'a>(
        &mut self,
        shelf: &'a CacheEntries,
        key: &'a str,
        now: Instant,
    ) -> (Lookup<'a>, CacheEvent) {
        if self.heard_until.is_none_or(|until| until <= now) {
            return (Lookup::Missing(None), CacheEvent::Off);
        }
        match self.kept.get(key) {
            Some(kept) if now < kept.until => {
                return (Lookup::Kept(kept.bytes.clone()), CacheEvent::Hit);
            }
            Some(_) => self.remove(key),
            None => {}
        }
        if self.leases.contains_key(key) {
            return (Lookup::Missing(None), CacheEvent::Miss);
        }
        self.numbers += 1;
        self.leases.insert(key.to_owned(), self.numbers);
        let lease = Lease { shelf, key, number: self.numbers };
        (Lookup::Missing(Some(lease)), CacheEvent::Miss)
    }

    fn keep(&mut self, key: &str, number: u64, bytes: Option<&[u8]>, until: Instant) {
        self.remove(key);
        let key: Arc<str> = key.into();
        self.bytes += weight(&key, bytes);
        self.order.push_back((Arc::clone(&key), number));
        self.kept.insert(key, Kept { number, bytes: bytes.map(Arc::from), until });
    }

    /// Takes the oldest out, as long as they are over, or there is no room for one more.
    fn make_room(&mut self, now: Instant) {
        while let Some((oldest, number)) = self.order.front() {
            let kept = self.kept.get(oldest).filter(|kept| kept.number == *number);
            let lives = kept.is_some_and(|kept| now < kept.until);
            let fits = self.order.len() < MAX_ENTRIES && self.bytes + MAX_ENTRY_BYTES <= MAX_BYTES;
            if lives && fits {
                return;
            }
            let (oldest, holds) = (Arc::clone(oldest), kept.is_some());
            self.order.pop_front();
            if holds {
                self.remove(&oldest);
            }
        }
    }

    fn remove(&mut self, key: &str) {
        if let Some((key, kept)) = self.kept.remove_entry(key) {
            self.bytes -= weight(&key, kept.bytes.as_deref());
        }
    }

    /// Forgets everything, and everybody who is about to bring something.
    fn clear(&mut self) {
        self.kept.clear();
        self.order.clear();
        self.leases.clear();
        self.bytes = 0;
    }
}

impl ChangeListener for CacheEntries {
    fn key_prefixes(&self) -> &'static [&'static str] {
        BEGINNINGS
    }

    fn invalidate(&self, key: &str) {
        let mut state = self.locked();
        state.leases.remove(key);
        if state.kept.contains_key(key) {
            state.remove(key);
            drop(state);
            (self.tell)(CacheEvent::Invalidated);
        }
    }

    fn valid_until(&self, then: Instant) {
        if self.locked().heard_until.replace(then).is_none() {
            (self.tell)(CacheEvent::Live(true));
        }
    }

    fn invalidate_all(&self) {
        let mut state = self.locked();
        state.clear();
        if state.heard_until.take().is_some() {
            drop(state);
            (self.tell)(CacheEvent::Live(false));
        }
    }
}

/// What an entry costs: its bytes, and about as much as the tables need for it.
fn weight(key: &str, bytes: Option<&[u8]>) -> usize {
    key.len() + bytes.map_or(0, <[u8]>::len) + 200
}

/// How many answers are kept.
pub(super) const MAX_ENTRIES: usize = 10_000;

/// How many bytes they may be together.
pub(super) const MAX_BYTES: usize = 16 << 20;

/// Larger ones are not kept: a few of them would leave no room for anything else.
pub(super) const MAX_ENTRY_BYTES: usize = 256 << 10;
