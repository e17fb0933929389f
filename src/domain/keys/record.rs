use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::key_material::KeyUse;
use super::phase::{self, Phase, RotationPolicy};
use crate::infra::clock::UnixTime;
use crate::infra::store::{Key, Partition, Record};

/// The stored ring: one record, so that one compare-and-swap changes it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct RingRecord {
    pub(super) keys: Vec<KeyRecord>,
    /// The `kid`s of keys that were imported from files. Each is imported once, so that a file left in place does not
    /// bring back a key that is gone.
    #[serde(default)]
    pub(super) from_files: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct KeyRecord {
    pub kid: String,
    pub purpose: KeyUse,
    pub published_at: UnixTime,
    pub begins_at: UnixTime,
    /// The PKCS#8 private key, encrypted by `KeyEncryptor`.
    pub sealed: String,
}

impl Record for RingRecord {
    const KIND: &'static str = "keyring.v1";

    fn key(&self) -> Key<Self> {
        ring_key()
    }

    fn delete_after(&self) -> Option<UnixTime> {
        None
    }
}

/// The ring is the only record of its kind.
pub fn ring_key() -> Key<RingRecord> {
    Key::single(Partition::new("keyring"))
}

/// When a new key begins to sign.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Activation {
    /// After clients had time to fetch the JWK Set with it.
    Announced,
    /// As soon as every server has read it.
    Now,
}

/// A new key, encrypted already: the step of a compare-and-swap may be repeated, so it must not generate any.
#[derive(Clone, Debug)]
pub(super) struct NewKey {
    pub kid: String,
    pub purpose: KeyUse,
    pub sealed: String,
}

/// Beyond this the oldest is forgotten.
const MAX_REMEMBERED_FILES: usize = 64;
/// Keeps a rotation in a loop from filling the JWK Set.
const MAX_KEYS_PER_USE: usize = 12;

impl RingRecord {
    /// The keys for one use in the order in which they begin to sign, each with its phase.
    pub(super) fn keys_for(
        &self,
        purpose: KeyUse,
        keep: Duration,
        now: UnixTime,
    ) -> Vec<(&KeyRecord, Phase)> {
        let mut keys: Vec<_> = self.keys.iter().filter(|key| key.purpose == purpose).collect();
        // Stable: of two keys with the same start, the one added later stays the later.
        keys.sort_by_key(|key| key.begins_at);
        let starts: Vec<_> = keys.iter().map(|key| key.begins_at).collect();
        keys.into_iter().zip(phase::phases(&starts, keep, now)).collect()
    }

    fn start_times(
        &self,
        purpose: KeyUse,
        policy: &RotationPolicy,
        now: UnixTime,
    ) -> Vec<UnixTime> {
        self.keys_for(purpose, policy.retention, now).iter().map(|(key, _)| key.begins_at).collect()
    }

    pub(super) fn lacks(&self, purpose: KeyUse) -> bool {
        self.keys.iter().all(|key| key.purpose != purpose)
    }

    /// Whether the key with this `kid` was never imported and is not in the ring.
    pub(super) fn is_new_file(&self, kid: &str) -> bool {
        !self.from_files.iter().any(|seen| seen == kid) && self.keys.iter().all(|it| it.kid != kid)
    }

    /// When the next key has to begin to sign, if it is time to publish it.
    pub(super) fn due(
        &self,
        purpose: KeyUse,
        policy: &RotationPolicy,
        now: UnixTime,
    ) -> Option<UnixTime> {
        phase::due(&self.start_times(purpose, policy, now), policy, now)
    }

    /// Adds the first key for its use, which signs at once. Does nothing if there is one.
    pub(super) fn add_first(&mut self, key: &NewKey, now: UnixTime) {
        if self.lacks(key.purpose) {
            self.insert(key, now, now);
        }
    }

    /// Adds a key from a file unless it was imported before.
    pub(super) fn import_file(&mut self, key: &NewKey, policy: &RotationPolicy, now: UnixTime) {
        if !self.is_new_file(&key.kid) {
            return;
        }
        self.from_files.push(key.kid.clone());
        let excess = self.from_files.len().saturating_sub(MAX_REMEMBERED_FILES);
        self.from_files.drain(..excess);
        let begins = if self.lacks(key.purpose) { now } else { now.plus(policy.publication_lead) };
        self.insert(key, now, begins);
    }

    /// Adds the successor that is due. Does nothing if another server has done so.
    pub(super) fn add_successor(&mut self, key: &NewKey, policy: &RotationPolicy, now: UnixTime) {
        if let Some(begins) = self.due(key.purpose, policy, now) {
            self.insert(key, now, begins);
        }
    }

    /// Adds a key on request; `false` if the ring is full.
    pub(super) fn rotate(
        &mut self,
        key: &NewKey,
        begin: Activation,
        policy: &RotationPolicy,
        now: UnixTime,
    ) -> bool {
        if self.keys.iter().any(|it| it.kid == key.kid) {
            // An earlier run of this same swap, whose reply was lost.
            return true;
        }
        if self.keys_for(key.purpose, policy.retention, now).len() >= MAX_KEYS_PER_USE {
            return false;
        }
        let wait = match begin {
            Activation::Announced => policy.publication_lead,
            Activation::Now => policy.activation_delay,
        };
        self.insert(key, now, now.plus(wait));
        true
    }

    /// Removes a key early, unless it is the one that signs. Returns the phase it was in, `None` if it is unknown.
    pub(super) fn remove(
        &mut self,
        kid: &str,
        policy: &RotationPolicy,
        now: UnixTime,
    ) -> Option<Phase> {
        let purpose = self.keys.iter().find(|key| key.kid == kid)?.purpose;
        let keys = self.keys_for(purpose, policy.retention, now);
        let phase = keys.into_iter().find_map(|(key, phase)| (key.kid == kid).then_some(phase))?;
        if phase != Phase::Signing {
            self.keys.retain(|key| key.kid != kid);
        }
        Some(phase)
    }

    pub(super) fn has_expired_keys(&self, policy: &RotationPolicy, now: UnixTime) -> bool {
        !self.expired_kids(policy, now).is_empty()
    }

    /// Removes the keys that are gone.
    pub(super) fn remove_expired(&mut self, policy: &RotationPolicy, now: UnixTime) {
        let gone = self.expired_kids(policy, now);
        self.keys.retain(|key| !gone.contains(&key.kid));
    }

    fn expired_kids(&self, policy: &RotationPolicy, now: UnixTime) -> Vec<String> {
        let purposes: BTreeSet<_> = self.keys.iter().map(|key| key.purpose).collect();
        let keys = purposes.into_iter().flat_map(|it| self.keys_for(it, policy.retention, now));
        keys.filter(|(_, phase)| *phase == Phase::Gone).map(|(key, _)| key.kid.clone()).collect()
    }

    /// Replaces the ciphertext of a key by the one under the current `SECRET_KEY`.
    pub(super) fn reencrypt(&mut self, anew: &NewKey) {
        for key in self.keys.iter_mut().filter(|key| key.kid == anew.kid) {
            key.sealed.clone_from(&anew.sealed);
        }
    }

    fn insert(&mut self, key: &NewKey, published_at: UnixTime, begins_at: UnixTime) {
        let NewKey { kid, purpose, sealed } = key.clone();
        self.keys.push(KeyRecord { kid, purpose, published_at, begins_at, sealed });
    }
}
