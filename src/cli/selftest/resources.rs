//! Introspection ([RFC 7662]), revocation ([RFC 7009]) and userinfo ([OpenID Connect Core §5.3]), asked
//! without anything worth asking about.
//!
//! [RFC 7662]: https://www.rfc-editor.org/rfc/rfc7662
//! [RFC 7009]: https://www.rfc-editor.org/rfc/rfc7009
//! [OpenID Connect Core §5.3]: https://openid.net/specs/openid-connect-core-1_0.html#UserInfo

use reqwest::Method;
use serde_json::json;

use super::http::Ask;
use super::report::{Findings, Verdict, must, should, warn};
use super::trial::{Trial, fresh};

pub(super) async fn wrong_method(trial: &Trial, endpoint: &str) -> Verdict {
    trial.http.send(Ask::get(&trial.endpoint(endpoint)?)).await?.refuses_the_method()
}

/// Nobody learns about tokens, or ends them, without saying who they are ([RFC 7662 §2.1]).
///
/// [RFC 7662 §2.1]: https://www.rfc-editor.org/rfc/rfc7662#section-2.1
pub(super) async fn no_client(trial: &Trial, endpoint: &str) -> Verdict {
    let url = trial.endpoint(endpoint)?;
    let reply = trial.http.send(Ask::form(&url, &[("token", &fresh())])).await?;
    must((400..500).contains(&reply.status), || {
        format!("{} without a client is answered {}", reply.what, reply.status)
    })?;
    let mut findings = Findings::default();
    findings.note(reply.nosniff());
    findings.note(reply.unkept(warn));
    if endpoint.starts_with("introspection") {
        findings.note(should(reply.status == 401, || {
            format!("{} answered {}, not 401", reply.what, reply.status)
        }));
    }
    findings.verdict()
}

pub(super) async fn no_token(trial: &Trial, endpoint: &str) -> Verdict {
    trial.post_as(&trial.web()?, endpoint, &[]).await?.refuses(&[400], &["invalid_request"])
}

/// `{"active":false}` and nothing more ([RFC 7662 §2.2]).
///
/// [RFC 7662 §2.2]: https://www.rfc-editor.org/rfc/rfc7662#section-2.2
pub(super) async fn introspect_garbage(trial: &Trial) -> Verdict {
    let web = trial.web()?;
    let reply = trial.post_as(&web, "introspection_endpoint", &[("token", &fresh())]).await?;
    reply.status(&[200])?;
    let body = reply.json()?;
    must(body.get("active") == Some(&json!(false)), || "active is not false".to_owned())?;
    should(body.len() == 1, || "it says more than that it is not active".to_owned())?;
    reply.unkept(warn)
}

/// Ending what is not there is a success ([RFC 7009 §2.2]).
///
/// [RFC 7009 §2.2]: https://www.rfc-editor.org/rfc/rfc7009#section-2.2
pub(super) async fn revoke_garbage(trial: &Trial) -> Verdict {
    let web = trial.web()?;
    let reply = trial.post_as(&web, "revocation_endpoint", &[("token", &fresh())]).await?;
    reply.status(&[200])
}

/// 401 with a challenge that has no error code: nothing was tried ([RFC 6750 §3.1]).
///
/// [RFC 6750 §3.1]: https://www.rfc-editor.org/rfc/rfc6750#section-3.1
pub(super) async fn userinfo_without_token(trial: &Trial) -> Verdict {
    let reply = trial.http.send(Ask::get(&trial.endpoint("userinfo_endpoint")?)).await?;
    reply.status(&[401])?;
    let challenge = reply.challenge("Bearer")?;
    let mut findings = Findings::default();
    findings.note(should(!challenge.contains("error="), || {
        "the challenge names an error though nothing was tried".to_owned()
    }));
    findings.note(reply.nosniff());
    findings.verdict()
}

pub(super) async fn userinfo_bogus_token(trial: &Trial) -> Verdict {
    let url = trial.endpoint("userinfo_endpoint")?;
    let reply = trial.http.send(Ask::get(&url).bearer(&fresh())).await?;
    reply.status(&[401])?;
    let challenge = reply.challenge("Bearer")?;
    should(challenge.contains("invalid_token"), || {
        "the challenge does not say invalid_token".to_owned()
    })
}

pub(super) async fn userinfo_wrong_method(trial: &Trial) -> Verdict {
    let url = trial.endpoint("userinfo_endpoint")?;
    trial.http.send(Ask::new(Method::DELETE, &url)).await?.refuses_the_method()
}
