use latchkey::infra::jose::{RecipientKey, VerificationKey};
use latchkey::protocol::algorithms::KeyManagement;
use latchkey::protocol::{ClientMetadata, OAuthError};
use serde_json::{Map, Value, json};

use super::reference_parsers;

/// A client's JWK Set that is kept has one to twenty keys, none of them private or symmetric
/// ([RFC 7517 §9.2]); what is used of it is public, strong and for that use (RFC 7518 §6.3: 2048 bits).
///
/// [RFC 7517 §9.2]: https://www.rfc-editor.org/rfc/rfc7517#section-9.2
pub fn jwk_set(data: &[u8]) {
    holds(data, ClientMetadata::parse);
}

pub fn holds(
    data: &[u8],
    parse: impl Fn(&Map<String, Value>) -> Result<ClientMetadata, OAuthError>,
) {
    let Ok(set) = serde_json::from_slice::<Value>(data) else { return };
    let members = json!({"redirect_uris": ["https://shop.example/cb"], "jwks": set});
    let members = members.as_object().expect("an object");
    let kept = parse(members).ok().and_then(|metadata| metadata.jwks);
    if let Some(kept) = &kept {
        let (keys, came) = (&kept["keys"], &set["keys"]);
        let keys = keys.as_array().expect("an array of keys");
        let came = came.as_array().expect("an array of keys");
        let known =
            came.iter().filter(|key| ["RSA", "EC", "OKP"].map(Some).contains(&key["kty"].as_str()));
        assert!(keys.iter().eq(known.take(20)), "{set} became {kept}");
        assert!((1..=20).contains(&keys.len()), "{} keys", keys.len());
        for key in keys {
            let kind = key["kty"].as_str().expect("a kind of key");
            assert!(["RSA", "EC", "OKP"].contains(&kind), "{kind}");
            for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"] {
                assert!(key.get(private).is_none(), "{private} is private");
            }
        }
    }
    used(&set);
}

fn used(set: &Value) {
    let keys = set["keys"].as_array().cloned().unwrap_or_default();
    let signing = VerificationKey::all_from_set(set);
    assert!(signing.len() <= keys.len().min(20));
    for key in keys.iter().filter(|key| VerificationKey::from_jwk(key).is_some()) {
        let text = |name: &str| key[name].as_str();
        assert!(text("use").is_none_or(|usage| usage == "sig"), "{key}");
        let number = |name: &str| reference_parsers::base64url(text(name)?.as_bytes());
        match (text("kty"), text("crv")) {
            (Some("RSA"), _) => {
                let n = number("n").expect("a modulus");
                let bits = n.iter().skip_while(|byte| **byte == 0).count() * 8;
                assert!((2041..=8192).contains(&bits), "{bits} bits");
            }
            (Some("EC"), Some("P-256")) => {
                assert!(number("x").is_some() && number("y").is_some(), "{key}");
            }
            (Some("OKP"), Some("Ed25519")) => assert!(number("x").is_some(), "{key}"),
            other => panic!("{other:?} is no key to verify with"),
        }
    }
    for alg in KeyManagement::ALL {
        if RecipientKey::select(set, *alg).is_none() {
            continue;
        }
        let fits = |key: &Value| {
            key.get("use").is_none_or(|usage| usage == "enc")
                && key.get("alg").is_none_or(|it| it == alg.as_str())
        };
        assert!(keys.iter().any(fits), "{set} has nothing to encrypt with");
    }
}
