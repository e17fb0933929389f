//! Introspection ([RFC 7662]), revocation ([RFC 7009]) and userinfo ([OpenID Connect Core §5.3]), asked
//! without anything worth asking about.
//!
//! [RFC 7662]: https://www.rfc-editor.org/rfc/rfc7662
//! [RFC 7009]: https://www.rfc-editor.org/rfc/rfc7009
//! [OpenID Connect Core §5.3]: https://openid.net/specs/openid-connect-core-1_0.html#UserInfo

use reqwest::Method;
use serde_json::json;

use super::client::random_string;
use super::context::TestContext;
use super::http::HttpRequest;
use super::report::{CheckResult, Findings, must, should, warn};

pub(super) async fn wrong_method(context: &TestContext, endpoint: &str) -> CheckResult {
    context.http.send(HttpRequest::get(&context.metadata.endpoint(endpoint)?)).await?.requires_405()
}

/// Nobody learns about tokens, or ends them, without saying who they are ([RFC 7662 §2.1]).
///
/// [RFC 7662 §2.1]: https://www.rfc-editor.org/rfc/rfc7662#section-2.1
pub(super) async fn no_client(context: &TestContext, endpoint: &str) -> CheckResult {
    let url = context.metadata.endpoint(endpoint)?;
    let response =
        context.http.send(HttpRequest::form(&url, &[("token", &random_string())])).await?;
    must((400..500).contains(&response.status), || {
        format!("{} without a client is answered {}", response.what, response.status)
    })?;
    let mut findings = Findings::default();
    findings.add(response.nosniff());
    findings.add(response.require_no_store(warn));
    if endpoint.starts_with("introspection") {
        findings.add(should(response.status == 401, || {
            format!("{} answered {}, not 401", response.what, response.status)
        }));
    }
    findings.result()
}

pub(super) async fn no_token(context: &TestContext, endpoint: &str) -> CheckResult {
    context.post_as(&context.web()?, endpoint, &[]).await?.refuses(&[400], &["invalid_request"])
}

/// `{"active":false}` and nothing more ([RFC 7662 §2.2]).
///
/// [RFC 7662 §2.2]: https://www.rfc-editor.org/rfc/rfc7662#section-2.2
pub(super) async fn introspect_garbage(context: &TestContext) -> CheckResult {
    let web = context.web()?;
    let response =
        context.post_as(&web, "introspection_endpoint", &[("token", &random_string())]).await?;
    response.status(&[200])?;
    let body = response.json()?;
    must(body.get("active") == Some(&json!(false)), || "active is not false".to_owned())?;
    should(body.len() == 1, || "it says more than that it is not active".to_owned())?;
    response.require_no_store(warn)
}

/// Ending what is not there is a success ([RFC 7009 §2.2]).
///
/// [RFC 7009 §2.2]: https://www.rfc-editor.org/rfc/rfc7009#section-2.2
pub(super) async fn revoke_garbage(context: &TestContext) -> CheckResult {
    let web = context.web()?;
    let response =
        context.post_as(&web, "revocation_endpoint", &[("token", &random_string())]).await?;
    response.status(&[200])
}

/// 401 with a challenge that has no error code: nothing was tried ([RFC 6750 §3.1]).
///
/// [RFC 6750 §3.1]: https://www.rfc-editor.org/rfc/rfc6750#section-3.1
pub(super) async fn userinfo_without_token(context: &TestContext) -> CheckResult {
    let response = context
        .http
        .send(HttpRequest::get(&context.metadata.endpoint("userinfo_endpoint")?))
        .await?;
    response.status(&[401])?;
    let challenge = response.challenge("Bearer")?;
    let mut findings = Findings::default();
    findings.add(should(!challenge.contains("error="), || {
        "the challenge names an error though nothing was tried".to_owned()
    }));
    findings.add(response.nosniff());
    findings.result()
}

pub(super) async fn userinfo_bogus_token(context: &TestContext) -> CheckResult {
    let url = context.metadata.endpoint("userinfo_endpoint")?;
    let response = context.http.send(HttpRequest::get(&url).bearer(&random_string())).await?;
    response.status(&[401])?;
    let challenge = response.challenge("Bearer")?;
    should(challenge.contains("invalid_token"), || {
        "the challenge does not say invalid_token".to_owned()
    })
}

pub(super) async fn userinfo_wrong_method(context: &TestContext) -> CheckResult {
    let url = context.metadata.endpoint("userinfo_endpoint")?;
    context.http.send(HttpRequest::new(Method::DELETE, &url)).await?.requires_405()
}
