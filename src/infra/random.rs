//! The only place that reads randomness of the operating system: for ids, secrets, cookies, nonces and salts. Tests read the
//! same source; nothing depends on a particular value.

use rand::RngCore;
#[expect(clippy::disallowed_types, reason = "the one place that asks")]
use rand::rngs::OsRng;
use uuid::Uuid;

/// `N` bytes from the operating system.
///
/// # Panics
/// If the operating system has no randomness.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::TryRngCore::unwrap_err(OsRng).fill_bytes(&mut bytes);
    bytes
}

/// A version 4 UUID: 122 random bits.
pub fn uuid() -> Uuid {
    uuid::Builder::from_random_bytes(bytes()).into_uuid()
}
