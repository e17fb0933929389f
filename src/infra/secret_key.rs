//! `SECRET_KEY`, and the keys that are derived from it: one for each purpose, so that what is made for one purpose
//! never verifies for another ([RFC 5869 §3.2]). A purpose is either authenticated or encrypted, and the type of its key
//! can do nothing else.
//!
//! While the secret is being changed there are two generations of it: MACs and ciphertexts are made under the current one
//! and accepted under either.
//!
//! [RFC 5869 §3.2]: https://www.rfc-editor.org/rfc/rfc5869#section-3.2

mod encryption;

use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

pub use self::encryption::{Decrypted, EncryptionKey};

/// The root secret of this installation, and the one before it while that is still accepted.
pub struct SecretKey {
    current: Root,
    previous: Option<Root>,
}

type Root = Zeroizing<Vec<u8>>;

/// What a MAC is for. Each purpose has a label of its own, with a version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MacPurpose {
    /// The MAC in a refresh token.
    RefreshToken,
    /// The CSRF token in a form.
    Csrf,
    /// Codes and session ids that follow from an interaction.
    Interaction,
    /// The pairwise `sub` of a user for the clients of one sector.
    PairwiseSubject,
    /// The keys that encrypt private keys in the store.
    KeyRing,
    /// The keys that encrypt backup files.
    Backup,
    /// What stands in events for a user name that does not exist.
    AuditName,
}

/// What is encrypted. Each purpose has a label of its own, with a version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EncryptionPurpose {
    /// Client secrets that have to be kept readable (`client_secret_jwt`).
    ClientSecret,
    /// The cookie of a browser that is known.
    Device,
}

/// The secret has fewer than 32 characters.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the secret must have at least 32 characters")]
pub struct SecretTooShortError;

impl SecretKey {
    /// At least 32 characters.
    pub fn from_text(text: &str) -> Result<Self, SecretTooShortError> {
        Ok(Self { current: root(text)?, previous: None })
    }

    /// Accepts what was made under the secret before, too.
    pub fn with_previous(self, previous: &str) -> Result<Self, SecretTooShortError> {
        Ok(Self { previous: Some(root(previous)?), ..self })
    }

    /// The MAC key for one purpose.
    pub fn mac_key(&self, purpose: MacPurpose) -> MacKey {
        let label: &[u8] = match purpose {
            MacPurpose::RefreshToken => b"latchkey/refresh-token/v1",
            MacPurpose::Csrf => b"latchkey/csrf/v1",
            MacPurpose::Interaction => b"latchkey/interaction/v1",
            MacPurpose::PairwiseSubject => b"latchkey/pairwise-subject/v1",
            MacPurpose::KeyRing => b"latchkey/key-ring/v1",
            MacPurpose::Backup => b"latchkey/backup/v1",
            MacPurpose::AuditName => b"latchkey/audit-name/v1",
        };
        MacKey(self.derive(label))
    }

    /// The encryption key for one purpose.
    pub fn encryption_key(&self, purpose: EncryptionPurpose) -> EncryptionKey {
        let label: &[u8] = match purpose {
            EncryptionPurpose::ClientSecret => b"latchkey/client-secret/v1",
            EncryptionPurpose::Device => b"latchkey/device/v1",
        };
        EncryptionKey(self.derive(label))
    }

    fn derive(&self, label: &[u8]) -> Generations {
        Generations {
            current: expand(&self.current, label),
            previous: self.previous.as_ref().map(|root| expand(root, label)),
        }
    }
}

fn root(text: &str) -> Result<Root, SecretTooShortError> {
    if text.len() < 32 {
        Err(SecretTooShortError)
    } else {
        Ok(Zeroizing::new(text.as_bytes().to_vec()))
    }
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

/// A derived key, in one generation or two.
#[derive(Clone)]
struct Generations {
    current: Key,
    previous: Option<Key>,
}

type Key = Zeroizing<[u8; 32]>;

/// An HMAC-SHA-256 key, in one generation or two.
#[derive(Clone)]
pub struct MacKey(Generations);

impl MacKey {
    /// A key of its own for each generation of the secret, the current one first.
    pub fn generations(&self) -> Vec<Self> {
        let alone = |key: &Key| Self(Generations { current: key.clone(), previous: None });
        let Generations { current, previous } = &self.0;
        [Some(current), previous.as_ref()].into_iter().flatten().map(alone).collect()
    }

    /// The MAC over the parts, under the current key. Each part is prefixed with its length, so that no two lists of
    /// parts read the same.
    pub fn mac(&self, parts: &[impl AsRef<[u8]>]) -> [u8; 32] {
        hmac_of(&self.0.current, parts).finalize().into_bytes().into()
    }

    /// Whether `presented` is the MAC over the parts under either key. Takes the same time whichever key it is.
    pub fn verifies(&self, parts: &[impl AsRef<[u8]>], presented: &[u8]) -> bool {
        let is_under = |key: &Key| hmac_of(key, parts).verify_slice(presented).is_ok();
        let previous = self.0.previous.as_ref().is_some_and(is_under);
        is_under(&self.0.current) | previous
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
        let key = root("a").mac_key(MacPurpose::RefreshToken);
        let mac = key.mac(&["ab", "c"]);
        assert!(key.verifies(&["ab", "c"], &mac));
        assert!(!key.verifies(&["a", "bc"], &mac));
        assert!(!key.verifies(&["ab", "c"], &mac[..31]));
        assert!(!root("a").mac_key(MacPurpose::Csrf).verifies(&["ab", "c"], &mac));
        assert!(!root("b").mac_key(MacPurpose::RefreshToken).verifies(&["ab", "c"], &mac));
        assert_eq!(SecretKey::from_text("short").unwrap_err(), SecretTooShortError);
    }

    #[test]
    fn what_was_made_under_the_secret_before_is_accepted_and_never_made_again() {
        let text = |c: &str| c.repeat(32);
        let old = SecretKey::from_text(&text("a")).unwrap().mac_key(MacPurpose::Csrf);
        let new = SecretKey::from_text(&text("b")).unwrap();
        let only_new = new.mac_key(MacPurpose::Csrf);
        let new = SecretKey::from_text(&text("b")).unwrap().with_previous(&text("a")).unwrap();
        let both = new.mac_key(MacPurpose::Csrf);

        assert!(both.verifies(&["x"], &old.mac(&["x"])));
        assert!(!both.verifies(&["y"], &old.mac(&["x"])));
        assert_eq!(both.mac(&["x"]), only_new.mac(&["x"]));
        assert!(
            !only_new.verifies(&["x"], &old.mac(&["x"])),
            "over once the old one is taken away"
        );
        assert!(!new.mac_key(MacPurpose::RefreshToken).verifies(&["x"], &old.mac(&["x"])));
        assert!(new.with_previous("short").is_err());
    }
}
