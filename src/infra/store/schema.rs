//! The schema of the stored data, so that no server works on data that it would misread.
//!
//! One record for the whole store has two numbers: `written`, the newest schema that any server has written
//! there, and `readable_by`, the oldest that can read all of it. A release starts if `readable_by` is at most the
//! schema that it writes, and `written` at least the oldest that it reads; then it raises both, and lowers neither.
//!
//! A record may get a new member without a new schema if it is optional and droppable. Every other change is a
//! new [`KIND`](super::Record::KIND) and a new schema: one release reads both kinds and writes the old one, the
//! next writes the new one. The schemas so far: 1, the first; 2, reads `grant.v2` beside `grant.v1` and writes
//! `grant.v1`; 3, to come, writes `grant.v2` and is readable by 2.
//!
//! Why: docs/decisions/stored-schema.md.

use serde::{Deserialize, Serialize};

use super::{CreateOutcome, Key, OpenError, Partition, Record, Store, StoreError};
use crate::infra::clock::UnixTime;

/// The schemas that one release of Latchkey writes and reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SchemaVersion {
    /// The schema it writes.
    pub schema: u32,
    /// The oldest schema whose releases can read what it writes.
    pub readable_by: u32,
    /// The oldest schema that it can read.
    pub reads_from: u32,
}

/// Of this release.
pub const CURRENT_SCHEMA: SchemaVersion =
    SchemaVersion { schema: 2, readable_by: 1, reads_from: 1 };

/// The schema of the stored data, as the store records it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SchemaRecord {
    /// The newest schema written there.
    pub written: u32,
    /// The oldest schema that can read all of it.
    pub readable_by: u32,
}

impl SchemaRecord {
    /// Of data from before this record.
    const FIRST: Self = Self { written: 1, readable_by: 1 };

    /// The key of the one record.
    pub fn store_key() -> Key<Self> {
        Key::single(Partition::new("schema"))
    }

    fn check_readable(self, release: SchemaVersion) -> Result<(), OpenError> {
        if release.schema < self.readable_by {
            return Err(OpenError::Newer { data: self.readable_by, reads: release.schema });
        }
        if self.written < release.reads_from {
            return Err(OpenError::Older { data: self.written, reads: release.reads_from });
        }
        Ok(())
    }

    fn raised_to(self, release: SchemaVersion) -> Self {
        Self {
            written: self.written.max(release.schema),
            readable_by: self.readable_by.max(release.readable_by),
        }
    }
}

impl Record for SchemaRecord {
    const KIND: &'static str = "schema.v1";

    fn key(&self) -> Key<Self> {
        Self::store_key()
    }

    fn delete_after(&self) -> Option<UnixTime> {
        None
    }
}

/// Fails if the release cannot read the data. Writes nothing.
pub async fn check_schema(store: &dyn Store, release: SchemaVersion) -> Result<(), OpenError> {
    match find(store).await? {
        Some(schema) => schema.check_readable(release),
        None => Ok(()),
    }
}

/// Fails if the release cannot read the data; otherwise raises the recorded schema to that of the release.
pub async fn ensure_schema(store: &dyn Store, release: SchemaVersion) -> Result<(), OpenError> {
    if find(store).await?.is_none() {
        // Of several servers that find no record one creates it, and the others read it below.
        let first = SchemaRecord::FIRST.raised_to(release);
        match store.create(&first).await.map_err(OpenError::SchemaUnreadable)? {
            CreateOutcome::Created | CreateOutcome::Exists => {}
        }
    }
    let step = |schema: &mut SchemaRecord| {
        schema.check_readable(release)?;
        *schema = schema.raised_to(release);
        Ok(())
    };
    let updated = store
        .update(&SchemaRecord::store_key(), step)
        .await
        .map_err(OpenError::SchemaUnreadable)?;
    updated.unwrap_or_else(|| Err(OpenError::SchemaUnreadable(unreadable())))
}

/// The record, if there is one. One that cannot be read is an error here, not absent. Whether there is one is
/// read first: another server may create it in between, and none removes it.
async fn find(store: &dyn Store) -> Result<Option<SchemaRecord>, OpenError> {
    let place = SchemaRecord::store_key();
    if store.get(place.raw()).await.map_err(OpenError::SchemaUnreadable)?.is_none() {
        return Ok(None);
    }
    let loaded = store.load(&place).await.map_err(OpenError::SchemaUnreadable)?;
    let loaded = loaded.ok_or_else(|| OpenError::SchemaUnreadable(unreadable()))?;
    Ok(Some(loaded.record))
}

fn unreadable() -> StoreError {
    let reason = "it does not say which schema the data has".to_owned();
    StoreError::Corrupt { key: SchemaRecord::store_key().raw().to_string(), reason }
}
