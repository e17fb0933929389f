//! Refreshing, describing and ending what a person has granted ([RFC 6749 §6], [RFC 7662], [RFC 7009]).
//!
//! [RFC 6749 §6]: https://www.rfc-editor.org/rfc/rfc6749#section-6
//! [RFC 7662]: https://www.rfc-editor.org/rfc/rfc7662
//! [RFC 7009]: https://www.rfc-editor.org/rfc/rfc7009

use serde_json::{Map, Value, json};

use super::client::RegisteredClient;
use super::context::TestContext;
use super::http::HttpRequest;
use super::http_response::HttpResponse;
use super::id_token;
use super::report::{CheckFailure, CheckResult, Findings, fail, must, should, warn};
use super::token::check_token_response;
use super::tokens::Tokens;

async fn send(
    context: &TestContext,
    client: &RegisteredClient,
    token: &str,
    scope: Option<&str>,
) -> Result<HttpResponse, CheckFailure> {
    let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
    fields.extend(scope.map(|scope| ("scope", scope)));
    context.token(client, &fields).await
}

/// What is advertised is given.
pub(super) fn issued(context: &TestContext) -> CheckResult {
    let tokens = context.tokens()?;
    let has = tokens.text("refresh_token").is_some();
    let offered = context.metadata.lists("grant_types_supported", "refresh_token");
    should(has == offered, || {
        let said = if offered {
            "is advertised, but none was issued"
        } else {
            "is not advertised, but one was issued"
        };
        format!("the grant type refresh_token {said}")
    })
}

/// Before anything else is done with it: it has to survive this.
pub(super) async fn by_another_client(context: &TestContext) -> CheckResult {
    let tokens = context.tokens()?;
    let response = send(context, &context.other()?, tokens.refresh()?, None).await?;
    response.refuses(&[400], &["invalid_grant"])
}

/// No more than was granted.
pub(super) async fn more_scope(context: &TestContext) -> CheckResult {
    let tokens = context.tokens()?;
    let response =
        send(context, &context.web()?, tokens.refresh()?, Some("openid address phone")).await?;
    response.refuses(&[400], &["invalid_scope"])
}

/// New tokens for the same person.
pub(super) async fn works(context: &mut TestContext) -> CheckResult {
    let tokens = context.tokens()?;
    let response = send(context, &context.web()?, tokens.refresh()?, None).await?;
    response.status(&[200])?;
    let body = response.json()?;
    let mut findings = Findings::default();
    findings.add(check_token_response(&body));
    findings.add(response.require_no_store(fail));
    findings.add(same_person(context, &tokens, &body));
    replace_tokens(context, tokens, &body);
    findings.result()
}

/// The newest of each from now on.
fn replace_tokens(context: &mut TestContext, mut tokens: Tokens, body: &Map<String, Value>) {
    for name in ["access_token", "refresh_token"] {
        if let Some(value) = body.get(name) {
            tokens.body.insert(name.to_owned(), value.clone());
        }
    }
    context.tokens = Some(tokens);
}

/// If there is a new ID token ([OpenID Connect Core §12.2]).
///
/// [OpenID Connect Core §12.2]: https://openid.net/specs/openid-connect-core-1_0.html#RefreshTokenResponse
fn same_person(context: &TestContext, before: &Tokens, body: &Map<String, Value>) -> CheckResult {
    let Some(token) = body.get("id_token").and_then(Value::as_str) else { return Ok(()) };
    let claims = id_token::verified(context, token)?;
    let mut findings = Findings::default();
    findings.add(id_token::usual(context, &claims));
    for name in ["iss", "sub", "auth_time", "azp"] {
        if claims.get(name) != before.claims.get(name) {
            findings.fail(format!("{name} is not as it was before the refresh"));
        }
    }
    findings.result()
}

/// Asking for exactly what there is.
pub(super) async fn same_scope(context: &mut TestContext) -> CheckResult {
    let tokens = context.tokens()?;
    let granted = tokens.text("scope").map(str::to_owned);
    let asked_for = || tokens.request.params.iter().find(|(name, _)| name == "scope");
    let scope = granted.or_else(|| asked_for().map(|(_, scope)| scope.clone()));
    let response = send(context, &context.web()?, tokens.refresh()?, scope.as_deref()).await?;
    response.status(&[200])?;
    let body = response.json()?;
    replace_tokens(context, tokens, &body);
    Ok(())
}

async fn introspected(
    context: &TestContext,
    token: &str,
) -> Result<Map<String, Value>, CheckFailure> {
    let response =
        context.post_as(&context.web()?, "introspection_endpoint", &[("token", token)]).await?;
    response.status(&[200])?;
    response.json()
}

/// A good token, described to the client it was issued to.
pub(super) async fn introspection(context: &TestContext) -> CheckResult {
    let tokens = context.tokens()?;
    let body = introspected(context, tokens.access()?).await?;
    must(body.get("active") == Some(&json!(true)), || "active is not true".to_owned())?;
    let mut findings = Findings::default();
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let client = context.web()?.id;
    if text("client_id").is_some_and(|id| id != client) {
        findings.fail("client_id is not the client");
    }
    if text("sub").is_some_and(|sub| Some(sub) != tokens.sub()) {
        findings.fail("sub is not that of the ID token");
    }
    if text("iss").is_some_and(|iss| Some(iss) != context.metadata.text("issuer")) {
        findings.fail("iss is not the issuer");
    }
    let now = context.clock.now().as_secs();
    if body
        .get("exp")
        .is_some_and(|exp| exp.as_u64().is_none_or(|exp| exp < now.saturating_sub(300)))
    {
        findings.fail("exp is no time, or past");
    }
    findings.result()
}

/// What is somebody else's stays as it is ([RFC 7009 §2.1]).
///
/// [RFC 7009 §2.1]: https://www.rfc-editor.org/rfc/rfc7009#section-2.1
pub(super) async fn revoked_by_another(context: &TestContext) -> CheckResult {
    let tokens = context.tokens()?;
    let access = tokens.access()?;
    let response =
        context.post_as(&context.other()?, "revocation_endpoint", &[("token", access)]).await?;
    must(response.status < 500, || format!("{} answered {}", response.what, response.status))?;
    let url = context.metadata.endpoint("userinfo_endpoint")?;
    let response = context.http.send(HttpRequest::get(&url).bearer(access)).await?;
    must(response.is_success(), || "another client can revoke an access token".to_owned())
}

/// The client gives its refresh token back, and then nothing of it works.
pub(super) async fn revoked(context: &TestContext) -> CheckResult {
    let tokens = context.tokens()?;
    let (web, refresh) = (context.web()?, tokens.refresh()?);
    let response = context.post_as(&web, "revocation_endpoint", &[("token", refresh)]).await?;
    response.status(&[200])?;
    send(context, &web, refresh, None).await?.refuses(&[400], &["invalid_grant"])
}

/// And introspection knows.
pub(super) async fn introspection_after(context: &TestContext) -> CheckResult {
    let tokens = context.tokens()?;
    context.metadata.endpoint("revocation_endpoint")?;
    let body = introspected(context, tokens.refresh()?).await?;
    must(body.get("active") == Some(&json!(false)), || {
        "a revoked refresh token is still active".to_owned()
    })?;
    // RFC 7009 §2.1: SHOULD.
    let body = introspected(context, tokens.access()?).await?;
    match body.get("active") {
        Some(Value::Bool(false)) => Ok(()),
        Some(_) | None => Err(warn("the access token outlives the refresh token it belongs to")),
    }
}
