//! Software statements (RFC 7591 §2.3): what somebody the operator trusts says of a client.

use std::sync::OnceLock;

use latchkey::infra::jose::SigningKey;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::http::{self, HttpResponse};
use crate::support::mock_client_host::MockHost;
use crate::support::test_server::{Backend, TestServer, on_every_backend};

on_every_backend![
    what_a_statement_says_wins_and_the_statement_is_given_back,
    a_statement_that_is_not_believed_registers_nobody,
    a_client_somebody_vouched_for_cannot_go_on_without_it,
    another_statement_vouches_for_the_same_software_and_for_no_less,
];

const TRUST: &str = "https://trust.example";

/// The key of whom the server believes, and a stranger's.
fn keys() -> &'static [SigningKey; 2] {
    static KEYS: OnceLock<[SigningKey; 2]> = OnceLock::new();
    KEYS.get_or_init(|| [(); 2].map(|()| SigningKey::generate().expect("a key").0))
}

/// A server that believes one issuer by the keys in a file, and another by those at an address.
struct Trusting {
    server: TestServer,
    elsewhere: MockHost,
    _folder: tempfile::TempDir,
}

impl Trusting {
    async fn start(backing: Backend) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("trust.json");
        let jwks = json!({"keys": [keys()[0].jwk()]});
        std::fs::write(&path, jwks.to_string()).expect("written");
        let elsewhere = MockHost::start().await;
        elsewhere.serve_json(Some(jwks));
        let (path, uri) = (path.display(), &elsewhere.uri);
        let issuers = format!("{TRUST}={path},https://far.example={uri}");
        let variables = [
            ("SOFTWARE_STATEMENT_ISSUERS", &*issuers),
            ("OUTGOING_CA_FILE", &*elsewhere.ca),
            ("OUTGOING_ALLOW_PRIVATE", "localhost"),
        ];
        let server = TestServer::start_with(backing, &variables).await;
        Self { server, elsewhere, _folder: folder }
    }
}

async fn registers(server: &TestServer, metadata: &Value) -> HttpResponse {
    let url = server.url("/register");
    http::send(http::json(server.http(), Method::POST, &url, metadata)).await
}

fn statement(claims: &Value) -> String {
    keys()[0].sign("JWT", claims).expect("a signature")
}

async fn what_a_statement_says_wins_and_the_statement_is_given_back(backing: Backend) {
    let trusting = Trusting::start(backing).await;
    let (server, elsewhere) = (&trusting.server, &trusting.elsewhere);
    for issuer in [TRUST, "https://far.example"] {
        let signed =
            statement(&json!({"iss": issuer, "software_id": "shop-9", "client_name": "Shop",
            "redirect_uris": ["https://shop.example/cb"], "client_id": "chosen", "iat": 1}));
        let metadata = json!({"client_name": "Evil", "redirect_uris": ["https://evil.example/cb"],
            "tos_uri": "https://shop.example/tos", "software_statement": signed});
        let answer = registers(server, &metadata).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let client = answer.success_json();
        assert_eq!(client["redirect_uris"], json!(["https://shop.example/cb"]));
        assert_eq!(
            (&client["client_name"], &client["software_id"]),
            (&json!("Shop"), &json!("shop-9"))
        );
        assert_eq!(
            client["tos_uri"], "https://shop.example/tos",
            "what it does not speak of stays"
        );
        assert_ne!(client["client_id"], "chosen");
        assert_eq!(client["software_statement"], *signed);
        let place = client["registration_client_uri"].as_str().expect("a URL");
        let token = client["registration_access_token"].as_str().expect("a token");
        let read = http::send(server.http().get(place).bearer_auth(token)).await.success_json();
        assert_eq!(read["software_statement"], *signed);
    }
    assert_eq!(elsewhere.request_count(), 1);
}

async fn a_statement_that_is_not_believed_registers_nobody(backing: Backend) {
    let trusting = Trusting::start(backing).await;
    let server = &trusting.server;
    let now = server.app().now().as_secs();
    let good = json!({"iss": TRUST, "redirect_uris": ["https://shop.example/cb"]});
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        json!(statement(&claims))
    };
    let forged = keys()[1].sign("JWT", &good).expect("a signature");
    let unsigned =
        format!("eyJhbGciOiJub25lIn0.{}.", statement(&good).split('.').nth(1).expect("one"));
    let (bad, stranger) = ("invalid_software_statement", "unapproved_software_statement");
    for (error, shown) in [
        (stranger, with("iss", json!("https://stranger.example"))),
        (bad, with("iss", json!(1))),
        (bad, with("exp", json!(now - 1))),
        (bad, with("exp", json!("soon"))),
        (bad, with("nbf", json!(now + 60))),
        (bad, with("aud", json!("https://elsewhere.example"))),
        (bad, json!(forged)),
        (bad, json!(unsigned)),
        (bad, json!("x")),
        (bad, json!({"iss": TRUST})),
        ("invalid_redirect_uri", with("redirect_uris", json!(["https://shop.example/#f"]))),
    ] {
        let metadata =
            json!({"redirect_uris": ["https://shop.example/cb"], "software_statement": shown});
        assert_eq!(registers(server, &metadata).await.error(), (400, error.to_owned()), "{shown}");
    }
    let fine = with("exp", json!(now + 60));
    let metadata = json!({"software_statement": fine, "redirect_uris": []});
    assert_eq!(registers(server, &metadata).await.status, 201);
    let alone = server.start_another(&[]).await;
    assert_eq!(
        registers(&alone, &metadata).await.error(),
        (400, stranger.to_owned()),
        "nobody is believed"
    );
}

async fn a_client_somebody_vouched_for_cannot_go_on_without_it(backing: Backend) {
    let trusting = Trusting::start(backing).await;
    let server = &trusting.server;
    let signed = statement(&json!({"iss": TRUST, "redirect_uris": ["https://shop.example/cb"]}));
    let client = registers(server, &json!({"software_statement": signed})).await.success_json();
    let place = client["registration_client_uri"].as_str().expect("a URL");
    let puts = async |more: Value, token: &Value| {
        let mut change = json!({"client_id": client["client_id"], "client_name": "New",
            "redirect_uris": ["https://evil.example/cb"]});
        change.as_object_mut().expect("one").extend(more.as_object().expect("one").clone());
        let put = http::json(server.http(), Method::PUT, place, &change);
        http::send(put.bearer_auth(token.as_str().expect("a token"))).await
    };
    let token = &client["registration_access_token"];
    for without in [json!({}), json!({"software_statement": null})] {
        let refused = puts(without, token).await;
        assert_eq!(refused.error(), (400, "invalid_software_statement".to_owned()));
    }
    let next = puts(json!({"software_statement": signed}), token).await.success_json();
    assert_eq!(next["redirect_uris"], json!(["https://shop.example/cb"]));
    assert_eq!(next["client_name"], "New");
}

async fn another_statement_vouches_for_the_same_software_and_for_no_less(backing: Backend) {
    let trusting = Trusting::start(backing).await;
    let server = &trusting.server;
    let full = json!({"iss": TRUST, "software_id": "shop-9", "client_name": "Shop",
        "redirect_uris": ["https://shop.example/cb"], "scope": "openid email"});
    let client =
        registers(server, &json!({"software_statement": statement(&full)})).await.success_json();
    let place = client["registration_client_uri"].as_str().expect("a URL");
    let mut token = client["registration_access_token"].clone();
    let with = |name: &str, value: Value| {
        let mut claims = full.clone();
        match value {
            Value::Null => drop(claims.as_object_mut().expect("one").remove(name)),
            value => claims[name] = value,
        }
        statement(&claims)
    };
    let moved = json!(["https://shop.example/new"]);
    for (what, next, good) in [
        ("without an address", with("redirect_uris", Value::Null), false),
        ("without a name", with("client_name", Value::Null), false),
        ("without a scope", with("scope", Value::Null), false),
        ("of other software", with("software_id", json!("game-1")), false),
        ("of no software", with("software_id", Value::Null), false),
        ("of another issuer", with("iss", json!("https://far.example")), false),
        ("with another address", with("redirect_uris", moved), true),
        ("with more", with("tos_uri", json!("https://shop.example/tos")), true),
        ("without that again", with("contacts", json!(["a@shop.example"])), false),
    ] {
        let change = json!({"client_id": client["client_id"], "client_name": "Evil",
            "redirect_uris": ["https://evil.example/cb"], "software_statement": next});
        let put = http::json(server.http(), Method::PUT, place, &change);
        let answer = http::send(put.bearer_auth(token.as_str().expect("a token"))).await;
        if good {
            let changed = answer.success_json();
            assert_eq!(changed["client_name"], "Shop", "{what}");
            token = changed["registration_access_token"].clone();
        } else {
            assert_eq!(answer.error(), (400, "invalid_software_statement".to_owned()), "{what}");
        }
    }
}
