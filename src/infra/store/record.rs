use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::contention::Contention;
use super::{CommitOutcome, Partition, Precondition, RawKey, Store, StoreError, Transaction};
use crate::infra::clock::UnixTime;

/// A value that the store keeps under a key of its own type.
pub trait Record: Serialize + DeserializeOwned + Send + Sync {
    /// The kind, as it stands in keys. An incompatible change of the stored shape needs a new kind;
    /// [`schema`](super::schema) says which changes are compatible.
    const KIND: &'static str;

    fn key(&self) -> Key<Self>
    where
        Self: Sized;

    /// When the store may delete the record: at or after the moment from which readers refuse it.
    fn delete_after(&self) -> Option<UnixTime>;
}

/// The key of a record of type `R`.
pub struct Key<R> {
    raw: RawKey,
    kind: PhantomData<fn() -> R>,
}

impl<R: Record> Key<R> {
    /// The only record of its kind in the partition.
    pub fn single(partition: Partition) -> Self {
        Self { raw: RawKey::new(partition, R::KIND, None), kind: PhantomData }
    }

    /// One of several in the partition.
    pub fn named(partition: Partition, name: &str) -> Self {
        Self { raw: RawKey::new(partition, R::KIND, Some(name)), kind: PhantomData }
    }

    /// The key without its type, as transactions and indexes take it.
    pub fn raw(&self) -> &RawKey {
        &self.raw
    }
}

impl<R> Clone for Key<R> {
    fn clone(&self) -> Self {
        Self { raw: self.raw.clone(), kind: PhantomData }
    }
}

impl<R> fmt::Debug for Key<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.raw)
    }
}

/// A record with the bytes that it was parsed from, which are the precondition of an update.
#[derive(Debug)]
pub struct Versioned<R> {
    pub record: R,
    stored: Vec<u8>,
}

impl<R: Record> Versioned<R> {
    /// Takes a record that was read before for the current one. If it has changed since, `update_from` loses a
    /// race and reads it again.
    pub fn assume_current(record: R) -> Self {
        Self { stored: render(&record), record }
    }

    /// The precondition that the record has not changed since.
    pub fn unchanged(&self) -> Precondition {
        Precondition::Unchanged(self.stored.clone())
    }
}

/// How current a read must be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Consistency {
    /// Reads the backend.
    Strong,
    /// May answer a value from a moment ago ([`CachedStore`](super::CachedStore) says how old).
    Cached,
}

/// Whether a record was created.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum CreateOutcome {
    Created,
    /// The key has a value already, and nothing was changed.
    Exists,
}

impl dyn Store {
    /// The record, with the bytes that a later update requires unchanged.
    pub async fn load<R: Record>(&self, key: &Key<R>) -> Result<Option<Versioned<R>>, StoreError> {
        let Some(stored) = readable::<R>(self.get(key.raw()).await)? else { return Ok(None) };
        Ok(parse(&stored).map(|record| Versioned { record, stored }))
    }

    /// The record, for a caller that does not update it.
    pub async fn read<R: Record>(
        &self,
        key: &Key<R>,
        consistency: Consistency,
    ) -> Result<Option<R>, StoreError> {
        let value = match consistency {
            Consistency::Strong => self.get(key.raw()),
            Consistency::Cached => self.get_cached(key.raw()),
        };
        Ok(readable::<R>(value.await)?.and_then(|bytes| parse(&bytes)))
    }

    /// Reads a single-use record and removes it, in one step.
    pub async fn consume<R: Record>(&self, key: &Key<R>) -> Result<Option<R>, StoreError> {
        let Some(bytes) = readable::<R>(self.get_and_remove(key.raw()).await)? else {
            return Ok(None);
        };
        Ok(parse(&bytes))
    }

    /// Stores a record whose key must be free: new ids, unique names, replay checks.
    pub async fn create<R: Record>(&self, record: &R) -> Result<CreateOutcome, StoreError> {
        let key = record.key();
        let change = Transaction::within(key.raw().partition().clone())
            .require(key.raw().clone(), Precondition::Absent)
            .put(key.raw().clone(), render(record), record.delete_after());
        Ok(match self.commit(change).await? {
            CommitOutcome::Committed => CreateOutcome::Created,
            CommitOutcome::Conflict => CreateOutcome::Exists,
        })
    }

    /// Stores a record whatever its key held. For records that are replaced whole, never for a transition.
    pub async fn put<R: Record>(&self, record: &R) -> Result<(), StoreError> {
        let key = record.key();
        let change = Transaction::within(key.raw().partition().clone()).put(
            key.raw().clone(),
            render(record),
            record.delete_after(),
        );
        self.apply(key.raw(), change).await
    }

    /// Removes a record, if it exists.
    pub async fn remove<R: Record>(&self, key: &Key<R>) -> Result<(), StoreError> {
        let change = Transaction::within(key.raw().partition().clone()).delete(key.raw().clone());
        self.apply(key.raw(), change).await
    }

    /// Removes a record if `condition` holds of it at that moment. Answers whether it was removed.
    pub async fn remove_if<R: Record>(
        &self,
        key: &Key<R>,
        mut condition: impl FnMut(&R) -> bool + Send,
    ) -> Result<bool, StoreError> {
        let mut contention = Contention::new();
        loop {
            let Some(Versioned { record, stored }) = self.load(key).await? else {
                return Ok(false);
            };
            if !condition(&record) {
                return Ok(false);
            }
            let change = Transaction::within(key.raw().partition().clone())
                .require(key.raw().clone(), Precondition::Unchanged(stored))
                .delete(key.raw().clone());
            match self.commit(change).await? {
                CommitOutcome::Committed => return Ok(true),
                CommitOutcome::Conflict => contention.wait(key.raw()).await?,
            }
        }
    }

    /// Adds a name to an index, before the record that it names is created.
    pub async fn index_add(&self, index: &RawKey, name: &str) -> Result<(), StoreError> {
        let change = Transaction::within(index.partition().clone()).index_add(index.clone(), name);
        self.apply(index, change).await
    }

    /// [`link`](Self::link) to an index that may be deleted after the last `until`.
    pub async fn index_add_until(
        &self,
        index: &RawKey,
        name: &str,
        until: UnixTime,
    ) -> Result<(), StoreError> {
        let change = Transaction::within(index.partition().clone());
        self.apply(index, change.index_add_until(index.clone(), name, until)).await
    }

    /// Removes a name from an index, after the record that it named.
    pub async fn index_remove(&self, index: &RawKey, name: &str) -> Result<(), StoreError> {
        let change =
            Transaction::within(index.partition().clone()).index_remove(index.clone(), name);
        self.apply(index, change).await
    }

    /// Commits a transaction without preconditions, which cannot conflict.
    async fn apply(&self, key: &RawKey, change: Transaction) -> Result<(), StoreError> {
        match self.commit(change).await? {
            CommitOutcome::Committed => Ok(()),
            CommitOutcome::Conflict => Err(StoreError::Contended { key: key.to_string() }),
        }
    }

    /// Changes a record by compare-and-swap, and answers what `step` answered; `None` if there is no such
    /// record. A step that leaves the record as it was writes nothing, so a caller that finds its work done
    /// waits for no race.
    ///
    /// After a lost race the record is read again and the step runs again, with backoff
    /// ([`contention`](super::contention)). The step is synchronous because it may run several times: what it
    /// needs from outside, time and random bytes included, is fetched before.
    pub async fn update<R: Record, T: Send>(
        &self,
        key: &Key<R>,
        step: impl FnMut(&mut R) -> T + Send,
    ) -> Result<Option<T>, StoreError> {
        let Some(loaded) = self.load(key).await? else { return Ok(None) };
        self.update_from(loaded, step).await
    }

    /// [`update`](Self::update) that writes an unchanged record, too, if `must_write` holds of the answer. For a
    /// step whose first write may have reached too few replicas: its answer is given only after a write that was
    /// acknowledged.
    pub async fn update_acknowledged<R: Record, T: Send>(
        &self,
        key: &Key<R>,
        step: impl FnMut(&mut R) -> T + Send,
        must_write: impl Fn(&T) -> bool + Send,
    ) -> Result<Option<T>, StoreError> {
        let Some(loaded) = self.load(key).await? else { return Ok(None) };
        self.update_loop(loaded, step, must_write).await
    }

    /// [`update`](Self::update) of a record that was just read. It is read again only after a lost race.
    pub async fn update_from<R: Record, T: Send>(
        &self,
        loaded: Versioned<R>,
        step: impl FnMut(&mut R) -> T + Send,
    ) -> Result<Option<T>, StoreError> {
        self.update_loop(loaded, step, |_| false).await
    }

    async fn update_loop<R: Record, T: Send>(
        &self,
        loaded: Versioned<R>,
        mut step: impl FnMut(&mut R) -> T + Send,
        must_write: impl Fn(&T) -> bool + Send,
    ) -> Result<Option<T>, StoreError> {
        let key = &loaded.record.key();
        let mut contention = Contention::new();
        let mut current = loaded;
        loop {
            let Versioned { mut record, stored } = current;
            let answer = step(&mut record);
            let next = render(&record);
            if next == stored && !must_write(&answer) {
                return Ok(Some(answer));
            }
            match self
                .swap(key, Precondition::Unchanged(stored), next, record.delete_after())
                .await?
            {
                CommitOutcome::Committed => return Ok(Some(answer)),
                CommitOutcome::Conflict => contention.wait(key.raw()).await?,
            }
            let Some(again) = self.load(key).await? else { return Ok(None) };
            current = again;
        }
    }

    /// [`update`](Self::update) that starts from `blank` if there is no record, or none that can be read. For
    /// counters and collections, never for a record that a credential refers to.
    pub async fn upsert<R: Record + Clone, T: Send>(
        &self,
        blank: &R,
        mut step: impl FnMut(&mut R) -> T + Send,
    ) -> Result<T, StoreError> {
        let key = &blank.key();
        let mut contention = Contention::new();
        loop {
            let stored = match self.get(key.raw()).await {
                // A value of another type cannot be a precondition, and nothing is lost with it.
                Err(StoreError::Corrupt { .. }) => {
                    self.remove(key).await?;
                    None
                }
                other => other?,
            };
            let current = stored.as_deref().and_then(parse::<R>);
            let mut record = current.unwrap_or_else(|| blank.clone());
            let answer = step(&mut record);
            let next = render(&record);
            if stored.as_ref() == Some(&next) {
                return Ok(answer);
            }
            let precondition = stored.map_or(Precondition::Absent, Precondition::Unchanged);
            match self.swap(key, precondition, next, record.delete_after()).await? {
                CommitOutcome::Committed => return Ok(answer),
                CommitOutcome::Conflict => contention.wait(key.raw()).await?,
            }
        }
    }

    async fn swap<R: Record>(
        &self,
        key: &Key<R>,
        precondition: Precondition,
        next: Vec<u8>,
        delete_after: Option<UnixTime>,
    ) -> Result<CommitOutcome, StoreError> {
        let change = Transaction::within(key.raw().partition().clone())
            .require(key.raw().clone(), precondition)
            .put(key.raw().clone(), next, delete_after);
        self.commit(change).await
    }
}

/// A value of another type counts as absent, as bytes that cannot be parsed do.
fn readable<R: Record>(
    value: Result<Option<Vec<u8>>, StoreError>,
) -> Result<Option<Vec<u8>>, StoreError> {
    match value {
        Err(StoreError::Corrupt { reason, .. }) => {
            tracing::error!(store.kind = R::KIND, %reason, "an unreadable record counts as absent");
            Ok(None)
        }
        Ok(bytes) => Ok(bytes),
        Err(error @ (StoreError::Unavailable(_) | StoreError::Contended { .. })) => Err(error),
    }
}

/// Logs only the class of a parse error: serde's own message may quote the record.
fn parse<R: Record>(bytes: &[u8]) -> Option<R> {
    serde_json::from_slice(bytes)
        .inspect_err(|error| {
            let reason = error.classify();
            tracing::error!(store.kind = R::KIND, ?reason, "an unreadable record counts as absent");
        })
        .ok()
}

fn render<R: Record>(record: &R) -> Vec<u8> {
    serde_json::to_vec(record).expect("records have string keys and no fallible Serialize impls")
}
