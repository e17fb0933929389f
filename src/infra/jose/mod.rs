//! JSON Web Signatures ([RFC 7515]): ours are made with a key that stays parsed, everybody's are
//! verified with the algorithm of the key record, never with the one the header names. And JSON Web
//! Encryption ([RFC 7516]) around them, for clients that ask for it.
//!
//! Verification goes through `jsonwebtoken`. Signing does not: its backend parses the private key at
//! every signature, which costs more than half the throughput, and its provider is a table of plain
//! functions that are handed the bytes of a key. To keep a parsed key there, the bytes would have to be
//! a number into a table of keys that the whole process shares, in place of the library's own provider
//! for whoever else uses it. A compact JWS is three base64url pieces, so `sign.rs` joins them.
//!
//! [RFC 7515]: https://www.rfc-editor.org/rfc/rfc7515
//! [RFC 7516]: https://www.rfc-editor.org/rfc/rfc7516

mod agree;
mod cbc;
mod client_key;
mod content;
mod decrypt;
mod encrypt;
mod jwk;
mod pair;
mod pem;
pub mod read;
mod sign;
mod verify;

pub use self::client_key::ClientKey;
pub use self::decrypt::{DecryptionKey, NotDecrypted, decrypt, is_encrypted};
pub use self::encrypt::{EncryptionError, RecipientKey, encrypt};
pub use self::jwk::{Numbers, PublicJwk};
pub use self::pair::BadKey;
pub use self::pem::PrivateKey;
pub(crate) use self::pem::is_public_half;
pub use self::sign::{SigningError, SigningKey};
pub use self::verify::{
    LONGEST_OURS, NotVerified, Peeked, Verified, peek, peek_text, verify_client, verify_hs256,
    verify_ours, verify_ours_of_any_type,
};
/// Signature algorithms: of our own keys and of clients' alike.
pub use crate::protocol::client_metadata::ClientAlg as Algorithm;

/// The library's name for an algorithm.
const fn named_by_library(alg: Algorithm) -> jsonwebtoken::Algorithm {
    match alg {
        Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
    }
}
