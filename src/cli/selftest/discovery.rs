//! The metadata document ([OpenID Connect Discovery §3], [RFC 8414 §2]).
//!
//! [OpenID Connect Discovery §3]: https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata
//! [RFC 8414 §2]: https://www.rfc-editor.org/rfc/rfc8414#section-2

use reqwest::header::{ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ORIGIN};
use serde_json::Value;
use url::Url;

use super::context::TestContext;
use super::http::HttpRequest;
use super::http_response::HttpResponse;
use super::metadata::ServerMetadata;
use super::report::{
    CheckFailure, CheckResult, Findings, fail, must, printable, should, skip, warn,
};
use crate::protocol::redirect_uri::is_loopback;

const WELL_KNOWN: &str = "/.well-known/openid-configuration";
/// An origin the server has never heard of.
const OTHER_ORIGIN: &str = "https://stranger.example";

fn address(issuer: &str) -> Result<Url, CheckFailure> {
    let url = format!("{}{WELL_KNOWN}", issuer.trim_end_matches('/'));
    url.parse().map_err(|_| fail("the issuer is not a URL"))
}

/// Gets it; every later check needs it.
pub(super) async fn document(context: &mut TestContext) -> CheckResult {
    let response = context.http.send(HttpRequest::get(&address(&context.issuer)?)).await;
    let response = response.map_err(|failure| match failure {
        // A run that has seen nothing is no success.
        CheckFailure::Skip(why) => CheckFailure::Fail(why),
        CheckFailure::Fail(_) | CheckFailure::Warn(_) => failure,
    })?;
    response.status(&[200])?;
    context.metadata = ServerMetadata(response.json()?);
    let exact = response.media_type() == "application/json";
    context.discovery = Some(response);
    must(exact, || "the document is not application/json".to_owned())
}

fn document_response(context: &TestContext) -> Result<&HttpResponse, CheckFailure> {
    context.discovery.as_ref().ok_or_else(|| skip("there is no discovery document"))
}

/// Character by character ([§4.3](https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfigurationValidation)).
pub(super) fn issuer(context: &TestContext) -> CheckResult {
    document_response(context)?;
    let said = context.metadata.text("issuer").ok_or_else(|| fail("there is no issuer in it"))?;
    let asked = &context.issuer;
    if said != asked && said.trim_end_matches('/') == asked.trim_end_matches('/') {
        return Err(warn(format!("it says {}, which differs by a slash", printable(said))));
    }
    must(said == asked, || format!("it says {}", printable(said)))
}

/// https, and nothing but a place.
pub(super) fn issuer_url(context: &TestContext) -> CheckResult {
    document_response(context)?;
    let text = context.metadata.text("issuer").unwrap_or_default();
    let url: Url = text.parse().map_err(|_| fail("the issuer is not a URL"))?;
    let mut findings = Findings::default();
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        findings.fail("the issuer is not https");
    }
    if text.contains(['?', '#', '@']) {
        findings.fail("the issuer has a query, a fragment or a user name");
    }
    findings.result()
}

pub(super) fn required(context: &TestContext) -> CheckResult {
    document_response(context)?;
    let mut findings = Findings::default();
    for name in [
        "issuer",
        "authorization_endpoint",
        "token_endpoint",
        "jwks_uri",
        "response_types_supported",
        "subject_types_supported",
        "id_token_signing_alg_values_supported",
    ] {
        if !context.metadata.contains_key(name) {
            findings.fail(format!("there is no {name}"));
        }
    }
    findings.result()
}

pub(super) fn recommended(context: &TestContext) -> CheckResult {
    document_response(context)?;
    let names =
        ["userinfo_endpoint", "registration_endpoint", "scopes_supported", "claims_supported"];
    let missing: Vec<&str> =
        names.into_iter().filter(|name| !context.metadata.contains_key(*name)).collect();
    should(missing.is_empty(), || format!("there is no {}", missing.join(", no ")))
}

/// Everything that is an address is https, and has no fragment.
pub(super) fn endpoints(context: &TestContext) -> CheckResult {
    document_response(context)?;
    let mut findings = Findings::default();
    let named = |name: &str| name.ends_with("_endpoint") || name == "jwks_uri";
    for (name, value) in context.metadata.iter().filter(|(name, _)| named(name)) {
        let name = printable(name);
        match value.as_str().map(Url::parse) {
            Some(Ok(url)) => {
                if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
                    findings.fail(format!("{name} is not https"));
                }
                if url.fragment().is_some() {
                    findings.fail(format!("{name} has a fragment"));
                }
            }
            Some(Err(_)) | None => findings.fail(format!("{name} is not a URL")),
        }
    }
    findings.result()
}

/// The same for clients that only know [RFC 8414 §3](https://www.rfc-editor.org/rfc/rfc8414#section-3).
pub(super) async fn oauth_metadata(context: &TestContext) -> CheckResult {
    document_response(context)?;
    let mut url = address(&context.issuer)?;
    let path = url.path().trim_end_matches(WELL_KNOWN).to_owned();
    url.set_path(&format!("/.well-known/oauth-authorization-server{path}"));
    let response = context.http.send(HttpRequest::get(&url)).await?;
    if response.status == 404 {
        return Err(skip("not offered"));
    }
    response.status(&[200])?;
    let mut findings = Findings::default();
    for (name, value) in &response.json()? {
        if context.metadata.get(name).is_some_and(|other| other != value) {
            findings.fail(format!("{} differs between the two documents", printable(name)));
        }
    }
    findings.result()
}

/// Browser applications read it from other origins, without credentials.
pub(super) async fn cors(context: &TestContext) -> CheckResult {
    document_response(context)?;
    allows_other_origins(context, &address(&context.issuer)?).await
}

/// Used for the JWKS too.
pub(super) async fn allows_other_origins(context: &TestContext, url: &Url) -> CheckResult {
    let response = context.http.send(HttpRequest::get(url).header(ORIGIN, OTHER_ORIGIN)).await?;
    let allowed = response.header(&ACCESS_CONTROL_ALLOW_ORIGIN);
    if response.header(&ACCESS_CONTROL_ALLOW_CREDENTIALS) == Some("true")
        && allowed == Some(OTHER_ORIGIN)
    {
        return Err(fail("any origin may read it with the person's cookies"));
    }
    should(matches!(allowed, Some("*" | OTHER_ORIGIN)), || {
        "browser applications of other origins cannot read it (no Access-Control-Allow-Origin)"
            .to_owned()
    })
}

pub(super) fn nosniff(context: &TestContext) -> CheckResult {
    document_response(context)?.nosniff()
}

pub(super) async fn wrong_method(context: &TestContext) -> CheckResult {
    document_response(context)?;
    let url = address(&context.issuer)?;
    context.http.send(HttpRequest::json(&url, &Value::Null)).await?.requires_405()
}
