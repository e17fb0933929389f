use jsonwebtoken::{DecodingKey, crypto};
use serde_json::{Map, Value};

use super::{Algorithm, ClientKey, SigningKey, named_by_library, read};
use crate::infra::secret::from_base64url;

/// A longer JWT of a client is refused unread.
const LONGEST: usize = 16 * 1024;

/// Our own tokens are never longer. They may be longer than a client's, because a user may be in hundreds of groups.
pub const LONGEST_OURS: usize = 32 * 1024;

/// Header members that would let a token choose its own key ([RFC 8725 §3.10]) or demand an extension (`crit`,
/// RFC 7515 §4.1.11); none is supported.
///
/// [RFC 8725 §3.10]: https://www.rfc-editor.org/rfc/rfc8725#section-3.10
const REFUSED: [&str; 7] = ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip"];

/// A JWT whose signature was verified. Time, issuer and audience were not.
#[derive(Debug)]
pub struct Verified {
    /// `typ`, lower case, without `application/`.
    pub typ: Option<String>,
    /// The claims set.
    pub claims: Map<String, Value>,
}

/// Why a token was refused; for the log only.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotVerified {
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
struct Pieces<'a> {
    header: Map<String, Value>,
    payload: &'a str,
    signature: &'a str,
    signed: &'a str,
}

impl<'a> Pieces<'a> {
    fn split(token: &'a str, longest: usize) -> Result<Self, NotVerified> {
        // Counted before anything is decoded: 64 kB of dots cost nothing.
        if token.len() > longest || token.bytes().filter(|byte| *byte == b'.').count() != 2 {
            return Err(NotVerified::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(NotVerified::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(NotVerified::Malformed)?;
        let header: Map<String, Value> = json(header)?;
        if REFUSED.iter().any(|member| header.contains_key(*member)) {
            return Err(NotVerified::Header);
        }
        Ok(Self { header, payload, signature, signed })
    }

    fn text(&self, name: &str) -> Result<Option<&str>, NotVerified> {
        read::text(&self.header, name).map_err(|_| NotVerified::Header)
    }

    fn kid(&self) -> Result<Option<&str>, NotVerified> {
        let kid = self.text("kid")?;
        if kid.is_some_and(|kid| kid.len() > 64) { Err(NotVerified::UnknownKey) } else { Ok(kid) }
    }

    fn signed_by(&self, key: &DecodingKey, algorithm: jsonwebtoken::Algorithm) -> bool {
        from_base64url(self.signature).is_some()
            && crypto::verify(self.signature, self.signed.as_bytes(), key, algorithm)
                .unwrap_or(false)
    }

    fn open(self) -> Result<Verified, NotVerified> {
        let typ = self.text("typ")?.map(|typ| {
            let typ = typ.to_ascii_lowercase();
            typ.strip_prefix("application/").unwrap_or(&typ).to_owned()
        });
        Ok(Verified { typ, claims: json(self.payload)? })
    }
}

fn json(piece: &str) -> Result<Map<String, Value>, NotVerified> {
    let bytes = from_base64url(piece).ok_or(NotVerified::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| NotVerified::Malformed)
}

/// Verifies a token of ours of the type `typ`: the `kid` selects the key, and the key has one algorithm.
pub fn verify_ours<'k>(
    token: &str,
    keys: impl IntoIterator<Item = &'k SigningKey>,
    typ: &str,
) -> Result<Map<String, Value>, NotVerified> {
    let verified = verify_ours_of_any_type(token, keys)?;
    if verified.typ.as_deref() != Some(&*typ.to_ascii_lowercase()) {
        return Err(NotVerified::Type);
    }
    Ok(verified.claims)
}

/// The same for a caller that checks the type itself.
pub fn verify_ours_of_any_type<'k>(
    token: &str,
    keys: impl IntoIterator<Item = &'k SigningKey>,
) -> Result<Verified, NotVerified> {
    let pieces = Pieces::split(token, LONGEST_OURS)?;
    let alg = pieces.text("alg")?.and_then(Algorithm::parse).ok_or(NotVerified::Algorithm)?;
    let kid = pieces.kid()?.ok_or(NotVerified::UnknownKey)?;
    let key = keys.into_iter().find(|key| key.kid() == kid).ok_or(NotVerified::UnknownKey)?;
    // The header does not choose the algorithm; it has to agree with the key.
    if key.alg() != alg {
        return Err(NotVerified::Algorithm);
    }
    if !pieces.signed_by(&key.verifying, named_by_library(key.alg())) {
        return Err(NotVerified::Signature);
    }
    pieces.open()
}

/// Verifies a client's token with the keys and algorithms it registered.
pub fn verify_client(
    token: &str,
    keys: &[ClientKey],
    allowed: &[Algorithm],
) -> Result<Verified, NotVerified> {
    let pieces = Pieces::split(token, LONGEST)?;
    let alg = pieces.text("alg")?.and_then(Algorithm::parse);
    let alg = alg.filter(|alg| allowed.contains(alg)).ok_or(NotVerified::Algorithm)?;
    let kid = pieces.kid()?;
    let mut candidates = keys.iter().filter(|key| key.fits(kid, alg)).peekable();
    if candidates.peek().is_none() {
        return Err(NotVerified::UnknownKey);
    }
    if !candidates.any(|candidate| pieces.signed_by(&candidate.key, named_by_library(alg))) {
        return Err(NotVerified::Signature);
    }
    pieces.open()
}

/// Verifies a token that a client signed with a secret we share ([OpenID Connect Core §9],
/// `client_secret_jwt`): HS256 only. A secret shorter than the hash is refused ([RFC 7518 §3.2]).
///
/// [OpenID Connect Core §9]: https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication
/// [RFC 7518 §3.2]: https://www.rfc-editor.org/rfc/rfc7518#section-3.2
pub fn verify_hs256(secret: &[u8], token: &str) -> Result<Verified, NotVerified> {
    let pieces = Pieces::split(token, LONGEST)?;
    if pieces.text("alg")? != Some("HS256") {
        return Err(NotVerified::Algorithm);
    }
    if secret.len() < 32 {
        return Err(NotVerified::UnknownKey);
    }
    let key = DecodingKey::from_secret(secret).map_err(|_| NotVerified::UnknownKey)?;
    if !pieces.signed_by(&key, jsonwebtoken::Algorithm::HS256) {
        return Err(NotVerified::Signature);
    }
    pieces.open()
}

/// A JWT that was not verified.
#[derive(Debug)]
pub struct Peeked {
    /// The header; it has no member of `REFUSED_HEADERS`.
    pub header: Map<String, Value>,
    /// The claims, to find out whose keys to verify the token with, and for nothing else.
    pub claims: Map<String, Value>,
}

/// Splits a token without verifying it; `None` if it could not be verified anyway.
pub fn peek(token: &str) -> Option<Peeked> {
    let pieces = Pieces::split(token, LONGEST).ok()?;
    Some(Peeked { claims: json(pieces.payload).ok()?, header: pieces.header })
}

/// A string claim of a token that was not verified: to find out whose keys to verify it with, and for nothing else.
pub fn peek_text(token: &str, name: &str) -> Option<String> {
    read::text(&peek(token)?.claims, name).ok()?.map(str::to_owned)
}

#[cfg(test)]
mod tests;
