use std::time::Duration;

use latchkey::domain::clients::{self, ClientId};

use crate::support::browser::Landing;
use crate::support::test_server::{House, PASSWORD, on_every_store};

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

async fn form_post_answers_with_a_form_that_sends_itself(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let request = shop.asks("openid").with("response_mode", "form_post");
    let login = ada.opens(&request.url()).await;
    let consent = ada.signs_in(&login).await;
    let answer = ada.decides(&consent, "accept").await;
    assert_eq!((answer.status, answer.location()), (200, None));
    assert!(answer.shows("form[method=post][action='https://shop.example/cb']"));
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'nonce-"), "{policy}");
    let fields = answer.hidden_fields_beside("input[name=code]");
    let names: Vec<&str> = fields.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["code", "session_state", "state", "iss"]);
    assert_eq!(shop.exchanges(&fields[0].1, &request).await.status, 200);
}

async fn a_request_may_come_by_form(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let request = shop.asks("openid");
    for _ in 0..2 {
        let mut answer = ada.submits("/authorize", &request.fields()).await;
        if answer.location().is_none() {
            answer = ada.decides(&ada.signs_in(&answer).await, "accept").await;
        }
        let code = Landing::of(&answer).code();
        assert_eq!(shop.exchanges(&code, &request).await.status, 200);
    }
}

async fn an_interaction_belongs_to_the_browser_that_began_it(house: House) {
    let shop = house.relying_party("shop").await;
    let (ada, thief) = (house.browser("ada"), house.browser("bob"));
    let login = ada.opens(&shop.asks("openid").url()).await;
    // Also one that has a secret of its own.
    thief.opens(&shop.asks("openid").url()).await;
    for stranger in [&house.browser("bob"), &thief] {
        let answer = stranger.signs_in(&login).await;
        assert_eq!((answer.status, answer.location()), (400, None));
    }
    let consent = ada.signs_in(&login).await;
    let answer = thief.decides(&consent, "accept").await;
    assert_eq!((answer.status, answer.location()), (400, None));
    assert!(!Landing::of(&ada.decides(&consent, "accept").await).code().is_empty());
}

async fn a_form_without_its_token_counts_for_nothing(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let login = ada.opens(&shop.asks("openid").url()).await;
    let hidden = login.hidden_fields_beside("#login-submit");
    let interaction = &hidden.iter().find(|(name, _)| name == "interaction").unwrap().1;
    let typed = [("interaction", &**interaction), ("username", "ada"), ("password", PASSWORD)];
    let refused = ada.submits("/login", &typed).await;
    assert!(refused.status >= 400 && !refused.shows("#consent-accept"), "{refused:?}");
    let consent = ada.signs_in(&login).await;
    // The login form's token is not the consent form's.
    let csrf = &hidden.iter().find(|(name, _)| name == "csrf").unwrap().1;
    let swapped = [("interaction", &**interaction), ("csrf", csrf), ("decision", "accept")];
    let refused = ada.submits("/consent", &swapped).await;
    assert!(refused.status >= 400 && refused.location().is_none(), "{refused:?}");
    assert!(!Landing::of(&ada.decides(&consent, "accept").await).code().is_empty());
}

async fn whoever_denies_or_cancels_sends_the_client_away_with_nothing(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let login = ada.opens(&shop.asks("openid").url()).await;
    let denied = ada.decides(&ada.signs_in(&login).await, "deny").await;
    let hidden = house.browser("ada");
    let login = hidden.opens(&shop.asks("openid").url()).await;
    let fields = login.hidden_fields_beside("#login-cancel");
    let mut fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (&**n, &**v)).collect();
    fields.push(("cancel", "1"));
    let cancelled = hidden.submits("/login", &fields).await;
    for answer in [denied, cancelled] {
        let landing = Landing::of(&answer);
        assert_eq!((&*landing.error(), landing.param("code")), ("access_denied", None));
        assert_eq!(landing.param("state").as_deref(), Some("s t&a=te"));
    }
}

async fn a_wrong_password_an_unknown_name_and_a_disabled_person_look_the_same(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let login = ada.opens(&shop.asks("openid").url()).await;
    house.disables("bob").await;
    let mut seen = Vec::new();
    for (name, password) in [("ada", "wrong password"), ("eve", PASSWORD), ("bob", PASSWORD)] {
        let answer = ada.tries(&login, name, password).await;
        assert!(answer.shows("[role=alert]") && answer.shows("#login-submit"), "{name}");
        assert!(!answer.body.contains(password), "{name}");
        seen.push((answer.status, answer.body.replace(&format!("\"{name}\""), "\"name\"")));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[1], seen[2]);
    assert!(ada.signs_in(&login).await.shows("#consent-accept"), "the form still works");
}

async fn an_interaction_that_took_too_long_offers_to_start_again(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let login = ada.opens(&shop.asks("openid").url()).await;
    house.later(house.app().config.lifetimes.interaction + Duration::from_secs(1));
    let late = ada.signs_in(&login).await;
    assert_eq!(late.status, 400);
    assert_eq!(late.words("h1").as_deref(), Some("That took too long"));
    assert_eq!(late.words("a.button").as_deref(), Some("Start again"));
}

async fn nobody_is_sent_to_a_redirect_uri_that_was_given_up_meanwhile(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    let login = ada.opens(&shop.asks("openid").url()).await;
    let consent = ada.signs_in(&login).await;
    let id = ClientId::parse("shop").unwrap();
    let moves = clients::update(house.store(), &id, |client| {
        client.metadata.redirect_uris = vec!["https://shop.example/new".to_owned()];
    });
    assert_eq!(moves.await.unwrap(), Some(()));
    for decision in ["accept", "deny"] {
        let answer = ada.decides(&consent, decision).await;
        assert_eq!((answer.status, answer.location()), (400, None));
        assert_eq!(answer.words("h1").as_deref(), Some("Please start again"));
    }
}

async fn who_agreed_once_is_not_asked_again_for_the_same(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = house.browser("ada");
    shop.signs_in(&ada, "openid email").await;
    let again = ada.opens(&shop.asks("openid").url()).await;
    assert!(!Landing::of(&again).code().is_empty());
    assert!(ada.opens(&shop.asks("openid email phone").url()).await.shows("#consent-accept"));
    let asked = shop.asks("openid").with("prompt", "consent");
    assert!(ada.opens(&asked.url()).await.shows("#consent-accept"));
}
