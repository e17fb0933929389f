//! Clients that must not be registered ([RFC 7591 §3.2.2]).
//!
//! [RFC 7591 §3.2.2]: https://www.rfc-editor.org/rfc/rfc7591#section-3.2.2

use serde_json::{Map, Value};

use super::http::Ask;
use super::registration::{ENDPOINT, ask, register, wish};
use super::report::{Verdict, must, plain, should, skip};
use super::trial::Trial;

/// Either code for an invalid registration.
pub(super) const ANY: &str = "";

fn changed(trial: &Trial, members: &str) -> (Value, Map<String, Value>) {
    let mut wish = wish(trial, "Latchkey selftest, wrong", "client_secret_basic");
    let changes: Map<String, Value> = serde_json::from_str(members).unwrap_or_default();
    for (name, value) in &changes {
        wish[name] = value.clone();
    }
    (wish, changes)
}

/// A registration that must not be.
pub(super) async fn invalid(trial: &mut Trial, members: &str, code: &str) -> Verdict {
    let (wish, _) = changed(trial, members);
    let reply = register(trial, &wish).await?;
    reply.refuses(&[400], &["invalid_redirect_uri", "invalid_client_metadata"])?;
    let said = reply.json()?.get("error").cloned().unwrap_or_default();
    // Which of the two a missing or mistyped list is can be argued.
    should(code == ANY || said == code, || {
        format!("it is refused as {}, not {code}", plain(&said.to_string()))
    })
}

pub(super) async fn not_json(trial: &Trial) -> Verdict {
    let url = trial.endpoint(ENDPOINT)?;
    let broken = Ask::json(&url, &Value::Null).body("application/json", "{\"client_name\":".into());
    let codes = ["invalid_client_metadata", "invalid_request", "invalid_redirect_uri"];
    ask(trial, broken).await?.refuses(&[400], &codes)
}

pub(super) async fn wrong_method(trial: &Trial) -> Verdict {
    let url = trial.endpoint(ENDPOINT)?;
    trial.http.send(Ask::get(&url)).await?.refuses_the_method()
}

/// What is not offered is refused, or becomes something else in so many words: a client that believes
/// it has what it asked for relies on nothing ([RFC 7591 §3.2.1]).
///
/// [RFC 7591 §3.2.1]: https://www.rfc-editor.org/rfc/rfc7591#section-3.2.1
pub(super) async fn not_offered(
    trial: &mut Trial,
    list: &str,
    word: &str,
    members: &str,
) -> Verdict {
    if trial.lists(list, word) {
        return Err(skip(format!("{word} is offered")));
    }
    let (wish, changes) = changed(trial, members);
    let reply = register(trial, &wish).await?;
    if !reply.is_success() {
        return reply.refuses(&[400], &["invalid_client_metadata", "invalid_redirect_uri"]);
    }
    let answer = reply.json()?;
    let believed = |(name, value)| answer.get(name).is_none_or(|it| it == value);
    must(!changes.iter().any(believed), || format!("{word} is registered, but not offered"))
}
