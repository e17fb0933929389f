//! Which backend keeps the state, and how it is opened.
//!
//! A new backend is a folder beside this file, a variant of [`StoreSettings`] and an arm of `connect`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::schema::{CURRENT_SCHEMA, check_schema, ensure_schema};
use super::{FileStore, MemoryStore, OpenError, RedisOptions, RedisStore, Store};
use crate::infra::clock::Clock;

/// The backend, with what it needs to be opened.
#[derive(Clone, Debug)]
pub enum StoreSettings {
    /// The memory of this process.
    Memory,
    /// A folder that one process at a time can use.
    File(PathBuf),
    /// A Redis that several servers can share.
    Redis(RedisOptions),
}

impl StoreSettings {
    /// Whether what is stored is still there after the process has ended.
    pub fn is_durable(&self) -> bool {
        match self {
            Self::Memory => false,
            Self::File(_) | Self::Redis(_) => true,
        }
    }

    /// The folder of a file store.
    pub fn data_dir(&self) -> Option<&Path> {
        match self {
            Self::File(folder) => Some(folder),
            Self::Memory | Self::Redis(_) => None,
        }
    }
}

/// Opens the store, and raises its schema to the one of this release. Fails if this release would misread
/// what is in it ([`schema`](super::schema)).
pub async fn open(settings: &StoreSettings, clock: Clock) -> Result<Arc<dyn Store>, OpenError> {
    let store = connect(settings, clock).await?;
    ensure_schema(&*store, CURRENT_SCHEMA).await?;
    Ok(store)
}

/// [`open`] for a caller that only reads: checks the schema and leaves it as it is.
pub async fn open_to_read(
    settings: &StoreSettings,
    clock: Clock,
) -> Result<Arc<dyn Store>, OpenError> {
    let store = connect(settings, clock).await?;
    check_schema(&*store, CURRENT_SCHEMA).await?;
    Ok(store)
}

async fn connect(settings: &StoreSettings, clock: Clock) -> Result<Arc<dyn Store>, OpenError> {
    Ok(match settings {
        StoreSettings::Memory => Arc::new(MemoryStore::new(clock)),
        StoreSettings::File(folder) => Arc::new(FileStore::open(folder, clock).await?),
        StoreSettings::Redis(options) => {
            Arc::new(RedisStore::open(&RedisOptions { clock, ..options.clone() }).await?)
        }
    })
}
