use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::key_material::KeyUse;
use crate::infra::random;
use crate::infra::secret::{base64url, from_base64url};
use crate::infra::secret_key::{self, MacKey, SecretKey};

/// Encrypts private keys for the store, so that reading the store is not enough to sign.
pub struct KeyEncryptor {
    /// The first encrypts; each is tried for decryption.
    pub(super) derived_keys: Vec<MacKey>,
}

impl KeyEncryptor {
    /// From `SECRET_KEY`.
    pub fn new(root: &SecretKey) -> Self {
        Self { derived_keys: root.mac_key(secret_key::MacPurpose::KeyRing).generations() }
    }

    /// Encrypts a private key, bound to its `kid` and use. `None` if the library fails.
    pub(super) fn encrypt(&self, name: &str, purpose: KeyUse, der: &[u8]) -> Option<String> {
        let nonce = random::bytes::<NONCE_LEN>();
        let mut sealed = der.to_vec();
        cipher(&self.derived_keys[0], name)?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(label(name, purpose)),
                &mut sealed,
            )
            .ok()?;
        Some(base64url(&[&nonce[..], &sealed].concat()))
    }

    /// Decrypts a private key, and says whether it was encrypted under the current secret.
    pub(super) fn decrypt(
        &self,
        name: &str,
        purpose: KeyUse,
        sealed: &str,
    ) -> Option<(Zeroizing<Vec<u8>>, bool)> {
        let sealed = from_base64url(sealed)?;
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        self.derived_keys.iter().enumerate().find_map(|(at, root)| {
            let mut der = Zeroizing::new(sealed.to_vec());
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let aad = Aad::from(label(name, purpose));
            let length = cipher(root, name)?.open_in_place(nonce, aad, &mut der).ok()?.len();
            der.truncate(length);
            Some((der, at == 0))
        })
    }
}

/// A cipher for this one key, so that no two keys share their nonces.
fn cipher(root: &MacKey, name: &str) -> Option<LessSafeKey> {
    let key = Zeroizing::new(root.mac(&["aes-256-gcm", name]));
    UnboundKey::new(&AES_256_GCM, &*key).ok().map(LessSafeKey::new)
}

fn label(name: &str, purpose: KeyUse) -> String {
    format!("keyring.v1 {name} {}", purpose.as_str())
}

impl fmt::Debug for KeyEncryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infra::jose::Algorithm;

    #[test]
    fn a_sealed_key_opens_under_its_own_name_purpose_and_root_only() {
        let sealer = |c: &str| KeyEncryptor::new(&SecretKey::from_text(&c.repeat(32)).unwrap());
        let (ours, rs256) = (sealer("a"), KeyUse::Signing(Algorithm::Rs256));
        let sealed = ours.encrypt("kid", rs256, b"private").unwrap();
        let (der, current) = ours.decrypt("kid", rs256, &sealed).unwrap();
        assert_eq!((&der[..], current), (&b"private"[..], true));
        assert!(!sealed.contains(&base64url(b"private")));
        assert!(ours.decrypt("other", rs256, &sealed).is_none());
        assert!(ours.decrypt("kid", KeyUse::Signing(Algorithm::Ps256), &sealed).is_none());
        assert!(sealer("b").decrypt("kid", rs256, &sealed).is_none());
        assert!(ours.decrypt("kid", rs256, &sealed[..10]).is_none());

        let mut newer = sealer("b");
        newer.derived_keys.extend(ours.derived_keys);
        assert!(!newer.decrypt("kid", rs256, &sealed).unwrap().1, "to be sealed anew");
    }
}
