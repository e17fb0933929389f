//! Everything that lasts, in one encrypted file, and back into a store: the same kind of store or
//! another one, for all goes through the [`Store`](crate::infra::store::Store) trait.
//!
//! A file holds records, not keys and indexes: the nouns list what they restore by themselves. Sessions
//! and grants are in it only if asked for, because a backup that is put back later would bring to life
//! what was ended since: sessions that were signed out of, tokens that were revoked. Without them people
//! sign in again, and that is all. Whoever moves to another store, with the servers stopped, takes them
//! along, and nobody notices.
//!
//! In no case are there: interactions, counters of attempts, used assertions, queued logout deliveries,
//! single revoked access tokens of clients without a person, and such clients' opaque ones. None of these
//! lives longer than an hour or two, and none can be listed.
//!
//! It is encrypted under `SECRET_KEY`, by a purpose of its own. There is no second secret to keep: without
//! the `SECRET_KEY` the signing keys inside would be worth nothing anyway. Who changes the `SECRET_KEY`
//! restores with the old one as `SECRET_KEY_PREVIOUS`.

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

/// What a backup says of itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct BackupInfo {
    /// Which Latchkey wrote it.
    pub latchkey: String,
    /// Whose it is.
    pub issuer: String,
    /// When it was begun.
    pub created_at: UnixTime,
    /// Whether sessions and grants are in it.
    pub with_sessions: bool,
    /// The oldest [schema](crate::infra::store::schema) whose releases understand its records.
    #[serde(default)]
    pub readable_by: u32,
}

/// How many records of each kind there are. At the end of a file, since nobody knows before.
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
