use jsonwebtoken::DecodingKey;
use serde_json::Value;

use super::Algorithm;
use crate::infra::secret::from_base64url;

/// A client's public key, to verify its signatures.
pub struct VerificationKey {
    kid: Option<String>,
    alg: Option<Algorithm>,
    kind: Kind,
    pub(super) key: DecodingKey,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Rsa,
    P256,
    Ed25519,
}

/// The most keys of one set that are tried.
const MAX_KEYS: usize = 20;

impl VerificationKey {
    /// Every usable signature key of a JWK Set; others are ignored ([RFC 7517 §5]).
    ///
    /// [RFC 7517 §5]: https://www.rfc-editor.org/rfc/rfc7517#section-5
    pub fn all_from_set(set: &Value) -> Vec<Self> {
        let keys = set.get("keys").and_then(Value::as_array);
        keys.into_iter().flatten().filter_map(Self::from_jwk).take(MAX_KEYS).collect()
    }

    /// `None` unless the key is of a supported type, strong enough and not for encryption.
    pub fn from_jwk(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if text("use").is_some_and(|usage| usage != "sig") {
            return None;
        }
        let alg = match text("alg") {
            Some(alg) => Some(Algorithm::parse(alg)?),
            None => None,
        };
        let (kind, key) = match (text("kty")?, text("crv")) {
            ("RSA", _) => {
                let (n, e) = (text("n")?, text("e")?);
                let bytes = from_base64url(n)?;
                let leading = bytes.iter().take_while(|byte| **byte == 0).count();
                if bytes.len() - leading < 256 || bytes.len() > 1024 {
                    return None;
                }
                (Kind::Rsa, DecodingKey::from_rsa_components(n, e).ok()?)
            }
            ("EC", Some("P-256")) => {
                (Kind::P256, DecodingKey::from_ec_components(text("x")?, text("y")?).ok()?)
            }
            ("OKP", Some("Ed25519")) => {
                (Kind::Ed25519, DecodingKey::from_ed_components(text("x")?).ok()?)
            }
            _ => return None,
        };
        let kid = text("kid").filter(|kid| kid.len() <= 64).map(str::to_owned);
        Some(Self { kid, alg, kind, key })
    }

    /// Whether a header with this `kid` and algorithm can mean this key.
    pub(super) fn matches(&self, kid: Option<&str>, alg: Algorithm) -> bool {
        let named = match (kid, &self.kid) {
            (Some(wanted), Some(own)) => wanted == own,
            (Some(_), None) | (None, _) => true,
        };
        let able = match alg {
            Algorithm::Rs256 | Algorithm::Ps256 => self.kind == Kind::Rsa,
            Algorithm::Es256 => self.kind == Kind::P256,
            Algorithm::EdDsa => self.kind == Kind::Ed25519,
        };
        named && able && self.alg.is_none_or(|only| only == alg)
    }
}
