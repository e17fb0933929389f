use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Change, Expect, Outcome, Partition, RawKey, Store, StoreError};
use crate::clock::UnixTime;

/// Something the store keeps under a key of its own type.
pub trait Record: Serialize + DeserializeOwned + Send + Sync {
    /// Names the kind in keys. Changing the shape incompatibly means a new name.
    const KIND: &'static str;

    fn key(&self) -> Key<Self>
    where
        Self: Sized;

    /// When the store may forget it: at or after the moment the record stops being honoured.
    fn forget_at(&self) -> Option<UnixTime>;
}

/// A key that only ever yields one kind of record.
pub struct Key<R> {
    raw: RawKey,
    kind: PhantomData<fn() -> R>,
}

impl<R: Record> Key<R> {
    /// The only record of its kind in the partition.
    pub fn sole(partition: Partition) -> Self {
        Self { raw: RawKey::new(partition, R::KIND, None), kind: PhantomData }
    }

    pub fn named(partition: Partition, name: &str) -> Self {
        Self { raw: RawKey::new(partition, R::KIND, Some(name)), kind: PhantomData }
    }

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
pub struct Loaded<R> {
    pub record: R,
    seen: Vec<u8>,
}

impl<R: Record> Loaded<R> {
    /// "…provided nobody has touched it since."
    pub fn unchanged(&self) -> Expect {
        Expect::Unchanged(self.seen.clone())
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Created {
    New,
    Taken,
}

/// Losing this often means the key is hot by design, and retrying harder will not help.
const ATTEMPTS: usize = 16;

impl dyn Store {
    pub async fn load<R: Record>(&self, key: &Key<R>) -> Result<Option<Loaded<R>>, StoreError> {
        let Some(seen) = self.get(key.raw()).await? else { return Ok(None) };
        Ok(Some(Loaded { record: parse(key.raw(), &seen)?, seen }))
    }

    /// Reads a single-use record and removes it in the same breath.
    pub async fn consume<R: Record>(&self, key: &Key<R>) -> Result<Option<R>, StoreError> {
        let Some(bytes) = self.take(key.raw()).await? else { return Ok(None) };
        Ok(Some(parse(key.raw(), &bytes)?))
    }

    /// Files a record whose key must be free: new ids, unique names, seen-before checks.
    pub async fn create<R: Record>(&self, record: &R) -> Result<Created, StoreError> {
        let key = record.key();
        let change = Change::within(key.raw().partition().clone())
            .expect(key.raw().clone(), Expect::Absent)
            .put(key.raw().clone(), render(record), record.forget_at());
        Ok(match self.commit(change).await? {
            Outcome::Committed => Created::New,
            Outcome::Conflict => Created::Taken,
        })
    }

    /// Moves a record from one state to the next, as if alone, and answers what the step answered;
    /// `None` if there is no such record. A step that leaves the record as it was writes nothing.
    ///
    /// The step is not async on purpose: it may run several times, and a step that could do I/O would
    /// do it several times. Whatever it needs from outside is fetched, or rolled, before.
    pub async fn update<R: Record, T: Send>(
        &self,
        key: &Key<R>,
        mut step: impl FnMut(&mut R) -> T + Send,
    ) -> Result<Option<T>, StoreError> {
        for _ in 0..ATTEMPTS {
            let Some(Loaded { mut record, seen }) = self.load(key).await? else { return Ok(None) };
            let answer = step(&mut record);
            let next = render(&record);
            if next == seen {
                return Ok(Some(answer));
            }
            let change = Change::within(key.raw().partition().clone())
                .expect(key.raw().clone(), Expect::Unchanged(seen))
                .put(key.raw().clone(), next, record.forget_at());
            match self.commit(change).await? {
                Outcome::Committed => return Ok(Some(answer)),
                Outcome::Conflict => {}
            }
        }
        Err(StoreError::Contended { key: key.raw().to_string() })
    }
}

fn parse<R: Record>(key: &RawKey, bytes: &[u8]) -> Result<R, StoreError> {
    serde_json::from_slice(bytes)
        .map_err(|error| StoreError::Corrupt { key: key.to_string(), reason: error.to_string() })
}

fn render<R: Record>(record: &R) -> Vec<u8> {
    serde_json::to_vec(record).expect("records have string keys and no fallible Serialize impls")
}
