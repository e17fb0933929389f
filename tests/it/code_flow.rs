//! The authorization code flow from discovery to userinfo, with the `openidconnect` crate as the client.

use std::pin::Pin;

use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientRegistrationRequest, CoreGrantType,
    CoreProviderMetadata, CoreUserInfoClaims,
};
use openidconnect::registration::EmptyAdditionalClientMetadata;
use openidconnect::{
    AccessTokenHash, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest,
    HttpResponse, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge, RedirectUrl, Scope,
    TokenResponse,
};
use serde_json::json;

use crate::support::browser::Browser;
use crate::support::http;
use crate::support::test_server::{TestServer, on_every_store};

on_every_store![
    a_library_discovers_signs_in_verifies_refreshes_and_a_revoked_token_is_over,
    a_library_registers_itself_and_signs_in,
    discovery_says_what_there_is,
    every_scope_brings_its_claims,
];

type Answering = Pin<Box<dyn Future<Output = Result<HttpResponse, reqwest::Error>> + Send>>;

/// The server's http client, as the library wants to call it.
fn calls(http: &reqwest::Client) -> impl Fn(HttpRequest) -> Answering + use<> {
    let http = http.clone();
    move |request| {
        let http = http.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let url = parts.uri.to_string();
            let sent = http.request(parts.method, url).headers(parts.headers).body(body).send();
            let response = sent.await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut answer = HttpResponse::new(response.bytes().await?.to_vec());
            *answer.status_mut() = status;
            *answer.headers_mut() = headers;
            Ok(answer)
        })
    }
}

async fn discovered(server: &TestServer) -> CoreProviderMetadata {
    let issuer = IssuerUrl::new(server.issuer().to_owned()).unwrap();
    let http = calls(server.http());
    CoreProviderMetadata::discover_async(issuer, &http).await.expect("good metadata")
}

/// From the authorization request to verified claims and a second access token.
async fn walks(
    server: &TestServer,
    browser: &Browser,
    (id, secret): (ClientId, ClientSecret),
    redirect_uri: &str,
) -> (String, String) {
    let http = calls(server.http());
    let redirect_uri = RedirectUrl::new(redirect_uri.to_owned()).unwrap();
    let client = CoreClient::from_provider_metadata(discovered(server).await, id, Some(secret))
        .set_redirect_uri(redirect_uri);
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let flow = CoreAuthenticationFlow::AuthorizationCode;
    let (url, state, nonce) = client
        .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
        .add_scope(Scope::new("email".to_owned()))
        .set_pkce_challenge(challenge)
        .url();
    let landing = browser.authorize(url.as_str()).await;
    assert_eq!(landing.param("state").as_ref(), Some(state.secret()));
    assert_eq!(landing.param("iss").as_deref(), Some(server.issuer()));

    let code = AuthorizationCode::new(landing.code());
    let exchange = client.exchange_code(code).unwrap().set_pkce_verifier(verifier);
    let tokens = exchange.request_async(&http).await.expect("tokens");
    let id_token = tokens.id_token().expect("an ID token");
    let checks = client.id_token_verifier();
    let claims = id_token.claims(&checks, &nonce).expect("a good ID token");
    let key = id_token.signing_key(&checks).unwrap();
    let alg = id_token.signing_alg().unwrap();
    let hash = AccessTokenHash::from_token(tokens.access_token(), alg, key).unwrap();
    assert_eq!(claims.access_token_hash(), Some(&hash));
    assert!(id_token.claims(&checks, &Nonce::new("another".to_owned())).is_err());

    let sub = claims.subject().clone();
    let asks = client.user_info(tokens.access_token().clone(), Some(sub.clone())).unwrap();
    let person: CoreUserInfoClaims = asks.request_async(&http).await.expect("claims");
    assert_eq!(person.subject(), &sub);
    assert_eq!(person.email().map(|email| email.as_str()), Some("ada@ada.example"));

    let refresh = tokens.refresh_token().expect("a refresh token");
    let again = client.exchange_refresh_token(refresh).unwrap();
    let again = again.request_async(&http).await.expect("tokens again");
    let next = again.refresh_token().expect("the next refresh token");
    assert_ne!(next.secret(), refresh.secret());
    (again.access_token().secret().clone(), next.secret().clone())
}

async fn a_library_discovers_signs_in_verifies_refreshes_and_a_revoked_token_is_over(
    server: TestServer,
) {
    let shop = server.relying_party("shop").await;
    let who = (ClientId::new("shop".to_owned()), ClientSecret::new(shop.secret.clone()));
    let ada = server.browser("ada");
    let (access, refresh) = walks(&server, &ada, who, &shop.redirect_uri).await;
    assert_eq!(shop.introspect(&access).await["active"], true);
    shop.revoke(&refresh).await;
    assert_eq!(shop.introspect(&access).await, json!({"active": false}));
    assert_eq!(server.userinfo(&access).await.status, 401);
}

async fn a_library_registers_itself_and_signs_in(server: TestServer) {
    let redirect_uri = "https://library.example/cb";
    let uris = vec![RedirectUrl::new(redirect_uri.to_owned()).unwrap()];
    let nothing = EmptyAdditionalClientMetadata {};
    let grants = vec![CoreGrantType::AuthorizationCode, CoreGrantType::RefreshToken];
    let request = CoreClientRegistrationRequest::new(uris, nothing).set_grant_types(Some(grants));
    let metadata = discovered(&server).await;
    let there = metadata.registration_endpoint().expect("an endpoint");
    let registered = request.register_async(there, &calls(server.http())).await.expect("a client");
    let secret = registered.client_secret().expect("a secret").clone();
    let who = (registered.client_id().clone(), secret);
    walks(&server, &server.browser("ada"), who, redirect_uri).await;
}

async fn discovery_says_what_there_is(server: TestServer) {
    let place = server.url("/.well-known/openid-configuration");
    let said = http::send(server.http().get(place)).await.success_json();
    assert_eq!(said["issuer"], server.issuer());
    assert_eq!(said["response_types_supported"], json!(["code", "none"]));
    assert_eq!(said["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(said["authorization_response_iss_parameter_supported"], true);
    for endpoint in ["jwks_uri", "userinfo_endpoint", "token_endpoint", "authorization_endpoint"] {
        let url = said[endpoint].as_str().unwrap_or_else(|| panic!("no {endpoint}"));
        let answer = http::send(server.http().get(url)).await;
        assert_ne!(answer.status, 404, "{endpoint}");
    }
}

async fn every_scope_brings_its_claims(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    for (scope, has, has_not) in [
        ("openid", &[][..], &["name", "email", "address", "phone_number"][..]),
        ("openid profile", &["name", "birthdate", "updated_at", "picture"], &["email"]),
        ("openid email", &["email", "email_verified"], &["name", "phone_number"]),
        ("openid address", &["address"], &["email", "name"]),
        ("openid phone", &["phone_number", "phone_number_verified"], &["email"]),
    ] {
        let tokens = shop.sign_in(&ada, scope).await;
        let person = server.userinfo(tokens.access()).await.success_json();
        assert_eq!(person["sub"], tokens.id_claims()["sub"], "{scope}");
        assert!(has.iter().all(|claim| person.get(claim).is_some()), "{scope}: {person}");
        assert!(has_not.iter().all(|claim| person.get(claim).is_none()), "{scope}: {person}");
    }
    let email =
        server.userinfo(shop.sign_in(&ada, "openid email").await.access()).await.success_json();
    assert_eq!(email["email_verified"], true, "a boolean, not a text");
}
