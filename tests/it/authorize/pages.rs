use std::time::Duration;

use latchkey::domain::clients::{self, ClientId};

use crate::support::browser::AuthorizationResponse;
use crate::support::test_server::{PASSWORD, TestServer, on_every_store};

on_every_store![
    form_post_answers_with_a_form_that_sends_itself,
    a_request_may_come_by_form,
    an_interaction_belongs_to_the_browser_that_began_it,
    a_form_without_its_token_counts_for_nothing,
    whoever_denies_or_cancels_sends_the_client_away_with_nothing,
    a_wrong_password_an_unknown_name_and_a_disabled_person_look_the_same,
    an_interaction_that_took_too_long_offers_to_start_again,
    nobody_is_sent_to_a_redirect_uri_that_was_given_up_meanwhile,
    who_agreed_once_is_not_asked_again_for_the_same,
];

async fn form_post_answers_with_a_form_that_sends_itself(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let request = shop.authorization_request("openid").with("response_mode", "form_post");
    let login = ada.open(&request.url()).await;
    let consent = ada.sign_in(&login).await;
    let answer = ada.decide_consent(&consent, "accept").await;
    assert_eq!((answer.status, answer.location()), (200, None));
    assert!(answer.has_element("form[method=post][action='https://shop.example/cb']"));
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'nonce-"), "{policy}");
    let fields = answer.hidden_fields_beside("input[name=code]");
    let names: Vec<&str> = fields.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["code", "session_state", "state", "iss"]);
    assert_eq!(shop.redeem(&fields[0].1, &request).await.status, 200);
}

async fn a_request_may_come_by_form(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let request = shop.authorization_request("openid");
    for _ in 0..2 {
        let mut answer = ada.submit("/authorize", &request.fields()).await;
        if answer.location().is_none() {
            answer = ada.decide_consent(&ada.sign_in(&answer).await, "accept").await;
        }
        let code = AuthorizationResponse::from_redirect(&answer).code();
        assert_eq!(shop.redeem(&code, &request).await.status, 200);
    }
}

async fn an_interaction_belongs_to_the_browser_that_began_it(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let (ada, thief) = (server.browser("ada"), server.browser("bob"));
    let login = ada.open(&shop.authorization_request("openid").url()).await;
    // Also one that has a secret of its own.
    thief.open(&shop.authorization_request("openid").url()).await;
    for stranger in [&server.browser("bob"), &thief] {
        let answer = stranger.sign_in(&login).await;
        assert_eq!((answer.status, answer.location()), (400, None));
    }
    let consent = ada.sign_in(&login).await;
    let answer = thief.decide_consent(&consent, "accept").await;
    assert_eq!((answer.status, answer.location()), (400, None));
    assert!(
        !AuthorizationResponse::from_redirect(&ada.decide_consent(&consent, "accept").await)
            .code()
            .is_empty()
    );
}

async fn a_form_without_its_token_counts_for_nothing(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let login = ada.open(&shop.authorization_request("openid").url()).await;
    let hidden = login.hidden_fields_beside("#login-submit");
    let interaction = &hidden.iter().find(|(name, _)| name == "interaction").unwrap().1;
    let typed = [("interaction", &**interaction), ("username", "ada"), ("password", PASSWORD)];
    let refused = ada.submit("/login", &typed).await;
    assert!(refused.status >= 400 && !refused.has_element("#consent-accept"), "{refused:?}");
    let consent = ada.sign_in(&login).await;
    // The login form's token is not the consent form's.
    let csrf = &hidden.iter().find(|(name, _)| name == "csrf").unwrap().1;
    let swapped = [("interaction", &**interaction), ("csrf", csrf), ("decision", "accept")];
    let refused = ada.submit("/consent", &swapped).await;
    assert!(refused.status >= 400 && refused.location().is_none(), "{refused:?}");
    assert!(
        !AuthorizationResponse::from_redirect(&ada.decide_consent(&consent, "accept").await)
            .code()
            .is_empty()
    );
}

async fn whoever_denies_or_cancels_sends_the_client_away_with_nothing(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let login = ada.open(&shop.authorization_request("openid").url()).await;
    let denied = ada.decide_consent(&ada.sign_in(&login).await, "deny").await;
    let hidden = server.browser("ada");
    let login = hidden.open(&shop.authorization_request("openid").url()).await;
    let fields = login.hidden_fields_beside("#login-cancel");
    let mut fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (&**n, &**v)).collect();
    fields.push(("cancel", "1"));
    let cancelled = hidden.submit("/login", &fields).await;
    for answer in [denied, cancelled] {
        let landing = AuthorizationResponse::from_redirect(&answer);
        assert_eq!((&*landing.error(), landing.param("code")), ("access_denied", None));
        assert_eq!(landing.param("state").as_deref(), Some("s t&a=te"));
    }
}

async fn a_wrong_password_an_unknown_name_and_a_disabled_person_look_the_same(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let login = ada.open(&shop.authorization_request("openid").url()).await;
    server.disable_user("bob").await;
    let mut seen = Vec::new();
    for (name, password) in [("ada", "wrong password"), ("eve", PASSWORD), ("bob", PASSWORD)] {
        let answer = ada.sign_in_as(&login, name, password).await;
        assert!(
            answer.has_element("[role=alert]") && answer.has_element("#login-submit"),
            "{name}"
        );
        assert!(!answer.body.contains(password), "{name}");
        seen.push((answer.status, answer.body.replace(&format!("\"{name}\""), "\"name\"")));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[1], seen[2]);
    assert!(ada.sign_in(&login).await.has_element("#consent-accept"), "the form still works");
}

async fn an_interaction_that_took_too_long_offers_to_start_again(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let login = ada.open(&shop.authorization_request("openid").url()).await;
    server.advance_time(server.app().config.lifetimes.interaction + Duration::from_secs(1));
    let late = ada.sign_in(&login).await;
    assert_eq!(late.status, 400);
    assert_eq!(late.text_of("h1").as_deref(), Some("That took too long"));
    assert_eq!(late.text_of("a.button").as_deref(), Some("Start again"));
}

async fn nobody_is_sent_to_a_redirect_uri_that_was_given_up_meanwhile(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let login = ada.open(&shop.authorization_request("openid").url()).await;
    let consent = ada.sign_in(&login).await;
    let id = ClientId::parse("shop").unwrap();
    let moves = clients::update(server.store(), &id, |client| {
        client.metadata.redirect_uris = vec!["https://shop.example/new".to_owned()];
    });
    assert_eq!(moves.await.unwrap(), Some(()));
    for decision in ["accept", "deny"] {
        let answer = ada.decide_consent(&consent, decision).await;
        assert_eq!((answer.status, answer.location()), (400, None));
        assert_eq!(answer.text_of("h1").as_deref(), Some("Please start again"));
    }
}

async fn who_agreed_once_is_not_asked_again_for_the_same(server: TestServer) {
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    shop.sign_in(&ada, "openid email").await;
    let again = ada.open(&shop.authorization_request("openid").url()).await;
    assert!(!AuthorizationResponse::from_redirect(&again).code().is_empty());
    assert!(
        ada.open(&shop.authorization_request("openid email phone").url())
            .await
            .has_element("#consent-accept")
    );
    let asked = shop.authorization_request("openid").with("prompt", "consent");
    assert!(ada.open(&asked.url()).await.has_element("#consent-accept"));
}
