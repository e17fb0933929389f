//! Userinfo with a token that is worth something ([OpenID Connect Core §5.3]).
//!
//! [OpenID Connect Core §5.3]: https://openid.net/specs/openid-connect-core-1_0.html#UserInfo

use serde_json::{Map, Value};

use super::context::TestContext;
use super::http::HttpRequest;
use super::http_response::HttpResponse;
use super::report::{CheckResult, Findings, must, printable, should, warn};

const ENDPOINT: &str = "userinfo_endpoint";

/// The three ways to show the token ([RFC 6750 §2](https://www.rfc-editor.org/rfc/rfc6750#section-2)).
#[derive(Clone, Copy, Debug)]
pub(super) enum TokenTransport {
    Get,
    PostHeader,
    PostBody,
}

async fn send(
    context: &TestContext,
    transport: TokenTransport,
) -> Result<HttpResponse, super::report::CheckFailure> {
    let tokens = context.tokens()?;
    let (url, token) = (context.metadata.endpoint(ENDPOINT)?, tokens.access()?);
    let ask = match transport {
        TokenTransport::Get => HttpRequest::get(&url).bearer(token),
        TokenTransport::PostHeader => HttpRequest::form(&url, &[]).bearer(token),
        TokenTransport::PostBody => HttpRequest::form(&url, &[("access_token", token)]),
    };
    context.http.send(ask).await
}

/// The same person as in the ID token.
pub(super) async fn answers(context: &TestContext, transport: TokenTransport) -> CheckResult {
    let response = send(context, transport).await?;
    if matches!(transport, TokenTransport::PostBody) && !response.is_success() {
        return Err(warn(format!("{} answered {}", response.what, response.status)));
    }
    response.status(&[200])?;
    let body = response.json()?;
    let sub = context.tokens()?;
    must(sub.sub().is_some() && body.get("sub").and_then(Value::as_str) == sub.sub(), || {
        "sub is not that of the ID token".to_owned()
    })?;
    response.require_no_store(warn)
}

/// The types of [§5.1](https://openid.net/specs/openid-connect-core-1_0.html#StandardClaims).
pub(super) async fn types(context: &TestContext) -> CheckResult {
    let response = send(context, TokenTransport::Get).await?;
    response.status(&[200])?;
    let mut findings = Findings::default();
    for (name, value) in &response.json()? {
        if !fits(name, value) {
            findings.fail(format!("{} has the wrong type or is empty", printable(name)));
        }
    }
    findings.result()
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
pub(super) async fn no_more_than_asked(context: &TestContext) -> CheckResult {
    let response = send(context, TokenTransport::Get).await?;
    response.status(&[200])?;
    let body = response.json()?;
    let more: Vec<&str> = ["address", "phone_number", "phone_number_verified"]
        .into_iter()
        .filter(|name| body.contains_key(*name))
        .collect();
    must(more.is_empty(), || format!("{} without its scope", more.join(", ")))
}

/// Addresses are logged ([RFC 9700 §4.3.2]).
///
/// [RFC 9700 §4.3.2]: https://www.rfc-editor.org/rfc/rfc9700#section-4.3.2
pub(super) async fn token_in_query(context: &TestContext) -> CheckResult {
    let tokens = context.tokens()?;
    let mut url = context.metadata.endpoint(ENDPOINT)?;
    url.query_pairs_mut().append_pair("access_token", tokens.access()?);
    let response = context.http.send(HttpRequest::get(&url)).await?;
    must((400..500).contains(&response.status), || {
        format!("a token in the address is answered {}", response.status)
    })
}

/// One way at a time ([RFC 6750 §2](https://www.rfc-editor.org/rfc/rfc6750#section-2)).
pub(super) async fn two_ways(context: &TestContext) -> CheckResult {
    let tokens = context.tokens()?;
    let (url, token) = (context.metadata.endpoint(ENDPOINT)?, tokens.access()?);
    let ask = HttpRequest::form(&url, &[("access_token", token)]).bearer(token);
    let response = context.http.send(ask).await?;
    should(response.status == 400, || {
        format!("a token in the header and in the form is answered {}, not 400", response.status)
    })
}
