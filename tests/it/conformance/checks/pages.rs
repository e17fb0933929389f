//! The pages, as the suite's HtmlUnit finds its way through them.

use super::require;
use crate::support::http::HttpResponse;

/// A browser that evaluates `document.readyState` needs a document.
fn page(answer: &HttpResponse) {
    let kind = answer.header("content-type").unwrap_or_default();
    require("text/html", kind.starts_with("text/html"), answer);
    require("a strict policy", answer.header("content-security-policy").is_some(), answer);
}

pub fn login(answer: &HttpResponse) {
    page(answer);
    require("login page", answer.status == 200, answer);
    require("login page", answer.text_of("h1").as_deref() == Some("Sign in"), answer);
    for found in ["input[name=username]", "input[name=password][type=password]", "#login-submit"] {
        require("login page", answer.has_element(found), found);
    }
}

pub fn consent(answer: &HttpResponse) {
    page(answer);
    require("consent page", answer.status == 200, answer);
    require("consent page", answer.has_element("#consent-accept"), answer);
    require("consent page", answer.has_element("#consent-deny"), answer);
}

/// What the suite takes a screenshot of: an error that goes nowhere.
pub fn error(answer: &HttpResponse) {
    page(answer);
    require("ExpectRedirectUriErrorPage", answer.location().is_none(), answer);
    require("ExpectRedirectUriErrorPage", answer.status == 400, answer);
    let heading = answer.text_of("h1");
    require("ExpectRedirectUriErrorPage", heading.as_deref() == Some("Request error"), heading);
    require("ExpectRedirectUriErrorPage", !answer.has_element("form"), answer);
}

/// The form that sends itself: its script may run, and it may go there and on from there.
pub fn form_post(answer: &HttpResponse, redirect_uri: &str) {
    page(answer);
    require("form_post page", answer.status == 200, answer);
    let nonce = answer.attribute("script", "nonce").unwrap_or_default();
    require(
        "form_post page",
        answer.text_of("script").is_some_and(|it| it.contains("submit()")),
        answer,
    );
    let policy = answer.header("content-security-policy").unwrap_or_default();
    let runs = policy.contains(&format!("script-src 'nonce-{nonce}'")) && !nonce.is_empty();
    require("form_post page", runs, policy);
    require("form_post page", !policy.contains("form-action"), policy);
    let action = answer.attribute("form", "action");
    require("form_post page", action.as_deref() == Some(redirect_uri), action);
    let method = answer.attribute("form", "method").unwrap_or_default();
    require("form_post page", method.eq_ignore_ascii_case("post"), method);
}
