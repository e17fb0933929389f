//! What the authorization endpoint must not do ([RFC 6749 §4.1.2.1], [RFC 9700 §4.1]); no person is
//! needed for it.
//!
//! [RFC 6749 §4.1.2.1]: https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1
//! [RFC 9700 §4.1]: https://www.rfc-editor.org/rfc/rfc9700#section-4.1

use reqwest::Method;
use url::Url;

use super::authorization_request::AuthorizationUrl;
use super::browser::{Browser, BrowserOutcome};
use super::client::{OTHER_CALLBACK, random_string};
use super::context::TestContext;
use super::http::{FormFields, HttpRequest};
use super::http_response::HttpResponse;
use super::report::{CheckFailure, CheckResult, Findings, fail, must, skip};

fn endpoint(context: &TestContext) -> Result<Url, CheckFailure> {
    context.metadata.endpoint("authorization_endpoint")
}

async fn send(
    context: &TestContext,
    request: &AuthorizationUrl,
) -> Result<HttpResponse, CheckFailure> {
    context.http.send(HttpRequest::get(&request.url(&endpoint(context)?))).await
}

/// Back at the application with one of these errors; an error page of the server's own is good enough
/// unless the application has to be told.
async fn check_redirect_error(
    context: &TestContext,
    ask: HttpRequest,
    request: &AuthorizationUrl,
    codes: &[&str],
    page_is_allowed: bool,
) -> CheckResult {
    // Nobody is signed in with this browser.
    match Browser::default().go(&context.http, ask).await? {
        BrowserOutcome::Landed(redirect) => redirect.refuses(&context.metadata, request, codes),
        BrowserOutcome::Page(page) if page_is_allowed && page.status >= 400 => page.is_error_page(),
        BrowserOutcome::Page(page) => Err(fail(format!(
            "{} shows a page ({}) instead of going back to the application",
            page.what, page.status
        ))),
        BrowserOutcome::SignedOut(_) => Err(fail("it goes to the page for signing out")),
    }
}

pub(super) async fn empty(context: &TestContext) -> CheckResult {
    context.http.send(HttpRequest::get(&endpoint(context)?)).await?.is_error_page()
}

pub(super) async fn wrong_method(context: &TestContext) -> CheckResult {
    let url = endpoint(context)?;
    context.http.send(HttpRequest::new(Method::PUT, &url)).await?.requires_405()
}

pub(super) async fn unknown_client(context: &TestContext) -> CheckResult {
    let mut client = context.web()?;
    client.id = format!("nobody-{}", random_string());
    send(context, &AuthorizationUrl::of(&client)).await?.is_error_page()
}

/// Near misses: each would be somebody else's page in some deployment. They are compared as they are
/// written ([RFC 9700 §2.1](https://www.rfc-editor.org/rfc/rfc9700#section-2.1)).
pub(super) async fn unregistered_redirect(context: &TestContext) -> CheckResult {
    let web = context.web()?;
    let mut findings = Findings::default();
    for uri in [
        "https://evil.example/callback",
        "https://selftest.example/callback/../evil",
        "https://selftest.example/callback/more",
        "https://selftest.example/callback?added=1",
        "https://selftest.example/other",
        "https://selftest.example/other?kept=2",
        "https://selftest.example.evil.example/callback",
        "https://selftest.example@evil.example/callback",
        "http://selftest.example/callback",
        "https://selftest.example:8443/callback",
        "https://selftest.example/Callback",
        "https://selftest.example/callback#fragment",
        "javascript:alert(1)",
    ] {
        let request = AuthorizationUrl::of(&web).with("redirect_uri", uri);
        let result = send(context, &request).await?.is_error_page();
        findings.add(result.map_err(|failure| with_value(uri, failure)));
    }
    findings.result()
}

fn with_value(what: &str, failure: CheckFailure) -> CheckFailure {
    match failure {
        CheckFailure::Fail(why) => CheckFailure::Fail(format!("for {what} {why}")),
        CheckFailure::Warn(why) => CheckFailure::Warn(format!("for {what} {why}")),
        CheckFailure::Skip(why) => CheckFailure::Skip(why),
    }
}

/// Two are registered, so the request has to say which ([OpenID Connect Core §3.1.2.1]).
///
/// [OpenID Connect Core §3.1.2.1]: https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest
pub(super) async fn no_redirect(context: &TestContext) -> CheckResult {
    let request = AuthorizationUrl::of(&context.web()?).without("redirect_uri");
    send(context, &request).await?.is_error_page()
}

/// A request with one thing wrong.
pub(super) async fn refused(
    context: &TestContext,
    changes: FormFields<'_>,
    codes: &[&str],
) -> CheckResult {
    let mut request = AuthorizationUrl::of(&context.web()?);
    for (name, value) in changes {
        request = match *value {
            "" => request.without(name),
            value => request.with(name, value),
        };
    }
    let ask = HttpRequest::get(&request.url(&endpoint(context)?));
    check_redirect_error(context, ask, &request, codes, true).await
}

/// Each parameter at most once ([RFC 6749 §3.1](https://www.rfc-editor.org/rfc/rfc6749#section-3.1)).
pub(super) async fn repeated(context: &TestContext) -> CheckResult {
    let request =
        AuthorizationUrl::of(&context.web()?).and("scope", "openid").and("prompt", "none");
    let ask = HttpRequest::get(&request.url(&endpoint(context)?));
    check_redirect_error(context, ask, &request, &["invalid_request"], true).await
}

pub(super) const PROMPT_NONE_ERRORS: &[&str] =
    &["login_required", "interaction_required", "consent_required", "account_selection_required"];

/// Nobody is signed in, and nobody may be asked ([OpenID Connect Core §3.1.2.6]).
///
/// [OpenID Connect Core §3.1.2.6]: https://openid.net/specs/openid-connect-core-1_0.html#AuthError
pub(super) async fn prompt_none(context: &TestContext, more: FormFields<'_>) -> CheckResult {
    let mut request = AuthorizationUrl::of(&context.web()?).with("prompt", "none");
    for (name, value) in more {
        request = request.with(name, value);
    }
    let ask = HttpRequest::get(&request.url(&endpoint(context)?));
    check_redirect_error(context, ask, &request, PROMPT_NONE_ERRORS, false).await
}

/// The same as a form.
pub(super) async fn by_post(context: &TestContext) -> CheckResult {
    let request = AuthorizationUrl::of(&context.web()?).with("prompt", "none");
    let fields: Vec<(&str, &str)> =
        request.params.iter().map(|(name, value)| (&**name, &**value)).collect();
    let ask = HttpRequest::form(&endpoint(context)?, &fields);
    check_redirect_error(context, ask, &request, PROMPT_NONE_ERRORS, false).await
}

pub(super) async fn pkce_plain(context: &TestContext, spoken: bool) -> CheckResult {
    if context.metadata.lists("code_challenge_methods_supported", "plain") {
        return Err(skip("plain is advertised"));
    }
    let verifier = random_string();
    let method = if spoken { "plain" } else { "" };
    let changes = [("code_challenge", &*verifier), ("code_challenge_method", method)];
    refused(context, &changes, &["invalid_request"]).await
}

/// An unsigned request object: processed, or refused in so many words, and never passed over in
/// silence ([OpenID Connect Core §6]).
///
/// [OpenID Connect Core §6]: https://openid.net/specs/openid-connect-core-1_0.html#JWTRequests
pub(super) async fn request_object(context: &TestContext) -> CheckResult {
    let algorithms = context.metadata.list("request_object_signing_alg_values_supported");
    let offered = context.metadata.says("request_parameter_supported").unwrap_or_default();
    if offered && (algorithms.is_empty() || algorithms.contains(&"none")) {
        return Err(skip("unsigned request objects are offered"));
    }
    let unsigned = "eyJhbGciOiJub25lIn0.eyJyZXNwb25zZV90eXBlIjoiY29kZSJ9.";
    let codes: &[&str] = if offered {
        &["invalid_request_object", "invalid_request", "request_not_supported"]
    } else {
        &["request_not_supported", "invalid_request"]
    };
    refused(context, &[("request", unsigned)], codes).await
}

/// A reference to one that nobody registered, on a host that does not exist. Left out of the metadata,
/// the parameter is supported.
pub(super) async fn request_uri(context: &TestContext) -> CheckResult {
    let offered = context.metadata.says("request_uri_parameter_supported").unwrap_or(true);
    let codes: &[&str] = if offered {
        &[
            "invalid_request_uri",
            "invalid_request_object",
            "invalid_request",
            "request_uri_not_supported",
        ]
    } else {
        &["request_uri_not_supported", "invalid_request"]
    };
    refused(context, &[("request_uri", "https://selftest.invalid/object")], codes).await
}

/// The callback's own query is kept; what is registered is what is used.
pub(super) async fn query_is_kept(context: &TestContext) -> CheckResult {
    let uri = OTHER_CALLBACK;
    let request =
        AuthorizationUrl::of(&context.web()?).with("prompt", "none").with("redirect_uri", uri);
    let response = send(context, &request).await?;
    let to = response.location().ok_or_else(|| fail("it does not go back to the application"))?;
    let kept = to.as_str().starts_with(&format!("{uri}&"));
    must(kept, || "the registered query of the redirect URI is changed".to_owned())
}
