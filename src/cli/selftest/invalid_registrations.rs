//! Clients that must not be registered ([RFC 7591 §3.2.2]).
//!
//! [RFC 7591 §3.2.2]: https://www.rfc-editor.org/rfc/rfc7591#section-3.2.2

use serde_json::{Map, Value};

use super::context::TestContext;
use super::http::HttpRequest;
use super::registration::{ENDPOINT, ask, metadata, register};
use super::report::{CheckResult, must, printable, should, skip};

/// Either code for an invalid registration.
pub(super) const ANY: &str = "";

fn changed(context: &TestContext, members: &str) -> (Value, Map<String, Value>) {
    let mut metadata = metadata(context, "Latchkey selftest, wrong", "client_secret_basic");
    let changes: Map<String, Value> = serde_json::from_str(members).unwrap_or_default();
    for (name, value) in &changes {
        metadata[name] = value.clone();
    }
    (metadata, changes)
}

/// A registration that must not be.
pub(super) async fn invalid(context: &mut TestContext, members: &str, code: &str) -> CheckResult {
    let (metadata, _) = changed(context, members);
    let response = register(context, &metadata).await?;
    response.refuses(&[400], &["invalid_redirect_uri", "invalid_client_metadata"])?;
    let said = response.json()?.get("error").cloned().unwrap_or_default();
    // Which of the two a missing or mistyped list is can be argued.
    should(code == ANY || said == code, || {
        format!("it is refused as {}, not {code}", printable(&said.to_string()))
    })
}

pub(super) async fn not_json(context: &TestContext) -> CheckResult {
    let url = context.metadata.endpoint(ENDPOINT)?;
    let broken =
        HttpRequest::json(&url, &Value::Null).body("application/json", "{\"client_name\":".into());
    let codes = ["invalid_client_metadata", "invalid_request", "invalid_redirect_uri"];
    ask(context, broken).await?.refuses(&[400], &codes)
}

pub(super) async fn wrong_method(context: &TestContext) -> CheckResult {
    let url = context.metadata.endpoint(ENDPOINT)?;
    context.http.send(HttpRequest::get(&url)).await?.requires_405()
}

/// What is not offered is refused, or becomes something else in so many words: a client that believes
/// it has what it asked for relies on nothing ([RFC 7591 §3.2.1]).
///
/// [RFC 7591 §3.2.1]: https://www.rfc-editor.org/rfc/rfc7591#section-3.2.1
pub(super) async fn not_offered(
    context: &mut TestContext,
    list: &str,
    word: &str,
    members: &str,
) -> CheckResult {
    if context.metadata.lists(list, word) {
        return Err(skip(format!("{word} is offered")));
    }
    let (metadata, changes) = changed(context, members);
    let response = register(context, &metadata).await?;
    if !response.is_success() {
        return response.refuses(&[400], &["invalid_client_metadata", "invalid_redirect_uri"]);
    }
    let answer = response.json()?;
    let believed = |(name, value)| answer.get(name).is_none_or(|it| it == value);
    must(!changes.iter().any(believed), || format!("{word} is registered, but not offered"))
}
