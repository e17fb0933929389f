//! Clients that register themselves (RFC 7591), and manage what they registered (RFC 7592).

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::http::{self, HttpResponse};
use crate::support::test_server::{Backend, TestServer, on_every_store};

on_every_store![
    a_registration_answers_with_everything_a_client_needs,
    a_client_reads_replaces_and_removes_itself,
    a_wrong_token_and_an_unknown_client_answer_the_same,
    metadata_that_cannot_be_is_refused_by_name,
    a_public_client_is_given_no_secret,
    what_cannot_be_read_is_dropped_alone_and_the_answer_shows_what_is_registered,
    an_update_must_not_say_what_only_the_server_says,
    of_updates_and_removals_with_one_token_one_wins,
    a_client_that_proves_itself_cannot_become_public,
    an_update_cannot_leave_a_client_no_scope_at_all,
];

async fn registers(server: &TestServer, metadata: &Value) -> HttpResponse {
    let url = server.url("/register");
    http::send(http::json(server.http(), Method::POST, &url, metadata)).await
}

fn text<'a>(body: &'a Value, name: &str) -> &'a str {
    body[name].as_str().unwrap_or_else(|| panic!("no {name}: {body}"))
}

/// The client does it to itself, with the token and the address it was given.
async fn manages(
    server: &TestServer,
    method: Method,
    client: &Value,
    body: Option<&Value>,
) -> HttpResponse {
    let url = text(client, "registration_client_uri");
    let request = match body {
        Some(body) => http::json(server.http(), method, url, body),
        None => server.http().request(method, url),
    };
    http::send(request.bearer_auth(text(client, "registration_access_token"))).await
}

async fn a_registration_answers_with_everything_a_client_needs(server: TestServer) {
    let answer = registers(&server, &json!({"redirect_uris": ["https://new.example/cb"]})).await;
    assert_eq!((answer.status, answer.header("cache-control")), (201, Some("no-store")));
    let client = answer.json();
    assert_eq!(client["client_secret_expires_at"], 0);
    assert!(text(&client, "client_secret").len() >= 32);
    assert_eq!(client["client_id_issued_at"], server.app().now().as_secs());
    assert_eq!(client["redirect_uris"], json!(["https://new.example/cb"]));
    assert_eq!(client["token_endpoint_auth_method"], "client_secret_basic");
    assert_eq!(client["response_types"], json!(["code"]));
    let here = server.url(&format!("/register/{}", text(&client, "client_id")));
    assert_eq!(client["registration_client_uri"], here);
    // No scope asked for means the standard ones: each of them gets a person's consent page.
    let all = http::encode(&[
        ("response_type", "code"),
        ("client_id", text(&client, "client_id")),
        ("redirect_uri", "https://new.example/cb"),
        ("scope", "openid profile email address phone"),
        ("code_challenge", &"A".repeat(43)),
        ("code_challenge_method", "S256"),
    ]);
    let ada = server.browser("ada");
    let login = ada.open(&server.url(&format!("/authorize?{all}"))).await;
    let consent = ada.sign_in(&login).await;
    assert!(consent.has_element("ul.scopes li:nth-child(5)") && consent.has_element(".caution"));
}

/// RFC 7591 §3.2.1: the answer has "all registered metadata about this client", whatever was asked for.
async fn what_cannot_be_read_is_dropped_alone_and_the_answer_shows_what_is_registered(
    server: TestServer,
) {
    let uri = |number: usize| format!("https://new.example/cb/{number}");
    let uris: Vec<String> = (0..25).map(uri).chain(["javascript:alert(1)".to_owned()]).collect();
    let asked = json!({
        "redirect_uris": uris, "client_name": "n".repeat(500), "client_uri": "http://new.example",
        "logo_uri": 7, "contacts": "ada@new.example", "application_type": "desktop",
        "id_token_signed_response_alg": "HS256", "scope": "openid unheard-of \u{e9}",
    });
    let client = registers(&server, &asked).await;
    assert_eq!(client.status, 201, "{client:?}");
    let client = client.json();
    let registered = json!({
        "redirect_uris": uris[..20], "client_name": "n".repeat(64), "client_uri": null, "logo_uri": null,
        "contacts": null, "application_type": "web", "id_token_signed_response_alg": "RS256",
        "scope": "openid",
    });
    for (name, value) in registered.as_object().expect("members") {
        assert_eq!(client.get(name).unwrap_or(&Value::Null), value, "{name}");
    }
    // What the answer shows is taken as it is, and with it an update that cannot be read.
    let mut change = manages(&server, Method::GET, &client, None).await.success_json();
    for ours in ["registration_access_token", "registration_client_uri", "client_id_issued_at"] {
        change.as_object_mut().expect("members").remove(ours);
    }
    change["tos_uri"] = json!(["x"]);
    let updated = manages(&server, Method::PUT, &client, Some(&change)).await.success_json();
    assert_eq!(updated["redirect_uris"], json!(uris[..20]));
    assert_eq!(updated.get("tos_uri"), None);
}

async fn a_client_reads_replaces_and_removes_itself(server: TestServer) {
    let first = registers(&server, &json!({"redirect_uris": ["https://new.example/cb"]})).await;
    let first = first.success_json();
    let read = manages(&server, Method::GET, &first, None).await.success_json();
    assert_eq!((&read["client_id"], read.get("client_secret")), (&first["client_id"], None));
    let change = json!({
        "client_id": first["client_id"], "client_name": "New",
        "redirect_uris": ["https://new.example/other"],
    });
    let second = manages(&server, Method::PUT, &first, Some(&change)).await.success_json();
    assert_eq!(second["redirect_uris"], change["redirect_uris"]);
    assert_eq!(second["client_name"], "New");
    let old = manages(&server, Method::GET, &first, None).await;
    assert_eq!(old.status, 401, "the token was changed");
    assert_eq!(manages(&server, Method::DELETE, &second, None).await.status, 204);
    assert_eq!(manages(&server, Method::GET, &second, None).await.status, 401);
}

async fn a_wrong_token_and_an_unknown_client_answer_the_same(server: TestServer) {
    let client = registers(&server, &json!({"redirect_uris": ["https://new.example/cb"]})).await;
    let client = client.success_json();
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let asks = async |url: &str| {
            let request = http::json(server.http(), method.clone(), url, &json!({}));
            let answer = http::send(request.bearer_auth("wrong")).await;
            let challenge = answer.header("www-authenticate").map(str::to_owned);
            (answer.status, challenge, answer.body)
        };
        let known = asks(text(&client, "registration_client_uri")).await;
        assert_eq!(known, asks(&server.url("/register/nobody")).await, "{method}");
        assert_eq!(known.0, 401);
    }
    assert_eq!(manages(&server, Method::GET, &client, None).await.status, 200);
}

async fn metadata_that_cannot_be_is_refused_by_name(server: TestServer) {
    let good = ["https://new.example/cb"];
    for (error, metadata) in [
        ("invalid_redirect_uri", json!({"redirect_uris": ["https://new.example/#f"]})),
        ("invalid_redirect_uri", json!({"redirect_uris": ["javascript:alert(1)"]})),
        ("invalid_redirect_uri", json!({"redirect_uris": ["http://new.example/cb"]})),
        ("invalid_redirect_uri", json!({"redirect_uris": []})),
        ("invalid_client_metadata", json!({"redirect_uris": good, "grant_types": ["implicit"]})),
        ("invalid_client_metadata", json!({"redirect_uris": good, "response_types": ["token"]})),
        (
            "invalid_client_metadata",
            json!({"redirect_uris": good, "token_endpoint_auth_method": "client_secret_jwt"}),
        ),
        (
            "invalid_client_metadata",
            json!({"redirect_uris": good, "jwks": {"keys": [{"kty": "oct", "k": "x"}]}}),
        ),
        ("invalid_client_metadata", json!({"redirect_uris": good, "scope": "unheard-of"})),
        ("invalid_client_metadata", json!([])),
    ] {
        let answer = registers(&server, &metadata).await;
        assert_eq!(answer.error(), (400, error.to_owned()), "{metadata}");
    }
}

async fn a_public_client_is_given_no_secret(server: TestServer) {
    let metadata =
        json!({"redirect_uris": ["https://new.example/cb"], "token_endpoint_auth_method": "none"});
    let client = registers(&server, &metadata).await.success_json();
    assert_eq!((client.get("client_secret"), client.get("client_secret_expires_at")), (None, None));
}

async fn of_updates_and_removals_with_one_token_one_wins(server: TestServer) {
    for _ in 0..4 {
        let client =
            registers(&server, &json!({"redirect_uris": ["https://new.example/cb"]})).await;
        let client = client.success_json();
        let (url, token) =
            (text(&client, "registration_client_uri"), text(&client, "registration_access_token"));
        let change = json!({
            "client_id": client["client_id"], "redirect_uris": ["https://new.example/other"],
        });
        let begun: Vec<_> = (0..16)
            .map(|hand| match hand % 2 {
                0 => server.http().delete(url),
                _ => http::json(server.http(), Method::PUT, url, &change),
            })
            .map(|request| tokio::spawn(http::send(request.bearer_auth(token))))
            .collect();
        let mut won = Vec::new();
        for hand in begun {
            let answer = hand.await.expect("an answer");
            match answer.status {
                401 => {}
                200 | 204 => won.push(answer),
                _ => panic!("{answer:?}"),
            }
        }
        assert_eq!(won.len(), 1, "{won:?}");
        // Whoever won: what the others held is worth nothing, and what the winner holds is worth it.
        assert_eq!(manages(&server, Method::DELETE, &client, None).await.status, 401);
        if won[0].status == 200 {
            let removed = manages(&server, Method::DELETE, &won[0].json(), None).await;
            assert_eq!(removed.status, 204);
        }
    }
}

async fn a_client_that_proves_itself_cannot_become_public(server: TestServer) {
    let client = registers(&server, &json!({"redirect_uris": ["https://new.example/cb"]})).await;
    let client = client.success_json();
    let change = json!({
        "client_id": client["client_id"], "redirect_uris": ["https://new.example/cb"],
        "token_endpoint_auth_method": "none",
    });
    let refused = manages(&server, Method::PUT, &client, Some(&change)).await;
    assert_eq!(refused.error(), (400, "invalid_client_metadata".to_owned()));
    let read = manages(&server, Method::GET, &client, None).await.success_json();
    assert_eq!(read["token_endpoint_auth_method"], "client_secret_basic", "and nothing changed");
}

async fn an_update_cannot_leave_a_client_no_scope_at_all(server: TestServer) {
    let uris = json!(["https://new.example/cb"]);
    let client =
        registers(&server, &json!({"redirect_uris": uris, "scope": "openid"})).await.success_json();
    let id = &client["client_id"];
    let change = json!({"client_id": id, "redirect_uris": uris, "scope": "email"});
    let refused = manages(&server, Method::PUT, &client, Some(&change)).await;
    assert_eq!(refused.error(), (400, "invalid_client_metadata".to_owned()));
    assert_eq!(
        manages(&server, Method::GET, &client, None).await.success_json()["scope"],
        "openid"
    );
}

async fn an_update_must_not_say_what_only_the_server_says(server: TestServer) {
    let client = registers(&server, &json!({"redirect_uris": ["https://new.example/cb"]})).await;
    let client = client.success_json();
    for (member, value) in [
        ("client_id", json!("another")),
        ("client_secret", json!("another")),
        ("registration_access_token", client["registration_access_token"].clone()),
        ("client_id_issued_at", json!(0)),
    ] {
        let mut change = json!({"redirect_uris": ["https://new.example/cb"]});
        change[member] = value;
        let refused = manages(&server, Method::PUT, &client, Some(&change)).await;
        assert_eq!(refused.error(), (400, "invalid_request".to_owned()), "{member}");
    }
    assert_eq!(manages(&server, Method::GET, &client, None).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_door_stays_closed() {
    let server = TestServer::start_with(Backend::Memory, &[("REGISTRATION", "off")]).await;
    let metadata = json!({"redirect_uris": ["https://new.example/cb"]});
    assert_eq!(registers(&server, &metadata).await.error(), (403, "access_denied".to_owned()));
}
