use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use jsonwebtoken::DecodingKey;
use rsa::RsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PublicKeyParts;
use zeroize::Zeroizing;

use super::{Algorithm, JwkParams};
use crate::infra::secret::base64url;

/// A private key, parsed, for the one algorithm it signs with.
pub(super) enum SigningKeyPair {
    Rs256(RsaKeyPair),
    Ps256(RsaKeyPair),
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

/// Why a key cannot be used, as the end of a sentence whose subject is the key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// The PEM file has a pass phrase.
    #[error("is encrypted; decrypt it first: there is nobody to type a pass phrase")]
    Encrypted,
    /// The PEM file holds a public key.
    #[error("has no private half")]
    PublicOnly,
    /// The key is of another type than this algorithm needs.
    #[error("{}", expected_kind(*.0))]
    WrongKind(Algorithm),
    /// An RSA key of fewer than 2048 bits.
    #[error("has fewer than 2048 bits")]
    TooShort,
    /// The key does not parse, or its numbers are inconsistent.
    #[error("is not a readable PEM private key")]
    Malformed,
}

impl SigningKeyPair {
    pub(super) fn generate(alg: Algorithm) -> Result<Self, KeyError> {
        let rsa = || RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError::Malformed);
        Ok(match alg {
            Algorithm::Rs256 => Self::Rs256(rsa()?),
            Algorithm::Ps256 => Self::Ps256(rsa()?),
            Algorithm::Es256 => Self::Es256(
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                    .map_err(|_| KeyError::Malformed)?,
            ),
            Algorithm::EdDsa => {
                Self::EdDsa(Ed25519KeyPair::generate().map_err(|_| KeyError::Malformed)?)
            }
        })
    }

    /// Parses PKCS#8 that is known to hold a key of the right type.
    pub(super) fn from_pkcs8(alg: Algorithm, der: &[u8]) -> Result<Self, KeyError> {
        Ok(match alg {
            Algorithm::Rs256 => Self::Rs256(parse_rsa(der)?),
            Algorithm::Ps256 => Self::Ps256(parse_rsa(der)?),
            Algorithm::Es256 => Self::Es256(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
                    .map_err(|_| KeyError::WrongKind(alg))?,
            ),
            Algorithm::EdDsa => {
                Self::EdDsa(Ed25519KeyPair::from_pkcs8(der).map_err(|_| KeyError::WrongKind(alg))?)
            }
        })
    }

    /// The private key in PKCS#8.
    pub(super) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let copied = match self {
            Self::Rs256(pair) | Self::Ps256(pair) => {
                let der: Result<Pkcs8V1Der<'_>, _> = pair.as_der();
                der.map(|der| der.as_ref().to_vec())
            }
            Self::Es256(pair) => pair.to_pkcs8v1().map(|der| der.as_ref().to_vec()),
            Self::EdDsa(pair) => pair.to_pkcs8v1().map(|der| der.as_ref().to_vec()),
        };
        copied.map(Zeroizing::new).map_err(|_| KeyError::Malformed)
    }

    pub(super) const fn alg(&self) -> Algorithm {
        match self {
            Self::Rs256(_) => Algorithm::Rs256,
            Self::Ps256(_) => Algorithm::Ps256,
            Self::Es256(_) => Algorithm::Es256,
            Self::EdDsa(_) => Algorithm::EdDsa,
        }
    }

    pub(super) fn public_key(&self) -> (JwkParams, DecodingKey) {
        match self {
            Self::Rs256(pair) | Self::Ps256(pair) => {
                let public = pair.public_key();
                let (n, e) = (public.modulus(), public.exponent());
                let n = n.big_endian_without_leading_zero();
                let e = e.big_endian_without_leading_zero();
                let key = DecodingKey::from_rsa_raw_components(n, e);
                (JwkParams::Rsa { n: base64url(n), e: base64url(e) }, key)
            }
            Self::Es256(pair) => {
                // Uncompressed (SEC 1 §2.3.3): 4, then x, then y.
                let point = pair.public_key().as_ref();
                let (x, y) = (base64url(&point[1..33]), base64url(&point[33..]));
                (JwkParams::Ec { crv: "P-256", x, y }, DecodingKey::from_ec_der(point))
            }
            Self::EdDsa(pair) => {
                let point = pair.public_key().as_ref();
                let numbers = JwkParams::Okp { crv: "Ed25519", x: base64url(point) };
                (numbers, DecodingKey::from_ed_der(point))
            }
        }
    }

    /// The signature as it stands in a JWS ([RFC 7518 §3]); `None` if the library fails.
    ///
    /// [RFC 7518 §3]: https://www.rfc-editor.org/rfc/rfc7518#section-3
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Rs256(pair) => rsa_signature(pair, &RSA_PKCS1_SHA256, message),
            Self::Ps256(pair) => rsa_signature(pair, &RSA_PSS_SHA256, message),
            Self::Es256(pair) => Some(pair.sign(&generator(), message).ok()?.as_ref().to_vec()),
            Self::EdDsa(pair) => Some(pair.try_sign(message).ok()?.as_ref().to_vec()),
        }
    }
}

/// What the library draws ECDSA nonces and PSS salts from.
#[expect(clippy::disallowed_methods, reason = "it draws by itself and takes no bytes")]
fn generator() -> SystemRandom {
    SystemRandom::new()
}

fn rsa_signature(
    pair: &RsaKeyPair,
    encoding: &'static dyn RsaEncoding,
    message: &[u8],
) -> Option<Vec<u8>> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(encoding, &generator(), message, &mut signature).ok()?;
    Some(signature)
}

fn parse_rsa(der: &[u8]) -> Result<RsaKeyPair, KeyError> {
    check_rsa(der)?;
    RsaKeyPair::from_pkcs8(der).map_err(|_| KeyError::Malformed)
}

/// Checks that an RSA key is long enough and its numbers are consistent.
pub(super) fn check_rsa(der: &[u8]) -> Result<(), KeyError> {
    let key = RsaPrivateKey::from_pkcs8_der(der).map_err(|_| KeyError::Malformed)?;
    if key.n().bits() < 2048 {
        return Err(KeyError::TooShort);
    }
    key.validate().map_err(|_| KeyError::Malformed)
}

const fn expected_kind(alg: Algorithm) -> &'static str {
    match alg {
        Algorithm::Rs256 | Algorithm::Ps256 => "is not an RSA private key",
        Algorithm::Es256 => "is not a private key on the curve P-256",
        Algorithm::EdDsa => "is not an Ed25519 private key",
    }
}
