//! The keys of the suite's clients, which have a name only where they are fetched.

use std::sync::OnceLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaPublicKeyComponents,
};
use latchkey::infra::secret::{base64url, from_base64url};
use serde_json::{Map, Value, json};

/// An RSA key for RS256.
#[derive(Clone, Copy)]
pub struct Key {
    pair: &'static RsaKeyPair,
    kid: Option<&'static str>,
}

impl Key {
    /// As a client registers it.
    pub fn nameless(nth: usize) -> Self {
        Self { pair: pair(nth), kid: None }
    }

    /// As it stands behind a `jwks_uri`.
    pub fn named(nth: usize, kid: &'static str) -> Self {
        Self { pair: pair(nth), kid: Some(kid) }
    }

    pub fn jwk(self) -> Value {
        let public = self.pair.public_key();
        let n = base64url(public.modulus().big_endian_without_leading_zero());
        let e = base64url(public.exponent().big_endian_without_leading_zero());
        let mut jwk = json!({"kty": "RSA", "use": "sig", "alg": "RS256", "n": n, "e": e});
        if let Some(kid) = self.kid {
            jwk["kid"] = kid.into();
        }
        jwk
    }

    pub fn sign(self, claims: &Value) -> String {
        let mut header = json!({"alg": "RS256"});
        if let Some(kid) = self.kid {
            header["kid"] = kid.into();
        }
        let piece = |json: &Value| base64url(json.to_string().as_bytes());
        let text = format!("{}.{}", piece(&header), piece(claims));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        let random = SystemRandom::new();
        let signed = self.pair.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature);
        signed.expect("a signature");
        format!("{text}.{}", base64url(&signature))
    }
}

/// Two for all modules: making one takes long.
fn pair(nth: usize) -> &'static RsaKeyPair {
    static PAIRS: [OnceLock<RsaKeyPair>; 2] = [OnceLock::new(), OnceLock::new()];
    PAIRS[nth].get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"))
}

/// Header and claims of a JWT; nobody has verified them.
pub fn peek(jwt: &str) -> (Map<String, Value>, Map<String, Value>) {
    let pieces: Vec<&str> = jwt.split('.').collect();
    let [header, claims, _] = pieces[..] else { panic!("no JWT: {jwt}") };
    let read = |piece| {
        let bytes = from_base64url(piece).expect("base64url");
        serde_json::from_slice(&bytes).expect("an object")
    };
    (read(header), read(claims))
}

/// Whether this key of a JWK Set signed the JWT with RS256.
pub fn is_signed_with(jwt: &str, jwk: &Value) -> bool {
    let (text, signature) = jwt.rsplit_once('.').expect("a JWT");
    let number = |name: &str| from_base64url(jwk[name].as_str().expect("text")).expect("base64url");
    let key = RsaPublicKeyComponents { n: number("n"), e: number("e") };
    let signature = from_base64url(signature).expect("base64url");
    key.verify(&RSA_PKCS1_2048_8192_SHA256, text.as_bytes(), &signature).is_ok()
}
