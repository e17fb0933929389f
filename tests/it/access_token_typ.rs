//! Access tokens that say `JWT`, for APIs whose library takes no `at+jwt`: served as any other, and never taken
//! for an ID token, nor an ID token for one.

use std::collections::BTreeSet;

use latchkey::domain::clients::ClientSettings;
use latchkey::domain::users;
use latchkey::infra::secret::from_base64url;
use latchkey::operations::scopes;
use latchkey::protocol::AccessTokenTyp;
use serde_json::{Value, json};

use crate::support::browser::AuthorizationResponse;
use crate::support::relying_party::RelyingParty;
use crate::support::test_server::{TestServer, on_every_store};

on_every_store![
    a_token_that_says_jwt_is_served_as_any_other,
    neither_an_id_token_nor_an_access_token_passes_for_the_other,
];

const ITSELF: (&str, &str) = ("grant_type", "client_credentials");

async fn api(server: &TestServer, name: &str, typ: Option<AccessTokenTyp>) -> RelyingParty {
    let settings = ClientSettings {
        access_token_typ: typ,
        audience: vec!["https://api.example".to_owned()],
        claims_in_id_token: true,
        ..ClientSettings::default()
    };
    let metadata = json!({"scope": "openid email offline_access badge reports",
        "userinfo_signed_response_alg": "RS256"});
    server.relying_party_with(name, &metadata, settings).await
}

/// Header and claims.
fn read(token: &str) -> [Value; 2] {
    let pieces: Vec<_> = token.split('.').collect();
    let part = |at: usize| from_base64url(pieces[at]).expect("base64url");
    [0, 1].map(|at| serde_json::from_slice(&part(at)).expect("JSON"))
}

fn access(body: &Value) -> &str {
    body["access_token"].as_str().expect("an access token")
}

async fn a_token_that_says_jwt_is_served_as_any_other(server: TestServer) {
    use AccessTokenTyp::{AtJwt, Jwt};
    for (name, typ, says) in
        [("old", None, "at+jwt"), ("new", Some(AtJwt), "at+jwt"), ("spring", Some(Jwt), "JWT")]
    {
        let client = api(&server, name, typ).await;
        let tokens = client.sign_in(&server.browser("ada"), "openid email offline_access").await;
        let next = client.refresh(tokens.refresh()).await.success_json();
        let itself = client.post("/token", &[ITSELF, ("scope", "reports")]).await.success_json();
        for token in [tokens.access(), access(&next), access(&itself)] {
            let [header, claims] = read(token);
            assert_eq!(header["typ"], says, "{name}");
            let marked = (says == "JWT").then(|| json!("access"));
            assert_eq!(claims.get("token_use"), marked.as_ref(), "{name}");
            assert_eq!(client.introspect(token).await["active"], true, "{name}");
        }
        for token in [tokens.access(), access(&next)] {
            assert_eq!(server.userinfo(token).await.status, 200, "{name}");
        }
        for token in [tokens.access(), access(&itself)] {
            client.revoke(token).await;
            assert_eq!(client.introspect(token).await, json!({"active": false}), "{name}");
        }
        assert_eq!(server.userinfo(tokens.access()).await.status, 401, "{name}");
        assert_eq!(server.userinfo(access(&next)).await.status, 200, "{name}: one of them");
    }
}

async fn neither_an_id_token_nor_an_access_token_passes_for_the_other(server: TestServer) {
    // A record that no release writes, with everything in it that an access token is known by.
    let forged = ["token_use", "client_id", "jti", "scope", "exp"];
    let claims: Vec<String> = forged.iter().map(|it| (*it).to_owned()).collect();
    let scope = "badge".to_owned();
    server.run_operation(scopes::Add { scope, description: None, claims, advertised: None }).await;
    latchkey::server::maintenance::refresh_catalogues(server.app()).await.expect("a store");
    let shop = api(&server, "shop", Some(AccessTokenTyp::Jwt)).await;
    let ada = server.browser("ada");
    let real = shop.sign_in(&ada, "openid email offline_access").await;
    let [_, of_access] = read(real.access());
    let sub = server.user("ada").await.sub;
    let step = |user: &mut users::User| {
        for name in forged {
            user.claims.insert(name.to_owned(), of_access[name].clone());
        }
    };
    users::update(server.store(), &sub, step).await.expect("a store").expect("ada");

    let tokens = shop.sign_in(&ada, "openid email badge offline_access").await;
    let userinfo = server.userinfo(tokens.access()).await;
    assert_eq!(userinfo.status, 200);
    let signed = userinfo.body;
    for token in [tokens.id(), &signed] {
        let [header, claims] = read(token);
        assert_eq!(header["typ"], "JWT");
        let held: BTreeSet<_> = claims.as_object().expect("claims").keys().collect();
        for name in ["token_use", "client_id", "jti", "scope"] {
            assert!(!held.contains(&name.to_owned()), "{name} in {claims}");
        }
        assert_eq!(server.userinfo(token).await.status, 401);
        assert_eq!(shop.introspect(token).await, json!({"active": false}));
        shop.revoke(token).await;
    }
    assert_eq!(shop.introspect(real.access()).await["active"], true, "nothing was revoked");

    // As a hint, it is not known whose it is.
    let silent = |hint: &str| {
        shop.authorization_request("openid email")
            .with("prompt", "none")
            .with("id_token_hint", hint)
    };
    let landed = AuthorizationResponse::from_redirect(&ada.get(&silent(tokens.id()).url()).await);
    assert!(!landed.code().is_empty(), "an ID token is a hint");
    for hint in [tokens.access(), &signed] {
        let landed = AuthorizationResponse::from_redirect(&ada.get(&silent(hint).url()).await);
        assert_eq!(landed.error(), "invalid_request");
    }
    let logout = |hint: &str| server.url(&format!("/logout?id_token_hint={hint}"));
    for hint in [tokens.access(), &signed] {
        let page = ada.open(&logout(hint)).await;
        assert!(page.has_element("#logout-confirm"), "whose sign-out it is has to be asked");
    }
}
