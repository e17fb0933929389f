//! Input has limits, and nothing that Latchkey issues exceeds them: a token or a page works however much it holds.

use latchkey::domain::clients::ClientSettings;
use latchkey::domain::token_claims::MAX_ACCESS_TOKEN_LEN;
use latchkey::domain::users;
use latchkey::infra::jose::MAX_OWN_JWT_LEN;
use latchkey::infra::secret::from_base64url;
use latchkey::protocol::claims::ScopeEntry;
use latchkey::server::routes;
use serde_json::{Value, json};

use crate::logout::rp_initiated::{BYE, is_signed_in, logout};
use crate::logs::logged;
use crate::support::browser::{AuthorizationResponse, Browser};
use crate::support::http::{self, HttpResponse};
use crate::support::relying_party::{RelyingParty, Tokens};
use crate::support::test_server::{Backend, TestServer, on_every_store};

on_every_store![
    an_id_token_of_somebody_in_250_groups_is_a_good_hint_everywhere,
    the_longest_access_token_is_taken_at_every_endpoint,
];

/// An application that gets everything in the ID token, of a person who is in so many groups.
async fn crowded(server: &TestServer, groups: usize) -> (RelyingParty, Browser, Tokens) {
    let app = server.app();
    let mut catalogue = (*app.catalogue()).clone();
    let claims = ["groups".to_owned()].into();
    catalogue.add("groups", ScopeEntry { claims, ..ScopeEntry::default() });
    let metadata = routes::metadata(&app.config, &catalogue);
    app.replace_scopes(catalogue, &metadata);
    let sub = server.user("ada").await.sub;
    let named = |number| format!("cn=team-{number:04},ou=groups,dc=ada,dc=example");
    let names: Vec<String> = (0..groups).map(named).collect();
    let joined = users::update(server.store(), &sub, |user| user.groups.clone_from(&names)).await;
    assert_eq!(joined.expect("a store"), Some(()));
    let metadata = json!({ "scope": "openid profile groups", "post_logout_redirect_uris": [BYE] });
    let settings = ClientSettings { claims_in_id_token: true, ..ClientSettings::default() };
    let shop = server.relying_party_with("shop", &metadata, settings).await;
    let ada = server.browser("ada");
    let tokens = shop.sign_in(&ada, "openid profile groups").await;
    (shop, ada, tokens)
}

/// What another site sends, and what the browser does with the answer.
async fn from_another_site(ada: &Browser, path: &str, fields: &[(&str, &str)]) -> HttpResponse {
    let sent = ada.post_cross_site(path, fields).await;
    assert_eq!((sent.status, sent.header("set-cookie")), (303, None), "{sent:?}");
    let to = sent.location().expect("a way on").to_owned();
    assert!(to.len() < 8_000, "{} bytes of address", to.len());
    ada.get(&to).await
}

async fn an_id_token_of_somebody_in_250_groups_is_a_good_hint_everywhere(server: TestServer) {
    let (shop, ada, tokens) = crowded(&server, 250).await;
    assert_eq!(tokens.id_claims()["groups"].as_array().map(Vec::len), Some(250));
    assert!(tokens.id().len() > 14_000, "{}", tokens.id().len());

    let silent = shop
        .authorization_request("openid")
        .with("prompt", "none")
        .with("id_token_hint", tokens.id());
    for answer in [
        ada.get(&silent.url()).await,
        ada.post("/authorize", &silent.fields()).await,
        from_another_site(&ada, "/authorize", &silent.fields()).await,
    ] {
        assert!(!AuthorizationResponse::from_redirect(&answer).code().is_empty());
    }
    let bob = server.browser("bob");
    shop.sign_in(&bob, "openid").await;
    let other = AuthorizationResponse::from_redirect(
        &from_another_site(&bob, "/authorize", &silent.fields()).await,
    );
    assert_eq!(other.error(), "login_required", "the hint counts");

    let fields =
        [("id_token_hint", tokens.id()), ("post_logout_redirect_uri", BYE), ("state", "s t&a=te")];
    let back = format!("{BYE}&state=s+t%26a%3Dte");
    assert_eq!(ada.get(&logout(&server, &fields)).await.location(), Some(&*back));
    assert!(!is_signed_in(&shop, &ada).await);
    for by_another_site in [false, true] {
        let tokens = shop.sign_in(&ada, "openid profile groups").await;
        let fields = [("id_token_hint", tokens.id()), fields[1], fields[2]];
        let answer = if by_another_site {
            from_another_site(&ada, "/logout", &fields).await
        } else {
            ada.post("/logout", &fields).await
        };
        assert_eq!(answer.location(), Some(&*back), "{answer:?}");
        assert!(!is_signed_in(&shop, &ada).await);
    }
}

/// An audience of the operator's and a scope, each as long as fits.
async fn the_longest_access_token_is_taken_at_every_endpoint(server: TestServer) {
    let audience = (0..160).map(|number| format!("https://api-{number:03}.example/v1/resource"));
    let audience: Vec<String> = audience.collect();
    let scope: Vec<String> = (0..49).map(|number| format!("longer-words-{number:03}")).collect();
    let scope = scope.join(" ");
    let metadata = json!({ "scope": format!("openid {scope}") });
    let settings = ClientSettings {
        resource_server_for: audience[..1].to_vec(),
        audience: audience.clone(),
        ..ClientSettings::default()
    };
    let robot = server.relying_party_with("robot", &metadata, settings).await;
    let tokens = robot.sign_in(&server.browser("ada"), &format!("openid {scope}")).await;
    let length = tokens.access().len();
    assert!((10_000..=MAX_ACCESS_TOKEN_LEN).contains(&length), "{length}");
    assert_eq!(server.userinfo(tokens.access()).await.status, 200);
    let by_form = robot.form("/userinfo", &[("access_token", tokens.access())]);
    assert_eq!(http::send(by_form).await.status, 200);
    assert_eq!(robot.introspect(tokens.access()).await["active"], true);
    robot.revoke(tokens.access()).await;
    assert_eq!(robot.introspect(tokens.access()).await["active"], false);

    // One more word, and no header would carry it: it is not made, and the log says why.
    let settings = ClientSettings {
        audience: [audience.clone(), audience].concat(),
        ..ClientSettings::default()
    };
    let metadata = json!({ "scope": format!("openid {scope}") });
    let robot = server.relying_party_with("longer", &metadata, settings).await;
    let request = robot.authorization_request(&format!("openid {scope}"));
    let code = server.browser("ada").authorize(&request.url()).await.code();
    let (status, error) = robot.redeem(&code, &request).await.error();
    assert_eq!((status, &*error), (500, "server_error"));
}

/// Nobody can ask userinfo then.
#[tokio::test]
async fn an_id_token_that_comes_alone_and_is_too_long_lacks_the_groups_and_nothing_else() {
    let types = [("RESPONSE_TYPES", "code,id_token")];
    let server = TestServer::start_with(Backend::Memory, &types).await;
    let (_, ada, _) = crowded(&server, 2_000).await;
    let metadata = json!({ "scope": "openid profile groups", "response_types": ["id_token"],
        "grant_types": ["implicit"] });
    let spa = server.relying_party_with("spa", &metadata, ClientSettings::default()).await;
    let request =
        spa.authorization_request("openid profile groups").with("response_type", "id_token");
    let landing = ada.authorize(&request.with("nonce", "n-0S6").url()).await;
    let token = landing.param("id_token").expect("an ID token");
    let part = from_base64url(token.split('.').nth(1).expect("a JWT")).expect("base64url");
    let claims: Value = serde_json::from_slice(&part).expect("JSON");
    assert_eq!((claims["name"].is_string(), claims.get("groups")), (true, None), "{claims}");
}

/// What would be too long for a hint is left to userinfo.
#[test]
fn an_id_token_that_would_be_refused_as_a_hint_is_not_made() {
    let (lengths, log) = logged(async {
        let server = TestServer::start(Backend::Memory).await;
        let (shop, ada, tokens) = crowded(&server, 2_000).await;
        let userinfo: Value = server.userinfo(tokens.access()).await.success_json();
        assert_eq!(userinfo["groups"].as_array().map(Vec::len), Some(2_000));
        assert_eq!(tokens.id_claims()["sub"], userinfo["sub"]);
        assert_eq!(tokens.id_claims().get("groups"), None);
        let silent = shop
            .authorization_request("openid")
            .with("prompt", "none")
            .with("id_token_hint", tokens.id());
        assert!(
            !AuthorizationResponse::from_redirect(&ada.get(&silent.url()).await).code().is_empty()
        );
        // One that just fits is a good hint, too.
        let server = TestServer::start(Backend::Memory).await;
        let (shop, ada, tokens) = crowded(&server, 530).await;
        let silent = shop
            .authorization_request("openid")
            .with("prompt", "none")
            .with("id_token_hint", tokens.id());
        for answer in [
            ada.get(&silent.url()).await,
            from_another_site(&ada, "/authorize", &silent.fields()).await,
        ] {
            assert!(!AuthorizationResponse::from_redirect(&answer).code().is_empty());
        }
        tokens.id().len()
    });
    assert!((30_000..=MAX_OWN_JWT_LEN).contains(&lengths), "{lengths}");
    assert_eq!(log.matches("too many claims for an ID token").count(), 1);
}
