//! What a client may say of itself when it registers, and what becomes of it.

use serde_json::{Value, json};

use crate::conformance::checks::{
    authorization_response, metadata, registration, tokens, userinfo,
};
use crate::conformance::client::Client;
use crate::conformance::key::{Key, peek};
use crate::conformance::suite::{Suite, text};
use crate::support::http::{self, HttpResponse};
use crate::support::relying_party::AuthorizationRequest;

pub async fn oidcc_idtoken_rs256(suite: &Suite) {
    let client = suite.client_with(&json!({"id_token_signed_response_alg": "RS256"})).await;
    client.signs_in(&suite.browser(), &client.asks()).await;
}

/// The last access token tells who it is in a JWT.
pub async fn oidcc_userinfo_rs256(suite: &Suite) {
    let offered = "userinfo_signing_alg_values_supported";
    assert!(metadata::holds(&suite.metadata, offered, "RS256"), "…SupportedContainsRS256");
    let client = suite.client_with(&json!({"userinfo_signed_response_alg": "RS256"})).await;
    let request = client.asks();
    let callback = client.walks(&suite.browser(), &request).await;
    authorization_response::success(&callback, &request, suite);
    let tokens = match callback.get("code") {
        Some(code) => tokens::success(&client.exchanges(code, &[]).await),
        None => json!(callback.params),
    };
    let sub = peek(text(&tokens, "id_token")).1["sub"].clone();
    let asked = suite.provider.http().get(suite.endpoint("userinfo_endpoint"));
    let answer = http::send(asked.bearer_auth(text(&tokens, "access_token"))).await;
    userinfo::signed(&answer, &client, &sub);
}

fn of_a_sector(suite: &Suite) -> Value {
    json!({"subject_type": "pairwise", "sector_identifier_uri": suite.host.uri})
}

/// The redirect URI stands in the document of its sector.
pub async fn oidcc_registration_sector_uri(suite: &Suite) {
    assert!(metadata::holds(&suite.metadata, "subject_types_supported", "pairwise"));
    let own = suite.registration(0)["redirect_uris"][0].clone();
    suite.host.serve_json(Some(json!([own, "https://localhost.emobix.co.uk:8443/other"])));
    let client = suite.client_with(&of_a_sector(suite)).await;
    assert!(suite.host.request_count() > 0);
    client.signs_in(&suite.browser(), &client.asks()).await;
}

/// It does not.
pub async fn oidcc_registration_sector_bad(suite: &Suite) {
    suite.host.serve_json(Some(json!(["https://localhost.emobix.co.uk:8443/other"])));
    let mut request = suite.registration(0);
    for (member, value) in of_a_sector(suite).as_object().expect("an object") {
        request[member] = value.clone();
    }
    let code = registration::refused(&suite.registers(&request).await);
    let condition = "CheckErrorFromDynamicRegistrationEndpointIsInvalidClientMetadata";
    assert_eq!(code, "invalid_client_metadata", "{condition}");
}

/// The pages a person of this client meets.
async fn pages(suite: &Suite, member: &str, value: &str) -> Vec<HttpResponse> {
    let client = suite.client_with(&json!({member: value})).await;
    client.signs_in(&suite.browser(), &client.asks()).await.callback.pages
}

pub async fn oidcc_registration_logo_uri(suite: &Suite) {
    let logo = "https://localhost.emobix.co.uk:8443/images/openid.png";
    for page in pages(suite, "logo_uri", logo).await {
        assert!(page.has_element(&format!("img[src='{logo}']")), "{page:?}");
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(policy.contains("img-src 'self' https://localhost.emobix.co.uk:8443"), "{policy}");
    }
}

pub async fn oidcc_registration_policy_uri(suite: &Suite) {
    let policy = "https://localhost.emobix.co.uk:8443/login.html?policy";
    for page in pages(suite, "policy_uri", policy).await {
        assert!(page.has_element(&format!("a[href='{policy}']")), "{page:?}");
    }
}

pub async fn oidcc_registration_tos_uri(suite: &Suite) {
    let terms = "https://localhost.emobix.co.uk:8443/login.html?tos";
    for page in pages(suite, "tos_uri", terms).await {
        assert!(page.has_element(&format!("a[href='{terms}']")), "{page:?}");
    }
}

pub async fn oidcc_registration_jwks_uri(suite: &Suite) {
    let key = Key::named(0, "behind-a-uri");
    suite.host.serve_json(Some(json!({"keys": [key.jwk()]})));
    let mut client = suite.client_with(&json!({"jwks_uri": suite.host.uri})).await;
    client.key = key;
    client.signs_in(&suite.browser(), &client.asks()).await;
    let fetched = suite.host.request_count() > 0;
    assert_eq!(fetched, suite.variant.has("code"), "JwksUriHasBeenCalled");
}

/// Everything in an object that the client signed, elsewhere; beside it only what OAuth asks for.
pub async fn oidcc_request_uri_signed_rs256(suite: &Suite) {
    let offered = "request_object_signing_alg_values_supported";
    assert!(
        metadata::holds(&suite.metadata, offered, "RS256"),
        "…SigningAlgValuesSupportedContainsRS256"
    );
    let uri = format!("{}/requesturi/{}#its-hash", suite.host.uri, "x".repeat(96));
    let members = json!({"request_uris": [uri], "request_object_signing_alg": "RS256"});
    let client = suite.client_with(&members).await;
    let inside = client.asks();
    let object = object(&client, &inside);
    suite.host.serve_jwt(&object);
    let beside = ["client_id", "redirect_uri", "response_type", "scope"];
    let outside = beside
        .iter()
        .fold(AuthorizationRequest::empty(suite.provider.issuer()), |request, name| {
            request.with(name, inside.get(name).expect("a parameter"))
        });
    let callback = client.walks(&suite.browser(), &outside.with("request_uri", &uri)).await;
    client.completes(&inside, callback).await;
    assert_eq!(suite.host.request_count(), 1, "RequestUriHasBeenCalled");
}

fn object(client: &Client<'_>, inside: &AuthorizationRequest) -> String {
    let mut claims = json!({"iss": client.id, "aud": client.suite.provider.issuer()});
    for (name, value) in inside.fields() {
        claims[name] = value.into();
    }
    client.key.sign(&claims)
}

/// By the letter an assertion is for the token endpoint; the issuer is as good.
pub async fn oidcc_ensure_client_assertion_with_iss_aud_succeeds(suite: &Suite) {
    let client = suite.client().await;
    let callback = client.walks(&suite.browser(), &client.asks()).await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", callback.get("code").expect("a code")),
        ("redirect_uri", &*client.redirect_uri),
    ];
    let assertion = client.assertion(suite.provider.issuer());
    tokens::success(&client.posts_with(&fields, &assertion).await);
}

pub async fn oidcc_3rd_party_init_login(suite: &Suite) {
    let uri = "https://localhost.emobix.co.uk:8443/test/a/latchkey/initiate_login_uri";
    let mut request = suite.registration(0);
    request["initiate_login_uri"] = uri.into();
    let client = registration::accepted(&suite.registers(&request).await, &request);
    let place = suite.provider.http().get(text(&client, "registration_client_uri"));
    let read = http::send(place.bearer_auth(text(&client, "registration_access_token"))).await;
    let read: Value = read.success_json();
    assert_eq!(
        read["initiate_login_uri"], uri,
        "VerifyInitiateLoginUriInClientConfigurationResponse"
    );
}

pub async fn oidcc_3rd_party_init_login_nohttps(suite: &Suite) {
    let mut request = suite.registration(0);
    request["initiate_login_uri"] = "http://localhost.emobix.co.uk:8443/initiate_login_uri".into();
    let code = registration::refused(&suite.registers(&request).await);
    assert_eq!(code, "invalid_client_metadata");
}
