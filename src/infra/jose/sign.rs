use std::fmt;

use jsonwebtoken::DecodingKey;
use serde::Serialize;
use zeroize::Zeroizing;

use super::key_pair::SigningKeyPair;
use super::{Algorithm, KeyError, PrivateKey, PublicJwk, pem};
use crate::infra::secret::base64url;

/// A private key for one algorithm, parsed once and kept, with its public half.
pub struct SigningKey {
    pair: SigningKeyPair,
    jwk: PublicJwk,
    pub(super) verifying: DecodingKey,
}

/// The signature could not be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the signature could not be made")]
pub struct SigningError;

impl SigningKey {
    /// Reads the PEM file of a key that signs RS256.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        Self::from_private(&PrivateKey::from_pem(pem)?, Algorithm::Rs256)
    }

    /// A key for one algorithm, if it is of that algorithm's kind.
    pub fn from_private(key: &PrivateKey, alg: Algorithm) -> Result<Self, KeyError> {
        Self::from_pkcs8(alg, key.for_signing(alg)?)
    }

    /// From what [`to_pkcs8`](Self::to_pkcs8) gave.
    pub fn from_pkcs8(alg: Algorithm, der: &[u8]) -> Result<Self, KeyError> {
        SigningKeyPair::from_pkcs8(alg, der).map(Self::of)
    }

    /// Makes a new key that signs RS256, of 2048 bits, and the PKCS#8 PEM to keep it in.
    pub fn generate() -> Result<(Self, Zeroizing<String>), KeyError> {
        let key = Self::generate_for(Algorithm::Rs256)?;
        let pem = key.to_pem()?;
        Ok((key, pem))
    }

    /// Makes a new key for the algorithm. For RSA this takes a tenth of a second, too long for the reactor.
    pub fn generate_for(alg: Algorithm) -> Result<Self, KeyError> {
        SigningKeyPair::generate(alg).map(Self::of)
    }

    fn of(pair: SigningKeyPair) -> Self {
        let (numbers, verifying) = pair.public_key();
        let jwk = PublicJwk::new("sig", pair.alg().as_str(), numbers);
        Self { pair, jwk, verifying }
    }

    /// The private key in PKCS#8.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.pair.to_pkcs8()
    }

    /// The private key as a PEM file.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        pem::to_pem(&self.to_pkcs8()?)
    }

    pub const fn alg(&self) -> Algorithm {
        self.pair.alg()
    }

    /// Its RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        &self.jwk.kid
    }

    /// The public half.
    pub fn jwk(&self) -> &PublicJwk {
        &self.jwk
    }

    /// A compact JWS over the claims, of the type `typ` ([RFC 7515 §7.1]).
    ///
    /// [RFC 7515 §7.1]: https://www.rfc-editor.org/rfc/rfc7515#section-7.1
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, SigningError> {
        let (alg, kid) = (self.jwk.alg, self.kid());
        let header = format!(r#"{{"typ":"{typ}","alg":"{alg}","kid":"{kid}"}}"#);
        let payload = serde_json::to_vec(claims).map_err(|_| SigningError)?;
        let mut token = format!("{}.{}", base64url(header.as_bytes()), base64url(&payload));
        let signature = self.pair.sign(token.as_bytes()).ok_or(SigningError)?;
        token.push('.');
        token.push_str(&base64url(&signature));
        Ok(token)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.jwk.alg, self.jwk.kid)
    }
}
