use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey, LineEnding, PrivateKeyInfo, SecretDocument};
use rsa::traits::PublicKeyParts;
use rsa::{RsaPrivateKey, RsaPublicKey};
use zeroize::Zeroizing;

use super::{Algorithm, JwkParams, KeyError, PublicJwk};
use crate::infra::secret::base64url;

/// A private key in PKCS#8 (RFC 5208), of which only the type has been read.
pub struct PrivateKey {
    kind: Kind,
    der: Zeroizing<Vec<u8>>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Rsa,
    Ec,
    Ed25519,
    Other,
}

impl PrivateKey {
    /// Reads a PEM file: PKCS#8 (`PRIVATE KEY`), PKCS#1 (`RSA PRIVATE KEY`) or SEC 1 (`EC PRIVATE KEY`).
    /// Only the first block is read.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let label = pem.split_once("-----BEGIN ").and_then(|(_, rest)| rest.split_once("-----"));
        let der = |pem: &str| {
            let (_, document) = SecretDocument::from_pem(pem).map_err(|_| KeyError::Malformed)?;
            Ok(Zeroizing::new(document.as_bytes().to_vec()))
        };
        match label.map(|(label, _)| label) {
            Some("RSA PRIVATE KEY" | "EC PRIVATE KEY") if pem.contains("ENCRYPTED") => {
                Err(KeyError::Encrypted)
            }
            Some("PRIVATE KEY") => Self::from_pkcs8(der(pem)?),
            Some("RSA PRIVATE KEY") => {
                let key = RsaPrivateKey::from_pkcs1_pem(pem).map_err(|_| KeyError::Malformed)?;
                let der = key.to_pkcs8_der().map_err(|_| KeyError::Malformed)?;
                Ok(Self { kind: Kind::Rsa, der: der.to_bytes() })
            }
            Some("EC PRIVATE KEY") => Ok(match der(pem).ok().and_then(|der| from_sec1(&der)) {
                Some(der) => Self { kind: Kind::Ec, der },
                None => Self { kind: Kind::Other, der: Zeroizing::default() },
            }),
            Some("ENCRYPTED PRIVATE KEY") => Err(KeyError::Encrypted),
            Some("PUBLIC KEY" | "RSA PUBLIC KEY") => Err(KeyError::PublicOnly),
            Some("OPENSSH PRIVATE KEY" | "DSA PRIVATE KEY" | "CERTIFICATE") => {
                Ok(Self { kind: Kind::Other, der: Zeroizing::default() })
            }
            Some(_) | None => Err(KeyError::Malformed),
        }
    }

    fn from_pkcs8(der: Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        let info = PrivateKeyInfo::try_from(&**der).map_err(|_| KeyError::Malformed)?;
        let kind = match &*info.algorithm.oid.to_string() {
            "1.2.840.113549.1.1.1" => Kind::Rsa,
            "1.2.840.10045.2.1" => Kind::Ec,
            "1.3.101.112" => Kind::Ed25519,
            _ => Kind::Other,
        };
        Ok(Self { kind, der })
    }

    /// The PKCS#8, if the key is of the type that `alg` signs with.
    pub(super) fn for_signing(&self, alg: Algorithm) -> Result<&[u8], KeyError> {
        let wanted = match alg {
            Algorithm::Rs256 | Algorithm::Ps256 => Kind::Rsa,
            Algorithm::Es256 => Kind::Ec,
            Algorithm::EdDsa => Kind::Ed25519,
        };
        if self.kind == wanted { Ok(&self.der) } else { Err(KeyError::WrongKind(alg)) }
    }
}

fn from_sec1(der: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der).ok()?;
    Some(Zeroizing::new(pair.to_pkcs8v1().ok()?.as_ref().to_vec()))
}

/// Encodes PKCS#8 as PEM.
pub(super) fn to_pem(der: &[u8]) -> Result<Zeroizing<String>, KeyError> {
    let document = SecretDocument::try_from(der).map_err(|_| KeyError::Malformed)?;
    document.to_pem("PRIVATE KEY", LineEnding::LF).map_err(|_| KeyError::Malformed)
}

/// Whether the PEM text is the public half of the RSA key: `PUBLIC KEY` or `RSA PUBLIC KEY`.
pub(crate) fn is_public_half(pem: &str, key: &PublicJwk) -> bool {
    use rsa::pkcs1::DecodeRsaPublicKey;
    use rsa::pkcs8::DecodePublicKey;
    let public = RsaPublicKey::from_public_key_pem(pem).or_else(|_| {
        RsaPublicKey::from_pkcs1_pem(pem).map_err(|_| rsa::pkcs8::spki::Error::KeyMalformed)
    });
    match (public, &key.params) {
        (Ok(public), JwkParams::Rsa { n, .. }) => base64url(&public.n().to_bytes_be()) == *n,
        (Err(_), JwkParams::Rsa { .. }) | (_, JwkParams::Ec { .. } | JwkParams::Okp { .. }) => {
            false
        }
    }
}
