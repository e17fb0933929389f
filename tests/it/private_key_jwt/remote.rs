//! Keys that a client keeps behind a `jwks_uri`.

use super::*;
use crate::support::mock_client_host::MockHost;
use crate::support::test_server::Backend;

async fn robot_of(server: &TestServer, elsewhere: &MockHost) -> RelyingParty {
    let keyed = json!({
        "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": elsewhere.uri,
    });
    server.relying_party_with("robot", &keyed, ClientSettings::default()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_is_fetched_once_and_again_when_the_client_has_changed_its_keys() {
    let elsewhere = MockHost::start().await;
    let outgoing = [("OUTGOING_CA_FILE", &*elsewhere.ca), ("OUTGOING_ALLOW_PRIVATE", "localhost")];
    let server = TestServer::start_with(Backend::Memory, &outgoing).await;
    let robot = robot_of(&server, &elsewhere).await;
    let (rsa, ec) = (keys().jwks()["keys"][0].clone(), keys().jwks()["keys"][1].clone());

    elsewhere.serve_json(Some(json!({"keys": [&rsa]})));
    for _ in 0..3 {
        assert_eq!(asks(&robot, &keys().rs256(&claims(&server))).await.status, 200);
    }
    assert_eq!(elsewhere.request_count(), 1, "remembered");

    // A new key works at once.
    elsewhere.serve_json(Some(json!({"keys": [ec]})));
    assert_eq!(asks(&robot, &keys().es256(&claims(&server))).await.status, 200);
    assert_eq!(elsewhere.request_count(), 2);
    // A stranger with an unknown key cannot make us call again and again.
    for _ in 0..3 {
        assert_eq!(asks(&robot, &keys().rs256(&claims(&server))).await.status, 401, "the old key");
    }
    assert_eq!(elsewhere.request_count(), 2);
    server.advance_time(Duration::from_secs(60));
    elsewhere.serve_json(Some(json!({"keys": [rsa]})));
    assert_eq!(asks(&robot, &keys().rs256(&claims(&server))).await.status, 200);
    assert_eq!(elsewhere.request_count(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_cannot_be_had_let_nobody_in_and_those_at_hand_stay_in_use() {
    let elsewhere = MockHost::start().await;
    let outgoing = [("OUTGOING_CA_FILE", &*elsewhere.ca), ("OUTGOING_ALLOW_PRIVATE", "localhost")];
    let server = TestServer::start_with(Backend::Memory, &outgoing).await;
    let robot = robot_of(&server, &elsewhere).await;
    for _ in 0..2 {
        let refused = asks(&robot, &keys().rs256(&claims(&server))).await;
        assert_eq!(refused.error(), invalid_client());
    }
    assert_eq!(elsewhere.request_count(), 1, "the failure is remembered too");
    server.advance_time(Duration::from_secs(60));
    elsewhere.serve_json(Some(keys().jwks()));
    assert_eq!(asks(&robot, &keys().rs256(&claims(&server))).await.status, 200);
    elsewhere.serve_json(None);
    server.advance_time(Duration::from_secs(90 * 60));
    assert_eq!(asks(&robot, &keys().rs256(&claims(&server))).await.status, 200, "the old set");
    assert_eq!(elsewhere.request_count(), 3);
    // Failing to fetch it does not make it younger: a key that was taken out of it ends at last.
    server.advance_time(Duration::from_secs(30 * 60));
    assert_eq!(asks(&robot, &keys().rs256(&claims(&server))).await.status, 401);
}

/// Of a kind that nobody here knows, or of no kind: they take none with them (RFC 7517 §5).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_cannot_be_read_are_passed_over_however_many() {
    let elsewhere = MockHost::start().await;
    let outgoing = [("OUTGOING_CA_FILE", &*elsewhere.ca), ("OUTGOING_ALLOW_PRIVATE", "localhost")];
    let server = TestServer::start_with(Backend::Memory, &outgoing).await;
    let robot = robot_of(&server, &elsewhere).await;
    let strange = [
        json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": "new", "pub": "x"}),
        json!({"kty": "EC", "crv": "P-521", "x": "x", "y": "y"}),
        json!({"kty": "RSA", "n": 7, "e": "AQAB", "kid": {}}),
        json!("a key"),
        json!(null),
    ];
    let ours = keys().jwks()["keys"].as_array().expect("keys").clone();
    let set: Vec<_> = strange.iter().cycle().take(30).cloned().chain(ours).collect();
    elsewhere.serve_json(Some(json!({"keys": set, "new": true})));
    assert_eq!(asks(&robot, &keys().rs256(&claims(&server))).await.status, 200);
    // The same set, registered: the answer shows the keys that are used.
    let body = json!({"redirect_uris": ["https://new.example/cb"], "jwks": {"keys": set},
        "token_endpoint_auth_method": "private_key_jwt"});
    let request = http::json(server.http(), reqwest::Method::POST, &server.url("/register"), &body);
    let registered = http::send(request).await.success_json();
    let kept = registered["jwks"]["keys"].as_array().expect("keys");
    assert!(kept.len() <= 20 && kept.iter().all(|key| key["kty"] != "AKP"), "{registered}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_our_own_network_is_not_asked_for_keys() {
    let elsewhere = MockHost::start().await;
    elsewhere.serve_json(Some(keys().jwks()));
    let trusted = [("OUTGOING_CA_FILE", &*elsewhere.ca)];
    let server = TestServer::start_with(Backend::Memory, &trusted).await;
    let robot = robot_of(&server, &elsewhere).await;
    let refused = asks(&robot, &keys().rs256(&claims(&server))).await;
    assert_eq!(refused.error(), invalid_client());
    assert_eq!(elsewhere.request_count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_requests_at_once_fetch_a_set_once() {
    let elsewhere = MockHost::start().await;
    let outgoing = [("OUTGOING_CA_FILE", &*elsewhere.ca), ("OUTGOING_ALLOW_PRIVATE", "localhost")];
    let server = TestServer::start_with(Backend::Memory, &outgoing).await;
    let robot = robot_of(&server, &elsewhere).await;
    elsewhere.serve_json(Some(keys().jwks()));
    let mut under_way = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let assertion = keys().rs256(&claims(&server));
        let fields = [
            ("client_assertion_type", TYPE),
            ("client_assertion", &*assertion),
            ("grant_type", "client_credentials"),
        ];
        under_way.spawn(http::send(robot.form("/token", &fields)));
    }
    assert!(under_way.join_all().await.iter().all(|answer| answer.status == 200));
    assert_eq!(elsewhere.request_count(), 1);
}
