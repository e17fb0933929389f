//! Saves the records of a store to one encrypted file, and restores them into any kind of store.
//!
//! A file has records; `domain/` rebuilds the index entries when it restores them. Sessions and grants are saved only on
//! request (for a move to another store, with the servers stopped): restoring them later would revive sessions that were
//! signed out of and tokens that were revoked since. Without them users sign in again.
//!
//! Never saved: interactions, counters of attempts, used assertions, queued logout notifications, and, for clients that
//! act for themselves, revoked JWTs and opaque access tokens. All of them expire within two hours, and none can be listed.
//!
//! The file is encrypted under a key that is derived from `SECRET_KEY`: without that secret the signing keys in it would
//! be useless anyway. After a change of `SECRET_KEY`, restoring needs the old one as `SECRET_KEY_PREVIOUS`.

mod format;
mod record;
mod restore;
mod save;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

pub use self::format::{FORMAT, FormatError};
pub use self::restore::{RestoreCounts, RestoreReport, VerifiedBackup, is_in_use};
pub use self::save::{BackupSummary, save};
use crate::domain::keys::RingError;
use crate::infra::clock::UnixTime;
use crate::infra::store::StoreError;

/// The first record of a backup.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct BackupInfo {
    /// The version of Latchkey that wrote it.
    pub latchkey: String,
    /// The issuer identifier.
    pub issuer: String,
    /// When it was begun.
    pub created_at: UnixTime,
    /// Whether sessions and grants are in it.
    pub with_sessions: bool,
    /// The oldest [schema](crate::infra::store::schema) whose releases understand its records.
    #[serde(default)]
    pub readable_by: u32,
}

/// How many records of each kind a backup has. At the end of the file: the number is known only then.
pub type RecordCounts = BTreeMap<String, u64>;

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The bytes of the file.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The records in the file; a sentence.
    #[error("{0}")]
    Content(String),
    #[error("{}", ring_text(.0))]
    Ring(#[source] RingError),
}

fn ring_text(error: &RingError) -> String {
    match error {
        RingError::WrongSecretKey(kid) => format!(
            "SECRET_KEY does not open the signing key {kid}: it was stored under another one. Give \
             that as SECRET_KEY_PREVIOUS, beside the present SECRET_KEY"
        ),
        error => error.to_string(),
    }
}

impl From<RingError> for BackupError {
    fn from(error: RingError) -> Self {
        match error {
            RingError::Store(error) => Self::Store(error),
            other => Self::Ring(other),
        }
    }
}
