use std::sync::Arc;

use tokio::sync::Mutex;

use super::material::Material;
use super::record::{NewKey, RingRecord, ring_key};
use super::{RingError, Sealer};
use crate::infra::jose::BadKey;
use crate::infra::store::{CreateOutcome, Store};

/// Where the ring is stored, and how its private keys are encrypted there.
pub(super) struct Home {
    pub store: Arc<dyn Store>,
    pub sealer: Sealer,
    /// Held while the ring is read and applied, so that an older one never replaces a newer one.
    pub turn: Mutex<()>,
}

impl Home {
    pub fn new(store: Arc<dyn Store>, sealer: Sealer) -> Self {
        Self { store, sealer, turn: Mutex::default() }
    }

    /// An empty ring, unless another server is about to fill one.
    pub async fn begin(&self) -> Result<RingRecord, RingError> {
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

    pub fn sealed(&self, key: &Material) -> Result<NewKey, RingError> {
        let purpose = key.purpose();
        let der = key.to_pkcs8().map_err(RingError::Key)?;
        let sealed = self.sealer.seal(key.kid(), purpose, &der);
        let sealed = sealed.ok_or(RingError::Key(BadKey::Garbage))?;
        Ok(NewKey { kid: key.kid().to_owned(), purpose, sealed })
    }
}
