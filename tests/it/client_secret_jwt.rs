//! Clients that prove themselves with a MAC (OpenID Connect Core §9), where the operator allows it.

use hmac::{Hmac, Mac};
use latchkey::domain::clients::{self, ClientId};
use latchkey::infra::secret::{Secret, base64url};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::http::{self, HttpResponse};
use crate::support::test_server::{SECRET_KEY, TestServer, on_every_store};

on_every_store! {
    &[("CLIENT_SECRET_JWT", "true")];
    a_mac_with_the_secret_is_good_once_and_only_as_it_was_registered,
    the_secret_is_kept_encrypted_and_goes_along_to_a_new_key,
    an_update_makes_a_readable_secret_where_there_is_none,
    where_it_is_turned_off_it_is_neither_offered_nor_believed,
}

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

async fn registers(server: &TestServer, more: Value) -> HttpResponse {
    let mut metadata = json!({"redirect_uris": ["https://shop.example/cb"],
        "grant_types": ["authorization_code", "client_credentials"], "scope": "openid",
        "token_endpoint_auth_method": "client_secret_jwt"});
    metadata.as_object_mut().expect("one").extend(more.as_object().expect("one").clone());
    let url = server.url("/register");
    http::send(http::json(server.http(), Method::POST, &url, &metadata)).await
}

fn text<'a>(client: &'a Value, name: &str) -> &'a str {
    client[name].as_str().unwrap_or_else(|| panic!("no {name}: {client}"))
}

fn claims(server: &TestServer, client: &Value) -> Value {
    let now = server.app().now().as_secs();
    let id = text(client, "client_id");
    json!({"iss": id, "sub": id, "aud": server.issuer(), "jti": Secret::random().reveal(),
        "iat": now, "exp": now + 60})
}

fn mac(alg: &str, secret: &str, claims: &Value) -> String {
    let piece = |json: &Value| base64url(json.to_string().as_bytes());
    let text = format!("{}.{}", piece(&json!({"alg": alg})), piece(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(text.as_bytes());
    format!("{text}.{}", base64url(&mac.finalize().into_bytes()))
}

async fn asks(server: &TestServer, assertion: &str) -> HttpResponse {
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", TYPE),
        ("client_assertion", assertion),
    ];
    http::send(http::form(server.http(), &server.url("/token"), &fields)).await
}

/// With an assertion as it should be.
async fn proves(server: &TestServer, client: &Value) -> u16 {
    asks(server, &mac("HS256", text(client, "client_secret"), &claims(server, client))).await.status
}

fn invalid_client() -> (u16, String) {
    (401, "invalid_client".to_owned())
}

async fn a_mac_with_the_secret_is_good_once_and_only_as_it_was_registered(server: TestServer) {
    let hs256 = json!({"token_endpoint_auth_signing_alg": "HS256"});
    let shop = registers(&server, hs256).await.success_json();
    let kiosk = registers(&server, json!({})).await.success_json();
    let (id, secret) = (text(&shop, "client_id"), text(&shop, "client_secret"));
    let good = mac("HS256", secret, &claims(&server, &shop));
    assert_eq!(asks(&server, &good).await.success_json()["token_type"], "Bearer");
    assert_eq!(asks(&server, &good).await.error(), invalid_client(), "again");
    let mut lasting = claims(&server, &shop);
    lasting["exp"] = json!(server.app().now().as_secs() + 3600);
    let lasting = asks(&server, &mac("HS256", secret, &lasting)).await;
    assert_eq!(lasting.success_json()["token_type"], "Bearer", "its life is cut, not refused");
    for (member, value) in [
        ("aud", json!("https://elsewhere.example")),
        ("exp", json!(server.app().now().as_secs() - 60)),
        ("jti", Value::Null),
        ("iss", kiosk["client_id"].clone()),
    ] {
        let mut claims = claims(&server, &shop);
        claims[member] = value.clone();
        let refused = asks(&server, &mac("HS256", secret, &claims)).await;
        assert_eq!(refused.error(), invalid_client(), "{member}={value}");
    }
    for (alg, key) in [
        ("HS256", text(&kiosk, "client_secret")),
        ("HS512", secret),
        ("RS256", secret),
        ("none", secret),
        ("HS256", ""),
    ] {
        let forged = mac(alg, key, &claims(&server, &shop));
        assert_eq!(asks(&server, &forged).await.error(), invalid_client(), "{alg}");
    }
    let shown = server.client_with_secret(id, secret);
    let grant = ("grant_type", "client_credentials");
    assert_eq!(shown.post("/token", &[grant]).await.error(), invalid_client(), "in the header");
    let fields = [grant, ("client_id", id), ("client_secret", secret)];
    let posted = http::send(shown.form("/token", &fields)).await;
    assert_eq!(posted.error(), invalid_client(), "in the form");
    for (method, alg) in [
        ("client_secret_jwt", "RS256"),
        ("client_secret_basic", "HS256"),
        ("private_key_jwt", "HS256"),
    ] {
        let keys = json!({"keys": [{"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}]});
        let mixed = json!({"token_endpoint_auth_method": method, "jwks": keys,
            "token_endpoint_auth_signing_alg": alg});
        assert_eq!(registers(&server, mixed).await.error().0, 400, "{method} {alg}");
    }
}

async fn the_secret_is_kept_encrypted_and_goes_along_to_a_new_key(server: TestServer) {
    let shop = registers(&server, json!({})).await.success_json();
    let id = ClientId::parse(text(&shop, "client_id")).expect("an id");
    let held = clients::find(server.store(), &id).await.expect("a store").expect("a client");
    let stored = serde_json::to_string(&held).expect("JSON");
    assert!(!stored.contains(text(&shop, "client_secret")));

    let next = "another-secret-key-another-secret-key-another";
    let on = ("CLIENT_SECRET_JWT", "true");
    let alone = [on, ("SECRET_KEY", next)];
    let both = server
        .start_another(&[on, ("SECRET_KEY", next), ("SECRET_KEY_PREVIOUS", SECRET_KEY)])
        .await;
    let lost = server.start_another(&alone).await;
    assert_eq!(proves(&lost, &shop).await, 401, "made under a key it does not know");
    assert_eq!(proves(&both, &shop).await, 200);
    assert_eq!(proves(&lost, &shop).await, 200, "it was used meanwhile");
}

async fn an_update_makes_a_readable_secret_where_there_is_none(server: TestServer) {
    let basic = json!({"token_endpoint_auth_method": "client_secret_basic"});
    let mut client = registers(&server, basic).await.success_json();
    for (method, makes_one) in
        [("client_secret_jwt", true), ("client_secret_jwt", false), ("client_secret_basic", false)]
    {
        let change = json!({"client_id": client["client_id"], "scope": "openid",
            "redirect_uris": ["https://shop.example/cb"], "token_endpoint_auth_method": method,
            "grant_types": ["authorization_code", "client_credentials"]});
        let put = http::json(
            server.http(),
            Method::PUT,
            text(&client, "registration_client_uri"),
            &change,
        );
        let answer = http::send(put.bearer_auth(text(&client, "registration_access_token"))).await;
        let next = answer.success_json();
        assert_eq!(next.get("client_secret").is_some(), makes_one, "{method}");
        let secret =
            if makes_one { next["client_secret"].clone() } else { client["client_secret"].clone() };
        client = next;
        client["client_secret"] = secret;
        let by_mac = proves(&server, &client).await;
        assert_eq!(by_mac, if method == "client_secret_jwt" { 200 } else { 401 }, "{method}");
    }
    let id = text(&client, "client_id");
    let shown = server.client_with_secret(id, text(&client, "client_secret"));
    let grant = ("grant_type", "client_credentials");
    assert_eq!(shown.post("/token", &[grant]).await.status, 200, "the same secret, the other way");
}

async fn where_it_is_turned_off_it_is_neither_offered_nor_believed(server: TestServer) {
    let shop = registers(&server, json!({})).await.success_json();
    let off = server.start_another(&[]).await;
    for (server, offered) in [(&server, true), (&off, false)] {
        let url = server.url("/.well-known/openid-configuration");
        let said = http::send(server.http().get(url)).await.success_json();
        for endpoint in ["token", "introspection", "revocation"] {
            let lists = |end: &str, word: &str| {
                let name = format!("{endpoint}_endpoint_auth_{end}_supported");
                said[name].as_array().expect("a list").contains(&json!(word))
            };
            assert_eq!(lists("methods", "client_secret_jwt"), offered, "{endpoint}");
            assert_eq!(lists("signing_alg_values", "HS256"), offered, "{endpoint}");
        }
        assert_eq!(registers(server, json!({})).await.status, if offered { 201 } else { 400 });
        assert_eq!(proves(server, &shop).await, if offered { 200 } else { 401 });
    }
}
