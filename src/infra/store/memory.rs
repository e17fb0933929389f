use std::collections::{BTreeSet, HashMap};
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{
    CommitOutcome, PingInfo, Precondition, RawKey, Store, StoreFuture, Transaction, Write,
};
use crate::infra::clock::{Clock, UnixTime};

/// A store in the memory of one process, for development and for tests.
///
/// Everything is behind one lock that is never held across an await. Each call first removes what has
/// expired, in logarithmic time for each record, so that only live records take memory.
#[derive(Debug)]
pub struct MemoryStore {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<RawKey, Entry>,
    /// The deadlines of `entries` and `indexes`, soonest first, so that expiry needs no scan.
    deadlines: BTreeSet<(UnixTime, RawKey)>,
    indexes: HashMap<RawKey, Index>,
}

#[derive(Debug, Default)]
struct Index {
    names: BTreeSet<String>,
    delete_after: Option<UnixTime>,
}

#[derive(Debug)]
struct Entry {
    bytes: Vec<u8>,
    delete_after: Option<UnixTime>,
}

impl MemoryStore {
    /// An empty store, whose records expire by this clock.
    pub fn new(clock: Clock) -> Self {
        Self { clock, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.remove_expired(self.clock.now());
        state
    }
}

impl State {
    fn remove_expired(&mut self, now: UnixTime) {
        while self.deadlines.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, key)) = self.deadlines.pop_first() {
                self.entries.remove(&key);
                self.indexes.remove(&key);
            }
        }
    }

    fn put(&mut self, key: RawKey, bytes: Vec<u8>, delete_after: Option<UnixTime>) {
        self.remove(&key);
        if let Some(at) = delete_after {
            self.deadlines.insert((at, key.clone()));
        }
        self.entries.insert(key, Entry { bytes, delete_after });
    }

    fn remove(&mut self, key: &RawKey) -> Option<Vec<u8>> {
        let entry = self.entries.remove(key)?;
        if let Some(at) = entry.delete_after {
            self.deadlines.remove(&(at, key.clone()));
        }
        Some(entry.bytes)
    }

    fn remove_index(&mut self, key: &RawKey) {
        if let Some(at) = self.indexes.remove(key).and_then(|index| index.delete_after) {
            self.deadlines.remove(&(at, key.clone()));
        }
    }

    fn holds(&self, key: &RawKey, precondition: &Precondition) -> bool {
        match (self.entries.get(key), precondition) {
            (None, Precondition::Absent) => true,
            (Some(entry), Precondition::Unchanged(bytes)) => entry.bytes == *bytes,
            (None, Precondition::Unchanged(_)) | (Some(_), Precondition::Absent) => false,
        }
    }

    fn write(&mut self, write: Write) {
        match write {
            Write::Put { key, bytes, delete_after } => self.put(key, bytes, delete_after),
            Write::Delete { key } => {
                self.remove(&key);
                self.remove_index(&key);
            }
            Write::IndexAdd { index, name, until } => {
                let stored = self.indexes.entry(index.clone()).or_default();
                stored.names.insert(name);
                let later = until.filter(|until| stored.delete_after.is_none_or(|at| at < *until));
                if let Some(until) = later {
                    if let Some(before) = stored.delete_after.replace(until) {
                        self.deadlines.remove(&(before, index.clone()));
                    }
                    self.deadlines.insert((until, index));
                }
            }
            Write::IndexRemove { index, name } => {
                let Some(stored) = self.indexes.get_mut(&index) else { return };
                stored.names.remove(&name);
                if stored.names.is_empty() {
                    self.remove_index(&index);
                }
            }
        }
    }
}

impl Store for MemoryStore {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move { Ok(self.lock().entries.get(key).map(|entry| entry.bytes.clone())) })
    }

    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move { Ok(self.lock().remove(key)) })
    }

    fn commit(&self, transaction: Transaction) -> StoreFuture<'_, CommitOutcome> {
        Box::pin(async move {
            let mut state = self.lock();
            if !transaction.preconditions.iter().all(|(key, required)| state.holds(key, required)) {
                return Ok(CommitOutcome::Conflict);
            }
            for write in transaction.writes {
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
            let state = self.lock();
            let Some(stored) = state.indexes.get(index) else { return Ok(Vec::new()) };
            let later = stored.names.range::<str, _>((Excluded(after), Unbounded));
            Ok(later.take(limit).cloned().collect())
        })
    }

    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64> {
        Box::pin(async move {
            let mut state = self.lock();
            let (count, until) = match state.entries.get(counter) {
                Some(entry) => (parse_count(&entry.bytes).saturating_add(1), entry.delete_after),
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
