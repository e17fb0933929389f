//! Tokens made as the client registered to have them: userinfo as a JWT, ID tokens and userinfo encrypted
//! with a key of the client's own.

use std::sync::OnceLock;
use std::time::Duration;

use latchkey::domain::clients::ClientSettings;
use latchkey::infra::jose::{DecryptionKey, decrypt};
use latchkey::protocol::algorithms::KeyManagement;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::support::http;
use crate::support::mock_client_host::MockHost;
use crate::support::test_server::{Backend, TestServer, on_every_backend, on_every_store};

on_every_store! {
    &[("RESPONSE_TYPES", "code,id_token,code id_token")];
    userinfo_is_the_token_the_client_registered,
    an_id_token_is_encrypted_for_its_client,
    an_id_token_in_the_front_channel_is_encrypted_too,
    a_set_without_a_fitting_key_is_not_registered,
}
on_every_backend![a_key_that_cannot_be_had_costs_the_client_nothing];

/// What clients of these tests decrypt with.
fn keys() -> &'static [(&'static str, DecryptionKey)] {
    static KEYS: OnceLock<Vec<(&str, DecryptionKey)>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let make = |alg| DecryptionKey::generate_for(alg).expect("a key");
        vec![
            ("RSA-OAEP-256", make(KeyManagement::RsaOaep256)),
            ("ECDH-ES", make(KeyManagement::EcdhEs)),
            ("ECDH-ES+A256KW", make(KeyManagement::EcdhEsA256Kw)),
        ]
    })
}

fn jwks() -> Value {
    json!({"keys": keys().iter().map(|(_, key)| key.jwk()).collect::<Vec<_>>()})
}

fn opened(alg: &str, token: &str) -> String {
    let (_, key) = keys().iter().find(|(name, _)| *name == alg).expect("a key");
    String::from_utf8(decrypt(token, key).expect("for this key")).expect("text")
}

/// The claims, if the server signed them.
fn signed(server: &TestServer, token: &str) -> Map<String, Value> {
    server.app().keys.verify(token, "JWT").expect("a signature of the server")
}

async fn userinfo_is_the_token_the_client_registered(server: TestServer) {
    for (at, (alg, enc)) in [
        (None, None),
        (Some("RSA-OAEP-256"), "A256GCM".into()),
        (Some("ECDH-ES"), "A128GCM".into()),
    ]
    .into_iter()
    .enumerate()
    {
        for signs in [true, false] {
            if !signs && alg.is_none() {
                continue;
            }
            let alg_of_signature = signs.then_some("RS256");
            let members = json!({"jwks": jwks(), "userinfo_signed_response_alg": alg_of_signature,
                "userinfo_encrypted_response_alg": alg, "userinfo_encrypted_response_enc": enc});
            let name = format!("shop-{at}-{signs}");
            let shop = server.relying_party_with(&name, &members, ClientSettings::default()).await;
            let request = shop.authorization_request("openid email").with("nonce", "n-1");
            let code = server.browser("ada").authorize(&request.url()).await.code();
            let tokens = shop.redeem(&code, &request).await.success_json();
            let token = tokens["access_token"].as_str().expect("a token");
            let answer = server.userinfo(token).await;
            assert_eq!(answer.header("content-type"), Some("application/jwt"), "{members}");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            let content = alg.map_or_else(|| answer.body.clone(), |alg| opened(alg, &answer.body));
            let claims = if signs {
                signed(&server, &content)
            } else {
                serde_json::from_str(&content).expect("claims")
            };
            assert_eq!(
                (&claims["sub"], &claims["email"]),
                (&json!("sub-of-ada"), &json!("ada@ada.example"))
            );
            let envelope = signs.then(|| (json!(server.issuer()), json!(name)));
            let found = claims.get("iss").cloned().zip(claims.get("aud").cloned());

            assert_eq!((found, claims.get("nonce")), (envelope, None));
            if signs {
                let hinted = shop.authorization_request("openid").with("id_token_hint", &content);
                let landing = server.browser("ada").authorize(&hinted.url()).await;
                assert_eq!(landing.error(), "invalid_request", "it is not an ID token");
            }
        }
    }
}

async fn an_id_token_is_encrypted_for_its_client(server: TestServer) {
    for (alg, enc) in [("RSA-OAEP-256", "A128GCM"), ("ECDH-ES+A256KW", "A256GCM")] {
        let members = json!({"jwks": jwks(), "id_token_encrypted_response_alg": alg,
            "id_token_encrypted_response_enc": enc});
        let name = format!("shop-{}", alg.len());
        let shop = server.relying_party_with(&name, &members, ClientSettings::default()).await;
        let ada = server.browser("ada");
        let tokens = shop.sign_in(&ada, "openid").await;
        let inner = opened(alg, tokens.id());
        assert_eq!(signed(&server, &inner)["aud"], *name);
        let next = shop.refresh(tokens.refresh()).await.success_json();
        let next = opened(alg, next["id_token"].as_str().expect("an ID token"));
        assert_eq!(signed(&server, &next)["sub"], "sub-of-ada");

        // The client reads it before it sends it back as a hint: we could not.
        let silent = shop.authorization_request("openid").with("prompt", "none");
        let landing = ada.authorize(&silent.clone().with("id_token_hint", &inner).url()).await;
        assert!(landing.param("code").is_some(), "{landing:?}");
        let landing = ada.authorize(&silent.with("id_token_hint", tokens.id()).url()).await;
        assert_eq!(landing.error(), "invalid_request");
    }
}

async fn an_id_token_in_the_front_channel_is_encrypted_too(server: TestServer) {
    let members = json!({"jwks": jwks(), "id_token_encrypted_response_alg": "ECDH-ES",
        "id_token_encrypted_response_enc": "A256GCM",
        "response_types": ["code", "id_token", "code id_token"],
        "grant_types": ["authorization_code", "implicit"]});
    let shop = server.relying_party_with("shop", &members, ClientSettings::default()).await;
    for response in ["id_token", "code id_token"] {
        let request = shop
            .authorization_request("openid")
            .with("response_type", response)
            .with("nonce", "n-1");
        let landing = server.browser("ada").authorize(&request.url()).await;
        let inner = opened("ECDH-ES", &landing.param("id_token").expect("an ID token"));
        assert_eq!(signed(&server, &inner)["nonce"], "n-1", "{response}");
    }
    // Its keys change, and the answer says that they will not do.
    let id = latchkey::domain::clients::ClientId::parse("shop").expect("an id");
    let gone = json!({"keys": [jwks()["keys"][0]]});
    let update = latchkey::domain::clients::update(server.store(), &id, |client| {
        client.metadata.jwks = Some(gone.clone());
    });
    update.await.expect("a store").expect("a client");
    let ada = server.browser("ada");
    for _ in 0..2 {
        let request = shop
            .authorization_request("openid")
            .with("response_type", "id_token")
            .with("nonce", "n-1");
        let landing = ada.authorize(&request.url()).await;
        assert_eq!(landing.error(), "server_error", "at once and after the pages");
        assert_eq!(landing.param("state").as_deref(), Some("s t&a=te"));
    }
}

async fn a_set_without_a_fitting_key_is_not_registered(server: TestServer) {
    let one = json!({"keys": [jwks()["keys"][0]]});
    for (alg, status) in [("RSA-OAEP-256", 201), ("ECDH-ES", 400)] {
        for kind in ["id_token", "userinfo"] {
            let mut metadata = json!({"redirect_uris": ["https://shop.example/cb"], "jwks": one});
            metadata[format!("{kind}_encrypted_response_alg")] = alg.into();
            metadata[format!("{kind}_encrypted_response_enc")] = "A256GCM".into();
            let url = server.url("/register");
            let answer = http::send(http::json(server.http(), Method::POST, &url, &metadata)).await;
            assert_eq!(answer.status, status, "{answer:?}");
            if status == 400 {
                assert_eq!(answer.error().1, "invalid_client_metadata");
            }
        }
    }
    let url = server.url("/.well-known/openid-configuration");
    let said = http::send(server.http().get(url)).await.success_json();
    let lists = |name: &str, value: &str| {
        said[name].as_array().is_some_and(|all| all.contains(&json!(value)))
    };
    assert!(lists("userinfo_signing_alg_values_supported", "RS256"));
    for kind in ["id_token", "userinfo"] {
        assert!(lists(&format!("{kind}_encryption_alg_values_supported"), "RSA-OAEP-256"));
        assert!(lists(&format!("{kind}_encryption_enc_values_supported"), "A256GCM"));
    }
    assert_eq!(said["subject_types_supported"], json!(["public", "pairwise"]));
}

async fn a_key_that_cannot_be_had_costs_the_client_nothing(backing: Backend) {
    let elsewhere = MockHost::start().await;
    let outgoing = [
        ("OUTGOING_CA_FILE", &*elsewhere.ca),
        ("OUTGOING_ALLOW_PRIVATE", "localhost"),
        ("SESSION_IDLE_LIFETIME", "12h"),
    ];
    let server = TestServer::start_with(backing, &outgoing).await;
    let members = json!({"jwks_uri": elsewhere.uri, "userinfo_encrypted_response_alg": "ECDH-ES",
        "userinfo_encrypted_response_enc": "A256GCM", "id_token_encrypted_response_alg": "ECDH-ES",
        "id_token_encrypted_response_enc": "A256GCM"});
    let settings = ClientSettings { code_lifetime: Some(600), ..ClientSettings::default() };
    let shop = server.relying_party_with("shop", &members, settings).await;
    let request = shop.authorization_request("openid");
    let code = server.browser("ada").authorize(&request.url()).await.code();
    let refused = (400, "invalid_client_metadata".to_owned());
    let minute = Duration::from_secs(60);
    for said in [None, Some(json!({"keys": [jwks()["keys"][0]]}))] {
        elsewhere.serve_json(said);
        assert_eq!(shop.redeem(&code, &request).await.error(), refused);
        server.advance_time(minute);
    }
    elsewhere.serve_json(Some(jwks()));
    let tokens = shop.redeem(&code, &request).await.success_json();
    let (access, refresh) = (&tokens["access_token"], tokens["refresh_token"].as_str());
    let refresh = refresh.expect("a refresh token");

    // The client changes its keys for ones of the wrong kind, and back again.
    elsewhere.serve_json(Some(json!({"keys": [jwks()["keys"][0]]})));
    server.advance_time(Duration::from_secs(3600));
    assert_eq!(shop.refresh(refresh).await.error(), refused);
    elsewhere.serve_json(Some(jwks()));
    server.advance_time(minute);
    let next = shop.refresh(refresh).await.success_json();
    let token = next["access_token"].as_str().expect("an access token");
    assert_ne!(next["access_token"], *access);
    assert_eq!(server.userinfo(token).await.header("content-type"), Some("application/jwt"));
}
