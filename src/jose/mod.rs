//! JSON Web Signatures ([RFC 7515]): ours are made with a key that stays parsed, everybody's are
//! verified with the algorithm of the key record, never with the one the header names.
//!
//! Verification goes through `jsonwebtoken`. Signing does not: its backend parses the private key at
//! every signature, which costs more than half the throughput, and its provider hook is a plain
//! function that cannot hold a key. A compact JWS is three base64url pieces, so `sign.rs` joins them.
//!
//! [RFC 7515]: https://www.rfc-editor.org/rfc/rfc7515

mod client_key;
pub mod read;
mod sign;
mod thumbprint;
mod verify;

pub use self::client_key::ClientKey;
pub(crate) use self::sign::is_public_half;
pub use self::sign::{BadKey, PublicJwk, SigningError, SigningKey};
pub use self::thumbprint::thumbprint;
pub use self::verify::{NotVerified, Verified, peek_text, verify_client, verify_ours};
