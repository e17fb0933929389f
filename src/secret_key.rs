//! `SECRET_KEY`, and the separate keys derived from it: one for each purpose, so that what is made for
//! one never verifies for another ([RFC 5869 §3.2]).
//!
//! [RFC 5869 §3.2]: https://www.rfc-editor.org/rfc/rfc5869#section-3.2

use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The root secret of this installation.
pub struct SecretKey(Zeroizing<Vec<u8>>);

/// What a derived key is for. Each has a label of its own, with a version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// The MAC in a refresh token.
    RefreshToken,
    /// The token in a form.
    Csrf,
    /// Private keys in the store.
    KeyRing,
}

/// The secret has fewer than 32 characters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooShort;

impl SecretKey {
    /// At least 32 characters.
    pub fn from_text(text: &str) -> Result<Self, TooShort> {
        if text.len() < 32 {
            return Err(TooShort);
        }
        Ok(Self(Zeroizing::new(text.as_bytes().to_vec())))
    }

    /// The key for one purpose.
    ///
    /// # Panics
    /// Never: 32 bytes is a length HKDF-SHA-256 gives.
    pub fn derive(&self, purpose: Purpose) -> MacKey {
        let label: &[u8] = match purpose {
            Purpose::RefreshToken => b"latchkey/refresh-token/v1",
            Purpose::Csrf => b"latchkey/csrf/v1",
            Purpose::KeyRing => b"latchkey/key-ring/v1",
        };
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(None, &self.0).expand(label, &mut *key).expect("32 bytes is allowed");
        MacKey(key)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// An HMAC-SHA-256 key.
#[derive(Clone)]
pub struct MacKey(Zeroizing<[u8; 32]>);

impl MacKey {
    /// A key of its own for each generation of the secret, the present one first.
    pub fn generations(&self) -> Vec<Self> {
        vec![self.clone()]
    }

    /// The MAC over the parts, each under its length, so that no two lists of parts read the same.
    pub fn mac(&self, parts: &[impl AsRef<[u8]>]) -> [u8; 32] {
        self.over(parts).finalize().into_bytes().into()
    }

    /// Whether `shown` is the MAC over the parts; in constant time.
    pub fn verifies(&self, parts: &[impl AsRef<[u8]>], shown: &[u8]) -> bool {
        self.over(parts).verify_slice(shown).is_ok()
    }

    fn over(&self, parts: &[impl AsRef<[u8]>]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.0).expect("HMAC takes any key length");
        for part in parts {
            let part = part.as_ref();
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_is_good_for_one_purpose_one_list_of_parts_and_one_root() {
        let root = |c: &str| SecretKey::from_text(&c.repeat(32)).unwrap();
        let key = root("a").derive(Purpose::RefreshToken);
        let mac = key.mac(&["ab", "c"]);
        assert!(key.verifies(&["ab", "c"], &mac));
        assert!(!key.verifies(&["a", "bc"], &mac));
        assert!(!key.verifies(&["ab", "c"], &mac[..31]));
        assert!(!root("a").derive(Purpose::Csrf).verifies(&["ab", "c"], &mac));
        assert!(!root("b").derive(Purpose::RefreshToken).verifies(&["ab", "c"], &mac));
        assert_eq!(SecretKey::from_text("short").unwrap_err(), TooShort);
    }
}
