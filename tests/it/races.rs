//! Many hands on one thing: exactly one of them gets it.

use crate::support::browser::Landing;
use crate::support::house::{House, on_every_store};
use crate::support::wire::Answer;

on_every_store![
    sixty_four_hands_on_a_code_make_one_grant,
    sixty_four_hands_on_a_refresh_token_get_the_same_next_one,
    thirty_two_hands_on_a_consent_form_get_one_code,
];

/// How many begin at once.
async fn at_once<F>(hands: usize, one: impl Fn(usize) -> F) -> Vec<Answer>
where
    F: Future<Output = Answer> + Send + 'static,
{
    let begun: Vec<_> = (0..hands).map(|hand| tokio::spawn(one(hand))).collect();
    let mut answers = Vec::new();
    for hand in begun {
        answers.push(hand.await.expect("an answer"));
    }
    answers
}

async fn sixty_four_hands_on_a_code_make_one_grant(house: House) {
    let shop = std::sync::Arc::new(house.relying_party("shop").await);
    let request = shop.asks("openid");
    let code = house.browser("ada").authorizes(&request.url()).await.code();
    let answers = at_once(64, |_| {
        let (shop, request, code) = (shop.clone(), request.clone(), code.clone());
        async move { shop.exchanges(&code, &request).await }
    })
    .await;
    let good: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(good.len(), 1);
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(refused.error(), (400, "invalid_grant".to_owned()));
    }
    let token = good[0].json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(house.userinfo(&token).await.status, 401, "the replays ended the grant");
}

async fn sixty_four_hands_on_a_refresh_token_get_the_same_next_one(house: House) {
    let shop = std::sync::Arc::new(house.relying_party("shop").await);
    let tokens = shop.signs_in(&house.browser("ada"), "openid").await;
    let answers = at_once(64, |_| {
        let (shop, token) = (shop.clone(), tokens.refresh().to_owned());
        async move { shop.refreshes(&token).await }
    })
    .await;
    let mut next: Vec<String> =
        answers.iter().map(|it| it.good()["refresh_token"].as_str().unwrap().to_owned()).collect();
    next.dedup();
    assert_eq!(next.len(), 1);
    assert_ne!(next[0], tokens.refresh());
    assert_eq!(shop.refreshes(&next[0]).await.status, 200);
}

async fn thirty_two_hands_on_a_consent_form_get_one_code(house: House) {
    let shop = house.relying_party("shop").await;
    let ada = std::sync::Arc::new(house.browser("ada"));
    let login = ada.opens(&shop.asks("openid").url()).await;
    let consent = ada.signs_in(&login).await;
    let answers = at_once(32, |_| {
        let (ada, consent) = (ada.clone(), consent.clone());
        async move { ada.decides(&consent, "accept").await }
    })
    .await;
    let left = answers.iter().filter(|answer| answer.location().is_some());
    let codes: Vec<String> = left.map(|answer| Landing::of(answer).code()).collect();
    assert_eq!(codes.len(), 1);
    let others = answers.iter().filter(|answer| answer.location().is_none());
    for other in others {
        assert_eq!(other.words("h1").as_deref(), Some("Already signed in"));
    }
}
