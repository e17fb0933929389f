//! APIs that tokens are for (RFC 8707): who may ask for which, what the token is then, and who takes it.

mod consent;
mod declared;

use std::time::Duration;

use latchkey::domain::clients::{ClientId, ClientSettings};
use latchkey::domain::resources::{Resource, ResourceEntry};
use latchkey::operations::resources::Add;
use latchkey::operations::scopes;
use latchkey::protocol::AccessTokenTyp;
use latchkey::server::maintenance;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::browser::AuthorizationResponse;
use crate::support::http;
use crate::support::relying_party::{AuthorizationRequest, RelyingParty, Tokens};
use crate::support::test_server::{Backend, TestServer, on_every_store};

on_every_store![
    a_client_that_registered_itself_gets_tokens_for_the_api_it_names_everywhere,
    a_token_is_for_those_of_the_granted_apis_that_its_request_names,
    what_no_token_can_be_had_for_is_refused_with_the_state_and_spends_nothing,
    a_request_that_names_nothing_again_is_for_all_that_was_granted_and_for_userinfo,
    a_token_that_would_allow_nothing_is_refused,
    a_client_acts_for_itself_at_an_api_that_it_names,
    an_opaque_token_is_for_the_api_too_and_only_that_api_is_told_of_it,
    a_token_lives_as_long_and_says_the_type_that_its_api_has,
    an_api_is_told_no_more_of_the_person_than_userinfo_tells,
];

const MAIL: &str = "https://mail.example/mcp";
const FILES: &str = "https://files.example/";

fn api(scopes: &str) -> ResourceEntry {
    ResourceEntry { scopes: scopes.parse().expect("a scope"), ..ResourceEntry::default() }
}

async fn declares(provider: &TestServer, resource: &str, entry: ResourceEntry) {
    provider.run_operation(Add(Resource { resource: resource.to_owned(), entry })).await;
    maintenance::refresh_catalogues(provider.app()).await.expect("a store");
}

/// A server with two APIs.
async fn with_apis(provider: &TestServer) {
    declares(
        provider,
        MAIL,
        ResourceEntry { name: Some("Mail".to_owned()), ..api("mail.read mail.send") },
    )
    .await;
    declares(provider, FILES, api("files.read")).await;
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&latchkey::infra::secret::from_base64url(part).expect("base64url"))
        .expect("JSON")
}

fn header(token: &str) -> Value {
    let part = token.split('.').next().expect("a JWT");
    serde_json::from_slice(&latchkey::infra::secret::from_base64url(part).expect("base64url"))
        .expect("JSON")
}

fn access(body: &Value) -> &str {
    body["access_token"].as_str().expect("an access token")
}

fn naming(request: AuthorizationRequest, resources: &[&str]) -> AuthorizationRequest {
    resources.iter().fold(request, |request, it| request.with_duplicate("resource", it))
}

/// The code exchanged, for the APIs it names.
async fn exchanges(
    client: &RelyingParty,
    code: &str,
    request: &AuthorizationRequest,
    named: &[&str],
) -> http::HttpResponse {
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &*client.redirect_uri),
        ("code_verifier", &*request.verifier),
    ];
    fields.extend(named.iter().map(|it| ("resource", *it)));
    client.post("/token", &fields).await
}

async fn refreshes(client: &RelyingParty, token: &str, named: &[&str]) -> http::HttpResponse {
    let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
    fields.extend(named.iter().map(|it| ("resource", *it)));
    client.post("/token", &fields).await
}

/// A sign-in that names APIs in both of its requests.
async fn signs_in(
    provider: &TestServer,
    client: &RelyingParty,
    scope: &str,
    named: &[&str],
) -> Tokens {
    let request = naming(client.authorization_request(scope), named);
    let code = provider.browser("ada").authorize(&request.url()).await.code();
    let body = exchanges(client, &code, &request, named).await.success_json();
    Tokens { body, code, request }
}

async fn a_client_that_registered_itself_gets_tokens_for_the_api_it_names_everywhere(
    provider: TestServer,
) {
    with_apis(&provider).await;
    let metadata = json!({"redirect_uris": ["http://127.0.0.1/cb"], "client_name": "Agent",
        "application_type": "native", "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"]});
    let made = http::json(provider.http(), Method::POST, &provider.url("/register"), &metadata);
    let made = http::send(made).await.json();
    let id = made["client_id"].as_str().expect("an id").to_owned();
    let mut agent = provider.client_with_secret(&id, "");
    agent.redirect_uri = String::from("http://127.0.0.1:4711/cb");
    // As the MCP clients do: no scope, but the API at each of the three requests.
    let request = naming(agent.authorization_request("").without("scope"), &[MAIL]);
    let ada = provider.browser("ada");
    let login = ada.open(&request.url()).await;
    let consent = ada.sign_in(&login).await;
    let shown = consent.text_of("main").expect("a page");
    assert!(shown.contains("Mail") && shown.contains(MAIL), "{shown}");
    let landing =
        AuthorizationResponse::from_redirect(&ada.decide_consent(&consent, "accept").await);
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", &*agent.id),
        ("code", &*landing.code()),
        ("redirect_uri", &*agent.redirect_uri),
        ("code_verifier", &*request.verifier),
        ("resource", MAIL),
    ];
    let first = http::send(agent.form("/token", &fields)).await.success_json();
    let token = first["refresh_token"].as_str().expect("a refresh token");
    let again =
        [("grant_type", "refresh_token"), ("client_id", &*agent.id), ("refresh_token", token)];
    let again = [again[0], again[1], again[2], ("resource", MAIL)];
    let next = http::send(agent.form("/token", &again)).await.success_json();
    for body in [first, next] {
        assert_eq!(body["scope"], "mail.read mail.send");
        let claims = claims(access(&body));
        assert_eq!((&claims["aud"], &claims["scope"]), (&json!(MAIL), &body["scope"]));
        assert_eq!(provider.userinfo(access(&body)).await.status, 401, "it is for the API alone");
    }
}

#[tokio::test]
async fn the_scope_of_an_api_can_be_registered_where_the_api_is_open_to_strangers() {
    let provider = TestServer::start(Backend::Memory).await;
    declares(&provider, MAIL, api("mail.read")).await;
    let closed = ResourceEntry { registered_clients: Some(false), ..api("files.read") };
    declares(&provider, FILES, closed).await;
    for (scope, kept) in [("openid mail.read", Some("mail.read openid")), ("files.read", None)] {
        let metadata = json!({"redirect_uris": ["https://new.example/cb"], "scope": scope});
        let made = http::json(provider.http(), Method::POST, &provider.url("/register"), &metadata);
        let made = http::send(made).await;
        assert_eq!((made.status == 201, made.json()["scope"].as_str()), (kept.is_some(), kept));
    }
}

async fn a_token_is_for_those_of_the_granted_apis_that_its_request_names(provider: TestServer) {
    with_apis(&provider).await;
    let shop = provider.relying_party("shop").await;
    let scope = "openid mail.read files.read";
    let both = signs_in(&provider, &shop, scope, &[MAIL, FILES]).await;
    assert_eq!(claims(both.access())["aud"], json!([MAIL, FILES]));
    assert_eq!(both.body["scope"], "files.read mail.read");
    assert!(both.body.get("id_token").is_some(), "openid was granted");
    let mut refresh = both.refresh().to_owned();
    for (named, audience, scope) in [
        (&[MAIL] as &[&str], json!(MAIL), "mail.read"),
        (&[FILES, FILES], json!(FILES), "files.read"),
        (&[provider.issuer()], json!(provider.issuer()), "files.read mail.read openid"),
        (&[provider.issuer(), MAIL], json!([provider.issuer(), MAIL]), "mail.read openid"),
    ] {
        let body = refreshes(&shop, &refresh, named).await.success_json();
        assert_eq!(claims(access(&body))["aud"], audience);
        assert_eq!(body["scope"], scope);
        let is_ours = named.contains(&provider.issuer());
        assert_eq!(provider.userinfo(access(&body)).await.status == 200, is_ours);
        refresh = body["refresh_token"].as_str().expect("a refresh token").to_owned();
    }
}

async fn what_no_token_can_be_had_for_is_refused_with_the_state_and_spends_nothing(
    provider: TestServer,
) {
    with_apis(&provider).await;
    let robot = ClientId::parse("robot").expect("an id");
    let closed = ResourceEntry { clients: Some([robot].into()), ..ResourceEntry::default() };
    declares(&provider, "https://closed.example", closed).await;
    let shop = provider.relying_party("shop").await;
    let ada = provider.browser("ada");
    for (resource, words) in [
        ("https://unheard.example", "resource is no API"),
        ("https://closed.example", "resource is no API"),
        (
            "https://files.example",
            "resource differs from an API that is declared here by the slash",
        ),
        ("https://mail.example/mcp/", "resource differs"),
        ("https://mail.example/mcp#top", "resource is not an absolute URI"),
        ("/mcp", "resource is not an absolute URI"),
        ("https://MAIL.example/mcp", "resource is no API"),
    ] {
        let request = naming(shop.authorization_request("openid"), &[MAIL, resource]);
        let landing = AuthorizationResponse::from_redirect(&ada.get(&request.url()).await);
        assert_eq!(landing.error(), "invalid_target", "{resource}");
        assert_eq!(landing.param("state").as_deref(), Some("s t&a=te"), "{resource}");
        let said = landing.param("error_description").expect("words");
        assert!(said.starts_with(words), "{resource}: {said}");
    }
    let request = naming(shop.authorization_request("openid mail.read"), &[MAIL]);
    let code = ada.authorize(&request.url()).await.code();
    let invalid = (400, "invalid_target".to_owned());
    for named in [&[FILES] as &[&str], &["https://unheard.example"], &["x"], &[MAIL, FILES]] {
        assert_eq!(exchanges(&shop, &code, &request, named).await.error(), invalid, "{named:?}");
    }
    let body = exchanges(&shop, &code, &request, &[MAIL]).await.success_json();
    let refresh = body["refresh_token"].as_str().expect("a refresh token");
    for named in [&[FILES] as &[&str], &["x"]] {
        assert_eq!(refreshes(&shop, refresh, named).await.error(), invalid, "{named:?}");
    }
    refreshes(&shop, refresh, &[MAIL]).await.success_json();
}

async fn a_request_that_names_nothing_again_is_for_all_that_was_granted_and_for_userinfo(
    provider: TestServer,
) {
    with_apis(&provider).await;
    let audience = vec!["https://api.example".to_owned()];
    let settings = ClientSettings { audience, ..ClientSettings::default() };
    let shop = provider.relying_party_with("shop", &json!({}), settings).await;
    for (scope, named, audience) in [
        ("openid mail.read", &[MAIL] as &[&str], json!([provider.issuer(), MAIL])),
        ("mail.read", &[MAIL], json!(MAIL)),
        ("openid", &[], json!([provider.issuer(), "https://api.example"])),
        ("openid", &["https://api.example"], json!([provider.issuer(), "https://api.example"])),
    ] {
        let request = naming(shop.authorization_request(scope), named);
        let code = provider.browser("ada").authorize(&request.url()).await.code();
        let body = exchanges(&shop, &code, &request, &[]).await.success_json();
        assert_eq!(claims(access(&body))["aud"], audience, "{scope} {named:?}");
        let userinfo = provider.userinfo(access(&body)).await.status;
        assert_eq!(userinfo == 200, scope.contains("openid"), "{scope} {named:?}");
    }
}

async fn a_token_that_would_allow_nothing_is_refused(provider: TestServer) {
    declares(&provider, MAIL, api("mail.read")).await;
    let shop = provider.relying_party("shop").await;
    let request = naming(shop.authorization_request("openid"), &[MAIL]);
    let code = provider.browser("ada").authorize(&request.url()).await.code();
    let refused = exchanges(&shop, &code, &request, &[MAIL]).await.error();
    assert_eq!(refused, (400, "invalid_scope".to_owned()));
    let body = exchanges(&shop, &code, &request, &[]).await.success_json();
    assert_eq!(body["scope"], "openid", "the refusal spent nothing");
}

async fn a_client_acts_for_itself_at_an_api_that_it_names(provider: TestServer) {
    with_apis(&provider).await;
    let metadata = json!({"scope": "mail.send files.read"});
    let robot = provider.relying_party_with("robot", &metadata, ClientSettings::default()).await;
    let asks = async |named: &[&str]| {
        let mut fields = vec![("grant_type", "client_credentials")];
        fields.extend(named.iter().map(|it| ("resource", *it)));
        robot.post("/token", &fields).await
    };
    let body = asks(&[MAIL]).await.success_json();
    assert_eq!(
        (&body["scope"], &claims(access(&body))["aud"]),
        (&json!("mail.send"), &json!(MAIL))
    );
    let body = asks(&[]).await.success_json();
    assert_eq!(claims(access(&body))["aud"], json!(provider.issuer()), "as before");
    let refused = asks(&["https://unheard.example"]).await.error();
    assert_eq!(refused, (400, "invalid_target".to_owned()));

    let metadata = json!({"grant_types": ["client_credentials"], "response_types": []});
    let made = http::json(provider.http(), Method::POST, &provider.url("/register"), &metadata);
    let made = http::send(made).await.json();
    let text = |name: &str| made[name].as_str().expect("text").to_owned();
    let stranger = provider.client_with_secret(&text("client_id"), &text("client_secret"));
    let fields = [("grant_type", "client_credentials"), ("resource", MAIL)];
    let refused = stranger.post("/token", &fields).await.error();
    assert_eq!(refused, (400, "invalid_target".to_owned()), "nobody was asked");
}

async fn an_opaque_token_is_for_the_api_too_and_only_that_api_is_told_of_it(provider: TestServer) {
    with_apis(&provider).await;
    let opaque = ClientSettings { opaque_access_tokens: true, ..ClientSettings::default() };
    let shop = provider.relying_party_with("shop", &json!({}), opaque).await;
    let serves = |resource: &str| ClientSettings {
        resource_server_for: vec![resource.to_owned()],
        ..ClientSettings::default()
    };
    let mail = provider.relying_party_with("mail", &json!({}), serves(MAIL)).await;
    let files = provider.relying_party_with("files", &json!({}), serves(FILES)).await;
    let scope = "openid mail.read files.read";
    let one = signs_in(&provider, &shop, scope, &[MAIL]).await;
    let seen = mail.introspect(one.access()).await;
    assert_eq!((&seen["aud"], &seen["scope"]), (&json!(MAIL), &json!("mail.read")));
    assert_eq!(files.introspect(one.access()).await, json!({"active": false}));
    assert_eq!(provider.userinfo(one.access()).await.status, 401);
    let both = signs_in(&provider, &shop, scope, &[MAIL, FILES]).await;
    assert_eq!(mail.introspect(both.access()).await["scope"], "mail.read", "its own, and no more");
    assert_eq!(files.introspect(both.access()).await["scope"], "files.read");
    assert_eq!(shop.introspect(both.access()).await["scope"], "files.read mail.read");
}

async fn a_token_lives_as_long_and_says_the_type_that_its_api_has(provider: TestServer) {
    let entry = ResourceEntry {
        access_token_lifetime: Some(90),
        access_token_typ: Some(AccessTokenTyp::Jwt),
        ..api("mail.read")
    };
    declares(&provider, MAIL, entry).await;
    let long = ResourceEntry { access_token_lifetime: Some(1800), ..api("files.read") };
    declares(&provider, FILES, long).await;
    let shop = provider.relying_party("shop").await;
    let scope = "openid mail.read files.read";
    for (named, lifetime, typ) in
        [(&[MAIL] as &[&str], 90, "JWT"), (&[FILES], 1800, "at+jwt"), (&[MAIL, FILES], 90, "JWT")]
    {
        let tokens = signs_in(&provider, &shop, scope, named).await;
        assert_eq!(tokens.body["expires_in"], lifetime, "{named:?}");
        assert_eq!(header(tokens.access())["typ"], typ, "{named:?}");
        provider.advance_time(Duration::from_secs(lifetime - 1));
        assert_eq!(shop.introspect(tokens.access()).await["active"], true, "{named:?}");
        provider.advance_time(Duration::from_secs(1));
        assert_eq!(shop.introspect(tokens.access()).await, json!({"active": false}));
    }
}

/// The scope of an API is granted to a client that registered none, and gives a claim.
async fn an_api_is_told_no_more_of_the_person_than_userinfo_tells(provider: TestServer) {
    let claims = vec!["email".to_owned(), "name".to_owned()];
    let scope = "mail.read".to_owned();
    let add = scopes::Add { scope, description: None, claims: claims.clone(), advertised: None };
    assert!(provider.run_operation(add).await);
    declares(&provider, MAIL, api("mail.read openid email")).await;
    let shop = provider.relying_party_with("shop", &json!({}), ClientSettings::default()).await;
    let serves = ClientSettings {
        resource_server_for: vec![MAIL.to_owned()],
        introspection_claims: claims,
        ..ClientSettings::default()
    };
    let server = provider.relying_party_with("server", &json!({}), serves).await;
    for scope in ["openid mail.read", "openid email mail.read"] {
        let request = naming(shop.authorization_request(scope), &[MAIL]);
        let code = provider.browser("ada").authorize(&request.url()).await.code();
        let body =
            exchanges(&shop, &code, &request, &[MAIL, provider.issuer()]).await.success_json();
        let told = provider.userinfo(access(&body)).await.success_json();
        let seen = server.introspect(access(&body)).await;
        assert_eq!(seen["active"], true);
        assert_eq!((seen.get("email"), seen.get("name")), (told.get("email"), told.get("name")));
        assert_eq!(seen.get("email").is_some(), scope.contains("email"), "{seen}");
    }
}
