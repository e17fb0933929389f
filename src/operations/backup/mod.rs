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
use std::fmt;
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
#[derive(Debug)]
pub enum BackupError {
    /// The store.
    Store(StoreError),
    /// The disk.
    Io(io::Error),
    /// The file, as bytes.
    Format(FormatError),
    /// The file, as records: a sentence.
    Content(String),
    /// The signing keys.
    Ring(RingError),
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
            Self::Format(error) => error.fmt(f),
            Self::Content(why) => f.write_str(why),
            Self::Ring(RingError::WrongSecretKey(kid)) => write!(
                f,
                "SECRET_KEY does not open the signing key {kid}: it was stored under another one. Give \
                 that as SECRET_KEY_PREVIOUS, beside the present SECRET_KEY"
            ),
            Self::Ring(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for BackupError {}

impl From<StoreError> for BackupError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for BackupError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<FormatError> for BackupError {
    fn from(error: FormatError) -> Self {
        Self::Format(error)
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
