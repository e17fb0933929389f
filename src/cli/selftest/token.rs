//! What the token endpoint refuses, and how ([RFC 6749 §5.2]).
//!
//! [RFC 6749 §5.2]: https://www.rfc-editor.org/rfc/rfc6749#section-5.2

use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};

use super::http::{Ask, Fields};
use super::registration;
use super::report::{Findings, Verdict, fail, must, should, skip, warn};
use super::trial::{CALLBACK, Registered, Trial, authenticated, basic, fresh};

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

pub(super) async fn wrong_method(trial: &Trial) -> Verdict {
    trial.http.send(Ask::get(&trial.endpoint(ENDPOINT)?)).await?.refuses_the_method()
}

/// Neither client nor request.
pub(super) async fn empty(trial: &Trial) -> Verdict {
    let reply = trial.http.send(Ask::form(&trial.endpoint(ENDPOINT)?, &[])).await?;
    let mut findings = Findings::default();
    findings.note(
        reply
            .refuses(&[400, 401], &["invalid_request", "invalid_client", "unsupported_grant_type"]),
    );
    findings.note(reply.nosniff());
    findings.verdict()
}

/// A good client that asks for something wrong.
pub(super) async fn refused(trial: &Trial, fields: Fields<'_>, codes: &[&str]) -> Verdict {
    trial.token(&trial.web()?, fields).await?.refuses(&[400], codes)
}

pub(super) async fn bogus_code(trial: &Trial) -> Verdict {
    refused(trial, &code_request(&fresh()), &["invalid_grant"]).await
}

pub(super) async fn repeated(trial: &Trial) -> Verdict {
    let code = fresh();
    let mut fields = code_request(&code).to_vec();
    fields.push(("code", &code));
    refused(trial, &fields, &["invalid_request"]).await
}

/// A form is what is asked for; JSON is not read as one.
pub(super) async fn json_body(trial: &Trial) -> Verdict {
    let web = trial.web()?;
    let ask = authenticated(&trial.endpoint(ENDPOINT)?, &web, &[]);
    let body = json!({ "grant_type": "authorization_code", "code": fresh() }).to_string();
    let reply = trial.http.send(ask.body("application/json", body)).await?;
    must((400..500).contains(&reply.status), || {
        format!("{} with JSON answered {}, not 400", reply.what, reply.status)
    })
}

/// 401 `invalid_client`, and a challenge to who tried the header.
pub(super) async fn wrong_secret(trial: &Trial) -> Verdict {
    let web = trial.web()?;
    let wrong = Registered { secret: Some(fresh()), basic: true, ..web };
    let reply = trial.token(&wrong, &code_request(&fresh())).await?;
    let mut findings = Findings::default();
    findings.note(reply.refuses(&[401], &["invalid_client"]));
    findings.note(reply.challenge("Basic").map(|_| ()));
    findings.verdict()
}

pub(super) async fn wrong_secret_in_form(trial: &Trial) -> Verdict {
    let other = trial.other()?;
    let wrong = Registered { secret: Some(fresh()), basic: false, ..other };
    let reply = trial.token(&wrong, &code_request(&fresh())).await?;
    reply.refuses(&[400, 401], &["invalid_client"])
}

pub(super) async fn no_secret(trial: &Trial) -> Verdict {
    let nobody = Registered { secret: None, ..trial.web()? };
    let reply = trial.token(&nobody, &code_request(&fresh())).await?;
    reply.refuses(&[400, 401], &["invalid_client", "invalid_request"])
}

/// Unknown clients look like wrong secrets.
pub(super) async fn unknown_client(trial: &Trial) -> Verdict {
    let web = trial.web()?;
    let nobody = Registered { id: format!("nobody-{}", fresh()), basic: true, ..web };
    let reply = trial.token(&nobody, &code_request(&fresh())).await?;
    reply.refuses(&[401], &["invalid_client"])
}

/// Credentials in an address end up in logs ([RFC 6749 §2.3.1]).
///
/// [RFC 6749 §2.3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
pub(super) async fn secret_in_query(trial: &Trial) -> Verdict {
    let other = trial.other()?;
    let secret = other.secret.as_deref().ok_or_else(|| skip("the client has no secret"))?;
    let mut url = trial.endpoint(ENDPOINT)?;
    let mut query = url.query_pairs_mut();
    query.append_pair("client_id", &other.id).append_pair("client_secret", secret);
    drop(query);
    let reply = trial.http.send(Ask::form(&url, &code_request(&fresh()))).await?;
    reply.refuses(&[400, 401], &["invalid_client", "invalid_request"])
}

/// One way of authentication for each request ([RFC 6749 §2.3]).
///
/// [RFC 6749 §2.3]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3
pub(super) async fn two_ways(trial: &Trial) -> Verdict {
    let web = trial.web()?;
    let secret = web.secret.as_deref().ok_or_else(|| skip("the client has no secret"))?;
    let code = fresh();
    let mut fields = code_request(&code).to_vec();
    fields.extend([("client_id", &*web.id), ("client_secret", secret)]);
    let url = trial.endpoint(ENDPOINT)?;
    let ask = Ask::form(&url, &fields).header(AUTHORIZATION, &basic(&web.id, secret));
    let reply = trial.http.send(ask).await?;
    must((400..500).contains(&reply.status), || {
        format!("{} is answered {}", reply.what, reply.status)
    })?;
    let code = reply.json()?.get("error").cloned().unwrap_or_default();
    should(code != "invalid_grant", || {
        "a secret in the header and in the form at once is accepted".to_owned()
    })
}

/// A client that asks for itself ([RFC 6749 §4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4)).
pub(super) async fn client_credentials(trial: &mut Trial) -> Verdict {
    if !trial.lists("grant_types_supported", "client_credentials") {
        return Err(skip("not offered"));
    }
    trial.web()?;
    let wish = json!({
        "client_name": "Latchkey selftest, for itself",
        "grant_types": ["client_credentials"],
        "response_types": [],
        "redirect_uris": [],
        "token_endpoint_auth_method": "client_secret_basic",
    });
    let before = trial.registered.len();
    let reply = registration::register(trial, &wish).await?;
    if !reply.is_success() {
        return Err(skip("nobody may register for it"));
    }
    let client = trial.registered.get(before).cloned();
    let client = client.ok_or_else(|| fail("the answer has no client_id"))?;
    let reply = trial.token(&client, &[("grant_type", "client_credentials")]).await?;
    reply.status(&[200])?;
    let body = reply.json()?;
    let mut findings = Findings::default();
    findings.note(token_answer(&body));
    findings.note(reply.unkept(fail));
    if body.contains_key("id_token") {
        findings.wrong("there is an ID token of nobody");
    }
    if body.contains_key("refresh_token") {
        findings.doubtful("there is a refresh token, though the client needs none");
    }
    findings.verdict()
}

/// What every answer of this endpoint has ([RFC 6749 §5.1]).
///
/// [RFC 6749 §5.1]: https://www.rfc-editor.org/rfc/rfc6749#section-5.1
pub(super) fn token_answer(body: &serde_json::Map<String, Value>) -> Verdict {
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut findings = Findings::default();
    let token = text("access_token");
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        findings.wrong("there is no access_token, or one with odd characters");
    }
    if token.len() < 22 {
        findings.wrong("the access token is too short to be unguessable");
    }
    if !text("token_type").eq_ignore_ascii_case("Bearer") {
        findings.wrong("token_type is not Bearer");
    }
    match body.get("expires_in") {
        None => findings.note(Err(warn("there is no expires_in"))),
        Some(seconds) if seconds.as_f64().is_some_and(|it| it > 0.0) => {}
        Some(_) => findings.wrong("expires_in is no positive number"),
    }
    if body.get("refresh_token").is_some_and(|it| it.as_str().is_none_or(|it| it.len() < 22)) {
        findings.wrong("the refresh token is no text, or too short to be unguessable");
    }
    findings.verdict()
}
