//! What is done to the ring: reading it anew, adding the successor that is due, rotating because somebody
//! asked, taking in keys from files. Each is one swap in the store; nothing is told to other servers, who
//! look for themselves.

use std::sync::Arc;

use super::material::Material;
use super::record::{Begin, NewKey, RingRecord, ring_key};
use super::ring::{KeyRing, Snapshot};
use super::ring_store::Home;
use super::{Phase, Policy, Purpose, RingError, Sealer};
use crate::infra::clock::Clock;
use crate::infra::jose::SigningKey;
use crate::infra::store::Store;

impl KeyRing {
    /// The ring in the store; begun, or completed, with the keys from files and with new ones. The first
    /// of its algorithm signs at once.
    pub async fn open(
        (store, clock): (Arc<dyn Store>, Clock),
        sealer: Sealer,
        purposes: Vec<Purpose>,
        policy: Policy,
        files: Vec<SigningKey>,
    ) -> Result<Self, RingError> {
        let home = Home::new(store, sealer);
        let before = home.read().await?;
        let ring = Self::with(Snapshot::default(), purposes, policy, clock, Some(home));
        ring.take_in(files).await?;
        if let Some(before) = before {
            ring.stood_before(|kid| before.keys.iter().any(|key| key.kid == kid));
        }
        Ok(ring)
    }

    /// Takes in keys from files that were not seen before, and makes what is missing.
    pub async fn take_in(&self, files: Vec<SigningKey>) -> Result<(), RingError> {
        let home = self.home()?;
        let _turn = home.turn.lock().await;
        let (now, policy) = (self.0.clock.now(), self.0.policy);
        let record = match home.read().await? {
            Some(record) => record,
            None => home.begin().await?,
        };
        let stale = self.adopt(home, record, &[])?;
        let record = self.0.current.load().record.clone();

        let mut made = Made::default();
        for key in files.into_iter().filter(|key| record.has_not_seen(key.kid())) {
            made.add(home, Material::Signing(Arc::new(key)))?;
        }
        let from_files = made.keys.clone();
        let comes = |it: Purpose| from_files.iter().any(|key| key.purpose == it);
        made.generate(home, self.purposes(|it| record.lacks(it) && !comes(it))).await?;
        if made.keys.is_empty() && stale.is_empty() {
            return Ok(());
        }
        self.change(home, &made, |ring| {
            for key in &from_files {
                ring.take_in(key, &policy, now);
            }
            for key in &made.keys[from_files.len()..] {
                ring.begin(key, now);
            }
            for anew in &stale {
                ring.seal_anew(anew);
            }
        })
        .await
    }

    /// Whether the store has the ring. If it has not, it was emptied, for nothing of ours removes it.
    pub async fn is_kept(&self) -> Result<bool, RingError> {
        let Ok(home) = self.home() else { return Ok(true) };
        Ok(home.read().await?.is_some())
    }

    /// Looks at the ring in the store, publishes the successors that are due and removes what has gone.
    /// If it fails, the ring stays as it was.
    pub async fn refresh(&self) -> Result<(), RingError> {
        let Ok(home) = self.home() else { return Ok(()) };
        let _turn = home.turn.lock().await;
        let (now, policy) = (self.0.clock.now(), self.0.policy);
        let mut stale = Vec::new();
        if let Some(record) = home.read().await? {
            stale = self.adopt(home, record, &[])?;
        } else {
            // The store has lost it: it gets back what is known here, unless another was faster.
            let record = self.0.current.load().record.clone();
            let _ = home.store.create(&record).await?;
        }
        let record = self.0.current.load().record.clone();
        let mut made = Made::default();
        made.generate(home, self.purposes(|it| record.due(it, &policy, now).is_some())).await?;
        if made.keys.is_empty() && stale.is_empty() && !record.has_gone(&policy, now) {
            return Ok(());
        }
        self.change(home, &made, |ring| {
            for key in &made.keys {
                ring.succeed(key, &policy, now);
            }
            for anew in &stale {
                ring.seal_anew(anew);
            }
            ring.prune(&policy, now);
        })
        .await
    }

    /// Gives every algorithm a new key.
    pub async fn rotate(&self, begin: Begin) -> Result<(), RingError> {
        let home = self.home()?;
        let _turn = home.turn.lock().await;
        let (now, policy) = (self.0.clock.now(), self.0.policy);
        let mut made = Made::default();
        made.generate(home, self.purposes(|_| true)).await?;
        let mut crowded = false;
        self.change(home, &made, |ring| {
            let before = ring.clone();
            ring.prune(&policy, now);
            crowded = !made.keys.iter().all(|key| ring.rotate(key, begin, &policy, now));
            if crowded {
                *ring = before;
            }
        })
        .await?;
        if crowded { Err(RingError::Crowded) } else { Ok(()) }
    }

    /// Removes a key that nobody must trust any more; what it signed is void from then on.
    pub async fn remove(&self, kid: &str) -> Result<(), RingError> {
        let home = self.home()?;
        let _turn = home.turn.lock().await;
        let (now, policy) = (self.0.clock.now(), self.0.policy);
        let mut was = None;
        let change = |ring: &mut RingRecord| was = ring.remove(kid, &policy, now);
        self.change(home, &Made::default(), change).await?;
        match was {
            Some(Phase::Signing) => Err(RingError::Signs),
            Some(Phase::Published | Phase::Retired | Phase::Gone) => Ok(()),
            None => Err(RingError::Unknown),
        }
    }

    fn purposes(&self, wanted: impl Fn(Purpose) -> bool) -> Vec<Purpose> {
        self.0.purposes.iter().copied().filter(|it| wanted(*it)).collect()
    }

    fn home(&self) -> Result<&Home, RingError> {
        self.0.home.as_ref().ok_or(RingError::Fixed)
    }

    /// One swap; what stands in the store afterwards is the ring.
    async fn change(
        &self,
        home: &Home,
        made: &Made,
        mut step: impl FnMut(&mut RingRecord) + Send,
    ) -> Result<(), RingError> {
        let key = ring_key();
        let changed = home.store.update(&key, |ring| {
            step(ring);
            ring.clone()
        });
        let record = changed.await?.ok_or(RingError::Unreadable)?;
        self.adopt(home, record, &made.material).map(drop)
    }

    /// Makes the record the ring, parsing only the keys that are new here. Answers those that should be
    /// encrypted anew, because the secret has changed since.
    fn adopt(
        &self,
        home: &Home,
        record: RingRecord,
        made: &[Material],
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
            let opened = home.sealer.open(&key.kid, key.purpose, &key.sealed);
            let (der, current) = opened.ok_or_else(|| RingError::Sealed(key.kid.clone()))?;
            let material = Material::from_pkcs8(key.purpose, &der).map_err(RingError::Key)?;
            if !current {
                stale.push(home.sealed(&material)?);
            }
            snapshot.material.insert(key.kid.clone(), material);
        }
        snapshot.record = record;
        self.0.current.store(Arc::new(snapshot));
        Ok(stale)
    }
}

/// Keys that were just made, and what the store is given of them.
#[derive(Default)]
struct Made {
    material: Vec<Material>,
    keys: Vec<NewKey>,
}

impl Made {
    async fn generate(&mut self, home: &Home, wanted: Vec<Purpose>) -> Result<(), RingError> {
        for purpose in wanted {
            self.add(home, Material::generate(purpose).await.map_err(RingError::Key)?)?;
        }
        Ok(())
    }

    fn add(&mut self, home: &Home, key: Material) -> Result<(), RingError> {
        self.keys.push(home.sealed(&key)?);
        self.material.push(key);
        Ok(())
    }
}
