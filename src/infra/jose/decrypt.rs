use std::fmt;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::PublicKeyParts;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::content_encryption::{self, ContentKey, EncryptedContent};
use super::ecdh_es::{self, PartyInfo, derive_key};
use super::encrypt::uncompressed_point;
use super::{JwkParams, KeyError, PublicJwk, claims};
use crate::infra::secret::{base64url, from_base64url};
use crate::protocol::algorithms::{ContentEncryption, KeyManagement};

/// A longer JWE is refused unread. A signed token of the longest kind fits.
const MAX_JWE_LEN: usize = 32 * 1024;

/// Header members that bring a key, compress the content, or demand an extension; none is supported.
const REFUSED_HEADERS: [&str; 7] = ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip"];

/// A private key of ours that others encrypt for.
pub struct DecryptionKey {
    alg: KeyManagement,
    private: Private,
    jwk: PublicJwk,
}

enum Private {
    Rsa(OaepPrivateDecryptingKey, Zeroizing<Vec<u8>>),
    P256(PrivateKey),
}

/// The JWE could not be decrypted. One error for every cause, because the cause would help an attacker.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it could not be decrypted")]
pub struct DecryptionError;

impl DecryptionKey {
    /// Makes a new key: RSA of 2048 bits for `RSA-OAEP-256`, P-256 for the others. Blocks too long for the reactor.
    pub fn generate_for(alg: KeyManagement) -> Result<Self, KeyError> {
        let der = match alg {
            KeyManagement::RsaOaep256 => {
                let key = PrivateDecryptingKey::generate(KeySize::Rsa2048);
                key.and_then(|key| pkcs8_der(&key))
            }
            KeyManagement::EcdhEs | KeyManagement::EcdhEsA128Kw | KeyManagement::EcdhEsA256Kw => {
                PrivateKey::generate(&ECDH_P256).and_then(|key| pkcs8_der(&key))
            }
        };
        Self::from_pkcs8(alg, &der.map_err(|_| KeyError::Malformed)?)
    }

    /// From what [`to_pkcs8`](Self::to_pkcs8) gave.
    pub fn from_pkcs8(alg: KeyManagement, der: &[u8]) -> Result<Self, KeyError> {
        let (private, numbers) = match alg {
            KeyManagement::RsaOaep256 => parse_rsa(der)?,
            KeyManagement::EcdhEs | KeyManagement::EcdhEsA128Kw | KeyManagement::EcdhEsA256Kw => {
                parse_p256(der)?
            }
        };
        Ok(Self { alg, private, jwk: PublicJwk::new("enc", alg.as_str(), numbers) })
    }

    /// The private key in PKCS#8.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match &self.private {
            Private::Rsa(_, der) => Ok(der.clone()),
            Private::P256(key) => pkcs8_der(key).map_err(|_| KeyError::Malformed),
        }
    }

    /// The algorithm it is published with.
    pub const fn alg(&self) -> KeyManagement {
        self.alg
    }

    /// The key's name in the JWK Set.
    pub fn kid(&self) -> &str {
        &self.jwk.kid
    }

    /// The public half, marked `enc`.
    pub fn jwk(&self) -> &PublicJwk {
        &self.jwk
    }

    /// The content encryption key. If RSA decryption fails, it is a random one, so that failing takes as long as with a
    /// wrong key ([RFC 7516 §11.5]).
    ///
    /// [RFC 7516 §11.5]: https://www.rfc-editor.org/rfc/rfc7516#section-11.5
    fn content_key(
        &self,
        (alg, enc): (KeyManagement, ContentEncryption),
        header: &Map<String, Value>,
        encrypted: &[u8],
    ) -> Option<ContentKey> {
        match (&self.private, alg) {
            (Private::Rsa(key, _), KeyManagement::RsaOaep256) => {
                let stand_in = content_encryption::new_key(enc);
                let mut plain = Zeroizing::new(vec![0; key.min_output_size()]);
                let opened = key.decrypt(&OAEP_SHA256_MGF1SHA256, encrypted, &mut plain, None);
                let fits = opened.ok().filter(|it| it.len() == content_encryption::key_length(enc));
                Some(fits.map_or(stand_in, |key| Zeroizing::new(key.to_vec())))
            }
            (
                Private::P256(key),
                KeyManagement::EcdhEs | KeyManagement::EcdhEsA128Kw | KeyManagement::EcdhEsA256Kw,
            ) => {
                let agreed =
                    derive_key(key, &ephemeral_point(header)?, (alg, enc), &party_info(header)?)?;
                if alg == KeyManagement::EcdhEs {
                    // With direct agreement the encrypted key is empty (RFC 7516 §5.2, step 10).
                    return encrypted.is_empty().then_some(agreed);
                }
                ecdh_es::unwrap_key(&agreed, encrypted)
            }
            (Private::Rsa(..), _) | (Private::P256(_), KeyManagement::RsaOaep256) => None,
        }
    }
}

/// Reads a compact JWE that was encrypted for this key ([RFC 7516 §5.2]).
///
/// [RFC 7516 §5.2]: https://www.rfc-editor.org/rfc/rfc7516#section-5.2
pub fn decrypt(compact: &str, key: &DecryptionKey) -> Result<Vec<u8>, DecryptionError> {
    try_decrypt(compact, key).ok_or(DecryptionError)
}

/// Whether a token has the five parts of a compact JWE.
pub fn is_encrypted(token: &str) -> bool {
    token.bytes().filter(|byte| *byte == b'.').count() == 4
}

fn try_decrypt(compact: &str, key: &DecryptionKey) -> Option<Vec<u8>> {
    if compact.len() > MAX_JWE_LEN || !is_encrypted(compact) {
        return None;
    }
    let pieces: Vec<&str> = compact.split('.').collect();
    let [protected, encrypted_key, iv, ciphertext, tag] = pieces[..] else { return None };
    let header: Map<String, Value> = serde_json::from_slice(&from_base64url(protected)?).ok()?;
    if REFUSED_HEADERS.iter().any(|member| header.contains_key(*member)) {
        return None;
    }
    let text = |name| claims::text(&header, name).ok();
    if text("kid")?.is_some_and(|kid| kid != key.kid()) {
        return None;
    }
    let alg = KeyManagement::parse(text("alg")??)?;
    let enc = ContentEncryption::parse(text("enc")??)?;
    let content_key = key.content_key((alg, enc), &header, &from_base64url(encrypted_key)?)?;
    let content = EncryptedContent {
        iv: from_base64url(iv)?,
        ciphertext: from_base64url(ciphertext)?,
        tag: from_base64url(tag)?,
    };
    content_encryption::decrypt(enc, &content_key, protected.as_bytes(), content)
}

/// The producer's ephemeral public key ([RFC 7518 §4.6.1.1](https://www.rfc-editor.org/rfc/rfc7518#section-4.6.1.1)).
fn ephemeral_point(header: &Map<String, Value>) -> Option<Vec<u8>> {
    let epk = header.get("epk")?.as_object()?;
    let text = |name| epk.get(name).and_then(Value::as_str);
    if text("kty")? != "EC" || text("crv")? != "P-256" {
        return None;
    }
    uncompressed_point(&from_base64url(text("x")?)?, &from_base64url(text("y")?)?)
}

fn party_info(header: &Map<String, Value>) -> Option<PartyInfo> {
    let part = |name| match claims::text(header, name).ok()? {
        Some(text) => from_base64url(text),
        None => Some(Vec::new()),
    };
    Some(PartyInfo { producer: part("apu")?, recipient: part("apv")? })
}

fn pkcs8_der(
    key: &impl AsDer<Pkcs8V1Der<'static>>,
) -> Result<Zeroizing<Vec<u8>>, aws_lc_rs::error::Unspecified> {
    Ok(Zeroizing::new(key.as_der()?.as_ref().to_vec()))
}

fn parse_rsa(der: &[u8]) -> Result<(Private, JwkParams), KeyError> {
    super::key_pair::check_rsa(der)?;
    let public = rsa::RsaPrivateKey::from_pkcs8_der(der).map_err(|_| KeyError::Malformed)?;
    let (n, e) = (base64url(&public.n().to_bytes_be()), base64url(&public.e().to_bytes_be()));
    let key = PrivateDecryptingKey::from_pkcs8(der).map_err(|_| KeyError::Malformed)?;
    let key = OaepPrivateDecryptingKey::new(key).map_err(|_| KeyError::Malformed)?;
    Ok((Private::Rsa(key, Zeroizing::new(der.to_vec())), JwkParams::Rsa { n, e }))
}

fn parse_p256(der: &[u8]) -> Result<(Private, JwkParams), KeyError> {
    let key = PrivateKey::from_private_key_der(&ECDH_P256, der).map_err(|_| KeyError::Malformed)?;
    let public = key.compute_public_key().map_err(|_| KeyError::Malformed)?;
    let point = public.as_ref();
    let (x, y) = (base64url(&point[1..33]), base64url(&point[33..]));
    Ok((Private::P256(key), JwkParams::Ec { crv: "P-256", x, y }))
}

impl fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecryptionKey({} {})", self.jwk.alg, self.jwk.kid)
    }
}

#[cfg(test)]
mod tests;
