//! Codes in the wrong hands ([RFC 6749 §4.1.3], [RFC 7636 §4.6]). Each check gets a code of its own, for
//! a refusal may be the end of it.
//!
//! [RFC 6749 §4.1.3]: https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3
//! [RFC 7636 §4.6]: https://www.rfc-editor.org/rfc/rfc7636#section-4.6

use super::authorization_request::AuthorizationUrl;
use super::client::{OTHER_CALLBACK, random_string};
use super::context::TestContext;
use super::http::HttpRequest;
use super::report::{CheckResult, must, should, skip};
use super::sign_in::{authorize, new_code, redeem};

pub(super) async fn wrong_verifier(context: &mut TestContext) -> CheckResult {
    let (_, code) = new_code(context).await?;
    let response = redeem(context, &context.web()?, &code, Some(&random_string())).await?;
    response.refuses(&[400], &["invalid_grant"])
}

pub(super) async fn no_verifier(context: &mut TestContext) -> CheckResult {
    let (_, code) = new_code(context).await?;
    let response = redeem(context, &context.web()?, &code, None).await?;
    response.refuses(&[400], &["invalid_grant", "invalid_request"])
}

pub(super) async fn wrong_redirect(context: &mut TestContext) -> CheckResult {
    let (request, code) = new_code(context).await?;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", OTHER_CALLBACK),
        ("code_verifier", &*request.verifier),
    ];
    context.token(&context.web()?, &fields).await?.refuses(&[400], &["invalid_grant"])
}

pub(super) async fn another_client(context: &mut TestContext) -> CheckResult {
    let other = context.other()?;
    let (request, code) = new_code(context).await?;
    let response = redeem(context, &other, &code, Some(&request.verifier)).await?;
    response.refuses(&[400], &["invalid_grant"])
}

/// A code works once, and what it was good for the first time ends with the second
/// ([RFC 6749 §4.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2)).
pub(super) async fn reuse(context: &mut TestContext) -> CheckResult {
    let (request, code) = new_code(context).await?;
    let web = context.web()?;
    let first = redeem(context, &web, &code, Some(&request.verifier)).await?;
    first.status(&[200])?;
    let second = redeem(context, &web, &code, Some(&request.verifier)).await?;
    second.refuses(&[400], &["invalid_grant"])?;
    let body = first.json()?;
    let token = body.get("access_token").and_then(serde_json::Value::as_str).unwrap_or_default();
    let url = context.metadata.endpoint("userinfo_endpoint")?;
    let response = context.http.send(HttpRequest::get(&url).bearer(token)).await?;
    should((400..500).contains(&response.status), || {
        "the access token of a code used twice still works".to_owned()
    })
}

/// A form that posts itself ([OAuth 2.0 Form Post Response Mode]).
///
/// [OAuth 2.0 Form Post Response Mode]: https://openid.net/specs/oauth-v2-form-post-response-mode-1_0.html
pub(super) async fn form_post(context: &mut TestContext) -> CheckResult {
    context.tokens()?;
    if !context.metadata.lists("response_modes_supported", "form_post") {
        return Err(skip("not offered"));
    }
    let request = AuthorizationUrl::of(&context.web()?).with("response_mode", "form_post");
    let redirect = authorize(context, &request).await?;
    must(redirect.by_form, || "the answer came in the address".to_owned())?;
    redirect.code(&context.metadata, &request).map(|_| ())
}
