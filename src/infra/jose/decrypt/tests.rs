use std::sync::OnceLock;

use serde_json::json;

use super::*;
use crate::infra::jose::{RecipientKey, encrypt};

const CONTENT: &[u8] = b"eyJhbGciOiJSUzI1NiJ9.e30.c2ln";

fn keys() -> &'static [DecryptionKey; 2] {
    static KEYS: OnceLock<[DecryptionKey; 2]> = OnceLock::new();
    KEYS.get_or_init(|| {
        [KeyManagement::RsaOaep256, KeyManagement::EcdhEs]
            .map(|alg| DecryptionKey::generate_for(alg).unwrap())
    })
}

fn key_for(alg: KeyManagement) -> &'static DecryptionKey {
    &keys()[usize::from(alg != KeyManagement::RsaOaep256)]
}

/// The key as a client would publish it for several algorithms.
fn recipient(alg: KeyManagement) -> RecipientKey {
    let mut jwk = json!(key_for(alg).jwk());
    jwk.as_object_mut().unwrap().remove("alg");
    RecipientKey::select(&json!({"keys": [jwk]}), alg).unwrap()
}

fn encrypted(alg: KeyManagement, enc: ContentEncryption) -> String {
    encrypt(CONTENT, alg, enc, &recipient(alg), Some("JWT")).unwrap()
}

fn pairs() -> impl Iterator<Item = (KeyManagement, ContentEncryption)> {
    let both = |&alg| ContentEncryption::ALL.iter().map(move |&enc| (alg, enc));
    KeyManagement::ALL.iter().flat_map(both)
}

#[test]
fn what_is_encrypted_for_a_key_opens_with_it_and_with_no_other() {
    for (alg, enc) in pairs() {
        let token = encrypted(alg, enc);
        assert!(is_encrypted(&token) && !token.contains('='));
        let header = from_base64url(token.split('.').next().unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        assert_eq!((&header["alg"], &header["enc"]), (&json!(alg.as_str()), &json!(enc.as_str())));
        assert_eq!((&header["cty"], &header["kid"]), (&json!("JWT"), &json!(key_for(alg).kid())));
        assert_eq!(decrypt(&token, key_for(alg)).as_deref(), Ok(CONTENT), "{alg:?} {enc:?}");
        for wrong in keys().iter().filter(|key| key.kid() != key_for(alg).kid()) {
            assert_eq!(decrypt(&token, wrong), Err(DecryptionError));
        }
        assert_ne!(token, encrypted(alg, enc), "every encryption is another");
    }
}

#[test]
fn a_change_in_any_segment_is_refused_with_the_same_error() {
    for (alg, enc) in pairs() {
        let token = encrypted(alg, enc);
        let pieces: Vec<&str> = token.split('.').collect();
        for (at, piece) in pieces.iter().enumerate() {
            let mut changes = vec![String::new(), format!("{piece}="), format!("{piece}A")];
            let mut bytes = from_base64url(piece).unwrap();
            for place in [0, bytes.len() / 2, bytes.len().saturating_sub(1)] {
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= 1;
                    changes.push(base64url(&bytes));
                    bytes[place] ^= 1;
                }
            }
            for change in changes.iter().filter(|change| change.as_str() != *piece) {
                let mut pieces = pieces.clone();
                pieces[at] = change;
                let refused = decrypt(&pieces.join("."), key_for(alg));
                assert_eq!(refused, Err(DecryptionError), "{alg:?} {enc:?} {at}");
            }
        }
    }
}

#[test]
fn headers_that_ask_for_more_and_shapes_that_are_none_are_refused() {
    let alg = KeyManagement::EcdhEs;
    let enc = ContentEncryption::A128Gcm;
    let key = key_for(alg);
    // Made from scratch, so that only what is said about the header can be the reason.
    let made = |more: Value| {
        let ephemeral = PrivateKey::generate(&ECDH_P256).unwrap();
        let own = match &key.private {
            Private::P256(own) => own.compute_public_key().unwrap(),
            Private::Rsa(..) => unreachable!("it was made for ECDH-ES"),
        };
        let agreed =
            derive_key(&ephemeral, own.as_ref(), (alg, enc), &PartyInfo::default()).unwrap();
        let public = ephemeral.compute_public_key().unwrap();
        let (x, y) = (base64url(&public.as_ref()[1..33]), base64url(&public.as_ref()[33..]));
        let mut header = json!({"alg": "ECDH-ES", "enc": "A128GCM",
            "epk": {"kty": "EC", "crv": "P-256", "x": x, "y": y}});
        for (name, value) in more.as_object().unwrap() {
            header[name] = value.clone();
        }
        let header = base64url(header.to_string().as_bytes());
        let it = content_encryption::encrypt(enc, &agreed, header.as_bytes(), CONTENT).unwrap();
        let pieces = [&[][..], &it.iv, &it.ciphertext, &it.tag].map(base64url).join(".");
        decrypt(&format!("{header}.{pieces}"), key)
    };
    assert_eq!(made(json!({"extra": 1})).as_deref(), Ok(CONTENT));
    for more in [
        json!({"zip": "DEF"}),
        json!({"crit": ["exp"]}),
        json!({"jwk": {}}),
        json!({"kid": "another"}),
        json!({"kid": 5}),
        json!({"alg": "dir"}),
        json!({"alg": "RSA1_5"}),
        json!({"alg": "RSA-OAEP-256"}),
        json!({"enc": "A128CBC-HS256"}),
        json!({"enc": "A192GCM"}),
        json!({"enc": null}),
        json!({"epk": {"kty": "EC", "crv": "P-384", "x": "", "y": ""}}),
        json!({"apu": "QWxpY2U"}),
        json!({"apu": "*"}),
    ] {
        assert_eq!(made(more.clone()), Err(DecryptionError), "{more}");
    }
    let good = encrypted(alg, enc);
    let signed = std::str::from_utf8(CONTENT).unwrap().to_owned();
    let long = format!("{}{good}", "A".repeat(MAX_JWE_LEN));
    for bad in [String::new(), ".".repeat(60_000), "....".into(), format!("{good}."), signed, long]
    {
        assert_eq!(decrypt(&bad, key), Err(DecryptionError), "{bad:.40}");
    }
}

#[test]
fn a_recipient_key_is_the_one_meant_for_encryption_that_does_the_algorithm() {
    let [rsa, ec] = keys();
    let jwk = |key: &DecryptionKey, kid: &str, usage: Option<&str>, alg: Option<&str>| {
        let mut jwk = json!(key.jwk());
        let members = jwk.as_object_mut().unwrap();
        members.insert("kid".into(), kid.into());
        for (name, value) in [("use", usage), ("alg", alg)] {
            members.remove(name);
            members.extend(value.map(|value| (name.to_owned(), value.into())));
        }
        jwk
    };
    let chosen = |keys: &[Value], alg| {
        RecipientKey::select(&json!({"keys": keys}), alg).and_then(|key| key.kid)
    };
    let set = [
        jwk(rsa, "signs", Some("sig"), None),
        jwk(rsa, "either", None, None),
        jwk(rsa, "signs-only", None, Some("RS256")),
        jwk(ec, "curve", Some("enc"), None),
        jwk(rsa, "meant", Some("enc"), Some("RSA-OAEP-256")),
    ];
    assert_eq!(chosen(&set, KeyManagement::RsaOaep256).as_deref(), Some("meant"));
    assert_eq!(chosen(&set, KeyManagement::EcdhEsA256Kw).as_deref(), Some("curve"));
    assert_eq!(chosen(&set[..3], KeyManagement::RsaOaep256).as_deref(), Some("either"));
    assert_eq!(chosen(&set[..1], KeyManagement::RsaOaep256), None);
    assert_eq!(chosen(&set[..3], KeyManagement::EcdhEs), None);
    assert_eq!(
        chosen(&[json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"})], KeyManagement::RsaOaep256),
        None
    );
    assert!(RecipientKey::select(&json!(5), KeyManagement::EcdhEs).is_none());
}

#[test]
fn a_decryption_key_comes_back_from_what_is_kept_of_it() {
    for (key, alg) in keys().iter().zip([KeyManagement::RsaOaep256, KeyManagement::EcdhEs]) {
        let back = DecryptionKey::from_pkcs8(alg, &key.to_pkcs8().unwrap()).unwrap();
        assert_eq!(back.jwk(), key.jwk());
        assert_eq!((key.jwk().r#use, key.jwk().alg), ("enc", alg.as_str()));
        assert_eq!(
            decrypt(&encrypted(alg, ContentEncryption::A256Gcm), &back).as_deref(),
            Ok(CONTENT)
        );
    }
    assert_eq!(
        DecryptionKey::from_pkcs8(KeyManagement::EcdhEs, b"x").unwrap_err(),
        KeyError::Malformed
    );
}
