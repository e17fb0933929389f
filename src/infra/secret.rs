//! Secret values: not printed by accident, and compared in constant time.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::infra::random;

/// 256 secret random bits.
///
/// It has no `Debug` that shows it, no `Display`, no `Serialize` and no `==`. To leave the process it is
/// [revealed](Self::reveal); to be stored it becomes a [`Digest`].
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A new random secret.
    pub fn random() -> Self {
        Self(random::bytes())
    }

    /// A secret that is derived by a MAC over a secret input.
    pub(crate) const fn from_mac(mac: [u8; 32]) -> Self {
        Self(mac)
    }

    /// Reads 43 characters of base64url without padding.
    pub fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// 43 characters of base64url, to leave the process.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The digest, which may be stored.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The SHA-256 digest of a secret. Safe to store; compares in constant time.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// SHA-256 of the bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// From the 32 bytes of a digest.
    pub(crate) const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads 43 characters of base64url without padding.
    pub fn from_base64url(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// 43 characters of base64url.
    pub fn to_base64url(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// 64 hexadecimal digits, for keys of the store.
    pub fn to_hex(self) -> String {
        let digit = |nibble: u8| char::from_digit(nibble.into(), 16).unwrap_or('0');
        self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({}…)", &URL_SAFE_NO_PAD.encode(self.0)[..6])
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::from_base64url(&text).ok_or("not 32 bytes of base64url")
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_base64url()
    }
}

/// Base64url without padding, as everything in JOSE and OAuth is written.
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads base64url without padding, strictly.
pub fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Whether a secret is obviously not random: few different characters, one piece repeated, or mostly neighbours in the
/// alphabet. Of random secrets of 32 hexadecimal digits, the weakest in use, less than one in a billion looks like that.
pub fn is_guessable(text: &str) -> bool {
    let bytes = text.as_bytes();
    let different = bytes.iter().collect::<BTreeSet<_>>().len();
    let repeats = |piece: usize| {
        piece * 2 <= bytes.len()
            && bytes[piece..].iter().zip(bytes).all(|(one, other)| one == other)
    };
    let neighbours = bytes.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) <= 1).count();
    different < 7 || (1..=10).any(repeats) || neighbours * 4 >= bytes.len().saturating_sub(1) * 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_shows_in_debug_output() {
        let secret = Secret([7; 32]);
        let shown = format!("{secret:?}");
        assert!(!shown.contains(&secret.reveal()[..4]), "{shown}");
    }

    #[test]
    fn what_somebody_typed_to_be_long_enough_is_told_from_what_was_made_at_random() {
        for typed in [
            &"a".repeat(32),
            &"ab".repeat(20),
            &"changeme".repeat(4),
            "0123456789abcdefghijklmnopqrstuvwxyz",
            "0123456789012345678901234567890123456789",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
            "11112222333344445555666611112222",
        ] {
            assert!(is_guessable(typed), "{typed}");
        }
        for _ in 0..1000 {
            let bytes = random::bytes::<32>();
            let hex = Digest::of(&bytes).to_hex();
            assert!(!is_guessable(&hex[..32]) && !is_guessable(&base64url(&bytes)), "{hex}");
        }
        assert!(!is_guessable("correct horse battery staple, and seven otters"));
    }
}
