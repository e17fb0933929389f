//! What the authorization endpoint must not do ([RFC 6749 §4.1.2.1], [RFC 9700 §4.1]); no person is
//! needed for it.
//!
//! [RFC 6749 §4.1.2.1]: https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1
//! [RFC 9700 §4.1]: https://www.rfc-editor.org/rfc/rfc9700#section-4.1

use reqwest::Method;
use url::Url;

use super::browser::{Browser, Stop};
use super::http::{Ask, Fields};
use super::reply::Reply;
use super::report::{Findings, Not, Verdict, fail, must, skip};
use super::request::Request;
use super::trial::{OTHER_CALLBACK, Trial, fresh};

fn endpoint(trial: &Trial) -> Result<Url, Not> {
    trial.endpoint("authorization_endpoint")
}

async fn asked(trial: &Trial, request: &Request) -> Result<Reply, Not> {
    trial.http.send(Ask::get(&request.url(&endpoint(trial)?))).await
}

/// Back at the application with one of these errors; an error page of the server's own is good enough
/// unless the application has to be told.
async fn travels_back(
    trial: &Trial,
    ask: Ask,
    request: &Request,
    codes: &[&str],
    page_will_do: bool,
) -> Verdict {
    // Nobody is signed in with this browser.
    match Browser::default().go(&trial.http, ask).await? {
        Stop::Landed(landing) => landing.refuses(trial, request, codes),
        Stop::Page(page) if page_will_do && page.status >= 400 => page.is_error_page(),
        Stop::Page(page) => Err(fail(format!(
            "{} shows a page ({}) instead of going back to the application",
            page.what, page.status
        ))),
        Stop::SignedOut(_) => Err(fail("it goes to the page for signing out")),
    }
}

pub(super) async fn empty(trial: &Trial) -> Verdict {
    trial.http.send(Ask::get(&endpoint(trial)?)).await?.is_error_page()
}

pub(super) async fn wrong_method(trial: &Trial) -> Verdict {
    let url = endpoint(trial)?;
    trial.http.send(Ask::new(Method::PUT, &url)).await?.refuses_the_method()
}

pub(super) async fn unknown_client(trial: &Trial) -> Verdict {
    let mut client = trial.web()?;
    client.id = format!("nobody-{}", fresh());
    asked(trial, &Request::of(&client)).await?.is_error_page()
}

/// Near misses: each would be somebody else's page in some deployment. They are compared as they are
/// written ([RFC 9700 §2.1](https://www.rfc-editor.org/rfc/rfc9700#section-2.1)).
pub(super) async fn unregistered_redirect(trial: &Trial) -> Verdict {
    let web = trial.web()?;
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
        let request = Request::of(&web).with("redirect_uri", uri);
        let verdict = asked(trial, &request).await?.is_error_page();
        findings.note(verdict.map_err(|not| naming(uri, not)));
    }
    findings.verdict()
}

fn naming(what: &str, not: Not) -> Not {
    match not {
        Not::Fail(why) => Not::Fail(format!("for {what} {why}")),
        Not::Warn(why) => Not::Warn(format!("for {what} {why}")),
        Not::Skip(why) => Not::Skip(why),
    }
}

/// Two are registered, so the request has to say which ([OpenID Connect Core §3.1.2.1]).
///
/// [OpenID Connect Core §3.1.2.1]: https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest
pub(super) async fn no_redirect(trial: &Trial) -> Verdict {
    let request = Request::of(&trial.web()?).without("redirect_uri");
    asked(trial, &request).await?.is_error_page()
}

/// A request with one thing wrong.
pub(super) async fn refused(trial: &Trial, changes: Fields<'_>, codes: &[&str]) -> Verdict {
    let mut request = Request::of(&trial.web()?);
    for (name, value) in changes {
        request = match *value {
            "" => request.without(name),
            value => request.with(name, value),
        };
    }
    let ask = Ask::get(&request.url(&endpoint(trial)?));
    travels_back(trial, ask, &request, codes, true).await
}

/// Each parameter at most once ([RFC 6749 §3.1](https://www.rfc-editor.org/rfc/rfc6749#section-3.1)).
pub(super) async fn repeated(trial: &Trial) -> Verdict {
    let request = Request::of(&trial.web()?).and("scope", "openid").and("prompt", "none");
    let ask = Ask::get(&request.url(&endpoint(trial)?));
    travels_back(trial, ask, &request, &["invalid_request"], true).await
}

pub(super) const NOBODY: &[&str] =
    &["login_required", "interaction_required", "consent_required", "account_selection_required"];

/// Nobody is signed in, and nobody may be asked ([OpenID Connect Core §3.1.2.6]).
///
/// [OpenID Connect Core §3.1.2.6]: https://openid.net/specs/openid-connect-core-1_0.html#AuthError
pub(super) async fn prompt_none(trial: &Trial, more: Fields<'_>) -> Verdict {
    let mut request = Request::of(&trial.web()?).with("prompt", "none");
    for (name, value) in more {
        request = request.with(name, value);
    }
    let ask = Ask::get(&request.url(&endpoint(trial)?));
    travels_back(trial, ask, &request, NOBODY, false).await
}

/// The same as a form.
pub(super) async fn by_post(trial: &Trial) -> Verdict {
    let request = Request::of(&trial.web()?).with("prompt", "none");
    let fields: Vec<(&str, &str)> =
        request.params.iter().map(|(name, value)| (&**name, &**value)).collect();
    let ask = Ask::form(&endpoint(trial)?, &fields);
    travels_back(trial, ask, &request, NOBODY, false).await
}

pub(super) async fn pkce_plain(trial: &Trial, spoken: bool) -> Verdict {
    if trial.lists("code_challenge_methods_supported", "plain") {
        return Err(skip("plain is advertised"));
    }
    let verifier = fresh();
    let method = if spoken { "plain" } else { "" };
    let changes = [("code_challenge", &*verifier), ("code_challenge_method", method)];
    refused(trial, &changes, &["invalid_request"]).await
}

/// An unsigned request object: processed, or refused in so many words, and never passed over in
/// silence ([OpenID Connect Core §6]).
///
/// [OpenID Connect Core §6]: https://openid.net/specs/openid-connect-core-1_0.html#JWTRequests
pub(super) async fn request_object(trial: &Trial) -> Verdict {
    let algorithms = trial.list("request_object_signing_alg_values_supported");
    let offered = trial.says("request_parameter_supported").unwrap_or_default();
    if offered && (algorithms.is_empty() || algorithms.contains(&"none")) {
        return Err(skip("unsigned request objects are offered"));
    }
    let unsigned = "eyJhbGciOiJub25lIn0.eyJyZXNwb25zZV90eXBlIjoiY29kZSJ9.";
    let codes: &[&str] = if offered {
        &["invalid_request_object", "invalid_request", "request_not_supported"]
    } else {
        &["request_not_supported", "invalid_request"]
    };
    refused(trial, &[("request", unsigned)], codes).await
}

/// A reference to one that nobody registered, on a host that does not exist. Left out of the metadata,
/// the parameter is supported.
pub(super) async fn request_uri(trial: &Trial) -> Verdict {
    let offered = trial.says("request_uri_parameter_supported").unwrap_or(true);
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
    refused(trial, &[("request_uri", "https://selftest.invalid/object")], codes).await
}

/// The callback's own query is kept; what is registered is what is used.
pub(super) async fn query_is_kept(trial: &Trial) -> Verdict {
    let uri = OTHER_CALLBACK;
    let request = Request::of(&trial.web()?).with("prompt", "none").with("redirect_uri", uri);
    let reply = asked(trial, &request).await?;
    let to = reply.location().ok_or_else(|| fail("it does not go back to the application"))?;
    let kept = to.as_str().starts_with(&format!("{uri}&"));
    must(kept, || "the registered query of the redirect URI is changed".to_owned())
}
