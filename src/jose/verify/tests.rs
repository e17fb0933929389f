use std::sync::OnceLock;

use serde_json::json;

use super::*;
use crate::secret::base64url;

fn key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate().unwrap().0)
}

fn verify(token: &str) -> Result<Map<String, Value>, NotVerified> {
    verify_ours(token, [key()], "at+jwt")
}

#[test]
fn what_we_sign_verifies_and_only_as_what_it_is() {
    let token = key().sign("at+jwt", &json!({"sub": "ada"})).unwrap();
    assert_eq!(verify(&token).unwrap()["sub"], "ada");
    assert_eq!(verify_ours(&token, [key()], "JWT").unwrap_err(), NotVerified::Type);
    assert_eq!(verify_ours(&token, [], "at+jwt").unwrap_err(), NotVerified::UnknownKey);
    assert_eq!(peek_text(&token, "sub").as_deref(), Some("ada"));
}

#[test]
fn a_header_cannot_choose_how_it_is_verified() {
    let good = key().sign("at+jwt", &json!({"sub": "ada"})).unwrap();
    let (_, rest) = good.split_once('.').unwrap();
    let kid = key().kid();
    let long = "k".repeat(65);
    for (header, why) in [
        (json!({"alg": "none", "typ": "at+jwt", "kid": kid}), NotVerified::Algorithm),
        (json!({"alg": "HS256", "typ": "at+jwt", "kid": kid}), NotVerified::Algorithm),
        (json!({"alg": "RS256", "typ": "at+jwt"}), NotVerified::UnknownKey),
        (json!({"alg": "RS256", "typ": "at+jwt", "kid": "other"}), NotVerified::UnknownKey),
        (json!({"alg": "RS256", "typ": "at+jwt", "kid": long}), NotVerified::UnknownKey),
        (json!({"alg": "RS256", "typ": "at+jwt", "kid": kid, "jwk": {}}), NotVerified::Header),
        (json!({"alg": "RS256", "typ": "at+jwt", "kid": kid, "crit": ["x"]}), NotVerified::Header),
        (json!({"alg": "RS256", "typ": "at+jwt", "kid": kid, "b64": false}), NotVerified::Header),
        (json!({"alg": "RS256", "typ": "at+jwt", "kid": kid, "jku": "x"}), NotVerified::Header),
        (json!({"alg": "RS256", "typ": "x", "kid": kid}), NotVerified::Signature),
        (json!({"alg": 5, "kid": kid}), NotVerified::Header),
    ] {
        let forged = format!("{}.{rest}", base64url(header.to_string().as_bytes()));
        assert_eq!(verify(&forged).unwrap_err(), why, "{header}");
    }
}

#[test]
fn what_is_not_three_clean_pieces_is_malformed() {
    let good = key().sign("at+jwt", &json!({})).unwrap();
    for bad in [
        String::new(),
        "a.b".into(),
        ".".repeat(60_000),
        format!("{good}."),
        format!("{good}="),
        format!(" {good}"),
        good.replace('.', ".."),
    ] {
        assert!(verify(&bad).is_err(), "{bad:.40}");
    }
}

#[test]
fn any_flipped_bit_is_noticed() {
    let good = key().sign("at+jwt", &json!({"sub": "ada", "n": 1})).unwrap();
    for at in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(forged) = String::from_utf8(bytes) else { continue };
        assert!(verify(&forged).is_err(), "at {at}");
    }
}

#[test]
fn a_client_key_is_found_by_name_or_by_fit_and_bound_to_its_algorithm() {
    let jwk = key().jwk();
    let set = |kid: Option<&str>, alg: Option<&str>| {
        let mut jwk = json!({"kty": "RSA", "n": jwk.n, "e": jwk.e, "use": "sig"});
        if let Some(kid) = kid {
            jwk["kid"] = kid.into();
        }
        if let Some(alg) = alg {
            jwk["alg"] = alg.into();
        }
        ClientKey::all_from_set(&json!({"keys": [jwk]}))
    };
    let token = key().sign("JWT", &json!({"sub": "shop"})).unwrap();
    let rs256 = [ClientAlg::Rs256];
    let check = |keys: &[ClientKey], allowed: &[ClientAlg]| {
        verify_client(&token, keys, allowed).map(|verified| verified.claims["sub"].clone())
    };
    assert_eq!(check(&set(Some(key().kid()), None), &rs256), Ok(json!("shop")));
    assert_eq!(check(&set(None, Some("RS256")), &rs256), Ok(json!("shop")));
    assert_eq!(check(&set(Some("other"), None), &rs256), Err(NotVerified::UnknownKey));
    assert_eq!(check(&set(None, Some("PS256")), &rs256), Err(NotVerified::UnknownKey));
    assert_eq!(check(&set(None, None), &[ClientAlg::Ps256]), Err(NotVerified::Algorithm));
    let weak = json!({"kty": "RSA", "n": base64url(&[255; 128]), "e": "AQAB"});
    assert!(ClientKey::from_jwk(&weak).is_none(), "1024 bits");
    assert!(ClientKey::from_jwk(&json!({"kty": "oct", "k": "c2VjcmV0"})).is_none());
}

#[test]
fn each_bad_key_file_says_what_is_wrong() {
    use crate::jose::BadKey;
    assert_eq!(SigningKey::from_pem("").unwrap_err(), BadKey::Garbage);
    for (label, why) in [
        ("PRIVATE", BadKey::Garbage),
        ("ENCRYPTED PRIVATE", BadKey::Encrypted),
        ("PUBLIC", BadKey::PublicOnly),
        ("EC PRIVATE", BadKey::NotRsa),
    ] {
        let pem = format!("-----BEGIN {label} KEY-----\nAAAA\n-----END {label} KEY-----\n");
        assert_eq!(SigningKey::from_pem(&pem).unwrap_err(), why, "{pem}");
    }
    let mut rng = rsa::rand_core::OsRng;
    let short = rsa::RsaPrivateKey::new(&mut rng, 1024).unwrap();
    let pem = rsa::pkcs1::EncodeRsaPrivateKey::to_pkcs1_pem(&short, rsa::pkcs8::LineEnding::LF);
    assert_eq!(SigningKey::from_pem(&pem.unwrap()).unwrap_err(), BadKey::TooShort);
}
