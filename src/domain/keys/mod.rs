//! The keys that sign tokens and decrypt request objects. Each algorithm has a ring of them: published → signing →
//! retired → gone.
//!
//! - `record.rs`, `phase.rs`: the stored ring, and which phase a key is in: a function of the time, never stored.
//! - `ring.rs`: signs, verifies and decrypts with the ring as last read, also while the store is away.
//! - `rotation.rs`, `ring_store.rs`: read and change the stored ring, one compare-and-swap each.
//! - `files.rs`, `private_file.rs`: keys from files, where a ring begins. A path that was given and does not load is an
//!   error before a port is bound; no key is created in its place.
//!
//! Why no phase is stored: docs/decisions/key-ring.md. Why signing is ours and runs in a pool:
//! docs/decisions/signing-and-encryption.md.

mod encryption;
mod error;
mod files;
mod key_material;
mod merge;
mod phase;
mod private_file;
mod record;
mod ring;
mod ring_store;
mod rotation;
mod settings;

pub use self::encryption::KeyEncryptor;
pub use self::error::{KeyFileError, RingError};
pub use self::files::{FileKeys, KeySource, load_files, load_or_create_secret, secret_path};
pub use self::key_material::KeyUse;
pub use self::phase::{Phase, RotationPolicy};
pub use self::record::{Activation, RingRecord, ring_key};
pub use self::ring::{KeyInfo, KeyRing};
pub use self::settings::{load_secret_key, purposes};

#[cfg(test)]
mod tests;
