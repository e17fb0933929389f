use std::sync::Arc;

use tokio::sync::Mutex;

use super::key_material::KeyMaterial;
use super::record::{NewKey, RingRecord, ring_key};
use super::{KeyEncryptor, RingError};
use crate::infra::jose::KeyError;
use crate::infra::store::{CreateOutcome, Store};

/// Where the ring is stored, and how its private keys are encrypted there.
pub(super) struct RingStore {
    pub store: Arc<dyn Store>,
    pub sealer: KeyEncryptor,
    /// Held while the ring is read and applied, so that an older one never replaces a newer one.
    pub refresh_lock: Mutex<()>,
}

impl RingStore {
    pub fn new(store: Arc<dyn Store>, sealer: KeyEncryptor) -> Self {
        Self { store, sealer, refresh_lock: Mutex::default() }
    }

    /// Creates an empty ring, or reads the one that another server has just created.
    pub async fn create_or_read(&self) -> Result<RingRecord, RingError> {
        let record = RingRecord::default();
        match self.store.create(&record).await? {
            CreateOutcome::Created => Ok(record),
            CreateOutcome::Exists => self.read().await?.ok_or(RingError::Unreadable),
        }
    }

    pub async fn read(&self) -> Result<Option<RingRecord>, RingError> {
        let loaded = self.store.load(&ring_key()).await?;
        Ok(loaded.map(|loaded| loaded.record))
    }

    pub fn encrypted(&self, key: &KeyMaterial) -> Result<NewKey, RingError> {
        let purpose = key.purpose();
        let der = key.to_pkcs8().map_err(RingError::Key)?;
        let sealed = self.sealer.encrypt(key.kid(), purpose, &der);
        let sealed = sealed.ok_or(RingError::Key(KeyError::Malformed))?;
        Ok(NewKey { kid: key.kid().to_owned(), purpose, sealed })
    }
}
