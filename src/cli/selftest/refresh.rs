//! Refreshing, describing and ending what a person has granted ([RFC 6749 §6], [RFC 7662], [RFC 7009]).
//!
//! [RFC 6749 §6]: https://www.rfc-editor.org/rfc/rfc6749#section-6
//! [RFC 7662]: https://www.rfc-editor.org/rfc/rfc7662
//! [RFC 7009]: https://www.rfc-editor.org/rfc/rfc7009

use serde_json::{Map, Value, json};

use super::http::Ask;
use super::id_token;
use super::reply::Reply;
use super::report::{Findings, Not, Verdict, fail, must, should, warn};
use super::sign_in::Tokens;
use super::token::token_answer;
use super::trial::{Registered, Trial};

async fn asked(
    trial: &Trial,
    client: &Registered,
    token: &str,
    scope: Option<&str>,
) -> Result<Reply, Not> {
    let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
    fields.extend(scope.map(|scope| ("scope", scope)));
    trial.token(client, &fields).await
}

/// What is advertised is given.
pub(super) fn issued(trial: &Trial) -> Verdict {
    let tokens = trial.tokens()?;
    let has = tokens.text("refresh_token").is_some();
    let offered = trial.lists("grant_types_supported", "refresh_token");
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
pub(super) async fn by_another_client(trial: &Trial) -> Verdict {
    let tokens = trial.tokens()?;
    let reply = asked(trial, &trial.other()?, tokens.refresh()?, None).await?;
    reply.refuses(&[400], &["invalid_grant"])
}

/// No more than was granted.
pub(super) async fn more_scope(trial: &Trial) -> Verdict {
    let tokens = trial.tokens()?;
    let reply =
        asked(trial, &trial.web()?, tokens.refresh()?, Some("openid address phone")).await?;
    reply.refuses(&[400], &["invalid_scope"])
}

/// New tokens for the same person.
pub(super) async fn works(trial: &mut Trial) -> Verdict {
    let tokens = trial.tokens()?;
    let reply = asked(trial, &trial.web()?, tokens.refresh()?, None).await?;
    reply.status(&[200])?;
    let body = reply.json()?;
    let mut findings = Findings::default();
    findings.note(token_answer(&body));
    findings.note(reply.unkept(fail));
    findings.note(same_person(trial, &tokens, &body));
    keep(trial, tokens, &body);
    findings.verdict()
}

/// The newest of each from now on.
fn keep(trial: &mut Trial, mut tokens: Tokens, body: &Map<String, Value>) {
    for name in ["access_token", "refresh_token"] {
        if let Some(value) = body.get(name) {
            tokens.body.insert(name.to_owned(), value.clone());
        }
    }
    trial.tokens = Some(tokens);
}

/// If there is a new ID token ([OpenID Connect Core §12.2]).
///
/// [OpenID Connect Core §12.2]: https://openid.net/specs/openid-connect-core-1_0.html#RefreshTokenResponse
fn same_person(trial: &Trial, before: &Tokens, body: &Map<String, Value>) -> Verdict {
    let Some(token) = body.get("id_token").and_then(Value::as_str) else { return Ok(()) };
    let claims = id_token::verified(trial, token)?;
    let mut findings = Findings::default();
    findings.note(id_token::usual(trial, &claims));
    for name in ["iss", "sub", "auth_time", "azp"] {
        if claims.get(name) != before.claims.get(name) {
            findings.wrong(format!("{name} is not as it was before the refresh"));
        }
    }
    findings.verdict()
}

/// Asking for exactly what there is.
pub(super) async fn same_scope(trial: &mut Trial) -> Verdict {
    let tokens = trial.tokens()?;
    let granted = tokens.text("scope").map(str::to_owned);
    let asked_for = || tokens.request.params.iter().find(|(name, _)| name == "scope");
    let scope = granted.or_else(|| asked_for().map(|(_, scope)| scope.clone()));
    let reply = asked(trial, &trial.web()?, tokens.refresh()?, scope.as_deref()).await?;
    reply.status(&[200])?;
    let body = reply.json()?;
    keep(trial, tokens, &body);
    Ok(())
}

async fn introspected(trial: &Trial, token: &str) -> Result<Map<String, Value>, Not> {
    let reply = trial.post_as(&trial.web()?, "introspection_endpoint", &[("token", token)]).await?;
    reply.status(&[200])?;
    reply.json()
}

/// A good token, described to the client it was issued to.
pub(super) async fn introspection(trial: &Trial) -> Verdict {
    let tokens = trial.tokens()?;
    let body = introspected(trial, tokens.access()?).await?;
    must(body.get("active") == Some(&json!(true)), || "active is not true".to_owned())?;
    let mut findings = Findings::default();
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let client = trial.web()?.id;
    if text("client_id").is_some_and(|id| id != client) {
        findings.wrong("client_id is not the client");
    }
    if text("sub").is_some_and(|sub| Some(sub) != tokens.sub()) {
        findings.wrong("sub is not that of the ID token");
    }
    if text("iss").is_some_and(|iss| Some(iss) != trial.text("issuer")) {
        findings.wrong("iss is not the issuer");
    }
    let now = trial.clock.now().as_secs();
    if body
        .get("exp")
        .is_some_and(|exp| exp.as_u64().is_none_or(|exp| exp < now.saturating_sub(300)))
    {
        findings.wrong("exp is no time, or past");
    }
    findings.verdict()
}

/// What is somebody else's stays as it is ([RFC 7009 §2.1]).
///
/// [RFC 7009 §2.1]: https://www.rfc-editor.org/rfc/rfc7009#section-2.1
pub(super) async fn revoked_by_another(trial: &Trial) -> Verdict {
    let tokens = trial.tokens()?;
    let access = tokens.access()?;
    let reply = trial.post_as(&trial.other()?, "revocation_endpoint", &[("token", access)]).await?;
    must(reply.status < 500, || format!("{} answered {}", reply.what, reply.status))?;
    let url = trial.endpoint("userinfo_endpoint")?;
    let reply = trial.http.send(Ask::get(&url).bearer(access)).await?;
    must(reply.is_success(), || "another client can revoke an access token".to_owned())
}

/// The client gives its refresh token back, and then nothing of it works.
pub(super) async fn revoked(trial: &Trial) -> Verdict {
    let tokens = trial.tokens()?;
    let (web, refresh) = (trial.web()?, tokens.refresh()?);
    let reply = trial.post_as(&web, "revocation_endpoint", &[("token", refresh)]).await?;
    reply.status(&[200])?;
    asked(trial, &web, refresh, None).await?.refuses(&[400], &["invalid_grant"])
}

/// And introspection knows.
pub(super) async fn introspection_after(trial: &Trial) -> Verdict {
    let tokens = trial.tokens()?;
    trial.endpoint("revocation_endpoint")?;
    let body = introspected(trial, tokens.refresh()?).await?;
    must(body.get("active") == Some(&json!(false)), || {
        "a revoked refresh token is still active".to_owned()
    })?;
    // RFC 7009 §2.1: SHOULD.
    let body = introspected(trial, tokens.access()?).await?;
    match body.get("active") {
        Some(Value::Bool(false)) => Ok(()),
        Some(_) | None => Err(warn("the access token outlives the refresh token it belongs to")),
    }
}
