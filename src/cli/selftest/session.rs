//! A second request while the person is signed in, and signing out ([OpenID Connect Core §3.1.2.1],
//! [RP-Initiated Logout]).
//!
//! [OpenID Connect Core §3.1.2.1]: https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest
//! [RP-Initiated Logout]: https://openid.net/specs/openid-connect-rpinitiated-1_0.html

use url::Url;

use super::authorization_request::AuthorizationUrl;
use super::browser::{BrowserOutcome, agree, password_form};
use super::client::{SIGNED_OUT, random_string};
use super::context::TestContext;
use super::html_forms::attribute;
use super::http::HttpRequest;
use super::report::{CheckFailure, CheckResult, Findings, fail, must, skip};
use super::sign_in::{authorize_silently, open_page};

/// Nobody is asked, and it is the same person.
pub(super) async fn prompt_none(
    context: &mut TestContext,
    changes: &[(&str, &str)],
) -> CheckResult {
    let before = context.tokens()?;
    let after = authorize_silently(context, changes).await?;
    let mut findings = Findings::default();
    for name in ["sub", "auth_time"] {
        let (old, new) = (before.claims.get(name), after.claims.get(name));
        if old != new && (name == "sub" || old.is_some() && new.is_some()) {
            findings.fail(format!("{name} is not as it was at the sign-in"));
        }
    }
    findings.result()
}

/// Whoever was signed in is who the application thinks of.
pub(super) async fn id_token_hint(context: &mut TestContext) -> CheckResult {
    let tokens = context.tokens()?;
    let hint = tokens.text("id_token").unwrap_or_default();
    prompt_none(context, &[("id_token_hint", hint)]).await
}

/// Whoever asks how long ago it was is told.
pub(super) async fn max_age(context: &mut TestContext) -> CheckResult {
    let tokens = authorize_silently(context, &[("max_age", "10000")]).await?;
    let told = tokens.claims.get("auth_time").is_some_and(serde_json::Value::is_u64);
    must(told, || "there is no auth_time in the ID token, though max_age was sent".to_owned())
}

pub(super) async fn no_nonce(context: &mut TestContext) -> CheckResult {
    let tokens = authorize_silently(context, &[("nonce", "")]).await?;
    must(!tokens.claims.contains_key("nonce"), || {
        "there is a nonce in the ID token, though none was sent".to_owned()
    })
}

/// The password is asked for again.
pub(super) async fn asks_again(context: &mut TestContext, name: &str, value: &str) -> CheckResult {
    context.tokens()?;
    let request = AuthorizationUrl::of(&context.web()?).with(name, value);
    match open_page(context, &request).await? {
        BrowserOutcome::Page(page) => must(password_form(&page).is_some(), || {
            format!("{} shows no form for the password ({})", page.what, page.status)
        }),
        BrowserOutcome::Landed(_) | BrowserOutcome::SignedOut(_) => {
            Err(fail("nobody is asked for the password"))
        }
    }
}

/// The page for signing out, without its parameters.
fn end_session(context: &TestContext) -> Result<Url, CheckFailure> {
    context.tokens()?;
    context.metadata.endpoint("end_session_endpoint").map_err(|failure| match failure {
        CheckFailure::Skip(_) => skip("not offered"),
        CheckFailure::Fail(_) | CheckFailure::Warn(_) => failure,
    })
}

/// Out, back to the application with its state, and the session is over.
pub(super) async fn logout(context: &mut TestContext) -> CheckResult {
    let mut url = end_session(context)?;
    let state = random_string();
    let tokens = context.tokens()?;
    let hint = tokens.text("id_token").unwrap_or_default();
    url.query_pairs_mut().extend_pairs([
        ("id_token_hint", hint),
        ("post_logout_redirect_uri", SIGNED_OUT),
        ("state", &state),
    ]);
    let to = signed_out(context, HttpRequest::get(&url)).await?;
    let given: Vec<_> = to.query_pairs().into_owned().collect();
    must(given == [("state".to_owned(), state)], || {
        "the way back does not carry exactly the state".to_owned()
    })?;
    let request = AuthorizationUrl::of(&context.web()?).with("prompt", "none");
    match open_page(context, &request).await? {
        BrowserOutcome::Landed(redirect) => {
            redirect.refuses(&context.metadata, &request, super::authorize::PROMPT_NONE_ERRORS)
        }
        BrowserOutcome::Page(page) => Err(fail(format!("{} shows a page", page.what))),
        BrowserOutcome::SignedOut(_) => Err(fail("it goes to the page for signing out")),
    }
}

/// Presses what there is to press.
async fn signed_out(context: &mut TestContext, ask: HttpRequest) -> Result<Url, CheckFailure> {
    let mut stop = context.browser.go(&context.http, ask).await?;
    for _ in 0..3 {
        let page = match stop {
            BrowserOutcome::SignedOut(url) => return Ok(url),
            BrowserOutcome::Landed(_) => return Err(fail("it goes to the sign-in callback")),
            BrowserOutcome::Page(page) => page,
        };
        // A page that tells other applications first goes on by itself.
        let to_it = |value: &str| value.contains(SIGNED_OUT);
        if let Some(onward) = attribute(&page.text(), to_it) {
            let url = onward.find(SIGNED_OUT).and_then(|at| onward.get(at..)).unwrap_or_default();
            return url
                .trim_end_matches(['\'', '"'])
                .parse()
                .map_err(|_| fail("no URL to go back to"));
        }
        let ask = agree(&page)?;
        stop = context.browser.go(&context.http, ask).await?;
    }
    Err(fail("there is no end to the pages"))
}

/// Nobody is sent to an address that was not registered for it (§3).
pub(super) async fn logout_elsewhere(context: &mut TestContext) -> CheckResult {
    let mut url = end_session(context)?;
    let tokens = context.tokens()?;
    let hint = tokens.text("id_token").unwrap_or_default();
    let elsewhere = "https://evil.example/signed-out";
    let pairs = [("id_token_hint", hint), ("post_logout_redirect_uri", elsewhere)];
    url.query_pairs_mut().extend_pairs(pairs);
    let response = context.http.send(HttpRequest::get(&url)).await?;
    let away =
        response.location().is_some_and(|to| to.as_str().starts_with("https://evil.example"));
    let linked = attribute(&response.text(), |value| value.contains(elsewhere)).is_some();
    must(!away && !linked, || "it leads to an address that was never registered".to_owned())
}
