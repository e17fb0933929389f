//! Clients that prove themselves with a signature (RFC 7523, OpenID Connect Core §9).

mod remote;

use std::sync::OnceLock;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use hmac::{Hmac, Mac};
use latchkey::domain::clients::ClientSettings;
use latchkey::infra::jose::SigningKey;
use latchkey::infra::secret::{Secret, base64url};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::http::{self, HttpResponse};
use crate::support::relying_party::RelyingParty;
use crate::support::test_server::{TestServer, on_every_store};

on_every_store![
    an_assertion_by_either_kind_of_key_is_good_once,
    an_assertion_that_says_to_live_longer_is_good_for_five_minutes,
    an_assertion_opens_introspection_and_revocation_too,
    whatever_is_wrong_with_an_assertion_the_client_is_not_believed,
    a_signature_by_another_key_or_another_algorithm_is_not_believed,
    a_client_with_a_key_cannot_fall_back_on_anything_weaker,
];

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The keys a client of these tests registers: one of each kind.
struct Keys {
    rsa: SigningKey,
    ec: EcdsaKeyPair,
}

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| Keys {
        rsa: SigningKey::generate().expect("a key").0,
        ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"),
    })
}

impl Keys {
    /// What is registered.
    fn jwks(&self) -> Value {
        // 0x04, then both coordinates.
        let point = &self.ec.public_key().as_ref()[1..];
        let (x, y) = (base64url(&point[..32]), base64url(&point[32..]));
        let ec = json!({"kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "x": x, "y": y});
        json!({"keys": [self.rsa.jwk(), ec]})
    }

    fn rs256(&self, claims: &Value) -> String {
        self.rsa.sign("JWT", claims).expect("a signature")
    }

    fn es256(&self, claims: &Value) -> String {
        joined(&json!({"alg": "ES256", "kid": "ec"}), claims, |text| {
            let signature = self.ec.sign(&SystemRandom::new(), text.as_bytes());
            signature.expect("a signature").as_ref().to_vec()
        })
    }
}

fn joined(header: &Value, claims: &Value, sign: impl FnOnce(&str) -> Vec<u8>) -> String {
    let piece = |json: &Value| base64url(json.to_string().as_bytes());
    let text = format!("{}.{}", piece(header), piece(claims));
    let signature = base64url(&sign(&text));
    format!("{text}.{signature}")
}

async fn robot(server: &TestServer) -> RelyingParty {
    let keyed = json!({
        "token_endpoint_auth_method": "private_key_jwt", "jwks": keys().jwks(),
        "scope": "openid reports",
    });
    server.relying_party_with("robot", &keyed, ClientSettings::default()).await
}

/// Claims of an assertion that is as it should be, each time with another `jti`.
fn claims(server: &TestServer) -> Value {
    let now = server.app().now().as_secs();
    json!({
        "iss": "robot", "sub": "robot", "aud": server.url("/token"),
        "jti": Secret::random().reveal(), "iat": now, "exp": now + 60,
    })
}

async fn shows(
    robot: &RelyingParty,
    path: &str,
    assertion: &str,
    more: &[(&str, &str)],
) -> HttpResponse {
    let mut fields = vec![("client_assertion_type", TYPE), ("client_assertion", assertion)];
    fields.extend(more);
    http::send(robot.form(path, &fields)).await
}

async fn asks(robot: &RelyingParty, assertion: &str) -> HttpResponse {
    shows(robot, "/token", assertion, &[("grant_type", "client_credentials")]).await
}

fn invalid_client() -> (u16, String) {
    (401, "invalid_client".to_owned())
}

async fn an_assertion_by_either_kind_of_key_is_good_once(server: TestServer) {
    let robot = robot(&server).await;
    for sign in [Keys::rs256, Keys::es256] {
        for audience in [server.url("/token"), server.issuer().to_owned()] {
            let mut claims = claims(&server);
            claims["aud"] = audience.into();
            let assertion = sign(keys(), &claims);
            assert_eq!(asks(&robot, &assertion).await.success_json()["token_type"], "Bearer");
            assert_eq!(asks(&robot, &assertion).await.error(), invalid_client(), "again");
            // Signed anew, it is still the same assertion.
            claims["exp"] = (claims["exp"].as_u64().expect("a time") + 1).into();
            assert_eq!(asks(&robot, &sign(keys(), &claims)).await.error(), invalid_client());
        }
    }
}

/// Authlib writes an hour, others a second or two beyond five minutes.
async fn an_assertion_that_says_to_live_longer_is_good_for_five_minutes(server: TestServer) {
    let robot = robot(&server).await;
    for life in [301, 3_600, 86_400] {
        let signed = || {
            let mut claims = claims(&server);
            claims["exp"] = (server.app().now().as_secs() + life).into();
            keys().es256(&claims)
        };
        let (used, late, too_late) = (signed(), signed(), signed());
        assert_eq!(asks(&robot, &used).await.status, 200, "{life}");
        server.advance_time(Duration::from_secs(309));
        assert_eq!(asks(&robot, &used).await.error(), invalid_client(), "a replay, {life}");
        assert_eq!(asks(&robot, &late).await.status, 200, "{life}");
        server.advance_time(Duration::from_secs(2));
        assert_eq!(asks(&robot, &too_late).await.error(), invalid_client(), "{life}");
    }
}

async fn an_assertion_opens_introspection_and_revocation_too(server: TestServer) {
    let robot = robot(&server).await;
    let body = asks(&robot, &keys().es256(&claims(&server))).await.success_json();
    let token = body["access_token"].as_str().expect("a token");
    let about =
        async |assertion: &str| shows(&robot, "/introspect", assertion, &[("token", token)]).await;
    let assertion = keys().rs256(&claims(&server));
    assert_eq!(about(&assertion).await.success_json()["active"], true);
    assert_eq!(about(&assertion).await.error(), invalid_client(), "once, wherever it is");
    let revoked = async |assertion: &str| {
        shows(&robot, "/revoke", assertion, &[("token", token)]).await.status
    };
    assert_eq!(revoked(&assertion).await, 401);
    assert_eq!(about(&keys().es256(&claims(&server))).await.success_json()["active"], true);
    assert_eq!(revoked(&keys().es256(&claims(&server))).await, 200);
    let after = about(&keys().es256(&claims(&server))).await;
    assert_eq!(after.success_json(), json!({"active": false}));
}

async fn whatever_is_wrong_with_an_assertion_the_client_is_not_believed(server: TestServer) {
    let robot = robot(&server).await;
    server.relying_party("other").await;
    let now = server.app().now().as_secs();
    let far = server.url("/userinfo");
    for (member, value) in [
        ("aud", json!("https://elsewhere.example")),
        ("aud", json!(far)),
        ("aud", json!([server.issuer(), "https://elsewhere.example"])),
        ("aud", Value::Null),
        ("iat", json!(now - 400)),
        ("exp", json!(now - 60)),
        ("exp", Value::Null),
        ("nbf", json!(now + 120)),
        ("iat", json!(now + 120)),
        ("jti", Value::Null),
        ("jti", json!("x".repeat(129))),
        ("iss", json!("other")),
        ("sub", json!("other")),
        ("iss", Value::Null),
        ("sub", Value::Null),
    ] {
        let mut claims = claims(&server);
        let members = claims.as_object_mut().expect("an object");
        members.remove(member);
        if !value.is_null() {
            members.insert(member.to_owned(), value.clone());
        }
        for sign in [Keys::rs256, Keys::es256] {
            let refused = asks(&robot, &sign(keys(), &claims)).await;
            assert_eq!(refused.error(), invalid_client(), "{member}={value}");
        }
    }
    let untyped = [
        ("grant_type", "client_credentials"),
        ("client_assertion", &keys().rs256(&claims(&server))),
    ];
    assert_eq!(http::send(robot.form("/token", &untyped)).await.error(), invalid_client());
    let good = keys().rs256(&claims(&server));
    let grant = ("grant_type", "client_credentials");
    let other = shows(&robot, "/token", &good, &[grant, ("client_id", "other")]).await;
    assert_eq!(other.error(), invalid_client(), "for another client");
    let named = shows(&robot, "/token", &good, &[grant, ("client_id", "robot")]).await;
    assert_eq!(named.status, 200, "no failure has used it up");
}

async fn a_signature_by_another_key_or_another_algorithm_is_not_believed(server: TestServer) {
    let robot = robot(&server).await;
    let (rsa, claims) = (&keys().rsa, claims(&server));
    let kid = rsa.kid();
    let keyed_with = |secret: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length");
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let stranger = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let by_stranger = |text: &str| {
        stranger.sign(&SystemRandom::new(), text.as_bytes()).expect("one").as_ref().to_vec()
    };
    let by_ours = |text: &str| {
        keys().ec.sign(&SystemRandom::new(), text.as_bytes()).expect("one").as_ref().to_vec()
    };
    let hs256 = json!({"alg": "HS256", "kid": kid});
    let public = serde_json::to_value(rsa.jwk()).expect("a key");
    let n = public["n"].as_str().expect("a modulus").as_bytes();
    let private = rsa.to_pkcs8().expect("a key");
    let pair = RsaKeyPair::from_pkcs8(&private).expect("a key");
    let der = pair.public_key().as_ref().to_vec();
    for (why, forged) in [
        ("unsigned", joined(&json!({"alg": "none", "kid": kid}), &claims, |_| Vec::new())),
        ("unsigned, shouted", joined(&json!({"alg": "NONE"}), &claims, |_| Vec::new())),
        ("public DER as a secret", joined(&hs256, &claims, |it| keyed_with(&der, it))),
        ("modulus as a secret", joined(&hs256, &claims, |it| keyed_with(n, it))),
        ("unknown kid", joined(&json!({"alg": "ES256", "kid": "new"}), &claims, by_ours)),
        ("kid of the other key", joined(&json!({"alg": "ES256", "kid": kid}), &claims, by_ours)),
        ("stranger", joined(&json!({"alg": "ES256", "kid": "ec"}), &claims, by_stranger)),
        ("stranger without kid", joined(&json!({"alg": "ES256"}), &claims, by_stranger)),
        (
            "its own key in the header",
            joined(&json!({"alg": "ES256", "jwk": keys().jwks()["keys"][1]}), &claims, by_ours),
        ),
        ("no JWT", "x".to_owned()),
    ] {
        assert_eq!(asks(&robot, &forged).await.error(), invalid_client(), "{why}");
    }
    // None of them was remembered: the same claims, signed well, are good.
    assert_eq!(asks(&robot, &keys().es256(&claims)).await.status, 200);
}

async fn a_client_with_a_key_cannot_fall_back_on_anything_weaker(server: TestServer) {
    let robot = robot(&server).await;
    let grant = ("grant_type", "client_credentials");
    let by_secret = server.client_with_secret("robot", &"x".repeat(43));
    assert_eq!(by_secret.post("/token", &[grant]).await.error(), invalid_client());
    let bare = http::send(robot.form("/token", &[grant, ("client_id", "robot")])).await;
    assert_eq!(bare.error(), invalid_client());
    // Nor use two ways at once.
    let assertion = keys().rs256(&claims(&server));
    let both = shows(&robot, "/token", &assertion, &[grant, ("client_secret", "x")]).await;
    assert_eq!(both.error(), invalid_client());
}
