//! Dynamic registration ([RFC 7591], [OpenID Connect Registration]) and the management of what was
//! registered ([RFC 7592]). Whatever is registered here is removed in the end.
//!
//! [RFC 7591]: https://www.rfc-editor.org/rfc/rfc7591
//! [OpenID Connect Registration]: https://openid.net/specs/openid-connect-registration-1_0.html
//! [RFC 7592]: https://www.rfc-editor.org/rfc/rfc7592

use serde_json::{Map, Value, json};
use url::Url;

use super::client::{CALLBACK, OTHER_CALLBACK, RegisteredClient, SIGNED_OUT, random_string};
use super::context::TestContext;
use super::http::HttpRequest;
use super::http_response::HttpResponse;
use super::report::{CheckFailure, CheckResult, Findings, fail, must, printable, skip, warn};
use crate::protocol::redirect_uri::is_loopback;

pub(super) const ENDPOINT: &str = "registration_endpoint";

/// Registers, and remembers it for the end if it is a client in any way.
pub(super) async fn register(
    context: &mut TestContext,
    asked: &Value,
) -> Result<HttpResponse, CheckFailure> {
    let response =
        ask(context, HttpRequest::json(&context.metadata.endpoint(ENDPOINT)?, asked)).await?;
    if let Some(client) = read(&response, asked).filter(|_| response.is_success()) {
        context.registered.push(client);
    }
    Ok(response)
}

pub(super) async fn ask(
    context: &TestContext,
    ask: HttpRequest,
) -> Result<HttpResponse, CheckFailure> {
    let ask = match &context.initial_access_token {
        Some(token) => ask.bearer(token),
        None => ask,
    };
    let response = context.http.send(ask).await?;
    if matches!(response.status, 401 | 403) {
        return Err(match context.initial_access_token {
            None => skip("registration wants a token (--initial-access-token-file)"),
            Some(_) => fail("registration does not take the initial access token"),
        });
    }
    Ok(response)
}

fn read(response: &HttpResponse, asked: &Value) -> Option<RegisteredClient> {
    let answer: Map<String, Value> = serde_json::from_slice(&response.body).ok()?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
    let method = text("token_endpoint_auth_method")
        .or_else(|| asked.get("token_endpoint_auth_method")?.as_str().map(str::to_owned));
    Some(RegisteredClient {
        id: text("client_id").filter(|id| !id.is_empty())?,
        secret: text("client_secret"),
        basic: method.as_deref() != Some("client_secret_post"),
        answer,
    })
}

/// What the two clients ask for: no more than the server says it can do.
pub(super) fn metadata(context: &TestContext, name: &str, method: &str) -> Value {
    let mut grants = vec!["authorization_code"];
    if context.metadata.lists("grant_types_supported", "refresh_token") {
        grants.push("refresh_token");
    }
    let mut metadata = json!({
        "client_name": name,
        "redirect_uris": [CALLBACK, OTHER_CALLBACK],
        "response_types": ["code"],
        "grant_types": grants,
        "token_endpoint_auth_method": method,
    });
    if context.metadata.contains_key("end_session_endpoint") {
        metadata["post_logout_redirect_uris"] = json!([SIGNED_OUT]);
    }
    metadata
}

async fn create_client(
    context: &mut TestContext,
    metadata: &Value,
) -> Result<RegisteredClient, CheckFailure> {
    let response = register(context, metadata).await?;
    must(response.is_success(), || match response.status(&[201]) {
        Err(CheckFailure::Fail(why)) => why,
        Ok(()) | Err(CheckFailure::Warn(_) | CheckFailure::Skip(_)) => String::new(),
    })?;
    read(&response, metadata).ok_or_else(|| fail("the answer has no client_id"))
}

/// 201, JSON, not to be kept.
pub(super) async fn create(context: &mut TestContext) -> CheckResult {
    let metadata = metadata(context, "Latchkey selftest", "client_secret_basic");
    let response = register(context, &metadata).await?;
    context.web = read(&response, &metadata).filter(|_| response.is_success());
    let mut findings = Findings::default();
    findings.add(response.status(&[201]));
    findings.add(response.json().map(|_| ()));
    findings.add(response.require_no_store(fail));
    if response.is_success() && context.web.is_none() {
        findings.fail("the answer has no client_id");
    }
    findings.result()
}

/// What the answer to a registration has to hold ([RFC 7591 §3.2.1], [RFC 7592 §3]).
///
/// [RFC 7591 §3.2.1]: https://www.rfc-editor.org/rfc/rfc7591#section-3.2.1
/// [RFC 7592 §3]: https://www.rfc-editor.org/rfc/rfc7592#section-3
pub(super) fn members(context: &TestContext) -> CheckResult {
    let client = context.web()?;
    let has = |name: &str| client.answer.contains_key(name);
    let mut findings = Findings::default();
    if has("client_secret")
        && !client.answer.get("client_secret_expires_at").is_some_and(Value::is_u64)
    {
        findings.fail("client_secret without client_secret_expires_at");
    }
    if !has("client_secret") {
        findings.fail("a client with client_secret_basic is given no client_secret");
    }
    if has("registration_client_uri") != has("registration_access_token") {
        findings.fail(
            "registration_client_uri and registration_access_token come together or not at all",
        );
    }
    if let Some(uri) = client.answer.get("registration_client_uri") {
        let url = uri.as_str().and_then(|uri| uri.parse::<Url>().ok());
        if !url.is_some_and(|url| url.scheme() == "https" || is_loopback(&url)) {
            findings.fail("registration_client_uri is no https URL");
        }
    }
    if client.answer.get("redirect_uris") != Some(&json!([CALLBACK, OTHER_CALLBACK])) {
        findings.fail("redirect_uris are not answered as they were registered");
    }
    let method = client.answer.get("token_endpoint_auth_method").and_then(Value::as_str);
    if method.is_some_and(|method| method != "client_secret_basic") {
        findings.warn("client_secret_basic became something else");
    }
    findings.result()
}

pub(super) async fn another(context: &mut TestContext) -> CheckResult {
    let web = context.web()?;
    let metadata = metadata(context, "Latchkey selftest, the other", "client_secret_post");
    let other = create_client(context, &metadata).await?;
    context.other = Some(other.clone());
    must(other.id != web.id, || "two clients have the same client_id".to_owned())?;
    must(other.secret.is_none() || other.secret != web.secret, || {
        "two clients have the same client_secret".to_owned()
    })
}

/// The client reads what it is.
pub(super) async fn read_back(context: &TestContext) -> CheckResult {
    let client = context.web()?;
    let (uri, token) = client.management().ok_or_else(|| skip("not offered"))?;
    let response = context.http.send(HttpRequest::get(&uri).bearer(token)).await?;
    response.status(&[200])?;
    let body = response.json()?;
    must(body.get("client_id").and_then(Value::as_str) == Some(&client.id), || {
        "it answers another client_id".to_owned()
    })?;
    response.require_no_store(warn)
}

/// With a token that is not the client's.
pub(super) async fn read_with_other_token(context: &TestContext) -> CheckResult {
    let (web, other) = (context.web()?, context.other()?);
    let (uri, _) = web.management().ok_or_else(|| skip("not offered"))?;
    let mut findings = Findings::default();
    let made_up = random_string();
    let tokens = [Some(made_up.as_str()), other.management().map(|(_, token)| token)];
    for token in tokens.into_iter().flatten() {
        let response = context.http.send(HttpRequest::get(&uri).bearer(token)).await?;
        findings.add(response.status(&[401, 403]));
        if response.status == 401 {
            findings.add(response.challenge("Bearer").map(|_| ()));
        }
    }
    findings.result()
}

/// Removes every client there is, whatever happened to the checks ([RFC 7592 §2.3]), the one with
/// nothing to remove it by included in what is told.
///
/// [RFC 7592 §2.3]: https://www.rfc-editor.org/rfc/rfc7592#section-2.3
pub(super) async fn delete(context: &mut TestContext) -> CheckResult {
    let registered = std::mem::take(&mut context.registered);
    if registered.is_empty() {
        return Err(skip("nothing was registered"));
    }
    let mut findings = Findings::default();
    for client in &registered {
        let Some((uri, token)) = client.management() else {
            findings.warn(format!("{} has to be removed by hand", printable(&client.id)));
            continue;
        };
        let gone = HttpRequest::new(reqwest::Method::DELETE, &uri).bearer(token);
        match context.http.send(gone).await {
            Ok(response) => {
                findings.add(response.status(&[204]));
                if !response.is_success() {
                    findings.fail(format!("{} has to be removed by hand", printable(&client.id)));
                }
            }
            Err(CheckFailure::Fail(why) | CheckFailure::Warn(why) | CheckFailure::Skip(why)) => {
                findings
                    .fail(format!("{} has to be removed by hand: {why}", printable(&client.id)));
            }
        }
    }
    if let Some((uri, token)) = registered.first().and_then(RegisteredClient::management) {
        let again = context.http.send(HttpRequest::get(&uri).bearer(token)).await?;
        findings.add(again.status(&[401, 403, 404]));
    }
    findings.result()
}
