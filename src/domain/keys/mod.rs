//! The signing keys, and the ring that each algorithm has of them: published → signing → retired.
//!
//! The files an operator gave, or the one made where none was asked for, are where a ring begins. From
//! then on the ring stands in the store, each private key encrypted, and is changed by one swap, so that
//! several servers have the same one. Which key signs is a matter of time alone (`phase.rs`): between two
//! looks at the store no server has to be told. A store that is away stops neither signing nor the JWK
//! Set: the ring last read stays.
//!
//! A path that was given and does not load is an error that names the file, before a port is bound; a key
//! is never made in its place. Signing with RSA runs in a small pool, not on the reactor: under full load
//! a signature every 0.3 ms would hold up everything else.

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
