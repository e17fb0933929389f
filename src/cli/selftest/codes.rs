//! Codes in the wrong hands ([RFC 6749 §4.1.3], [RFC 7636 §4.6]). Each check gets a code of its own, for
//! a refusal may be the end of it.
//!
//! [RFC 6749 §4.1.3]: https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3
//! [RFC 7636 §4.6]: https://www.rfc-editor.org/rfc/rfc7636#section-4.6

use super::http::Ask;
use super::report::{Verdict, must, should, skip};
use super::request::Request;
use super::sign_in::{another_code, redeem, walk};
use super::trial::{OTHER_CALLBACK, Trial, fresh};

pub(super) async fn wrong_verifier(trial: &mut Trial) -> Verdict {
    let (_, code) = another_code(trial).await?;
    let reply = redeem(trial, &trial.web()?, &code, Some(&fresh())).await?;
    reply.refuses(&[400], &["invalid_grant"])
}

pub(super) async fn no_verifier(trial: &mut Trial) -> Verdict {
    let (_, code) = another_code(trial).await?;
    let reply = redeem(trial, &trial.web()?, &code, None).await?;
    reply.refuses(&[400], &["invalid_grant", "invalid_request"])
}

pub(super) async fn wrong_redirect(trial: &mut Trial) -> Verdict {
    let (request, code) = another_code(trial).await?;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", OTHER_CALLBACK),
        ("code_verifier", &*request.verifier),
    ];
    trial.token(&trial.web()?, &fields).await?.refuses(&[400], &["invalid_grant"])
}

pub(super) async fn another_client(trial: &mut Trial) -> Verdict {
    let other = trial.other()?;
    let (request, code) = another_code(trial).await?;
    let reply = redeem(trial, &other, &code, Some(&request.verifier)).await?;
    reply.refuses(&[400], &["invalid_grant"])
}

/// A code works once, and what it was good for the first time ends with the second
/// ([RFC 6749 §4.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2)).
pub(super) async fn reuse(trial: &mut Trial) -> Verdict {
    let (request, code) = another_code(trial).await?;
    let web = trial.web()?;
    let first = redeem(trial, &web, &code, Some(&request.verifier)).await?;
    first.status(&[200])?;
    let second = redeem(trial, &web, &code, Some(&request.verifier)).await?;
    second.refuses(&[400], &["invalid_grant"])?;
    let body = first.json()?;
    let token = body.get("access_token").and_then(serde_json::Value::as_str).unwrap_or_default();
    let url = trial.endpoint("userinfo_endpoint")?;
    let reply = trial.http.send(Ask::get(&url).bearer(token)).await?;
    should((400..500).contains(&reply.status), || {
        "the access token of a code used twice still works".to_owned()
    })
}

/// A form that posts itself ([OAuth 2.0 Form Post Response Mode]).
///
/// [OAuth 2.0 Form Post Response Mode]: https://openid.net/specs/oauth-v2-form-post-response-mode-1_0.html
pub(super) async fn form_post(trial: &mut Trial) -> Verdict {
    trial.tokens()?;
    if !trial.lists("response_modes_supported", "form_post") {
        return Err(skip("not offered"));
    }
    let request = Request::of(&trial.web()?).with("response_mode", "form_post");
    let landing = walk(trial, &request).await?;
    must(landing.by_form, || "the answer came in the address".to_owned())?;
    landing.code(trial, &request).map(|_| ())
}
