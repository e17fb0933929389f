//! `SECRET_KEY`, and the separate keys derived from it: one for each purpose, so that what is made for
//! one never verifies for another ([RFC 5869 §3.2]).
//!
//! While the secret is being changed there are two generations of it: every MAC is made under the
//! current one and accepted under either.
//!
//! [RFC 5869 §3.2]: https://www.rfc-editor.org/rfc/rfc5869#section-3.2

mod encryption;

use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

pub use self::encryption::Decrypted;

/// The root secret of this installation, and the one before it while that is still accepted.
pub struct SecretKey {
    current: Root,
    previous: Option<Root>,
}

type Root = Zeroizing<Vec<u8>>;

/// What a derived key is for. Each has a label of its own, with a version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// The MAC in a refresh token.
    RefreshToken,
    /// The token in a form.
    Csrf,
    /// The answer to an interaction.
    Interaction,
    /// The `sub` of a person for the clients of one sector.
    PairwiseSubject,
    /// Client secrets that have to be kept readable.
    ClientSecret,
    /// Private keys in the store.
    KeyRing,
    /// Backup files.
    Backup,
    /// The cookie of a browser that is known.
    Device,
    /// What stands in events for a user name that nobody has.
    AuditName,
}

/// The secret has fewer than 32 characters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SecretTooShort;

impl SecretKey {
    /// At least 32 characters.
    pub fn from_text(text: &str) -> Result<Self, SecretTooShort> {
        Ok(Self { current: root(text)?, previous: None })
    }

    /// Accepts what was made under the secret before, too.
    pub fn with_previous(self, previous: &str) -> Result<Self, SecretTooShort> {
        Ok(Self { previous: Some(root(previous)?), ..self })
    }

    /// The key for one purpose.
    pub fn derive(&self, purpose: Purpose) -> MacKey {
        let label: &[u8] = match purpose {
            Purpose::RefreshToken => b"latchkey/refresh-token/v1",
            Purpose::Csrf => b"latchkey/csrf/v1",
            Purpose::Interaction => b"latchkey/interaction/v1",
            Purpose::PairwiseSubject => b"latchkey/pairwise-subject/v1",
            Purpose::ClientSecret => b"latchkey/client-secret/v1",
            Purpose::KeyRing => b"latchkey/key-ring/v1",
            Purpose::Backup => b"latchkey/backup/v1",
            Purpose::Device => b"latchkey/device/v1",
            Purpose::AuditName => b"latchkey/audit-name/v1",
        };
        MacKey {
            current: expand(&self.current, label),
            previous: self.previous.as_ref().map(|root| expand(root, label)),
        }
    }
}

fn root(text: &str) -> Result<Root, SecretTooShort> {
    if text.len() < 32 { Err(SecretTooShort) } else { Ok(Zeroizing::new(text.as_bytes().to_vec())) }
}

fn expand(root: &Root, label: &[u8]) -> Key {
    let mut key = Zeroizing::new([0; 32]);
    let expanded = Hkdf::<Sha256>::new(None, root).expand(label, &mut *key);
    expanded.expect("32 bytes is a length HKDF-SHA-256 gives");
    key
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// An HMAC-SHA-256 key, in one generation or two.
#[derive(Clone)]
pub struct MacKey {
    current: Key,
    previous: Option<Key>,
}

type Key = Zeroizing<[u8; 32]>;

impl MacKey {
    /// A key of its own for each generation of the secret, the present one first.
    pub fn generations(&self) -> Vec<Self> {
        let alone = |key: &Key| Self { current: key.clone(), previous: None };
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten().map(alone).collect()
    }

    /// The MAC over the parts, each under its length, so that no two lists of parts read the same.
    /// Always under the current key.
    pub fn mac(&self, parts: &[impl AsRef<[u8]>]) -> [u8; 32] {
        hmac_of(&self.current, parts).finalize().into_bytes().into()
    }

    /// Whether `shown` is the MAC over the parts under either key; in constant time, and it takes the
    /// same time whichever key it is.
    pub fn verifies(&self, parts: &[impl AsRef<[u8]>], shown: &[u8]) -> bool {
        let is_under = |key: &Key| hmac_of(key, parts).verify_slice(shown).is_ok();
        let previous = self.previous.as_ref().is_some_and(is_under);
        is_under(&self.current) | previous
    }
}

fn hmac_of(key: &Key, parts: &[impl AsRef<[u8]>]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&**key).expect("HMAC takes any key length");
    for part in parts {
        let part = part.as_ref();
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac
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
        assert_eq!(SecretKey::from_text("short").unwrap_err(), SecretTooShort);
    }
    #[test]
    fn what_was_made_under_the_secret_before_is_accepted_and_never_made_again() {
        let text = |c: &str| c.repeat(32);
        let old = SecretKey::from_text(&text("a")).unwrap().derive(Purpose::Csrf);
        let new = SecretKey::from_text(&text("b")).unwrap();
        let only_new = new.derive(Purpose::Csrf);
        let new = SecretKey::from_text(&text("b")).unwrap().with_previous(&text("a")).unwrap();
        let both = new.derive(Purpose::Csrf);

        assert!(both.verifies(&["x"], &old.mac(&["x"])));
        assert!(!both.verifies(&["y"], &old.mac(&["x"])));
        assert_eq!(both.mac(&["x"]), only_new.mac(&["x"]));
        assert!(
            !only_new.verifies(&["x"], &old.mac(&["x"])),
            "over once the old one is taken away"
        );
        assert!(!new.derive(Purpose::RefreshToken).verifies(&["x"], &old.mac(&["x"])));
        assert!(new.with_previous("short").is_err());
    }
}
