//! What the token endpoint refuses, and how ([RFC 6749 §5.2]).
//!
//! [RFC 6749 §5.2]: https://www.rfc-editor.org/rfc/rfc6749#section-5.2

use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};

use super::client::{CALLBACK, RegisteredClient, authenticated, basic, random_string};
use super::context::TestContext;
use super::http::{FormFields, HttpRequest};
use super::registration;
use super::report::{CheckResult, Findings, fail, must, should, skip, warn};

const ENDPOINT: &str = "token_endpoint";

/// A code nobody was given; its shape is nobody's in particular.
fn code_request(code: &str) -> [(&str, &str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", "made-up-made-up-made-up-made-up-made-up-made-up"),
    ]
}

pub(super) async fn wrong_method(context: &TestContext) -> CheckResult {
    context.http.send(HttpRequest::get(&context.metadata.endpoint(ENDPOINT)?)).await?.requires_405()
}

/// Neither client nor request.
pub(super) async fn empty(context: &TestContext) -> CheckResult {
    let response =
        context.http.send(HttpRequest::form(&context.metadata.endpoint(ENDPOINT)?, &[])).await?;
    let mut findings = Findings::default();
    findings.add(
        response
            .refuses(&[400, 401], &["invalid_request", "invalid_client", "unsupported_grant_type"]),
    );
    findings.add(response.nosniff());
    findings.result()
}

/// A good client that asks for something wrong.
pub(super) async fn refused(
    context: &TestContext,
    fields: FormFields<'_>,
    codes: &[&str],
) -> CheckResult {
    context.token(&context.web()?, fields).await?.refuses(&[400], codes)
}

pub(super) async fn bogus_code(context: &TestContext) -> CheckResult {
    refused(context, &code_request(&random_string()), &["invalid_grant"]).await
}

pub(super) async fn repeated(context: &TestContext) -> CheckResult {
    let code = random_string();
    let mut fields = code_request(&code).to_vec();
    fields.push(("code", &code));
    refused(context, &fields, &["invalid_request"]).await
}

/// A form is what is asked for; JSON is not read as one.
pub(super) async fn json_body(context: &TestContext) -> CheckResult {
    let web = context.web()?;
    let ask = authenticated(&context.metadata.endpoint(ENDPOINT)?, &web, &[]);
    let body = json!({ "grant_type": "authorization_code", "code": random_string() }).to_string();
    let response = context.http.send(ask.body("application/json", body)).await?;
    must((400..500).contains(&response.status), || {
        format!("{} with JSON answered {}, not 400", response.what, response.status)
    })
}

/// 401 `invalid_client`, and a challenge to who tried the header.
pub(super) async fn wrong_secret(context: &TestContext) -> CheckResult {
    let web = context.web()?;
    let wrong = RegisteredClient { secret: Some(random_string()), basic: true, ..web };
    let response = context.token(&wrong, &code_request(&random_string())).await?;
    let mut findings = Findings::default();
    findings.add(response.refuses(&[401], &["invalid_client"]));
    findings.add(response.challenge("Basic").map(|_| ()));
    findings.result()
}

pub(super) async fn wrong_secret_in_form(context: &TestContext) -> CheckResult {
    let other = context.other()?;
    let wrong = RegisteredClient { secret: Some(random_string()), basic: false, ..other };
    let response = context.token(&wrong, &code_request(&random_string())).await?;
    response.refuses(&[400, 401], &["invalid_client"])
}

pub(super) async fn no_secret(context: &TestContext) -> CheckResult {
    let nobody = RegisteredClient { secret: None, ..context.web()? };
    let response = context.token(&nobody, &code_request(&random_string())).await?;
    response.refuses(&[400, 401], &["invalid_client", "invalid_request"])
}

/// Unknown clients look like wrong secrets.
pub(super) async fn unknown_client(context: &TestContext) -> CheckResult {
    let web = context.web()?;
    let nobody = RegisteredClient { id: format!("nobody-{}", random_string()), basic: true, ..web };
    let response = context.token(&nobody, &code_request(&random_string())).await?;
    response.refuses(&[401], &["invalid_client"])
}

/// Credentials in an address end up in logs ([RFC 6749 §2.3.1]).
///
/// [RFC 6749 §2.3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
pub(super) async fn secret_in_query(context: &TestContext) -> CheckResult {
    let other = context.other()?;
    let secret = other.secret.as_deref().ok_or_else(|| skip("the client has no secret"))?;
    let mut url = context.metadata.endpoint(ENDPOINT)?;
    let mut query = url.query_pairs_mut();
    query.append_pair("client_id", &other.id).append_pair("client_secret", secret);
    drop(query);
    let response =
        context.http.send(HttpRequest::form(&url, &code_request(&random_string()))).await?;
    response.refuses(&[400, 401], &["invalid_client", "invalid_request"])
}

/// One way of authentication for each request ([RFC 6749 §2.3]).
///
/// [RFC 6749 §2.3]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3
pub(super) async fn two_ways(context: &TestContext) -> CheckResult {
    let web = context.web()?;
    let secret = web.secret.as_deref().ok_or_else(|| skip("the client has no secret"))?;
    let code = random_string();
    let mut fields = code_request(&code).to_vec();
    fields.extend([("client_id", &*web.id), ("client_secret", secret)]);
    let url = context.metadata.endpoint(ENDPOINT)?;
    let ask = HttpRequest::form(&url, &fields).header(AUTHORIZATION, &basic(&web.id, secret));
    let response = context.http.send(ask).await?;
    must((400..500).contains(&response.status), || {
        format!("{} is answered {}", response.what, response.status)
    })?;
    let code = response.json()?.get("error").cloned().unwrap_or_default();
    should(code != "invalid_grant", || {
        "a secret in the header and in the form at once is accepted".to_owned()
    })
}

/// A client that asks for itself ([RFC 6749 §4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4)).
pub(super) async fn client_credentials(context: &mut TestContext) -> CheckResult {
    if !context.metadata.lists("grant_types_supported", "client_credentials") {
        return Err(skip("not offered"));
    }
    context.web()?;
    let metadata = json!({
        "client_name": "Latchkey selftest, for itself",
        "grant_types": ["client_credentials"],
        "response_types": [],
        "redirect_uris": [],
        "token_endpoint_auth_method": "client_secret_basic",
    });
    let before = context.registered.len();
    let response = registration::register(context, &metadata).await?;
    if !response.is_success() {
        return Err(skip("nobody may register for it"));
    }
    let client = context.registered.get(before).cloned();
    let client = client.ok_or_else(|| fail("the answer has no client_id"))?;
    let response = context.token(&client, &[("grant_type", "client_credentials")]).await?;
    response.status(&[200])?;
    let body = response.json()?;
    let mut findings = Findings::default();
    findings.add(check_token_response(&body));
    findings.add(response.require_no_store(fail));
    if body.contains_key("id_token") {
        findings.fail("there is an ID token of nobody");
    }
    if body.contains_key("refresh_token") {
        findings.warn("there is a refresh token, though the client needs none");
    }
    findings.result()
}

/// What every answer of this endpoint has ([RFC 6749 §5.1]).
///
/// [RFC 6749 §5.1]: https://www.rfc-editor.org/rfc/rfc6749#section-5.1
pub(super) fn check_token_response(body: &serde_json::Map<String, Value>) -> CheckResult {
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut findings = Findings::default();
    let token = text("access_token");
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        findings.fail("there is no access_token, or one with odd characters");
    }
    if token.len() < 22 {
        findings.fail("the access token is too short to be unguessable");
    }
    if !text("token_type").eq_ignore_ascii_case("Bearer") {
        findings.fail("token_type is not Bearer");
    }
    match body.get("expires_in") {
        None => findings.add(Err(warn("there is no expires_in"))),
        Some(seconds) if seconds.as_f64().is_some_and(|it| it > 0.0) => {}
        Some(_) => findings.fail("expires_in is no positive number"),
    }
    if body.get("refresh_token").is_some_and(|it| it.as_str().is_none_or(|it| it.len() < 22)) {
        findings.fail("the refresh token is no text, or too short to be unguessable");
    }
    findings.result()
}
