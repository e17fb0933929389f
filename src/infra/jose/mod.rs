//! JSON Web Signatures ([RFC 7515]) and compact JSON Web Encryption ([RFC 7516]).
//!
//! Tokens are verified with the algorithm of our key record or of the client's registration; the header only has to
//! agree. Verification goes through `jsonwebtoken`; signing keeps each private key parsed, and JWE is composed here from
//! `aws-lc-rs`. Why: docs/decisions/signing-and-encryption.md.
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
/// The signature algorithms of our own keys and of clients' keys.
pub use crate::protocol::client_metadata::ClientAlg as Algorithm;

const fn named_by_library(alg: Algorithm) -> jsonwebtoken::Algorithm {
    match alg {
        Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
    }
}
