//! Key pairs that are nobody's secret, the same in every run, and tokens with any header signed by them.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use latchkey::infra::jose::{Algorithm, SigningKey};
use latchkey::infra::secret::base64url;
use serde_json::{Value, json};

use super::reference_parsers;

/// Whose pair.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TestSigner {
    Ours = 1,
    Client = 2,
    Stranger = 3,
}

impl TestSigner {
    pub fn of(letter: Option<&u8>) -> Self {
        match letter {
            Some(b's') => Self::Stranger,
            Some(b'c') => Self::Client,
            Some(_) | None => Self::Ours,
        }
    }

    fn pair(self) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[self as u8; 32]).expect("a pair")
    }

    /// A compact JWS over just these bytes.
    pub fn signs(self, header: &[u8], payload: &[u8]) -> String {
        let signed = format!("{}.{}", base64url(header), base64url(payload));
        let signature = self.pair().sign(signed.as_bytes());
        format!("{signed}.{}", base64url(signature.as_ref()))
    }

    /// Whether this signed it, by another library than the one the server uses for it.
    pub fn signed(self, token: &str) -> bool {
        let Some((signed, signature)) = token.rsplit_once('.') else { return false };
        let Some(signature) = reference_parsers::base64url(signature.as_bytes()) else {
            return false;
        };
        let public = self.pair().public_key().as_ref().to_vec();
        UnparsedPublicKey::new(&ED25519, public).verify(signed.as_bytes(), &signature).is_ok()
    }

    pub fn jwk(self) -> Value {
        let x = base64url(self.pair().public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "x": x, "alg": "EdDSA", "kid": "k1", "use": "sig"})
    }

    /// As the server would hold it.
    pub fn key(self) -> SigningKey {
        let der = self.pair().to_pkcs8v1().expect("a pair that can be written");
        SigningKey::from_pkcs8(Algorithm::EdDsa, der.as_ref()).expect("a pair that can be read")
    }
}

/// The three pieces of a compact JWS, decoded, by the simple reader.
pub fn pieces(token: &str) -> Option<(Value, Value)> {
    let pieces: Vec<&str> = token.split('.').collect();
    let [header, payload, _] = pieces[..] else { return None };
    let read = |piece: &str| -> Option<Value> {
        serde_json::from_slice(&reference_parsers::base64url(piece.as_bytes())?)
            .ok()
            .filter(Value::is_object)
    };
    Some((read(header)?, read(payload)?))
}

/// Members by which a token would say how it wants to be verified ([RFC 8725 §3.10]), or what nobody here
/// understands.
///
/// [RFC 8725 §3.10]: https://www.rfc-editor.org/rfc/rfc8725#section-3.10
pub fn is_refused(header: &Value) -> bool {
    ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip"].iter().any(|it| header.get(it).is_some())
}
