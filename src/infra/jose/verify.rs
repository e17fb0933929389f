use jsonwebtoken::{DecodingKey, crypto};
use serde_json::{Map, Value};

use super::{Algorithm, SigningKey, VerificationKey, claims, to_jsonwebtoken};
use crate::infra::secret::from_base64url;

/// A longer JWT of a client is refused unread.
const MAX_CLIENT_JWT_LEN: usize = 16 * 1024;

/// Our own tokens are never longer. They may be longer than a client's, because a user may be in hundreds of groups.
pub const MAX_OWN_JWT_LEN: usize = 32 * 1024;

/// Header members that would let a token choose its own key ([RFC 8725 §3.10]) or demand an extension (`crit`,
/// RFC 7515 §4.1.11); none is supported.
///
/// [RFC 8725 §3.10]: https://www.rfc-editor.org/rfc/rfc8725#section-3.10
const REFUSED_HEADERS: [&str; 7] = ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip"];

/// A JWT whose signature was verified. Time, issuer and audience were not.
#[derive(Debug)]
pub struct VerifiedJwt {
    /// `typ`, lower case, without `application/`.
    pub typ: Option<String>,
    /// The claims set.
    pub claims: Map<String, Value>,
}

/// Why a token was refused; for the log only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VerificationError {
    /// Too long, not three parts, not base64url, or not JSON.
    Malformed,
    /// A member of `REFUSED_HEADERS`, or one of the wrong type.
    Header,
    /// Not the algorithm of the key, or not one the client registered.
    Algorithm,
    /// No key with that `kid` that can be used with the algorithm.
    UnknownKey,
    /// The signature does not verify.
    Signature,
    /// The `typ` is that of another kind of token.
    Type,
}

/// A token split into its parts; nothing is verified yet.
struct CompactJws<'a> {
    header: Map<String, Value>,
    payload: &'a str,
    signature: &'a str,
    signing_input: &'a str,
}

impl<'a> CompactJws<'a> {
    fn split(token: &'a str, longest: usize) -> Result<Self, VerificationError> {
        // Counted before anything is decoded: 64 kB of dots cost nothing.
        if token.len() > longest || token.bytes().filter(|byte| *byte == b'.').count() != 2 {
            return Err(VerificationError::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(VerificationError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(VerificationError::Malformed)?;
        let header: Map<String, Value> = decode_object(header)?;
        if REFUSED_HEADERS.iter().any(|member| header.contains_key(*member)) {
            return Err(VerificationError::Header);
        }
        Ok(Self { header, payload, signature, signing_input: signed })
    }

    fn text(&self, name: &str) -> Result<Option<&str>, VerificationError> {
        claims::text(&self.header, name).map_err(|_| VerificationError::Header)
    }

    fn kid(&self) -> Result<Option<&str>, VerificationError> {
        let kid = self.text("kid")?;
        if kid.is_some_and(|kid| kid.len() > 64) {
            Err(VerificationError::UnknownKey)
        } else {
            Ok(kid)
        }
    }

    fn is_signed_by(&self, key: &DecodingKey, algorithm: jsonwebtoken::Algorithm) -> bool {
        from_base64url(self.signature).is_some()
            && crypto::verify(self.signature, self.signing_input.as_bytes(), key, algorithm)
                .unwrap_or(false)
    }

    fn into_verified(self) -> Result<VerifiedJwt, VerificationError> {
        let typ = self.text("typ")?.map(|typ| {
            let typ = typ.to_ascii_lowercase();
            typ.strip_prefix("application/").unwrap_or(&typ).to_owned()
        });
        Ok(VerifiedJwt { typ, claims: decode_object(self.payload)? })
    }
}

fn decode_object(piece: &str) -> Result<Map<String, Value>, VerificationError> {
    let bytes = from_base64url(piece).ok_or(VerificationError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| VerificationError::Malformed)
}

/// Verifies a token of ours of the type `typ`: the `kid` selects the key, and the key has one algorithm.
pub fn verify_own<'k>(
    token: &str,
    keys: impl IntoIterator<Item = &'k SigningKey>,
    typ: &str,
) -> Result<Map<String, Value>, VerificationError> {
    let verified = verify_own_of_any_type(token, keys)?;
    if verified.typ.as_deref() != Some(&*typ.to_ascii_lowercase()) {
        return Err(VerificationError::Type);
    }
    Ok(verified.claims)
}

/// The same for a caller that checks the type itself.
pub fn verify_own_of_any_type<'k>(
    token: &str,
    keys: impl IntoIterator<Item = &'k SigningKey>,
) -> Result<VerifiedJwt, VerificationError> {
    let pieces = CompactJws::split(token, MAX_OWN_JWT_LEN)?;
    let alg = pieces.text("alg")?.and_then(Algorithm::parse).ok_or(VerificationError::Algorithm)?;
    let kid = pieces.kid()?.ok_or(VerificationError::UnknownKey)?;
    let key = keys.into_iter().find(|key| key.kid() == kid).ok_or(VerificationError::UnknownKey)?;
    // The header does not choose the algorithm; it has to agree with the key.
    if key.alg() != alg {
        return Err(VerificationError::Algorithm);
    }
    if !pieces.is_signed_by(&key.verifying, to_jsonwebtoken(key.alg())) {
        return Err(VerificationError::Signature);
    }
    pieces.into_verified()
}

/// Verifies a client's token with the keys and algorithms it registered.
pub fn verify_client(
    token: &str,
    keys: &[VerificationKey],
    allowed: &[Algorithm],
) -> Result<VerifiedJwt, VerificationError> {
    let pieces = CompactJws::split(token, MAX_CLIENT_JWT_LEN)?;
    let alg = pieces.text("alg")?.and_then(Algorithm::parse);
    let alg = alg.filter(|alg| allowed.contains(alg)).ok_or(VerificationError::Algorithm)?;
    let kid = pieces.kid()?;
    let mut candidates = keys.iter().filter(|key| key.matches(kid, alg)).peekable();
    if candidates.peek().is_none() {
        return Err(VerificationError::UnknownKey);
    }
    if !candidates.any(|candidate| pieces.is_signed_by(&candidate.key, to_jsonwebtoken(alg))) {
        return Err(VerificationError::Signature);
    }
    pieces.into_verified()
}

/// Verifies a token that a client signed with a secret we share ([OpenID Connect Core §9],
/// `client_secret_jwt`): HS256 only. A secret shorter than the hash is refused ([RFC 7518 §3.2]).
///
/// [OpenID Connect Core §9]: https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication
/// [RFC 7518 §3.2]: https://www.rfc-editor.org/rfc/rfc7518#section-3.2
pub fn verify_hs256(secret: &[u8], token: &str) -> Result<VerifiedJwt, VerificationError> {
    let pieces = CompactJws::split(token, MAX_CLIENT_JWT_LEN)?;
    if pieces.text("alg")? != Some("HS256") {
        return Err(VerificationError::Algorithm);
    }
    if secret.len() < 32 {
        return Err(VerificationError::UnknownKey);
    }
    let key = DecodingKey::from_secret(secret).map_err(|_| VerificationError::UnknownKey)?;
    if !pieces.is_signed_by(&key, jsonwebtoken::Algorithm::HS256) {
        return Err(VerificationError::Signature);
    }
    pieces.into_verified()
}

/// A JWT that was not verified.
#[derive(Debug)]
pub struct UnverifiedJwt {
    /// The header; it has no member of `REFUSED_HEADERS`.
    pub header: Map<String, Value>,
    /// The claims, to find out whose keys to verify the token with, and for nothing else.
    pub claims: Map<String, Value>,
}

/// Splits a token without verifying it; `None` if it could not be verified anyway.
pub fn parse_unverified(token: &str) -> Option<UnverifiedJwt> {
    let pieces = CompactJws::split(token, MAX_CLIENT_JWT_LEN).ok()?;
    Some(UnverifiedJwt { claims: decode_object(pieces.payload).ok()?, header: pieces.header })
}

/// A string claim of a token that was not verified: to find out whose keys to verify it with, and for nothing else.
pub fn unverified_claim(token: &str, name: &str) -> Option<String> {
    claims::text(&parse_unverified(token)?.claims, name).ok()?.map(str::to_owned)
}

#[cfg(test)]
mod tests;
