use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::contention::Contention;
use super::{CommitOutcome, Partition, Precondition, RawKey, Store, StoreError, Transaction};
use crate::infra::clock::UnixTime;

/// Something the store keeps under a key of its own type.
pub trait Record: Serialize + DeserializeOwned + Send + Sync {
    /// Names the kind in keys. Changing the shape incompatibly means a new name: [`schema`](super::schema)
    /// says which changes are not.
    const KIND: &'static str;

    /// Where it is filed.
    fn key(&self) -> Key<Self>
    where
        Self: Sized;

    /// When the store may forget it: at or after the moment the record stops being honoured.
    fn delete_after(&self) -> Option<UnixTime>;
}

/// A key that only ever yields one kind of record.
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

    /// The key without its type, as changes and indexes take it.
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

/// A record together with the bytes it was read from, which is what a later change is held against.
#[derive(Debug)]
pub struct Versioned<R> {
    pub record: R,
    seen: Vec<u8>,
}

impl<R: Record> Versioned<R> {
    /// A record that was read before, as if it had just been read. Whoever is wrong about that loses a
    /// round trip in `update_from`, and nothing else.
    pub fn assume_current(record: R) -> Self {
        Self { seen: render(&record), record }
    }

    /// "…provided nobody has touched it since."
    pub fn unchanged(&self) -> Precondition {
        Precondition::Unchanged(self.seen.clone())
    }
}

/// How sure a reader has to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Consistency {
    /// What is filed now.
    Strong,
    /// What was filed a moment ago will do ([`CachedStore`](super::Cached) says how long a moment is).
    Cached,
}

/// Whether a key was free.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum CreateOutcome {
    /// It was, and the record is filed.
    Created,
    /// It was not, and nothing changed.
    Exists,
}

impl dyn Store {
    /// What is filed under the key, with the bytes a later change is held against.
    pub async fn load<R: Record>(&self, key: &Key<R>) -> Result<Option<Versioned<R>>, StoreError> {
        let Some(seen) = readable::<R>(self.get(key.raw()).await)? else { return Ok(None) };
        Ok(parse(&seen).map(|record| Versioned { record, seen }))
    }

    /// What is filed under the key, or was a moment ago. Nothing to hold a change against.
    pub async fn read<R: Record>(
        &self,
        key: &Key<R>,
        as_of: Consistency,
    ) -> Result<Option<R>, StoreError> {
        let answer = match as_of {
            Consistency::Strong => self.get(key.raw()),
            Consistency::Cached => self.get_cached(key.raw()),
        };
        Ok(readable::<R>(answer.await)?.and_then(|bytes| parse(&bytes)))
    }

    /// Reads a single-use record and removes it in the same breath.
    pub async fn consume<R: Record>(&self, key: &Key<R>) -> Result<Option<R>, StoreError> {
        let Some(bytes) = readable::<R>(self.get_and_remove(key.raw()).await)? else {
            return Ok(None);
        };
        Ok(parse(&bytes))
    }

    /// Files a record whose key must be free: new ids, unique names, seen-before checks.
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

    /// Files a record, whatever its key held: for what is replaced whole, never for a transition.
    pub async fn put<R: Record>(&self, record: &R) -> Result<(), StoreError> {
        let key = record.key();
        let change = Transaction::within(key.raw().partition().clone()).put(
            key.raw().clone(),
            render(record),
            record.delete_after(),
        );
        self.apply(key.raw(), change).await
    }

    /// Removes a record, if it is there.
    pub async fn remove<R: Record>(&self, key: &Key<R>) -> Result<(), StoreError> {
        let change = Transaction::within(key.raw().partition().clone()).delete(key.raw().clone());
        self.apply(key.raw(), change).await
    }

    /// Removes a record if it is as `fits` wants it at that very moment; answers whether it was.
    pub async fn remove_if<R: Record>(
        &self,
        key: &Key<R>,
        mut fits: impl FnMut(&R) -> bool + Send,
    ) -> Result<bool, StoreError> {
        let mut contention = Contention::begin();
        loop {
            let Some(Versioned { record, seen }) = self.load(key).await? else { return Ok(false) };
            if !fits(&record) {
                return Ok(false);
            }
            let change = Transaction::within(key.raw().partition().clone())
                .require(key.raw().clone(), Precondition::Unchanged(seen))
                .delete(key.raw().clone());
            match self.commit(change).await? {
                CommitOutcome::Committed => return Ok(true),
                CommitOutcome::Conflict => contention.wait(key.raw()).await?,
            }
        }
    }

    /// Lists a name in an index, before what it names is created.
    pub async fn index_add(&self, index: &RawKey, name: &str) -> Result<(), StoreError> {
        let change = Transaction::within(index.partition().clone()).index_add(index.clone(), name);
        self.apply(index, change).await
    }

    /// [`link`](Self::link) in an index that may be forgotten once the time of all its names is over.
    pub async fn index_add_until(
        &self,
        index: &RawKey,
        name: &str,
        until: UnixTime,
    ) -> Result<(), StoreError> {
        let change = Transaction::within(index.partition().clone());
        self.apply(index, change.index_add_until(index.clone(), name, until)).await
    }

    /// Takes a name off an index, after what it named is gone.
    pub async fn index_remove(&self, index: &RawKey, name: &str) -> Result<(), StoreError> {
        let change =
            Transaction::within(index.partition().clone()).index_remove(index.clone(), name);
        self.apply(index, change).await
    }

    /// A change that expects nothing, and so cannot conflict.
    async fn apply(&self, key: &RawKey, change: Transaction) -> Result<(), StoreError> {
        match self.commit(change).await? {
            CommitOutcome::Committed => Ok(()),
            CommitOutcome::Conflict => Err(StoreError::Contended { key: key.to_string() }),
        }
    }

    /// Moves a record from one state to the next, as if alone, and answers what the step answered;
    /// `None` if there is no such record. A step that leaves the record as it was writes nothing: so one
    /// that finds its work done by somebody else has its answer at once, however many there are.
    ///
    /// Who loses a race waits for a moment and reads again; it gives up by time, not by count
    /// ([`contention`](super::contention)).
    ///
    /// The step is not async on purpose: it may run several times, and a step that could do I/O would
    /// do it several times. Whatever it needs from outside is fetched, or rolled, before.
    pub async fn update<R: Record, T: Send>(
        &self,
        key: &Key<R>,
        step: impl FnMut(&mut R) -> T + Send,
    ) -> Result<Option<T>, StoreError> {
        let Some(loaded) = self.load(key).await? else { return Ok(None) };
        self.update_from(loaded, step).await
    }

    /// [`update`](Self::update) that writes a record also where the step leaves it as it was, if its answer is
    /// one of those: for a step that may have been written before and was not acknowledged, by the replicas,
    /// say. What is answered now was acknowledged now.
    pub async fn update_acknowledged<R: Record, T: Send>(
        &self,
        key: &Key<R>,
        step: impl FnMut(&mut R) -> T + Send,
        those: impl Fn(&T) -> bool + Send,
    ) -> Result<Option<T>, StoreError> {
        let Some(loaded) = self.load(key).await? else { return Ok(None) };
        self.settle(loaded, step, those).await
    }

    /// [`update`](Self::update) of a record that was just read: it is read again only if somebody was
    /// faster.
    pub async fn update_from<R: Record, T: Send>(
        &self,
        loaded: Versioned<R>,
        step: impl FnMut(&mut R) -> T + Send,
    ) -> Result<Option<T>, StoreError> {
        self.settle(loaded, step, |_| false).await
    }

    async fn settle<R: Record, T: Send>(
        &self,
        loaded: Versioned<R>,
        mut step: impl FnMut(&mut R) -> T + Send,
        anew: impl Fn(&T) -> bool + Send,
    ) -> Result<Option<T>, StoreError> {
        let key = &loaded.record.key();
        let mut contention = Contention::begin();
        let mut held = loaded;
        loop {
            let Versioned { mut record, seen } = held;
            let answer = step(&mut record);
            let next = render(&record);
            if next == seen && !anew(&answer) {
                return Ok(Some(answer));
            }
            match self.swap(key, Precondition::Unchanged(seen), next, record.delete_after()).await?
            {
                CommitOutcome::Committed => return Ok(Some(answer)),
                CommitOutcome::Conflict => contention.wait(key.raw()).await?,
            }
            let Some(again) = self.load(key).await? else { return Ok(None) };
            held = again;
        }
    }

    /// [`update`](Self::update) of a record that begins as `blank` where there is none. One that cannot be
    /// read begins anew, too: this is for what counts or gathers, never for what somebody else holds a
    /// credential to.
    pub async fn upsert<R: Record + Clone, T: Send>(
        &self,
        blank: &R,
        mut step: impl FnMut(&mut R) -> T + Send,
    ) -> Result<T, StoreError> {
        let key = &blank.key();
        let mut contention = Contention::begin();
        loop {
            let seen = match self.get(key.raw()).await {
                // Something of another type: nothing can be held against it, and it is no loss.
                Err(StoreError::Corrupt { .. }) => {
                    self.remove(key).await?;
                    None
                }
                other => other?,
            };
            let held = seen.as_deref().and_then(parse::<R>);
            let mut record = held.unwrap_or_else(|| blank.clone());
            let answer = step(&mut record);
            let next = render(&record);
            if seen.as_ref() == Some(&next) {
                return Ok(answer);
            }
            let expect = seen.map_or(Precondition::Absent, Precondition::Unchanged);
            match self.swap(key, expect, next, record.delete_after()).await? {
                CommitOutcome::Committed => return Ok(answer),
                CommitOutcome::Conflict => contention.wait(key.raw()).await?,
            }
        }
    }

    async fn swap<R: Record>(
        &self,
        key: &Key<R>,
        expect: Precondition,
        next: Vec<u8>,
        forget_at: Option<UnixTime>,
    ) -> Result<CommitOutcome, StoreError> {
        let change = Transaction::within(key.raw().partition().clone())
            .require(key.raw().clone(), expect)
            .put(key.raw().clone(), next, forget_at);
        self.commit(change).await
    }
}

/// Something of another type under our key counts as absent, as bytes that do not parse do.
fn readable<R: Record>(
    answer: Result<Option<Vec<u8>>, StoreError>,
) -> Result<Option<Vec<u8>>, StoreError> {
    match answer {
        Err(StoreError::Corrupt { reason, .. }) => {
            tracing::error!(store.kind = R::KIND, %reason, "an unreadable record counts as absent");
            Ok(None)
        }
        Ok(bytes) => Ok(bytes),
        Err(error @ (StoreError::Unavailable(_) | StoreError::Contended { .. })) => Err(error),
    }
}

/// Says what sort of error it was and no more: serde's own message may quote the record.
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
