//! Reading and changing the ring: refreshing it, adding the successor that is due, rotating on request, importing
//! keys from files. Each change is one compare-and-swap in the store; other servers find it when they next refresh.

use std::sync::Arc;

use super::key_material::KeyMaterial;
use super::record::{Activation, NewKey, RingRecord, ring_key};
use super::ring::{KeyRing, Snapshot};
use super::ring_store::RingStore;
use super::{KeyEncryptor, KeyUse, Phase, RingError, RotationPolicy};
use crate::infra::clock::Clock;
use crate::infra::jose::SigningKey;
use crate::infra::store::Store;

impl KeyRing {
    /// Opens the ring in the store. Missing keys are added, from files or generated; the first key of an algorithm
    /// signs at once.
    pub async fn open(
        (store, clock): (Arc<dyn Store>, Clock),
        sealer: KeyEncryptor,
        purposes: Vec<KeyUse>,
        policy: RotationPolicy,
        files: Vec<SigningKey>,
    ) -> Result<Self, RingError> {
        let home = RingStore::new(store, sealer);
        let before = home.read().await?;
        let ring = Self::new(Snapshot::default(), purposes, policy, clock, Some(home));
        ring.import_files(files).await?;
        if let Some(before) = before {
            ring.mark_reported(|kid| before.keys.iter().any(|key| key.kid == kid));
        }
        Ok(ring)
    }

    /// Adds keys from files that were never imported before, and generates what is missing.
    pub async fn import_files(&self, files: Vec<SigningKey>) -> Result<(), RingError> {
        let home = self.ring_store()?;
        let _turn = home.refresh_lock.lock().await;
        let (now, policy) = (self.0.clock.now(), self.0.policy);
        let record = match home.read().await? {
            Some(record) => record,
            None => home.create_or_read().await?,
        };
        let stale = self.apply_record(home, record, &[])?;
        let record = self.0.current.load().record.clone();

        let mut made = NewKeys::default();
        for key in files.into_iter().filter(|key| record.is_new_file(key.kid())) {
            made.add(home, KeyMaterial::Signing(Arc::new(key)))?;
        }
        let from_files = made.keys.clone();
        let comes = |it: KeyUse| from_files.iter().any(|key| key.purpose == it);
        made.generate(home, self.purposes(|it| record.lacks(it) && !comes(it))).await?;
        if made.keys.is_empty() && stale.is_empty() {
            return Ok(());
        }
        self.update_record(home, &made, |ring| {
            for key in &from_files {
                ring.import_file(key, &policy, now);
            }
            for key in &made.keys[from_files.len()..] {
                ring.add_first(key, now);
            }
            for anew in &stale {
                ring.reencrypt(anew);
            }
        })
        .await
    }

    /// Whether the store has the ring. Latchkey never removes it, so without it the store was emptied.
    pub async fn is_stored(&self) -> Result<bool, RingError> {
        let Ok(home) = self.ring_store() else { return Ok(true) };
        Ok(home.read().await?.is_some())
    }

    /// Reads the ring from the store, publishes the successors that are due and removes keys that are gone. If it
    /// fails, the ring stays as it was.
    pub async fn refresh(&self) -> Result<(), RingError> {
        let Ok(home) = self.ring_store() else { return Ok(()) };
        let _turn = home.refresh_lock.lock().await;
        let (now, policy) = (self.0.clock.now(), self.0.policy);
        let mut stale = Vec::new();
        if let Some(record) = home.read().await? {
            stale = self.apply_record(home, record, &[])?;
        } else {
            // The store was emptied: write the ring back, unless another server was faster.
            let record = self.0.current.load().record.clone();
            let _ = home.store.create(&record).await?;
        }
        let record = self.0.current.load().record.clone();
        let mut made = NewKeys::default();
        made.generate(home, self.purposes(|it| record.due(it, &policy, now).is_some())).await?;
        if made.keys.is_empty() && stale.is_empty() && !record.has_expired_keys(&policy, now) {
            return Ok(());
        }
        self.update_record(home, &made, |ring| {
            for key in &made.keys {
                ring.add_successor(key, &policy, now);
            }
            for anew in &stale {
                ring.reencrypt(anew);
            }
            ring.remove_expired(&policy, now);
        })
        .await
    }

    /// Adds a new key for every use; `begin` says when it starts to sign.
    pub async fn rotate(&self, begin: Activation) -> Result<(), RingError> {
        let home = self.ring_store()?;
        let _turn = home.refresh_lock.lock().await;
        let (now, policy) = (self.0.clock.now(), self.0.policy);
        let mut made = NewKeys::default();
        made.generate(home, self.purposes(|_| true)).await?;
        let mut crowded = false;
        self.update_record(home, &made, |ring| {
            let before = ring.clone();
            ring.remove_expired(&policy, now);
            crowded = !made.keys.iter().all(|key| ring.rotate(key, begin, &policy, now));
            if crowded {
                *ring = before;
            }
        })
        .await?;
        if crowded { Err(RingError::TooManyKeys) } else { Ok(()) }
    }

    /// Removes a key at once, so that nothing it signed is valid any more. The key that signs is not removed.
    pub async fn remove(&self, kid: &str) -> Result<(), RingError> {
        let home = self.ring_store()?;
        let _turn = home.refresh_lock.lock().await;
        let (now, policy) = (self.0.clock.now(), self.0.policy);
        let mut was = None;
        let change = |ring: &mut RingRecord| was = ring.remove(kid, &policy, now);
        self.update_record(home, &NewKeys::default(), change).await?;
        match was {
            Some(Phase::Signing) => Err(RingError::KeyInUse),
            Some(Phase::Published | Phase::Retired | Phase::Gone) => Ok(()),
            None => Err(RingError::UnknownKey),
        }
    }

    fn purposes(&self, wanted: impl Fn(KeyUse) -> bool) -> Vec<KeyUse> {
        self.0.purposes.iter().copied().filter(|it| wanted(*it)).collect()
    }

    fn ring_store(&self) -> Result<&RingStore, RingError> {
        self.0.ring_store.as_ref().ok_or(RingError::ReadOnly)
    }

    /// Changes the stored record by one swap and applies what is stored afterwards.
    async fn update_record(
        &self,
        home: &RingStore,
        made: &NewKeys,
        mut step: impl FnMut(&mut RingRecord) + Send,
    ) -> Result<(), RingError> {
        let key = ring_key();
        let changed = home.store.update(&key, |ring| {
            step(ring);
            ring.clone()
        });
        let record = changed.await?.ok_or(RingError::Unreadable)?;
        self.apply_record(home, record, &made.material).map(drop)
    }

    /// Makes the record the current ring, decrypting and parsing only keys not known yet. Returns the keys to
    /// re-encrypt, because `SECRET_KEY` has changed since they were stored.
    fn apply_record(
        &self,
        home: &RingStore,
        record: RingRecord,
        made: &[KeyMaterial],
    ) -> Result<Vec<NewKey>, RingError> {
        let known = self.0.current.load();
        if known.record == record {
            return Ok(Vec::new());
        }
        let mut snapshot = Snapshot::default();
        let mut stale = Vec::new();
        for key in &record.keys {
            let held = made.iter().find(|it| it.kid() == key.kid);
            if let Some(material) = held.or_else(|| known.material.get(&key.kid)) {
                snapshot.material.insert(key.kid.clone(), material.clone());
                continue;
            }
            let opened = home.sealer.decrypt(&key.kid, key.purpose, &key.sealed);
            let (der, current) =
                opened.ok_or_else(|| RingError::WrongSecretKey(key.kid.clone()))?;
            let material = KeyMaterial::from_pkcs8(key.purpose, &der).map_err(RingError::Key)?;
            if !current {
                stale.push(home.encrypted(&material)?);
            }
            snapshot.material.insert(key.kid.clone(), material);
        }
        snapshot.record = record;
        self.0.current.store(Arc::new(snapshot));
        Ok(stale)
    }
}

/// New keys, parsed and as they will be stored.
#[derive(Default)]
struct NewKeys {
    material: Vec<KeyMaterial>,
    keys: Vec<NewKey>,
}

impl NewKeys {
    async fn generate(&mut self, home: &RingStore, wanted: Vec<KeyUse>) -> Result<(), RingError> {
        for purpose in wanted {
            self.add(home, KeyMaterial::generate(purpose).await.map_err(RingError::Key)?)?;
        }
        Ok(())
    }

    fn add(&mut self, home: &RingStore, key: KeyMaterial) -> Result<(), RingError> {
        self.keys.push(home.encrypted(&key)?);
        self.material.push(key);
        Ok(())
    }
}
