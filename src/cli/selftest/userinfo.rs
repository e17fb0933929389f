//! Userinfo with a token that is worth something ([OpenID Connect Core §5.3]).
//!
//! [OpenID Connect Core §5.3]: https://openid.net/specs/openid-connect-core-1_0.html#UserInfo

use serde_json::{Map, Value};

use super::http::Ask;
use super::reply::Reply;
use super::report::{Findings, Verdict, must, plain, should, warn};
use super::trial::Trial;

const ENDPOINT: &str = "userinfo_endpoint";

/// The three ways to show the token ([RFC 6750 §2](https://www.rfc-editor.org/rfc/rfc6750#section-2)).
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    Get,
    PostHeader,
    PostBody,
}

async fn asked(trial: &Trial, way: Way) -> Result<Reply, super::report::Not> {
    let tokens = trial.tokens()?;
    let (url, token) = (trial.endpoint(ENDPOINT)?, tokens.access()?);
    let ask = match way {
        Way::Get => Ask::get(&url).bearer(token),
        Way::PostHeader => Ask::form(&url, &[]).bearer(token),
        Way::PostBody => Ask::form(&url, &[("access_token", token)]),
    };
    trial.http.send(ask).await
}

/// The same person as in the ID token.
pub(super) async fn answers(trial: &Trial, way: Way) -> Verdict {
    let reply = asked(trial, way).await?;
    if matches!(way, Way::PostBody) && !reply.is_success() {
        return Err(warn(format!("{} answered {}", reply.what, reply.status)));
    }
    reply.status(&[200])?;
    let body = reply.json()?;
    let sub = trial.tokens()?;
    must(sub.sub().is_some() && body.get("sub").and_then(Value::as_str) == sub.sub(), || {
        "sub is not that of the ID token".to_owned()
    })?;
    reply.unkept(warn)
}

/// The types of [§5.1](https://openid.net/specs/openid-connect-core-1_0.html#StandardClaims).
pub(super) async fn types(trial: &Trial) -> Verdict {
    let reply = asked(trial, Way::Get).await?;
    reply.status(&[200])?;
    let mut findings = Findings::default();
    for (name, value) in &reply.json()? {
        if !fits(name, value) {
            findings.wrong(format!("{} has the wrong type or is empty", plain(name)));
        }
    }
    findings.verdict()
}

fn fits(name: &str, value: &Value) -> bool {
    match name {
        "email_verified" | "phone_number_verified" => value.is_boolean(),
        // Seconds; in milliseconds it would be the year 50000.
        "updated_at" => value.as_f64().is_some_and(|at| (6.0e8..1.0e11).contains(&at)),
        "address" => value.as_object().is_some_and(|parts: &Map<String, Value>| {
            parts.values().all(|part| part.as_str().is_some_and(|text| !text.is_empty()))
        }),
        "profile" | "picture" | "website" => {
            value.as_str().is_some_and(|text| text.parse::<url::Url>().is_ok())
        }
        "birthdate" => value.as_str().is_some_and(is_birthdate),
        "sub" | "name" | "given_name" | "family_name" | "middle_name" | "nickname" | "email"
        | "preferred_username" | "gender" | "zoneinfo" | "locale" | "phone_number" => {
            value.as_str().is_some_and(|text| !text.is_empty() && text != "null")
        }
        _ => !value.is_null(),
    }
}

/// `YYYY-MM-DD`, or `YYYY`.
fn is_birthdate(text: &str) -> bool {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    matches!(&*shape, "9999-99-99" | "9999")
}

/// Nothing of scopes that were not asked for: the person agreed to no more.
pub(super) async fn no_more_than_asked(trial: &Trial) -> Verdict {
    let reply = asked(trial, Way::Get).await?;
    reply.status(&[200])?;
    let body = reply.json()?;
    let more: Vec<&str> = ["address", "phone_number", "phone_number_verified"]
        .into_iter()
        .filter(|name| body.contains_key(*name))
        .collect();
    must(more.is_empty(), || format!("{} without its scope", more.join(", ")))
}

/// Addresses are logged ([RFC 9700 §4.3.2]).
///
/// [RFC 9700 §4.3.2]: https://www.rfc-editor.org/rfc/rfc9700#section-4.3.2
pub(super) async fn token_in_query(trial: &Trial) -> Verdict {
    let tokens = trial.tokens()?;
    let mut url = trial.endpoint(ENDPOINT)?;
    url.query_pairs_mut().append_pair("access_token", tokens.access()?);
    let reply = trial.http.send(Ask::get(&url)).await?;
    must((400..500).contains(&reply.status), || {
        format!("a token in the address is answered {}", reply.status)
    })
}

/// One way at a time ([RFC 6750 §2](https://www.rfc-editor.org/rfc/rfc6750#section-2)).
pub(super) async fn two_ways(trial: &Trial) -> Verdict {
    let tokens = trial.tokens()?;
    let (url, token) = (trial.endpoint(ENDPOINT)?, tokens.access()?);
    let ask = Ask::form(&url, &[("access_token", token)]).bearer(token);
    let reply = trial.http.send(ask).await?;
    should(reply.status == 400, || {
        format!("a token in the header and in the form is answered {}, not 400", reply.status)
    })
}
