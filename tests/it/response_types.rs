//! Response types and modes ([OAuth 2.0 Multiple Response Types], OpenID Connect Core §3.2, §3.3).
//!
//! [OAuth 2.0 Multiple Response Types]: https://openid.net/specs/oauth-v2-multiple-response-types-1_0.html

use latchkey::domain::clients::ClientSettings;
use latchkey::infra::secret::{base64url, from_base64url};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::browser::AuthorizationResponse;
use crate::support::relying_party::{AuthorizationRequest, RelyingParty};
use crate::support::test_server::{Backend, TestServer, on_every_store};

const EVERY: &str =
    "code,none,id_token,id_token token,code id_token,code token,code id_token token";

on_every_store![
    &[("RESPONSE_TYPES", super::EVERY)];
    each_response_type_carries_what_it_names,
    a_hybrid_code_brings_tokens_that_agree_with_the_answer,
    a_token_from_the_browser_is_good_and_ends_with_its_grant,
    an_id_token_that_comes_alone_brings_the_claims,
    tokens_never_travel_in_a_query,
    an_answer_by_form_holds_the_same,
    what_is_missing_is_said_in_the_fragment,
    a_client_gets_the_response_types_it_registered,
    nobody_is_refreshed_without_a_code,
    none_only_says_that_the_person_agreed,
];

async fn implicit(server: &TestServer) -> RelyingParty {
    let every: Vec<&str> = EVERY.split(',').collect();
    let metadata = json!({"response_types": every, "scope": "openid profile email offline_access",
        "grant_types": ["authorization_code", "implicit", "refresh_token"]});
    server.relying_party_with("spa", &metadata, ClientSettings::default()).await
}

fn asking(spa: &RelyingParty, response_type: &str) -> AuthorizationRequest {
    spa.authorization_request("openid profile")
        .with("response_type", response_type)
        .with("nonce", "n-0S6")
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&from_base64url(part).expect("base64url")).expect("JSON")
}

fn half_hash(text: &str) -> Value {
    base64url(&Sha256::digest(text.as_bytes())[..16]).into()
}

async fn each_response_type_carries_what_it_names(server: TestServer) {
    let spa = implicit(&server).await;
    let browser = server.browser("ada");
    for response_type in EVERY.split(',') {
        let landing = browser.authorize(&asking(&spa, response_type).url()).await;
        let names = |word| response_type.split(' ').any(|it| it == word);
        let (code, token) = (landing.param("code"), landing.param("access_token"));
        let id_token = landing.param("id_token");
        assert_eq!(code.is_some(), names("code"), "{response_type}: {}", landing.0);
        assert_eq!(token.is_some(), names("token"), "{response_type}");
        assert_eq!(id_token.is_some(), names("id_token"), "{response_type}");
        let front = names("token") || names("id_token");
        assert_eq!(landing.0.query().is_none(), front, "{response_type}: {}", landing.0);
        assert_eq!(landing.param("state").as_deref(), Some("s t&a=te"), "{response_type}");
        assert_eq!(landing.param("iss").as_deref(), Some(server.issuer()), "{response_type}");
        assert_eq!(landing.param("token_type").as_deref(), token.as_ref().map(|_| "Bearer"));
        assert_eq!(landing.param("expires_in").as_deref(), token.as_ref().map(|_| "600"));
        let Some(id_token) = id_token else { continue };
        let claims = claims(&id_token);
        assert_eq!(claims["nonce"], "n-0S6", "{response_type}");
        assert_eq!(claims["s_hash"], half_hash("s t&a=te"), "{response_type}");
        let hash = |text: Option<String>| text.map_or(Value::Null, |text| half_hash(&text));
        assert_eq!(claims["c_hash"], hash(code), "{response_type}");
        assert_eq!(claims["at_hash"], hash(token), "{response_type}");
        assert!(
            server
                .app()
                .keys
                .verify(&id_token, latchkey::domain::token_claims::ID_TOKEN_TYP)
                .is_ok()
        );
    }
}

async fn a_hybrid_code_brings_tokens_that_agree_with_the_answer(server: TestServer) {
    let spa = implicit(&server).await;
    let request = asking(&spa, "code id_token token");
    let landing = server.browser("ada").authorize(&request.url()).await;
    let body = spa.redeem(&landing.code(), &request).await.success_json();
    let front = claims(&landing.param("id_token").expect("an ID token"));
    let back = claims(body["id_token"].as_str().expect("an ID token"));
    for name in ["iss", "sub", "aud", "nonce", "auth_time", "sid"] {
        assert_eq!(front[name], back[name], "{name}");
    }
    assert_ne!(body["access_token"], landing.param("access_token").expect("a token").as_str());
    assert_eq!(back["at_hash"], half_hash(body["access_token"].as_str().expect("a token")));
}

async fn a_token_from_the_browser_is_good_and_ends_with_its_grant(server: TestServer) {
    let spa = implicit(&server).await;
    let browser = server.browser("ada");
    let alone = browser.authorize(&asking(&spa, "id_token token").url()).await;
    let request = asking(&spa, "code token");
    let hybrid = browser.authorize(&request.url()).await;
    let token = |landing: &AuthorizationResponse| landing.param("access_token").expect("a token");
    for landing in [&alone, &hybrid] {
        assert_eq!(server.userinfo(&token(landing)).await.status, 200);
        assert_eq!(spa.introspect(&token(landing)).await["active"], true);
    }
    // A code that is used twice ends the grant, and what the browser was given with it.
    spa.redeem(&hybrid.code(), &request).await.success_json();
    assert_eq!(spa.redeem(&hybrid.code(), &request).await.status, 400);
    assert_eq!(server.userinfo(&token(&hybrid)).await.status, 401);
    spa.revoke(&token(&alone)).await;
    assert_eq!(server.userinfo(&token(&alone)).await.status, 401);
}

async fn an_id_token_that_comes_alone_brings_the_claims(server: TestServer) {
    let spa = implicit(&server).await;
    let browser = server.browser("ada");
    for (response_type, named) in
        [("id_token", true), ("id_token token", false), ("code id_token", false)]
    {
        let landing = browser.authorize(&asking(&spa, response_type).url()).await;
        let claims = claims(&landing.param("id_token").expect("an ID token"));
        assert_eq!(claims["name"].is_string(), named, "{response_type}: {claims}");
    }
}

async fn tokens_never_travel_in_a_query(server: TestServer) {
    let spa = implicit(&server).await;
    for response_type in EVERY.split(',').filter(|it| !["code", "none"].contains(it)) {
        let request = asking(&spa, response_type).with("response_mode", "query");
        let landing =
            AuthorizationResponse::from_redirect(&server.browser("ada").get(&request.url()).await);
        assert_eq!(landing.error(), "invalid_request", "{response_type}");
        assert_eq!(landing.0.query(), None, "{response_type}");
    }
    let request = asking(&spa, "code").with("response_mode", "fragment");
    let landing = server.browser("ada").authorize(&request.url()).await;
    assert_eq!(landing.0.query(), None);
    spa.redeem(&landing.code(), &request).await.success_json();
}

async fn an_answer_by_form_holds_the_same(server: TestServer) {
    let spa = implicit(&server).await;
    let browser = server.browser("ada");
    browser.authorize(&asking(&spa, "code").url()).await;
    for response_type in ["id_token token", "code id_token", "code id_token token"] {
        let request = asking(&spa, response_type).with("response_mode", "form_post");
        let page = browser.open(&request.url()).await;
        assert_eq!(page.location(), None);
        for word in
            response_type.split(' ').map(|it| if it == "token" { "access_token" } else { it })
        {
            assert!(page.has_element(&format!("form[method=post] input[name={word}]")), "{page:?}");
        }
    }
}

async fn what_is_missing_is_said_in_the_fragment(server: TestServer) {
    let spa = implicit(&server).await;
    for (response_type, request) in [
        ("id_token", asking(&spa, "id_token").without("nonce")),
        ("code id_token", asking(&spa, "code id_token").without("nonce")),
        ("scope", asking(&spa, "id_token token").with("scope", "profile")),
        ("prompt", asking(&spa, "id_token").with("prompt", "none")),
    ] {
        let landing =
            AuthorizationResponse::from_redirect(&server.browser("ada").get(&request.url()).await);
        assert!(landing.0.fragment().is_some_and(|it| it.starts_with("error=")), "{response_type}");
        assert_eq!(landing.param("state").as_deref(), Some("s t&a=te"), "{response_type}");
    }
    // "code token" has no ID token in the answer, so nothing has to tie one to the request.
    let request = asking(&spa, "code token").without("nonce");
    server.browser("ada").authorize(&request.url()).await.code();
}

async fn a_client_gets_the_response_types_it_registered(server: TestServer) {
    let shop = server.relying_party("shop").await;
    for response_type in ["id_token", "code id_token"] {
        let request = asking(&shop, response_type);
        let landing =
            AuthorizationResponse::from_redirect(&server.browser("ada").get(&request.url()).await);
        assert_eq!(landing.error(), "unauthorized_client");
    }
}

async fn nobody_is_refreshed_without_a_code(server: TestServer) {
    let spa = implicit(&server).await;
    let browser = server.browser("ada");
    let request = asking(&spa, "id_token token").with("scope", "openid offline_access");
    let landing = browser.authorize(&request.url()).await;
    assert_eq!(landing.param("scope").as_deref(), Some("openid"));
    let request = asking(&spa, "code id_token").with("scope", "openid offline_access");
    let landing = browser.authorize(&request.url()).await;
    let body = spa.redeem(&landing.code(), &request).await.success_json();
    assert!(body["refresh_token"].is_string());
}

async fn none_only_says_that_the_person_agreed(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let landing = server.browser("ada").authorize(&asking(&shop, "none").url()).await;
    let names: Vec<_> = landing.0.query_pairs().map(|(name, _)| name.into_owned()).collect();
    assert_eq!(names, ["session_state", "state", "iss"]);
}

/// Each client's ID tokens are signed with what it registered, and their hashes go by that algorithm.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_chooses_what_its_id_tokens_are_signed_with() {
    use sha2::Sha512;

    let every = [("RESPONSE_TYPES", EVERY), ("SIGNING_ALGS", "RS256,PS256,ES256,EdDSA")];
    let server = TestServer::start_with(Backend::Memory, &every).await;
    let browser = server.browser("ada");
    for alg in ["RS256", "PS256", "ES256", "EdDSA"] {
        let metadata = json!({"response_types": ["code id_token"], "id_token_signed_response_alg": alg,
            "grant_types": ["authorization_code", "implicit"]});
        let client = server.relying_party_with(alg, &metadata, ClientSettings::default()).await;
        let request = asking(&client, "code id_token");
        let landing = browser.authorize(&request.url()).await;
        let body = client.redeem(&landing.code(), &request).await.success_json();
        let front = landing.param("id_token").expect("an ID token");
        for token in [&*front, body["id_token"].as_str().expect("an ID token")] {
            let header = from_base64url(token.split('.').next().expect("a header"));
            let header: Value = serde_json::from_slice(&header.expect("base64url")).expect("JSON");
            assert_eq!(header["alg"], alg);
            assert!(
                server
                    .app()
                    .keys
                    .verify(token, latchkey::domain::token_claims::ID_TOKEN_TYP)
                    .is_ok(),
                "{alg}"
            );
        }
        let code = landing.code();
        let expected = match alg {
            "EdDSA" => base64url(&Sha512::digest(code.as_bytes())[..32]).into(),
            _ => half_hash(&code),
        };
        assert_eq!(claims(&front)["c_hash"], expected, "{alg}");
    }
}

mod by_default {
    use reqwest::Method;
    use serde_json::json;

    use crate::support::browser::AuthorizationResponse;
    use crate::support::http;
    use crate::support::test_server::{TestServer, on_every_store};

    async fn register(server: &TestServer, members: &serde_json::Value) -> http::HttpResponse {
        http::send(http::json(server.http(), Method::POST, &server.url("/register"), members)).await
    }

    on_every_store![
        implicit_and_hybrid_are_off,
        a_registered_confidential_client_sends_pkce_or_a_nonce
    ];

    async fn implicit_and_hybrid_are_off(server: TestServer) {
        let shop = server.relying_party("shop").await;
        for response_type in ["id_token", "token id_token", "code id_token", "code token"] {
            let request = super::asking(&shop, response_type);
            let landing = AuthorizationResponse::from_redirect(
                &server.browser("ada").get(&request.url()).await,
            );
            assert_eq!(landing.error(), "unsupported_response_type", "{response_type}");
        }
        let metadata =
            http::send(server.http().get(server.url("/.well-known/openid-configuration")))
                .await
                .success_json();
        assert_eq!(metadata["response_types_supported"], json!(["code", "none"]));
        assert!(!metadata["grant_types_supported"].to_string().contains("implicit"));
        let asked =
            json!({"redirect_uris": ["https://a.example/cb"], "response_types": ["id_token"]});
        let refused = register(&server, &asked).await;
        assert_eq!(refused.error(), (400, "invalid_client_metadata".to_owned()));
    }

    /// The certification suite's clients send neither a challenge nor, for one module, a nonce.
    async fn a_registered_confidential_client_sends_pkce_or_a_nonce(server: TestServer) {
        let uri = "https://suite.example/cb";
        let plain = |client: &serde_json::Value| {
            let id = client["client_id"].as_str().expect("an id").to_owned();
            format!(
                "{}/authorize?response_type=code&client_id={id}&redirect_uri={uri}&scope=openid",
                server.issuer()
            )
        };
        let asked = json!({"redirect_uris": [uri]});
        let confidential = register(&server, &asked).await.json();
        let landing = AuthorizationResponse::from_redirect(
            &server.browser("ada").get(&plain(&confidential)).await,
        );
        assert_eq!(landing.error(), "invalid_request");
        let why = landing.param("error_description").expect("words");
        assert!(why.contains("REQUIRE_PKCE"), "{why}");
        let nonce = format!("{}&nonce=n", plain(&confidential));
        assert!(server.browser("ada").authorize(&nonce).await.param("code").is_some());
        for (value, without, with_nonce) in [("public", true, true), ("all", false, false)] {
            let beside = server.start_another(&[("REQUIRE_PKCE", value)]).await;
            let goes_on = async |query: &str| {
                let url = query.replace(server.issuer(), beside.issuer());
                beside.browser("ada").authorize(&url).await.param("code").is_some()
            };
            assert_eq!(goes_on(&plain(&confidential)).await, without, "{value}");
            assert_eq!(goes_on(&nonce).await, with_nonce, "{value}");
        }
        let asked = json!({"redirect_uris": [uri], "token_endpoint_auth_method": "none"});
        let public = register(&server, &asked).await.json();
        let landing =
            AuthorizationResponse::from_redirect(&server.browser("ada").get(&plain(&public)).await);
        assert_eq!(landing.error(), "invalid_request");
    }
}
