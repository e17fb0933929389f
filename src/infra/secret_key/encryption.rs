//! AES-256-GCM under a derived key, for what has to stay readable: whoever has the store or a cookie alone has nothing.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::{Generations, Key};
use crate::infra::random;
use crate::infra::secret::{base64url, from_base64url};

/// An AES-256-GCM key, in one generation or two.
#[derive(Clone)]
pub struct EncryptionKey(pub(super) Generations);

/// A decrypted text, and which generation of the key it was under.
pub struct Decrypted {
    /// The plaintext.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// Whether it was under the current key. Otherwise the caller encrypts it again.
    pub under_current_key: bool,
}

impl EncryptionKey {
    /// Encrypts under the current key, with `name` as associated data. `None` if the library fails.
    pub fn encrypt(&self, name: &str, plaintext: &[u8]) -> Option<String> {
        let nonce = random::bytes::<NONCE_LEN>();
        let mut ciphertext = plaintext.to_vec();
        cipher(&self.0.current)?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name),
                &mut ciphertext,
            )
            .ok()?;
        Some(base64url(&[&nonce[..], &ciphertext].concat()))
    }

    /// Decrypts what was encrypted under either key and the same `name`.
    pub fn decrypt(&self, name: &str, ciphertext: &str) -> Option<Decrypted> {
        let bytes = from_base64url(ciphertext)?;
        let under = |key: &Key, under_current_key: bool| {
            let plaintext = decrypt_with(key, name, &bytes)?;
            Some(Decrypted { plaintext, under_current_key })
        };
        let previous = || under(self.0.previous.as_ref()?, false);
        under(&self.0.current, true).or_else(previous)
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey(…)")
    }
}

fn decrypt_with(key: &Key, name: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut plain = Zeroizing::new(sealed.to_vec());
    let length = cipher(key)?.open_in_place(nonce, Aad::from(name), &mut plain).ok()?.len();
    plain.truncate(length);
    Some(plain)
}

fn cipher(key: &Key) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, &**key).ok().map(LessSafeKey::new)
}

#[cfg(test)]
mod tests {
    use super::super::{EncryptionPurpose, SecretKey};

    #[test]
    fn what_is_sealed_opens_under_its_name_and_either_key_and_nothing_else() {
        let root = |c: &str| SecretKey::from_text(&c.repeat(32)).unwrap();
        let old = root("a").encryption_key(EncryptionPurpose::ClientSecret);
        let sealed = old.encrypt("shop", b"secret").unwrap();
        assert_ne!(sealed, old.encrypt("shop", b"secret").unwrap(), "never the same twice");
        let opened = old.decrypt("shop", &sealed).unwrap();
        assert_eq!((&opened.plaintext[..], opened.under_current_key), (&b"secret"[..], true));
        assert!(old.decrypt("kiosk", &sealed).is_none());

        let both = root("b")
            .with_previous(&"a".repeat(32))
            .unwrap()
            .encryption_key(EncryptionPurpose::ClientSecret);
        assert!(both.decrypt("shop", &sealed).is_some_and(|it| !it.under_current_key));
        assert!(
            root("b")
                .encryption_key(EncryptionPurpose::ClientSecret)
                .decrypt("shop", &sealed)
                .is_none()
        );
        assert!(
            root("a").encryption_key(EncryptionPurpose::Device).decrypt("shop", &sealed).is_none()
        );
        for cut in [0, 11, 12, 20] {
            assert!(old.decrypt("shop", &sealed[..cut]).is_none());
        }
    }
}
