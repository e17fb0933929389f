use std::sync::OnceLock;

use serde_json::json;

use super::*;
use crate::infra::secret::base64url;

fn key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate().unwrap().0)
}

fn verify(token: &str) -> Result<Map<String, Value>, VerificationError> {
    verify_own(token, [key()], "at+jwt")
}

#[test]
fn what_we_sign_verifies_and_only_as_what_it_is() {
    let token = key().sign("at+jwt", &json!({"sub": "ada"})).unwrap();
    assert_eq!(verify(&token).unwrap()["sub"], "ada");
    assert_eq!(verify_own(&token, [key()], "JWT").unwrap_err(), VerificationError::Type);
    assert_eq!(verify_own(&token, [], "at+jwt").unwrap_err(), VerificationError::UnknownKey);
    assert_eq!(unverified_claim(&token, "sub").as_deref(), Some("ada"));
}

#[test]
fn a_header_cannot_choose_how_it_is_verified() {
    let good = key().sign("at+jwt", &json!({"sub": "ada"})).unwrap();
    let (_, rest) = good.split_once('.').unwrap();
    let kid = key().kid();
    let long = "k".repeat(65);
    for (header, why) in [
        (json!({"alg": "none", "typ": "at+jwt", "kid": kid}), VerificationError::Algorithm),
        (json!({"alg": "HS256", "typ": "at+jwt", "kid": kid}), VerificationError::Algorithm),
        (json!({"alg": "PS256", "typ": "at+jwt", "kid": kid}), VerificationError::Algorithm),
        (json!({"alg": "RS256", "typ": "at+jwt"}), VerificationError::UnknownKey),
        (json!({"alg": "RS256", "typ": "at+jwt", "kid": "other"}), VerificationError::UnknownKey),
        (json!({"alg": "RS256", "typ": "at+jwt", "kid": long}), VerificationError::UnknownKey),
        (
            json!({"alg": "RS256", "typ": "at+jwt", "kid": kid, "jwk": {}}),
            VerificationError::Header,
        ),
        (
            json!({"alg": "RS256", "typ": "at+jwt", "kid": kid, "crit": ["x"]}),
            VerificationError::Header,
        ),
        (
            json!({"alg": "RS256", "typ": "at+jwt", "kid": kid, "b64": false}),
            VerificationError::Header,
        ),
        (
            json!({"alg": "RS256", "typ": "at+jwt", "kid": kid, "jku": "x"}),
            VerificationError::Header,
        ),
        (json!({"alg": "RS256", "typ": "x", "kid": kid}), VerificationError::Signature),
        (json!({"alg": 5, "kid": kid}), VerificationError::Header),
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
        let mut jwk = json!(jwk);
        for member in ["kid", "alg"] {
            jwk.as_object_mut().unwrap().remove(member);
        }
        if let Some(kid) = kid {
            jwk["kid"] = kid.into();
        }
        if let Some(alg) = alg {
            jwk["alg"] = alg.into();
        }
        VerificationKey::all_from_set(&json!({"keys": [jwk]}))
    };
    let token = key().sign("JWT", &json!({"sub": "shop"})).unwrap();
    let rs256 = [Algorithm::Rs256];
    let check = |keys: &[VerificationKey], allowed: &[Algorithm]| {
        verify_client(&token, keys, allowed).map(|verified| verified.claims["sub"].clone())
    };
    assert_eq!(check(&set(Some(key().kid()), None), &rs256), Ok(json!("shop")));
    assert_eq!(check(&set(None, Some("RS256")), &rs256), Ok(json!("shop")));
    assert_eq!(check(&set(Some("other"), None), &rs256), Err(VerificationError::UnknownKey));
    assert_eq!(check(&set(None, Some("PS256")), &rs256), Err(VerificationError::UnknownKey));
    assert_eq!(check(&set(None, None), &[Algorithm::Ps256]), Err(VerificationError::Algorithm));
    let weak = json!({"kty": "RSA", "n": base64url(&[255; 128]), "e": "AQAB"});
    assert!(VerificationKey::from_jwk(&weak).is_none(), "1024 bits");
    assert!(VerificationKey::from_jwk(&json!({"kty": "oct", "k": "c2VjcmV0"})).is_none());
}

#[test]
fn every_algorithm_of_ours_signs_and_verifies_and_its_jwk_verifies_as_a_clients() {
    for &alg in Algorithm::ALL {
        let key = SigningKey::generate_for(alg).unwrap();
        let token = key.sign("at+jwt", &json!({"sub": "ada"})).unwrap();
        assert_eq!(parse_unverified(&token).unwrap().header["alg"], alg.as_str());
        assert_eq!(verify_own(&token, [&key], "at+jwt").unwrap()["sub"], "ada");
        let jwk = json!(key.jwk());
        assert_eq!((&jwk["alg"], &jwk["kid"]), (&json!(alg.as_str()), &json!(key.kid())));
        assert_eq!(jwk["use"], "sig");
        assert!(["d", "p", "q", "k"].iter().all(|part| jwk.get(part).is_none()), "{jwk}");

        let theirs = VerificationKey::all_from_set(&json!({"keys": [jwk]}));
        for &allowed in Algorithm::ALL {
            let verified = verify_client(&token, &theirs, &[allowed]).map(|it| it.claims);
            assert_eq!(verified.is_ok(), allowed == alg, "{alg:?} as {allowed:?}");
        }
        let other = SigningKey::generate_for(alg).unwrap();
        let stranger = VerificationKey::all_from_set(&json!({"keys": [{"alg": other.jwk().alg,
            "kid": key.kid(), "kty": other.jwk().kty}]}));
        assert!(stranger.is_empty(), "a key without numbers is none");
        let renamed = token.replacen(
            token.split('.').next().unwrap(),
            &base64url(
                json!({"typ": "at+jwt", "alg": alg.as_str(), "kid": other.kid()})
                    .to_string()
                    .as_bytes(),
            ),
            1,
        );
        let refused = verify_own(&renamed, [&key, &other], "at+jwt");
        assert_eq!(refused.unwrap_err(), VerificationError::Signature);
    }
}

#[test]
fn a_key_comes_back_from_its_file_and_only_for_its_own_kind_of_algorithm() {
    for &alg in Algorithm::ALL {
        let key = SigningKey::generate_for(alg).unwrap();
        let kept = crate::infra::jose::PrivateKey::from_pem(&key.to_pem().unwrap()).unwrap();
        for &other in Algorithm::ALL {
            let back = SigningKey::from_private(&kept, other).map(|key| key.kid().to_owned());
            let is_rsa = |alg| matches!(alg, Algorithm::Rs256 | Algorithm::Ps256);
            if other == alg || (is_rsa(alg) && is_rsa(other)) {
                assert_eq!(back.unwrap(), key.kid());
            } else {
                assert_eq!(back.unwrap_err(), crate::infra::jose::KeyError::WrongKind(other));
            }
        }
    }
}

#[test]
fn a_shared_secret_verifies_hs256_only_and_only_if_it_is_long_enough() {
    let secret = [7; 32];
    let made = |alg, secret: &[u8]| {
        let header = jsonwebtoken::Header::new(alg);
        let key = jsonwebtoken::EncodingKey::from_secret(secret).unwrap();
        jsonwebtoken::encode(&header, &json!({"sub": "shop"}), &key).unwrap()
    };
    let good = made(jsonwebtoken::Algorithm::HS256, &secret);
    assert_eq!(verify_hs256(&secret, &good).unwrap().claims["sub"], "shop");
    assert_eq!(verify_hs256(&[8; 32], &good).unwrap_err(), VerificationError::Signature);
    let longer = made(jsonwebtoken::Algorithm::HS512, &secret);
    assert_eq!(verify_hs256(&secret, &longer).unwrap_err(), VerificationError::Algorithm);
    let short = made(jsonwebtoken::Algorithm::HS256, &[7; 31]);
    assert_eq!(verify_hs256(&[7; 31], &short).unwrap_err(), VerificationError::UnknownKey);
    let ours = key().sign("JWT", &json!({})).unwrap();
    assert_eq!(verify_hs256(&secret, &ours).unwrap_err(), VerificationError::Algorithm);
}

#[test]
fn the_example_of_rfc_8037_is_signed_as_printed() {
    // Appendix A.1 and A.4: Ed25519 signatures are deterministic.
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend(from_base64url("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap());
    let pair =
        crate::infra::jose::key_pair::SigningKeyPair::from_pkcs8(Algorithm::EdDsa, &der).unwrap();
    let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert_eq!(base64url(&pair.sign(signed.as_bytes()).unwrap()), signature);
}

#[test]
fn each_bad_key_file_says_what_is_wrong() {
    use crate::infra::jose::KeyError;
    assert_eq!(SigningKey::from_pem("").unwrap_err(), KeyError::Malformed);
    let openssh = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n";
    let not_rsa = KeyError::WrongKind(Algorithm::Rs256);
    assert_eq!(SigningKey::from_pem(openssh).unwrap_err(), not_rsa);
    for (label, why) in [
        ("PRIVATE", KeyError::Malformed),
        ("ENCRYPTED PRIVATE", KeyError::Encrypted),
        ("PUBLIC", KeyError::PublicOnly),
        ("EC PRIVATE", not_rsa),
    ] {
        let pem = format!("-----BEGIN {label} KEY-----\nAAAA\n-----END {label} KEY-----\n");
        assert_eq!(SigningKey::from_pem(&pem).unwrap_err(), why, "{pem}");
    }
    let mut rng = rsa::rand_core::OsRng;
    let short = rsa::RsaPrivateKey::new(&mut rng, 1024).unwrap();
    let pem = rsa::pkcs1::EncodeRsaPrivateKey::to_pkcs1_pem(&short, rsa::pkcs8::LineEnding::LF);
    assert_eq!(SigningKey::from_pem(&pem.unwrap()).unwrap_err(), KeyError::TooShort);
}
