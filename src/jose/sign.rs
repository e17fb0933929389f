use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPublicKey};
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rsa::traits::PublicKeyParts;
use rsa::{RsaPrivateKey, RsaPublicKey};
use serde::Serialize;
use zeroize::Zeroizing;

use super::thumbprint;
use crate::secret::base64url;

/// An RS256 signing key, parsed once and held.
pub struct SigningKey {
    pair: RsaKeyPair,
    jwk: PublicJwk,
    public_der: Vec<u8>,
}

/// The public half as it stands in the JWK Set ([RFC 7517 §4], [RFC 7518 §6.3.1]).
///
/// [RFC 7517 §4]: https://www.rfc-editor.org/rfc/rfc7517#section-4
/// [RFC 7518 §6.3.1]: https://www.rfc-editor.org/rfc/rfc7518#section-6.3.1
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct PublicJwk {
    /// Key type.
    pub kty: &'static str,
    /// What it is for.
    pub r#use: &'static str,
    /// The one algorithm it is used with.
    pub alg: &'static str,
    /// Its RFC 7638 thumbprint.
    pub kid: String,
    /// Modulus.
    pub n: String,
    /// Exponent.
    pub e: String,
}

/// Why a key file cannot be used, as a sentence about the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BadKey {
    /// It has a pass phrase.
    Encrypted,
    /// It has no private half.
    PublicOnly,
    /// An elliptic curve key, or another kind that does not do RS256.
    NotRsa,
    /// Fewer than 2048 bits.
    TooShort,
    /// It does not parse, or its numbers do not belong together.
    Garbage,
}

/// The signature could not be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SigningError;

impl SigningKey {
    /// Reads a PEM file, PKCS#8 (`PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE KEY`).
    pub fn from_pem(pem: &str) -> Result<Self, BadKey> {
        let label = pem.split_once("-----BEGIN ").and_then(|(_, rest)| rest.split_once("-----"));
        let key = match label.map(|(label, _)| label) {
            Some("RSA PRIVATE KEY") if pem.contains("ENCRYPTED") => return Err(BadKey::Encrypted),
            Some("RSA PRIVATE KEY") => {
                RsaPrivateKey::from_pkcs1_pem(pem).map_err(|_| BadKey::Garbage)?
            }
            Some("PRIVATE KEY") => {
                RsaPrivateKey::from_pkcs8_pem(pem).map_err(|error| match error {
                    rsa::pkcs8::Error::PublicKey(_) | rsa::pkcs8::Error::KeyMalformed => {
                        BadKey::NotRsa
                    }
                    _ => BadKey::Garbage,
                })?
            }
            Some("ENCRYPTED PRIVATE KEY") => return Err(BadKey::Encrypted),
            Some("PUBLIC KEY" | "RSA PUBLIC KEY") => return Err(BadKey::PublicOnly),
            Some("EC PRIVATE KEY" | "OPENSSH PRIVATE KEY" | "DSA PRIVATE KEY" | "CERTIFICATE") => {
                return Err(BadKey::NotRsa);
            }
            Some(_) | None => return Err(BadKey::Garbage),
        };
        Self::from_rsa(&key)
    }

    /// Makes a new 2048-bit key, and the PKCS#8 PEM to keep it in.
    pub fn generate() -> Result<(Self, Zeroizing<String>), BadKey> {
        let mut rng = rsa::rand_core::OsRng;
        let key = RsaPrivateKey::new(&mut rng, 2048).map_err(|_| BadKey::Garbage)?;
        let pem = key.to_pkcs8_pem(LineEnding::LF).map_err(|_| BadKey::Garbage)?;
        Ok((Self::from_rsa(&key)?, pem))
    }

    fn from_rsa(key: &RsaPrivateKey) -> Result<Self, BadKey> {
        if key.n().bits() < 2048 {
            return Err(BadKey::TooShort);
        }
        key.validate().map_err(|_| BadKey::Garbage)?;
        let der = key.to_pkcs8_der().map_err(|_| BadKey::Garbage)?;
        let pair = RsaKeyPair::from_pkcs8(der.as_bytes()).map_err(|_| BadKey::Garbage)?;
        let public = RsaPublicKey::from(key);
        let public_der = public.to_pkcs1_der().map_err(|_| BadKey::Garbage)?.into_vec();
        let n = base64url(&public.n().to_bytes_be());
        let e = base64url(&public.e().to_bytes_be());
        let kid = thumbprint(&n, &e);
        let jwk = PublicJwk { kty: "RSA", r#use: "sig", alg: "RS256", kid, n, e };
        Ok(Self { pair, jwk, public_der })
    }

    /// The key's name in headers and in the JWK Set.
    pub fn kid(&self) -> &str {
        &self.jwk.kid
    }

    /// The public half.
    pub fn jwk(&self) -> &PublicJwk {
        &self.jwk
    }

    /// The public half in PKCS#1 DER, for verifying.
    pub fn public_der(&self) -> &[u8] {
        &self.public_der
    }

    /// A compact JWS over the claims, of the type `typ` ([RFC 7515 §7.1]).
    ///
    /// [RFC 7515 §7.1]: https://www.rfc-editor.org/rfc/rfc7515#section-7.1
    pub fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, SigningError> {
        let header = format!(r#"{{"typ":"{typ}","alg":"RS256","kid":"{}"}}"#, self.jwk.kid);
        let payload = serde_json::to_vec(claims).map_err(|_| SigningError)?;
        let mut token = format!("{}.{}", base64url(header.as_bytes()), base64url(&payload));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)
            .map_err(|_| SigningError)?;
        token.push('.');
        token.push_str(&base64url(&signature));
        Ok(token)
    }
}

/// Whether the PEM text is the public half of the key: `PUBLIC KEY` or `RSA PUBLIC KEY`.
pub(crate) fn is_public_half(pem: &str, key: &SigningKey) -> bool {
    use rsa::pkcs1::DecodeRsaPublicKey;
    use rsa::pkcs8::DecodePublicKey;
    let public = RsaPublicKey::from_public_key_pem(pem).or_else(|_| {
        RsaPublicKey::from_pkcs1_pem(pem).map_err(|_| rsa::pkcs8::spki::Error::KeyMalformed)
    });
    public.is_ok_and(|public| base64url(&public.n().to_bytes_be()) == key.jwk.n)
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.jwk.kid)
    }
}

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Encrypted => {
                "is encrypted; decrypt it first: there is nobody to type a pass phrase"
            }
            Self::PublicOnly => "has no private half",
            Self::NotRsa => "is not an RSA private key",
            Self::TooShort => "has fewer than 2048 bits",
            Self::Garbage => "is not a readable PEM private key",
        })
    }
}

impl std::error::Error for BadKey {}

impl fmt::Display for SigningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signature could not be made")
    }
}

impl std::error::Error for SigningError {}
