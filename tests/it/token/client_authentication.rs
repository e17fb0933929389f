use latchkey::domain::clients::{self, ClientId, ClientSettings};
use latchkey::protocol::AuthMethod;
use serde_json::json;

use crate::logs::logged;
use crate::support::http;
use crate::support::test_server::{Backend, TestServer, on_every_store};

on_every_store![
    a_secret_with_every_kind_of_character_opens_by_header_and_by_form,
    one_method_at_a_time_and_the_registered_one,
    a_client_of_several_methods_uses_any_of_them_one_at_a_time_at_every_endpoint,
    a_wrong_secret_is_challenged_where_a_header_was_sent,
    parameters_come_in_a_form_and_nowhere_else,
    a_client_acts_for_itself_without_a_person,
    a_public_client_shows_its_id_and_no_secret,
    an_id_that_is_encoded_throughout_is_the_same_id,
];

const ITSELF: (&str, &str) = ("grant_type", "client_credentials");

async fn a_secret_with_every_kind_of_character_opens_by_header_and_by_form(server: TestServer) {
    let by_header = server.relying_party("shop").await;
    let method = json!({"token_endpoint_auth_method": "client_secret_post"});
    let by_form = server.relying_party_with("kiosk", &method, ClientSettings::default()).await;
    for client in [by_header, by_form] {
        let tokens = client.sign_in(&server.browser("ada"), "openid").await;
        assert_eq!(tokens.body["token_type"], "Bearer", "{}", client.id);
    }
}

async fn one_method_at_a_time_and_the_registered_one(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let refused = (401, "invalid_client".to_owned());
    let both = [ITSELF, ("client_id", "shop"), ("client_secret", &*shop.secret)];
    let answer = http::send(shop.with_basic_auth(shop.form("/token", &both))).await;
    assert_eq!(answer.error(), refused, "two methods");
    assert_eq!(http::send(shop.form("/token", &both)).await.error(), refused, "another method");
    let nobody = http::send(shop.form("/token", &[ITSELF])).await;
    assert_eq!(nobody.error(), refused, "no method");
    let other = [ITSELF, ("client_id", "thief")];
    let answer = http::send(shop.with_basic_auth(shop.form("/token", &other))).await;
    assert_eq!(answer.error(), refused, "two clients");
}

/// Libraries that redeem the code by header and refresh, introspect and revoke by form are common.
async fn a_client_of_several_methods_uses_any_of_them_one_at_a_time_at_every_endpoint(
    server: TestServer,
) {
    // An operator who names none means these two.
    let unsaid = json!({"token_endpoint_auth_method": null});
    let shop = server.relying_party_with("shop", &unsaid, ClientSettings::default()).await;
    let kept = clients::find(server.store(), &ClientId::parse("shop").unwrap()).await.unwrap();
    let methods = kept.expect("a client").metadata.auth_methods().to_vec();
    assert_eq!(methods, [AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost]);
    let tokens = shop.sign_in(&server.browser("ada"), "openid").await;
    let refused = (401, "invalid_client".to_owned());
    for (path, fields) in [
        ("/token", vec![ITSELF]),
        ("/token", vec![("grant_type", "refresh_token"), ("refresh_token", tokens.refresh())]),
        ("/introspect", vec![("token", tokens.access())]),
        ("/revoke", vec![("token", "nothing")]),
    ] {
        let form = |secret: Option<&str>| {
            let secret = secret.map(|secret| ("client_secret", secret));
            let id = ("client_id", "shop");
            shop.form(path, &fields.iter().copied().chain([id]).chain(secret).collect::<Vec<_>>())
        };
        assert_eq!(
            http::send(shop.with_basic_auth(form(None))).await.status,
            200,
            "{path} by header"
        );
        assert_eq!(http::send(form(Some(&shop.secret))).await.status, 200, "{path} by form");
        for (what, request) in [
            ("both", shop.with_basic_auth(form(Some(&shop.secret)))),
            ("a wrong secret in the form", form(Some("wrong"))),
            ("a right header beside a wrong form", shop.with_basic_auth(form(Some("wrong")))),
            ("none", form(None)),
        ] {
            assert_eq!(http::send(request).await.error(), refused, "{path}: {what}");
        }
    }
}

/// Which methods a client is registered for is told to whoever knows its secret, and to nobody else.
#[test]
fn a_method_that_is_not_the_clients_is_named_to_its_owner_and_in_the_log() {
    let (told, log) = logged(async {
        let server = TestServer::start(Backend::Memory).await;
        let shop = server.relying_party("shop").await;
        let form = |id: &str, secret: &str| {
            shop.form("/token", &[ITSELF, ("client_id", id), ("client_secret", secret)])
        };
        let of = async |request| {
            let answer = http::send(request).await;
            assert_eq!(answer.error(), (401, "invalid_client".to_owned()));
            answer.json()["error_description"].as_str().expect("a sentence").to_owned()
        };
        [
            of(form("shop", &shop.secret)).await,
            of(form("shop", "wrong")).await,
            of(form("nobody", "wrong")).await,
            of(shop.form("/token", &[ITSELF, ("client_id", "shop")])).await,
            of(shop.form("/token", &[ITSELF, ("client_id", "nobody")])).await,
        ]
    });
    let plain = "client authentication failed: client_secret_post was used";
    let named = format!("{plain}, and the client is registered for client_secret_basic");
    let none = "client authentication failed: none was used";
    assert_eq!(told, [&*named, plain, plain, none, none]);
    let lines = log.lines().filter(|line| line.contains("hint=\"it used "));
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, used) in lines.iter().zip(["client_secret_post", "client_secret_post", "none"]) {
        let used = format!("it used {used}, and is registered for client_secret_basic");
        assert!(line.contains(&used), "{line}");
    }
}

async fn a_wrong_secret_is_challenged_where_a_header_was_sent(server: TestServer) {
    let shop = server.relying_party("shop").await;
    for (id, secret) in [("shop", "wrong"), ("nobody", "wrong")] {
        let request = shop.form("/token", &[ITSELF]).basic_auth(id, Some(secret));
        let answer = http::send(request).await;
        assert_eq!(answer.error(), (401, "invalid_client".to_owned()));
        assert!(answer.header("www-authenticate").unwrap().starts_with("Basic realm="));
    }
}

async fn parameters_come_in_a_form_and_nowhere_else(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let refused = (400, "invalid_request".to_owned());
    let in_query = shop.form("/token?grant_type=client_credentials", &[ITSELF]);
    assert_eq!(http::send(shop.with_basic_auth(in_query)).await.error(), refused);
    let body = json!({"grant_type": "client_credentials"});
    let url = server.url("/token");
    let as_json = http::json(server.http(), reqwest::Method::POST, &url, &body);
    assert_eq!(http::send(shop.with_basic_auth(as_json)).await.error(), refused);
    assert_eq!(shop.post("/token", &[ITSELF, ITSELF]).await.error(), refused, "repeated");
    assert_eq!(shop.post("/token", &[]).await.error(), refused, "no grant type");
    let unknown = shop.post("/token", &[("grant_type", "password")]).await;
    assert_eq!(unknown.error(), (400, "unsupported_grant_type".to_owned()));
    let got = http::send(shop.with_basic_auth(server.http().get(url))).await;
    assert_eq!((got.status, got.header("allow")), (405, Some("POST")));
}

async fn a_client_acts_for_itself_without_a_person(server: TestServer) {
    let metadata = json!({"scope": "openid reports.read reports.write"});
    let robot = server.relying_party_with("robot", &metadata, ClientSettings::default()).await;
    let body = robot.post("/token", &[ITSELF, ("scope", "reports.read")]).await.success_json();
    assert_eq!((&body["scope"], body.get("refresh_token")), (&"reports.read".into(), None));
    assert_eq!(body.get("id_token"), None);
    let token = body["access_token"].as_str().unwrap();
    assert_eq!(robot.introspect(token).await["active"], true);
    assert!(matches!(server.userinfo(token).await.status, 401 | 403));
    for scope in ["openid", "admin"] {
        let refused = robot.post("/token", &[ITSELF, ("scope", scope)]).await;
        assert_eq!(refused.error(), (400, "invalid_scope".to_owned()), "{scope}");
    }
    let grants = json!({"grant_types": ["authorization_code"]});
    let shop = server.relying_party_with("shop", &grants, ClientSettings::default()).await;
    let refused = shop.post("/token", &[ITSELF]).await;
    assert_eq!(refused.error(), (400, "unauthorized_client".to_owned()));
}

async fn a_public_client_shows_its_id_and_no_secret(server: TestServer) {
    let public = json!({
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
    });
    let app = server.relying_party_with("phone", &public, ClientSettings::default()).await;
    let request = app.authorization_request("openid");
    let code = server.browser("ada").authorize(&request.url()).await.code();
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", "phone"),
        ("code", &*code),
        ("redirect_uri", &*app.redirect_uri),
        ("code_verifier", &*request.verifier),
    ];
    let with_secret = app.post("/token", &fields[..1]).await;
    assert_eq!(with_secret.error(), (401, "invalid_client".to_owned()));
    assert_eq!(http::send(app.form("/token", &fields)).await.status, 200);
}

/// Some libraries encode each character that is no letter or digit, the hyphens of a UUID among them.
async fn an_id_that_is_encoded_throughout_is_the_same_id(server: TestServer) {
    let metadata = json!({"redirect_uris": ["https://robot.example/cb"]});
    let id = "3f1c9d2e-42aa_4c1b.9a07~1";
    let robot = server.relying_party_with(id, &metadata, ClientSettings::default()).await;
    let throughout = |text: &str| {
        let encode = |byte: u8| match byte {
            _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        };
        text.bytes().map(encode).collect::<String>()
    };
    let encoded = throughout(&robot.id);
    assert_eq!(encoded, "3f1c9d2e%2D42aa%5F4c1b%2E9a07%7E1");
    let secret = throughout(&robot.secret);
    let request = robot.form("/token", &[ITSELF]).basic_auth(encoded, Some(secret));
    let tokens = http::send(request).await.success_json();
    let said = robot.introspect(tokens["access_token"].as_str().unwrap()).await;
    assert_eq!(said["client_id"], id);
}
