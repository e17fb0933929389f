//! JSON Web Signatures ([RFC 7515]) and compact JSON Web Encryption ([RFC 7516]).
//!
//! Tokens are verified with the algorithm of our key record or of the client's registration; the header only has to
//! agree. Verification goes through `jsonwebtoken`; signing keeps each private key parsed, and JWE is composed here from
//! `aws-lc-rs`. Why: docs/decisions/signing-and-encryption.md.
//!
//! [RFC 7515]: https://www.rfc-editor.org/rfc/rfc7515
//! [RFC 7516]: https://www.rfc-editor.org/rfc/rfc7516

mod aes_cbc_hmac;
pub mod claims;
mod content_encryption;
mod decrypt;
mod ecdh_es;
mod encrypt;
mod jwk;
mod key_pair;
mod pem;
mod sign;
mod verification_key;
mod verify;

pub use self::decrypt::{DecryptionError, DecryptionKey, decrypt, is_encrypted};
pub use self::encrypt::{EncryptionError, RecipientKey, encrypt};
pub use self::jwk::{JwkParams, PublicJwk};
pub use self::key_pair::KeyError;
pub use self::pem::PrivateKey;
pub(crate) use self::pem::is_public_half;
pub use self::sign::{SigningError, SigningKey};
pub use self::verification_key::VerificationKey;
pub use self::verify::{
    MAX_OWN_JWT_LEN, UnverifiedJwt, VerificationError, VerifiedJwt, parse_unverified,
    unverified_claim, verify_client, verify_hs256, verify_own, verify_own_of_any_type,
};
/// The signature algorithms of our own keys and of clients' keys.
pub use crate::protocol::client_metadata::ClientAlg as Algorithm;

const fn to_jsonwebtoken(alg: Algorithm) -> jsonwebtoken::Algorithm {
    match alg {
        Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
    }
}
