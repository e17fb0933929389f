use std::collections::{BTreeSet, HashMap};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{
    CommitOutcome, PingInfo, Precondition, RawKey, Store, StoreFuture, Transaction, Write,
};
use crate::infra::clock::{Clock, UnixTime};

/// A store for one process, gone with it: for development and for tests.
///
/// Everything is behind one lock that is never held across an await. Each call first forgets what is
/// due, which keeps memory to what is alive and costs one logarithmic step per forgotten record.
#[derive(Debug)]
pub struct MemoryStore {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<RawKey, Entry>,
    /// The same deadlines as in `entries`, soonest first, so that forgetting is not a scan.
    deadlines: BTreeSet<(UnixTime, RawKey)>,
    indexes: HashMap<RawKey, Index>,
}

#[derive(Debug, Default)]
struct Index {
    names: BTreeSet<String>,
    forget_at: Option<UnixTime>,
}

#[derive(Debug)]
struct Entry {
    bytes: Vec<u8>,
    forget_at: Option<UnixTime>,
}

impl MemoryStore {
    /// Empty, and forgetting by this clock.
    pub fn new(clock: Clock) -> Self {
        Self { clock, state: Mutex::default() }
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.forget(self.clock.now());
        state
    }
}

impl State {
    fn forget(&mut self, now: UnixTime) {
        while self.deadlines.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, key)) = self.deadlines.pop_first() {
                self.entries.remove(&key);
                self.indexes.remove(&key);
            }
        }
    }

    fn put(&mut self, key: RawKey, bytes: Vec<u8>, forget_at: Option<UnixTime>) {
        self.remove(&key);
        if let Some(at) = forget_at {
            self.deadlines.insert((at, key.clone()));
        }
        self.entries.insert(key, Entry { bytes, forget_at });
    }

    fn remove(&mut self, key: &RawKey) -> Option<Vec<u8>> {
        let entry = self.entries.remove(key)?;
        if let Some(at) = entry.forget_at {
            self.deadlines.remove(&(at, key.clone()));
        }
        Some(entry.bytes)
    }

    fn remove_index(&mut self, key: &RawKey) {
        if let Some(at) = self.indexes.remove(key).and_then(|index| index.forget_at) {
            self.deadlines.remove(&(at, key.clone()));
        }
    }

    fn holds(&self, key: &RawKey, expect: &Precondition) -> bool {
        match (self.entries.get(key), expect) {
            (None, Precondition::Absent) => true,
            (Some(entry), Precondition::Unchanged(bytes)) => entry.bytes == *bytes,
            (None, Precondition::Unchanged(_)) | (Some(_), Precondition::Absent) => false,
        }
    }

    fn write(&mut self, write: Write) {
        match write {
            Write::Put { key, bytes, forget_at } => self.put(key, bytes, forget_at),
            Write::Delete { key } => {
                self.remove(&key);
                self.remove_index(&key);
            }
            Write::Link { index, name, until } => {
                let held = self.indexes.entry(index.clone()).or_default();
                held.names.insert(name);
                let later = until.filter(|until| held.forget_at.is_none_or(|at| at < *until));
                if let Some(until) = later {
                    if let Some(before) = held.forget_at.replace(until) {
                        self.deadlines.remove(&(before, index.clone()));
                    }
                    self.deadlines.insert((until, index));
                }
            }
            Write::Unlink { index, name } => {
                let Some(held) = self.indexes.get_mut(&index) else { return };
                held.names.remove(&name);
                if held.names.is_empty() {
                    self.remove_index(&index);
                }
            }
        }
    }
}

impl Store for MemoryStore {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move { Ok(self.locked().entries.get(key).map(|entry| entry.bytes.clone())) })
    }

    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move { Ok(self.locked().remove(key)) })
    }

    fn commit(&self, change: Transaction) -> StoreFuture<'_, CommitOutcome> {
        Box::pin(async move {
            let mut state = self.locked();
            if !change.expected.iter().all(|(key, expect)| state.holds(key, expect)) {
                return Ok(CommitOutcome::Conflict);
            }
            for write in change.writes {
                state.write(write);
            }
            Ok(CommitOutcome::Committed)
        })
    }

    fn scan_index<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<String>> {
        Box::pin(async move {
            let state = self.locked();
            let Some(held) = state.indexes.get(index) else { return Ok(Vec::new()) };
            let later = held.names.range::<str, _>((Excluded(after), Unbounded));
            Ok(later.take(limit).cloned().collect())
        })
    }

    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64> {
        Box::pin(async move {
            let mut state = self.locked();
            let (count, until) = match state.entries.get(counter) {
                Some(entry) => (parse_count(&entry.bytes).saturating_add(1), entry.forget_at),
                None => (1, Some(self.clock.now().plus(window))),
            };
            state.put(counter.clone(), count.to_string().into_bytes(), until);
            Ok(count)
        })
    }

    fn ping(&self) -> StoreFuture<'_, PingInfo> {
        Box::pin(async { Ok(PingInfo { ahead_millis: Some(0) }) })
    }
}

fn parse_count(bytes: &[u8]) -> u64 {
    str::from_utf8(bytes).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
