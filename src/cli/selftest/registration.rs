//! Dynamic registration ([RFC 7591], [OpenID Connect Registration]) and the management of what was
//! registered ([RFC 7592]). Whatever is registered here is removed in the end.
//!
//! [RFC 7591]: https://www.rfc-editor.org/rfc/rfc7591
//! [OpenID Connect Registration]: https://openid.net/specs/openid-connect-registration-1_0.html
//! [RFC 7592]: https://www.rfc-editor.org/rfc/rfc7592

use serde_json::{Map, Value, json};
use url::Url;

use super::http::Ask;
use super::reply::Reply;
use super::report::{Findings, Not, Verdict, fail, must, plain, skip, warn};
use super::trial::{CALLBACK, OTHER_CALLBACK, Registered, SIGNED_OUT, Trial, fresh};
use crate::protocol::redirect_uri::is_loopback;

pub(super) const ENDPOINT: &str = "registration_endpoint";

/// Registers, and remembers it for the end if it is a client in any way.
pub(super) async fn register(trial: &mut Trial, asked: &Value) -> Result<Reply, Not> {
    let reply = ask(trial, Ask::json(&trial.endpoint(ENDPOINT)?, asked)).await?;
    if let Some(client) = read(&reply, asked).filter(|_| reply.is_success()) {
        trial.registered.push(client);
    }
    Ok(reply)
}

pub(super) async fn ask(trial: &Trial, ask: Ask) -> Result<Reply, Not> {
    let ask = match &trial.initial_access_token {
        Some(token) => ask.bearer(token),
        None => ask,
    };
    let reply = trial.http.send(ask).await?;
    if matches!(reply.status, 401 | 403) {
        return Err(match trial.initial_access_token {
            None => skip("registration wants a token (--initial-access-token-file)"),
            Some(_) => fail("registration does not take the initial access token"),
        });
    }
    Ok(reply)
}

fn read(reply: &Reply, asked: &Value) -> Option<Registered> {
    let answer: Map<String, Value> = serde_json::from_slice(&reply.body).ok()?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
    let method = text("token_endpoint_auth_method")
        .or_else(|| asked.get("token_endpoint_auth_method")?.as_str().map(str::to_owned));
    Some(Registered {
        id: text("client_id").filter(|id| !id.is_empty())?,
        secret: text("client_secret"),
        basic: method.as_deref() != Some("client_secret_post"),
        answer,
    })
}

/// What the two clients ask for: no more than the server says it can do.
pub(super) fn wish(trial: &Trial, name: &str, method: &str) -> Value {
    let mut grants = vec!["authorization_code"];
    if trial.lists("grant_types_supported", "refresh_token") {
        grants.push("refresh_token");
    }
    let mut wish = json!({
        "client_name": name,
        "redirect_uris": [CALLBACK, OTHER_CALLBACK],
        "response_types": ["code"],
        "grant_types": grants,
        "token_endpoint_auth_method": method,
    });
    if trial.metadata.contains_key("end_session_endpoint") {
        wish["post_logout_redirect_uris"] = json!([SIGNED_OUT]);
    }
    wish
}

async fn made(trial: &mut Trial, wish: &Value) -> Result<Registered, Not> {
    let reply = register(trial, wish).await?;
    must(reply.is_success(), || match reply.status(&[201]) {
        Err(Not::Fail(why)) => why,
        Ok(()) | Err(Not::Warn(_) | Not::Skip(_)) => String::new(),
    })?;
    read(&reply, wish).ok_or_else(|| fail("the answer has no client_id"))
}

/// 201, JSON, not to be kept.
pub(super) async fn create(trial: &mut Trial) -> Verdict {
    let wish = wish(trial, "Latchkey selftest", "client_secret_basic");
    let reply = register(trial, &wish).await?;
    trial.web = read(&reply, &wish).filter(|_| reply.is_success());
    let mut findings = Findings::default();
    findings.note(reply.status(&[201]));
    findings.note(reply.json().map(|_| ()));
    findings.note(reply.unkept(fail));
    if reply.is_success() && trial.web.is_none() {
        findings.wrong("the answer has no client_id");
    }
    findings.verdict()
}

/// What the answer to a registration has to hold ([RFC 7591 §3.2.1], [RFC 7592 §3]).
///
/// [RFC 7591 §3.2.1]: https://www.rfc-editor.org/rfc/rfc7591#section-3.2.1
/// [RFC 7592 §3]: https://www.rfc-editor.org/rfc/rfc7592#section-3
pub(super) fn members(trial: &Trial) -> Verdict {
    let client = trial.web()?;
    let has = |name: &str| client.answer.contains_key(name);
    let mut findings = Findings::default();
    if has("client_secret")
        && !client.answer.get("client_secret_expires_at").is_some_and(Value::is_u64)
    {
        findings.wrong("client_secret without client_secret_expires_at");
    }
    if !has("client_secret") {
        findings.wrong("a client with client_secret_basic is given no client_secret");
    }
    if has("registration_client_uri") != has("registration_access_token") {
        findings.wrong(
            "registration_client_uri and registration_access_token come together or not at all",
        );
    }
    if let Some(uri) = client.answer.get("registration_client_uri") {
        let url = uri.as_str().and_then(|uri| uri.parse::<Url>().ok());
        if !url.is_some_and(|url| url.scheme() == "https" || is_loopback(&url)) {
            findings.wrong("registration_client_uri is no https URL");
        }
    }
    if client.answer.get("redirect_uris") != Some(&json!([CALLBACK, OTHER_CALLBACK])) {
        findings.wrong("redirect_uris are not answered as they were registered");
    }
    let method = client.answer.get("token_endpoint_auth_method").and_then(Value::as_str);
    if method.is_some_and(|method| method != "client_secret_basic") {
        findings.doubtful("client_secret_basic became something else");
    }
    findings.verdict()
}

pub(super) async fn another(trial: &mut Trial) -> Verdict {
    let web = trial.web()?;
    let wish = wish(trial, "Latchkey selftest, the other", "client_secret_post");
    let other = made(trial, &wish).await?;
    trial.other = Some(other.clone());
    must(other.id != web.id, || "two clients have the same client_id".to_owned())?;
    must(other.secret.is_none() || other.secret != web.secret, || {
        "two clients have the same client_secret".to_owned()
    })
}

/// The client reads what it is.
pub(super) async fn read_back(trial: &Trial) -> Verdict {
    let client = trial.web()?;
    let (uri, token) = client.management().ok_or_else(|| skip("not offered"))?;
    let reply = trial.http.send(Ask::get(&uri).bearer(token)).await?;
    reply.status(&[200])?;
    let body = reply.json()?;
    must(body.get("client_id").and_then(Value::as_str) == Some(&client.id), || {
        "it answers another client_id".to_owned()
    })?;
    reply.unkept(warn)
}

/// With a token that is not the client's.
pub(super) async fn read_by_a_stranger(trial: &Trial) -> Verdict {
    let (web, other) = (trial.web()?, trial.other()?);
    let (uri, _) = web.management().ok_or_else(|| skip("not offered"))?;
    let mut findings = Findings::default();
    let made_up = fresh();
    let tokens = [Some(made_up.as_str()), other.management().map(|(_, token)| token)];
    for token in tokens.into_iter().flatten() {
        let reply = trial.http.send(Ask::get(&uri).bearer(token)).await?;
        findings.note(reply.status(&[401, 403]));
        if reply.status == 401 {
            findings.note(reply.challenge("Bearer").map(|_| ()));
        }
    }
    findings.verdict()
}

/// Removes every client there is, whatever happened to the checks ([RFC 7592 §2.3]), the one with
/// nothing to remove it by included in what is told.
///
/// [RFC 7592 §2.3]: https://www.rfc-editor.org/rfc/rfc7592#section-2.3
pub(super) async fn delete(trial: &mut Trial) -> Verdict {
    let registered = std::mem::take(&mut trial.registered);
    if registered.is_empty() {
        return Err(skip("nothing was registered"));
    }
    let mut findings = Findings::default();
    for client in &registered {
        let Some((uri, token)) = client.management() else {
            findings.doubtful(format!("{} has to be removed by hand", plain(&client.id)));
            continue;
        };
        let gone = Ask::new(reqwest::Method::DELETE, &uri).bearer(token);
        match trial.http.send(gone).await {
            Ok(reply) => {
                findings.note(reply.status(&[204]));
                if !reply.is_success() {
                    findings.wrong(format!("{} has to be removed by hand", plain(&client.id)));
                }
            }
            Err(Not::Fail(why) | Not::Warn(why) | Not::Skip(why)) => {
                findings.wrong(format!("{} has to be removed by hand: {why}", plain(&client.id)));
            }
        }
    }
    if let Some((uri, token)) = registered.first().and_then(Registered::management) {
        let again = trial.http.send(Ask::get(&uri).bearer(token)).await?;
        findings.note(again.status(&[401, 403, 404]));
    }
    findings.verdict()
}
