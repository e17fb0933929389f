//! What a person agrees to is a scope at an API: each is named, and asked about once.

use latchkey::domain::clients::{self, Client, ClientId};

use super::{FILES, MAIL, api, declares, naming, with_apis};
use crate::support::browser::AuthorizationResponse;
use crate::support::test_server::{TestServer, on_every_store};

on_every_store![
    a_new_api_is_asked_about_and_an_old_one_is_remembered,
    a_yes_to_one_api_is_none_to_the_same_scope_at_another,
    the_apis_that_the_operator_gave_a_client_are_named_and_agreed_to,
];

async fn a_new_api_is_asked_about_and_an_old_one_is_remembered(server: TestServer) {
    with_apis(&server).await;
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let scope = "openid mail.read files.read";
    ada.authorize(&naming(shop.authorization_request(scope), &[MAIL]).url()).await;
    let is_asked = async |named: &[&str]| {
        let answer = ada.get(&naming(shop.authorization_request(scope), named).url()).await;
        answer.location().is_some_and(|to| to.starts_with("/consent") || to.contains("/consent?"))
    };
    assert!(!is_asked(&[MAIL]).await);
    assert!(!is_asked(&[]).await, "less is no news");
    assert!(is_asked(&[FILES]).await);
    let silent = naming(shop.authorization_request(scope), &[FILES]).with("prompt", "none");
    assert_eq!(
        AuthorizationResponse::from_redirect(&ada.get(&silent.url()).await).error(),
        "consent_required"
    );
    ada.authorize(&naming(shop.authorization_request(scope), &[FILES]).url()).await;
    assert!(!is_asked(&[MAIL, FILES]).await);
    let user = "ada".to_owned();
    let listed = server.run_operation(latchkey::operations::consents::List { user }).await;
    assert_eq!(listed[0].resources, [MAIL, FILES].map(str::to_owned).into());
}

async fn a_yes_to_one_api_is_none_to_the_same_scope_at_another(server: TestServer) {
    declares(&server, MAIL, api("read write")).await;
    declares(&server, FILES, api("read write")).await;
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    ada.authorize(&naming(shop.authorization_request("read write"), &[FILES]).url()).await;
    ada.authorize(&naming(shop.authorization_request("read"), &[MAIL]).url()).await;
    for (scope, named, covered) in [
        ("write", &[MAIL] as &[&str], false),
        ("write", &[MAIL, FILES], false),
        ("read", &[MAIL, FILES], true),
        ("read write", &[FILES], true),
    ] {
        let silent = naming(shop.authorization_request(scope), named).with("prompt", "none");
        let landing = AuthorizationResponse::from_redirect(&ada.get(&silent.url()).await);
        let error = landing.param("error");
        let expected = (!covered).then_some("consent_required");
        assert_eq!(error.as_deref(), expected, "{scope} {named:?}");
    }
}

async fn the_apis_that_the_operator_gave_a_client_are_named_and_agreed_to(server: TestServer) {
    with_apis(&server).await;
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    ada.authorize(&shop.authorization_request("openid").url()).await;
    let id = ClientId::parse("shop").expect("an id");
    let gives = |client: &mut Client| client.settings.audience = vec![MAIL.to_owned()];
    clients::update(server.store(), &id, gives).await.expect("a store");
    let silent = shop.authorization_request("openid").with("prompt", "none");
    assert_eq!(
        AuthorizationResponse::from_redirect(&ada.get(&silent.url()).await).error(),
        "consent_required"
    );
    let shown = ada
        .open(&shop.authorization_request("openid").url())
        .await
        .text_of("main")
        .expect("a page");
    assert!(shown.contains("Mail") && shown.contains(MAIL), "{shown}");
    ada.authorize(&shop.authorization_request("openid").url()).await;
    let silent = shop.authorization_request("openid").with("prompt", "none");
    assert!(!AuthorizationResponse::from_redirect(&ada.get(&silent.url()).await).code().is_empty());
}
