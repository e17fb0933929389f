//! Writes the durable records of a store into one encrypted file, and restores them into the same kind of store or
//! another one, through the [`Store`](crate::infra::store::Store) trait.
//!
//! - `record.rs`: one line of the file; it holds records, not keys and indexes, which restoring a record makes again.
//! - `format.rs`: frames of lines, each encrypted with AES-256-GCM under a key derived from `SECRET_KEY`.
//! - `save.rs` writes a file; `restore.rs` verifies one whole before it restores anything.
//!
//! Sessions and grants are in a file only if asked for. Records that live no longer than an hour or two and cannot
//! be listed never are. Why, and why there is no second secret: docs/decisions/backup-contents.md.

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

/// The first line of a backup.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct BackupInfo {
    /// The version of Latchkey that wrote it.
    pub latchkey: String,
    pub issuer: String,
    /// When writing began.
    pub created_at: UnixTime,
    /// Whether sessions and grants are in it.
    pub with_sessions: bool,
    /// The oldest [schema](crate::infra::store::schema) whose releases understand its records.
    #[serde(default)]
    pub readable_by: u32,
}

/// The number of records by the name of their kind: the last line of a backup.
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
