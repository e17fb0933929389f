//! What has to be kept readable, encrypted: whoever reads the store alone has nothing.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::{Key, MacKey};
use crate::infra::random;
use crate::infra::secret::{base64url, from_base64url};

/// What was sealed, and whether it was under the current key.
pub struct Decrypted {
    /// The plain text.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// Whether it need not be sealed anew.
    pub under_current_key: bool,
}

impl MacKey {
    /// Encrypts under the current key; it opens under the same `name` only. Nothing if the library fails.
    pub fn encrypt(&self, name: &str, plain: &[u8]) -> Option<String> {
        let nonce = random::bytes::<NONCE_LEN>();
        let mut sealed = plain.to_vec();
        cipher(&self.current)?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name),
                &mut sealed,
            )
            .ok()?;
        Some(base64url(&[&nonce[..], &sealed].concat()))
    }

    /// Decrypts what was sealed under either key.
    pub fn decrypt(&self, name: &str, sealed: &str) -> Option<Decrypted> {
        let bytes = from_base64url(sealed)?;
        let under = |key: &Key| decrypt_with(key, name, &bytes);
        let current = under(&self.current)
            .map(|plain| Decrypted { plaintext: plain, under_current_key: true });
        let previous = || {
            under(self.previous.as_ref()?)
                .map(|plain| Decrypted { plaintext: plain, under_current_key: false })
        };
        current.or_else(previous)
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
    use super::super::{Purpose, SecretKey};

    #[test]
    fn what_is_sealed_opens_under_its_name_and_either_key_and_nothing_else() {
        let root = |c: &str| SecretKey::from_text(&c.repeat(32)).unwrap();
        let old = root("a").derive(Purpose::ClientSecret);
        let sealed = old.encrypt("shop", b"secret").unwrap();
        assert_ne!(sealed, old.encrypt("shop", b"secret").unwrap(), "never the same twice");
        let opened = old.decrypt("shop", &sealed).unwrap();
        assert_eq!((&opened.plaintext[..], opened.under_current_key), (&b"secret"[..], true));
        assert!(old.decrypt("kiosk", &sealed).is_none());

        let both = root("b").with_previous(&"a".repeat(32)).unwrap().derive(Purpose::ClientSecret);
        assert!(both.decrypt("shop", &sealed).is_some_and(|it| !it.under_current_key));
        assert!(root("b").derive(Purpose::ClientSecret).decrypt("shop", &sealed).is_none());
        assert!(root("a").derive(Purpose::Csrf).decrypt("shop", &sealed).is_none());
        for cut in [0, 11, 12, 20] {
            assert!(old.decrypt("shop", &sealed[..cut]).is_none());
        }
    }
}
