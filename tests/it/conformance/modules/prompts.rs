//! When a person is asked, and when not.

use crate::conformance::client::{Client, SignedIn};
use crate::conformance::suite::Suite;
use crate::support::browser::Browser;

fn auth_time(done: &SignedIn) -> u64 {
    done.claims["auth_time"].as_u64().expect("CheckIdTokenAuthTimeIsPresent")
}

/// Signs in, and a moment later again with this parameter.
async fn twice(
    suite: &Suite,
    client: &Client<'_>,
    (name, first, second): (&str, Option<&str>, &str),
) -> (SignedIn, SignedIn) {
    let browser = suite.browser();
    let request = client.asks();
    let request = first.map_or(request.clone(), |first| request.with(name, first));
    let before = client.signs_in(&browser, &request).await;
    suite.waits(2);
    let after = client.signs_in(&browser, &client.asks().with(name, second)).await;
    assert_eq!(before.claims["sub"], after.claims["sub"], "CheckIdTokenSubConsistent");
    (before, after)
}

pub async fn oidcc_prompt_login(suite: &Suite) {
    let client = suite.client().await;
    let (before, after) = twice(suite, &client, ("prompt", None, "login")).await;
    assert!(after.callback.asked_to_sign_in(), "ExpectSecondLoginPage");
    assert!(auth_time(&after) > auth_time(&before), "CheckSecondIdTokenAuthTimeIsLater");
}

pub async fn oidcc_prompt_none_not_logged_in(suite: &Suite) {
    let client = suite.client().await;
    let error = client.is_refused(&suite.browser(), &client.asks().with("prompt", "none")).await;
    let allowed = [
        "login_required",
        "interaction_required",
        "consent_required",
        "account_selection_required",
    ];
    assert!(
        allowed.contains(&&*error),
        "CheckErrorFromAuthorizationEndpointIsOneThatRequiresUI: {error}"
    );
}

pub async fn oidcc_prompt_none_logged_in(suite: &Suite) {
    let client = suite.client().await;
    let (before, after) = twice(suite, &client, ("prompt", None, "none")).await;
    assert!(after.callback.pages.is_empty());
    assert_eq!(auth_time(&after), auth_time(&before), "CheckIdTokenAuthTimeClaimsSameIfPresent");
}

pub async fn oidcc_max_age_1(suite: &Suite) {
    let client = suite.client().await;
    let (before, after) = twice(suite, &client, ("max_age", None, "1")).await;
    assert!(after.callback.asked_to_sign_in(), "ExpectSecondLoginPage");
    assert!(auth_time(&after) > auth_time(&before), "CheckSecondIdTokenAuthTimeIsLater");
}

pub async fn oidcc_max_age_10000(suite: &Suite) {
    let client = suite.client().await;
    let (before, after) = twice(suite, &client, ("max_age", Some("15000"), "10000")).await;
    assert!(after.callback.pages.is_empty());
    assert_eq!(auth_time(&after), auth_time(&before), "CheckIdTokenAuthTimeClaimsSameIfPresent");
}

pub async fn oidcc_id_token_hint(suite: &Suite) {
    let (client, browser): (_, Browser) = (suite.client().await, suite.browser());
    let before = client.signs_in(&browser, &client.asks()).await;
    let hinted = client.asks().with("prompt", "none").with("id_token_hint", &before.id_token);
    let after = client.signs_in(&browser, &hinted).await;
    assert!(after.callback.pages.is_empty());
    assert_eq!(before.claims["sub"], after.claims["sub"], "CheckIdTokenSubConsistent");
}
