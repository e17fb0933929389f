//! A person signs in and a code becomes tokens ([OpenID Connect Core §3.1]).
//!
//! [OpenID Connect Core §3.1]: https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth

use reqwest::header::{CACHE_CONTROL, HeaderName};
use serde_json::Value;

use super::authorization_request::{AuthorizationUrl, RedirectResponse};
use super::browser::BrowserOutcome;
use super::client::{CALLBACK, RegisteredClient};
use super::context::TestContext;
use super::http::HttpRequest;
use super::http_response::HttpResponse;
use super::id_token;
use super::report::{CheckFailure, CheckResult, Findings, fail, must, should, skip};
use super::token::check_token_response;
use super::tokens::Tokens;

/// The scopes that are offered out of these.
pub(super) fn offered(context: &TestContext, wanted: &[&str]) -> String {
    let more = wanted.iter().filter(|scope| context.metadata.lists("scopes_supported", scope));
    std::iter::once(&"openid").chain(more).copied().collect::<Vec<_>>().join(" ")
}

/// The first time: password, consent, code.
pub(super) async fn sign_in(context: &mut TestContext) -> CheckResult {
    let scope = offered(context, &["profile", "email", "offline_access"]);
    let mut request = AuthorizationUrl::of(&context.web()?).with("scope", &scope);
    if scope.contains("offline_access") {
        // Without it the scope may be passed over (OpenID Connect Core §11).
        request = request.with("prompt", "consent");
    }
    let redirect = authorize(context, &request).await?;
    let code = redirect.code(&context.metadata, &request)?;
    context.granted = Some((request, code));
    Ok(())
}

/// Goes all the way, signing in and agreeing where that is asked for.
pub(super) async fn authorize(
    context: &mut TestContext,
    request: &AuthorizationUrl,
) -> Result<RedirectResponse, CheckFailure> {
    let url = request.url(&context.metadata.endpoint("authorization_endpoint")?);
    let user = context.user.as_ref().ok_or_else(|| skip("needs --user"))?;
    context.browser.authorize(&context.http, &url, user).await
}

/// Goes there and fills in nothing.
pub(super) async fn open_page(
    context: &mut TestContext,
    request: &AuthorizationUrl,
) -> Result<BrowserOutcome, CheckFailure> {
    let url = request.url(&context.metadata.endpoint("authorization_endpoint")?);
    context.browser.go(&context.http, HttpRequest::get(&url)).await
}

/// The page for the password cannot be framed, is kept nowhere, and posts to where it came from.
pub(super) fn login_page(context: &TestContext) -> CheckResult {
    context.user.as_ref().ok_or_else(|| skip("needs --user"))?;
    let page =
        context.browser.login_page.as_ref().ok_or_else(|| skip("there was no login page"))?;
    let header = |name: &'static str| {
        page.header(&HeaderName::from_static(name)).unwrap_or_default().to_ascii_lowercase()
    };
    let mut findings = Findings::default();
    let framed = header("x-frame-options").is_empty()
        && !header("content-security-policy").contains("frame-ancestors");
    if framed {
        findings.fail("other sites can put the login page into a frame");
    }
    let kept = page.header(&CACHE_CONTROL).unwrap_or_default();
    findings.add(should(kept.contains("no-store"), || "the login page may be kept".to_owned()));
    findings.add(page.nosniff());
    findings.result()
}

pub(super) async fn redeem(
    context: &TestContext,
    client: &RegisteredClient,
    code: &str,
    verifier: Option<&str>,
) -> Result<HttpResponse, CheckFailure> {
    let mut fields =
        vec![("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)];
    fields.extend(verifier.map(|verifier| ("code_verifier", verifier)));
    context.token(client, &fields).await
}

/// The code becomes tokens.
pub(super) async fn exchange(context: &mut TestContext) -> CheckResult {
    context.user.as_ref().ok_or_else(|| skip("needs --user"))?;
    let (request, code) =
        context.granted.take().ok_or_else(|| skip("nobody could be signed in"))?;
    let response = redeem(context, &context.web()?, &code, Some(&request.verifier)).await?;
    response.status(&[200])?;
    let body = response.json()?;
    let mut findings = Findings::default();
    findings.add(check_token_response(&body));
    findings.add(response.require_no_store(fail));
    findings.add(response.nosniff());
    findings.add(must(body.get("id_token").is_some_and(Value::is_string), || {
        "there is no ID token".to_owned()
    }));
    // Code and tokens: 128 bits cannot be had in fewer characters.
    if code.len() < 22 {
        findings.fail("the code is too short to be unguessable");
    }
    let claims = body.get("id_token").and_then(Value::as_str);
    let claims = claims.and_then(id_token::peek).unwrap_or_default();
    context.tokens = Some(Tokens { request, body, claims });
    findings.result()
}

/// Another round in the same session: a code, and what was asked.
pub(super) async fn new_code(
    context: &mut TestContext,
) -> Result<(AuthorizationUrl, String), CheckFailure> {
    context.tokens()?;
    let request = AuthorizationUrl::of(&context.web()?);
    let code = authorize(context, &request).await?.code(&context.metadata, &request)?;
    Ok((request, code))
}

/// The same without anybody being asked, with some changes; the tokens are verified.
pub(super) async fn authorize_silently(
    context: &mut TestContext,
    changes: &[(&str, &str)],
) -> Result<Tokens, CheckFailure> {
    context.tokens()?;
    let mut request = AuthorizationUrl::of(&context.web()?).with("prompt", "none");
    for (name, value) in changes {
        request = match *value {
            "" => request.without(name),
            value => request.with(name, value),
        };
    }
    let redirect = match open_page(context, &request).await? {
        BrowserOutcome::Landed(redirect) => redirect,
        BrowserOutcome::Page(page) => {
            return Err(fail(format!("{} shows a page ({})", page.what, page.status)));
        }
        BrowserOutcome::SignedOut(_) => return Err(fail("it goes to the page for signing out")),
    };
    let code = redirect.code(&context.metadata, &request)?;
    let response = redeem(context, &context.web()?, &code, Some(&request.verifier)).await?;
    response.status(&[200])?;
    let body = response.json()?;
    let token = body.get("id_token").and_then(Value::as_str);
    let token = token.ok_or_else(|| fail("there is no ID token"))?;
    let claims = id_token::verified(context, token)?;
    Ok(Tokens { request, body, claims })
}
