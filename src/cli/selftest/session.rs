//! A second request while the person is signed in, and signing out ([OpenID Connect Core §3.1.2.1],
//! [RP-Initiated Logout]).
//!
//! [OpenID Connect Core §3.1.2.1]: https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest
//! [RP-Initiated Logout]: https://openid.net/specs/openid-connect-rpinitiated-1_0.html

use url::Url;

use super::browser::{Stop, agree, password_form};
use super::forms::attribute;
use super::http::Ask;
use super::report::{Findings, Not, Verdict, fail, must, skip};
use super::request::Request;
use super::sign_in::{look, silently};
use super::trial::{SIGNED_OUT, Trial, fresh};

/// Nobody is asked, and it is the same person.
pub(super) async fn prompt_none(trial: &mut Trial, changes: &[(&str, &str)]) -> Verdict {
    let before = trial.tokens()?;
    let after = silently(trial, changes).await?;
    let mut findings = Findings::default();
    for name in ["sub", "auth_time"] {
        let (old, new) = (before.claims.get(name), after.claims.get(name));
        if old != new && (name == "sub" || old.is_some() && new.is_some()) {
            findings.wrong(format!("{name} is not as it was at the sign-in"));
        }
    }
    findings.verdict()
}

/// Whoever was signed in is who the application thinks of.
pub(super) async fn id_token_hint(trial: &mut Trial) -> Verdict {
    let tokens = trial.tokens()?;
    let hint = tokens.text("id_token").unwrap_or_default();
    prompt_none(trial, &[("id_token_hint", hint)]).await
}

/// Whoever asks how long ago it was is told.
pub(super) async fn max_age(trial: &mut Trial) -> Verdict {
    let tokens = silently(trial, &[("max_age", "10000")]).await?;
    let told = tokens.claims.get("auth_time").is_some_and(serde_json::Value::is_u64);
    must(told, || "there is no auth_time in the ID token, though max_age was sent".to_owned())
}

pub(super) async fn no_nonce(trial: &mut Trial) -> Verdict {
    let tokens = silently(trial, &[("nonce", "")]).await?;
    must(!tokens.claims.contains_key("nonce"), || {
        "there is a nonce in the ID token, though none was sent".to_owned()
    })
}

/// The password is asked for again.
pub(super) async fn asks_again(trial: &mut Trial, name: &str, value: &str) -> Verdict {
    trial.tokens()?;
    let request = Request::of(&trial.web()?).with(name, value);
    match look(trial, &request).await? {
        Stop::Page(page) => must(password_form(&page).is_some(), || {
            format!("{} shows no form for the password ({})", page.what, page.status)
        }),
        Stop::Landed(_) | Stop::SignedOut(_) => Err(fail("nobody is asked for the password")),
    }
}

/// The page for signing out, without its parameters.
fn end_session(trial: &Trial) -> Result<Url, Not> {
    trial.tokens()?;
    trial.endpoint("end_session_endpoint").map_err(|not| match not {
        Not::Skip(_) => skip("not offered"),
        Not::Fail(_) | Not::Warn(_) => not,
    })
}

/// Out, back to the application with its state, and the session is over.
pub(super) async fn logout(trial: &mut Trial) -> Verdict {
    let mut url = end_session(trial)?;
    let state = fresh();
    let tokens = trial.tokens()?;
    let hint = tokens.text("id_token").unwrap_or_default();
    url.query_pairs_mut().extend_pairs([
        ("id_token_hint", hint),
        ("post_logout_redirect_uri", SIGNED_OUT),
        ("state", &state),
    ]);
    let to = signed_out(trial, Ask::get(&url)).await?;
    let given: Vec<_> = to.query_pairs().into_owned().collect();
    must(given == [("state".to_owned(), state)], || {
        "the way back does not carry exactly the state".to_owned()
    })?;
    let request = Request::of(&trial.web()?).with("prompt", "none");
    match look(trial, &request).await? {
        Stop::Landed(landing) => landing.refuses(trial, &request, super::authorize::NOBODY),
        Stop::Page(page) => Err(fail(format!("{} shows a page", page.what))),
        Stop::SignedOut(_) => Err(fail("it goes to the page for signing out")),
    }
}

/// Presses what there is to press.
async fn signed_out(trial: &mut Trial, ask: Ask) -> Result<Url, Not> {
    let mut stop = trial.browser.go(&trial.http, ask).await?;
    for _ in 0..3 {
        let page = match stop {
            Stop::SignedOut(url) => return Ok(url),
            Stop::Landed(_) => return Err(fail("it goes to the sign-in callback")),
            Stop::Page(page) => page,
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
        stop = trial.browser.go(&trial.http, ask).await?;
    }
    Err(fail("there is no end to the pages"))
}

/// Nobody is sent to an address that was not registered for it (§3).
pub(super) async fn logout_elsewhere(trial: &mut Trial) -> Verdict {
    let mut url = end_session(trial)?;
    let tokens = trial.tokens()?;
    let hint = tokens.text("id_token").unwrap_or_default();
    let elsewhere = "https://evil.example/signed-out";
    let pairs = [("id_token_hint", hint), ("post_logout_redirect_uri", elsewhere)];
    url.query_pairs_mut().extend_pairs(pairs);
    let reply = trial.http.send(Ask::get(&url)).await?;
    let away = reply.location().is_some_and(|to| to.as_str().starts_with("https://evil.example"));
    let linked = attribute(&reply.text(), |value| value.contains(elsewhere)).is_some();
    must(!away && !linked, || "it leads to an address that was never registered".to_owned())
}
