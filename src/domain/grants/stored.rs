//! The two records of a grant: `grant.v1`, which every release reads, and `grant.v2`.
//!
//! What a release that knows only `grant.v1` would lose or could not read is a grant of the second kind: one
//! that is bound to a key, or whose credential was not sent to a redirect URI. To that release it is no grant
//! at all, so it accepts nothing of it. This release reads both, changes each as it finds it, and makes no grant
//! that needs the second; the next one makes all of them so ([`schema`](crate::infra::store::schema)).
//!
//! A grant only ever moves from `grant.v1` to `grant.v2`, in one change, so a reader that looks in that order finds it.

use serde::{Deserialize, Serialize};

use super::{CodeState, Credential, Grant, GrantId};
use crate::infra::clock::UnixTime;
use crate::infra::store::{CreateOutcome, Key, Partition, Record, Store, StoreError, Versioned};

impl GrantId {
    /// The key of `grant.v1`.
    pub fn key(self) -> Key<Grant> {
        Key::single(self.partition())
    }

    /// The key of `grant.v2`.
    pub fn key_v2(self) -> Key<GrantV2> {
        Key::single(self.partition())
    }

    fn partition(self) -> Partition {
        Partition::new(format!("grant:{}", self.0.simple()))
    }
}

impl Record for Grant {
    const KIND: &'static str = "grant.v1";

    fn key(&self) -> Key<Self> {
        self.id.key()
    }

    fn delete_after(&self) -> Option<UnixTime> {
        Some(self.retention_end())
    }
}

/// A grant that is stored as `grant.v2`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub struct GrantV2(pub Grant);

impl Record for GrantV2 {
    const KIND: &'static str = "grant.v2";

    fn key(&self) -> Key<Self> {
        self.0.id.key_v2()
    }

    fn delete_after(&self) -> Option<UnixTime> {
        self.0.delete_after()
    }
}

impl Grant {
    /// Whether an older release would lose something of it, or misread it.
    pub fn needs_v2(&self) -> bool {
        let by_redirect = match &self.code {
            None | Some(CodeState::Redeemed { .. }) => true,
            Some(CodeState::Issued { credential, redirect_uri, .. }) => {
                *credential == Credential::AuthorizationCode && redirect_uri.is_some()
            }
        };
        self.cnf.is_some() || !by_redirect
    }
}

/// A grant with the version it was read at, for a compare-and-swap.
#[derive(Debug)]
pub enum LoadedGrant {
    /// Read from `grant.v1`.
    V1(Versioned<Grant>),
    /// Read from `grant.v2`.
    V2(Versioned<GrantV2>),
}

impl LoadedGrant {
    /// The grant itself.
    pub fn grant(&self) -> &Grant {
        match self {
            Self::V1(loaded) => &loaded.record,
            Self::V2(loaded) => &loaded.record.0,
        }
    }
}

/// The grant of that id, wherever it is kept.
pub async fn load(store: &dyn Store, id: GrantId) -> Result<Option<LoadedGrant>, StoreError> {
    if let Some(loaded) = store.load(&id.key()).await? {
        return Ok(Some(LoadedGrant::V1(loaded)));
    }
    Ok(store.load(&id.key_v2()).await?.map(LoadedGrant::V2))
}

/// The grant of that id.
pub async fn find(store: &dyn Store, id: GrantId) -> Result<Option<Grant>, StoreError> {
    Ok(load(store, id).await?.map(|loaded| match loaded {
        LoadedGrant::V1(loaded) => loaded.record,
        LoadedGrant::V2(loaded) => loaded.record.0,
    }))
}

/// Moves a grant from one state to the next; `None` if there is none.
pub async fn update<T: Send>(
    store: &dyn Store,
    id: GrantId,
    mut step: impl FnMut(&mut Grant) -> T + Send,
) -> Result<Option<T>, StoreError> {
    if let Some(answer) = store.update(&id.key(), &mut step).await? {
        return Ok(Some(answer));
    }
    store.update(&id.key_v2(), |held: &mut GrantV2| step(&mut held.0)).await
}

/// [`update`] that is written also where the step was taken before, if its answer is one of those: it is
/// acknowledged by whatever acknowledges a write, whatever became of the first one.
pub async fn update_anew<T: Send>(
    store: &dyn Store,
    id: GrantId,
    mut step: impl FnMut(&mut Grant) -> T + Send,
    those: impl Fn(&T) -> bool + Send + Sync,
) -> Result<Option<T>, StoreError> {
    if let Some(answer) = store.update_acknowledged(&id.key(), &mut step, &those).await? {
        return Ok(Some(answer));
    }
    store.update_acknowledged(&id.key_v2(), |held: &mut GrantV2| step(&mut held.0), &those).await
}

/// [`update`] of a grant that was just read.
pub async fn update_from<T: Send>(
    store: &dyn Store,
    loaded: LoadedGrant,
    mut step: impl FnMut(&mut Grant) -> T + Send,
) -> Result<Option<T>, StoreError> {
    match loaded {
        LoadedGrant::V1(loaded) => {
            let id = loaded.record.id;
            if let Some(answer) = store.update_from(loaded, &mut step).await? {
                return Ok(Some(answer));
            }
            // Moved in between, by a server of the next release.
            store.update(&id.key_v2(), |held: &mut GrantV2| step(&mut held.0)).await
        }
        LoadedGrant::V2(loaded) => {
            store.update_from(loaded, |held: &mut GrantV2| step(&mut held.0)).await
        }
    }
}

/// Stores a grant whole.
pub(super) async fn put(store: &dyn Store, grant: &Grant) -> Result<(), StoreError> {
    if grant.needs_v2() {
        return store.put(&GrantV2(grant.clone())).await;
    }
    store.put(grant).await
}

/// Stores a grant whose id must be free.
pub(super) async fn create(store: &dyn Store, grant: &Grant) -> Result<CreateOutcome, StoreError> {
    if grant.needs_v2() {
        return store.create(&GrantV2(grant.clone())).await;
    }
    store.create(grant).await
}
