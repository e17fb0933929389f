//! Merging a ring from a backup into the stored one.

use super::record::{KeyRecord, NewKey, RingRecord, ring_key};
use super::{KeyEncryptor, RingError};
use crate::infra::jose::KeyError;
use crate::infra::store::{CreateOutcome, Record, Store, StoreError};

impl RingRecord {
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// The same ring with every key encrypted under the current `SECRET_KEY`. The error names the first key that
    /// neither secret decrypts. A key that is under the current one already stays as it is, byte for byte.
    pub fn encrypted_under(mut self, sealer: &KeyEncryptor) -> Result<Self, RingError> {
        let mut stale = Vec::new();
        for KeyRecord { kid, purpose, sealed, .. } in &self.keys {
            let opened = sealer.decrypt(kid, *purpose, sealed);
            let (der, current) = opened.ok_or_else(|| RingError::WrongSecretKey(kid.clone()))?;
            if !current {
                let sealed = sealer.encrypt(kid, *purpose, &der);
                let sealed = sealed.ok_or(RingError::Key(KeyError::Malformed))?;
                stale.push(NewKey { kid: kid.clone(), purpose: *purpose, sealed });
            }
        }
        for anew in &stale {
            self.reencrypt(anew);
        }
        Ok(self)
    }

    /// Adds the keys of `held` that it lacks. None is dropped, because tokens they signed may still be valid.
    #[must_use]
    pub fn merged_with(mut self, held: &Self) -> Self {
        for key in &held.keys {
            if self.keys.iter().all(|it| it.kid != key.kid) {
                self.keys.push(key.clone());
            }
        }
        for seen in &held.from_files {
            if !self.from_files.contains(seen) {
                self.from_files.push(seen.clone());
            }
        }
        self
    }

    /// Whether both hold the same keys and imported files, in any order.
    pub fn has_same_keys(&self, other: &Self) -> bool {
        let same_keys = self.keys.iter().all(|key| other.keys.contains(key));
        same_keys
            && self.keys.len() == other.keys.len()
            && self.from_files.iter().all(|it| other.from_files.contains(it))
    }

    /// Adds these keys to the stored ring, or creates it. Running servers find them at their next refresh.
    pub async fn restore(&self, store: &dyn Store) -> Result<(), StoreError> {
        for _ in 0..2 {
            let join = |held: &mut Self| *held = self.clone().merged_with(held);
            if store.update(&ring_key(), join).await?.is_some()
                || store.create(self).await? == CreateOutcome::Created
            {
                return Ok(());
            }
        }
        Err(StoreError::Contended { key: self.key().raw().to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::keys::KeyUse;
    use crate::infra::clock::UnixTime;
    use crate::infra::jose::Algorithm;
    use crate::infra::secret_key::SecretKey;

    fn sealer(current: &str, previous: Option<&str>) -> KeyEncryptor {
        let root = SecretKey::from_text(&current.repeat(32)).unwrap();
        KeyEncryptor::new(&match previous {
            Some(previous) => root.with_previous(&previous.repeat(32)).unwrap(),
            None => root,
        })
    }

    fn ring(kid: &str, sealer: &KeyEncryptor) -> RingRecord {
        let purpose = KeyUse::Signing(Algorithm::Rs256);
        let sealed = sealer.encrypt(kid, purpose, b"private").unwrap();
        let at = UnixTime::from_secs(1);
        let key =
            KeyRecord { kid: kid.to_owned(), purpose, published_at: at, begins_at: at, sealed };
        RingRecord { keys: vec![key], from_files: vec![kid.to_owned()] }
    }

    #[test]
    fn a_ring_comes_under_the_present_secret_if_the_one_before_is_at_hand() {
        let old = ring("k", &sealer("a", None));
        assert!(matches!(
            old.clone().encrypted_under(&sealer("b", None)),
            Err(RingError::WrongSecretKey(_))
        ));
        assert_eq!(old.clone().encrypted_under(&sealer("a", None)).unwrap(), old);
        let new = old.encrypted_under(&sealer("b", Some("a"))).unwrap();
        assert_eq!(new.clone().encrypted_under(&sealer("b", None)).unwrap(), new);
    }

    #[test]
    fn joining_rings_drops_no_key_and_doubles_none() {
        let (one, two) = (ring("1", &sealer("a", None)), ring("2", &sealer("a", None)));
        let both = one.clone().merged_with(&two);
        assert_eq!(both.count(), 2);
        assert_eq!(both.clone().merged_with(&one), both);
    }
}
