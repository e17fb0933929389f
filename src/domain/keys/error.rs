use std::fmt::Display;
use std::path::Path;

use crate::infra::jose::KeyError;
use crate::infra::store::StoreError;

/// Why the ring could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The named key was encrypted with another `SECRET_KEY`.
    #[error(
        "SECRET_KEY does not open the signing key {0} in the store: it must be the one that the key was stored \
         with, on every server"
    )]
    WrongSecretKey(String),
    /// The record is in the store, but it cannot be read.
    #[error("the record of the signing keys in the store is damaged")]
    Unreadable,
    /// A key could not be made, or does not parse.
    #[error("a signing key {0}")]
    Key(#[source] KeyError),
    /// There are `MAX_KEYS_PER_USE` for one algorithm already.
    #[error("there are too many keys; wait until the oldest have gone")]
    TooManyKeys,
    /// The key to be removed is the one that signs.
    #[error("the key that signs cannot be removed; rotate --now first")]
    KeyInUse,
    /// There is no key of that name.
    #[error("there is no key of that name")]
    UnknownKey,
    /// The ring has no store, so it never changes.
    #[error("the keys of this ring are fixed")]
    ReadOnly,
}

/// Why a key or secret file cannot be used, as a sentence that names it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct KeyFileError(String);

impl KeyFileError {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    pub(super) fn about(path: &Path, what: impl Display) -> Self {
        Self(format!("{} {what}", path.display()))
    }
}
