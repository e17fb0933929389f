//! The metadata document ([OpenID Connect Discovery §3], [RFC 8414 §2]).
//!
//! [OpenID Connect Discovery §3]: https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata
//! [RFC 8414 §2]: https://www.rfc-editor.org/rfc/rfc8414#section-2

use reqwest::header::{ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ORIGIN};
use serde_json::Value;
use url::Url;

use super::http::Ask;
use super::reply::Reply;
use super::report::{Findings, Not, Verdict, fail, must, plain, should, skip, warn};
use super::trial::Trial;
use crate::protocol::redirect_uri::is_loopback;

const WELL_KNOWN: &str = "/.well-known/openid-configuration";
/// An origin the server has never heard of.
const STRANGER: &str = "https://stranger.example";

fn address(issuer: &str) -> Result<Url, Not> {
    let url = format!("{}{WELL_KNOWN}", issuer.trim_end_matches('/'));
    url.parse().map_err(|_| fail("the issuer is not a URL"))
}

/// Gets it; every later check needs it.
pub(super) async fn document(trial: &mut Trial) -> Verdict {
    let reply = trial.http.send(Ask::get(&address(&trial.issuer)?)).await;
    let reply = reply.map_err(|not| match not {
        // A run that has seen nothing is no success.
        Not::Skip(why) => Not::Fail(why),
        Not::Fail(_) | Not::Warn(_) => not,
    })?;
    reply.status(&[200])?;
    trial.metadata = reply.json()?;
    let exact = reply.media_type() == "application/json";
    trial.discovery = Some(reply);
    must(exact, || "the document is not application/json".to_owned())
}

fn found(trial: &Trial) -> Result<&Reply, Not> {
    trial.discovery.as_ref().ok_or_else(|| skip("there is no discovery document"))
}

/// Character by character ([§4.3](https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfigurationValidation)).
pub(super) fn issuer(trial: &Trial) -> Verdict {
    found(trial)?;
    let said = trial.text("issuer").ok_or_else(|| fail("there is no issuer in it"))?;
    let asked = &trial.issuer;
    if said != asked && said.trim_end_matches('/') == asked.trim_end_matches('/') {
        return Err(warn(format!("it says {}, which differs by a slash", plain(said))));
    }
    must(said == asked, || format!("it says {}", plain(said)))
}

/// https, and nothing but a place.
pub(super) fn issuer_url(trial: &Trial) -> Verdict {
    found(trial)?;
    let text = trial.text("issuer").unwrap_or_default();
    let url: Url = text.parse().map_err(|_| fail("the issuer is not a URL"))?;
    let mut findings = Findings::default();
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        findings.wrong("the issuer is not https");
    }
    if text.contains(['?', '#', '@']) {
        findings.wrong("the issuer has a query, a fragment or a user name");
    }
    findings.verdict()
}

pub(super) fn required(trial: &Trial) -> Verdict {
    found(trial)?;
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
        if !trial.metadata.contains_key(name) {
            findings.wrong(format!("there is no {name}"));
        }
    }
    findings.verdict()
}

pub(super) fn recommended(trial: &Trial) -> Verdict {
    found(trial)?;
    let names =
        ["userinfo_endpoint", "registration_endpoint", "scopes_supported", "claims_supported"];
    let missing: Vec<&str> =
        names.into_iter().filter(|name| !trial.metadata.contains_key(*name)).collect();
    should(missing.is_empty(), || format!("there is no {}", missing.join(", no ")))
}

/// Everything that is an address is https, and has no fragment.
pub(super) fn endpoints(trial: &Trial) -> Verdict {
    found(trial)?;
    let mut findings = Findings::default();
    let named = |name: &str| name.ends_with("_endpoint") || name == "jwks_uri";
    for (name, value) in trial.metadata.iter().filter(|(name, _)| named(name)) {
        let name = plain(name);
        match value.as_str().map(Url::parse) {
            Some(Ok(url)) => {
                if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
                    findings.wrong(format!("{name} is not https"));
                }
                if url.fragment().is_some() {
                    findings.wrong(format!("{name} has a fragment"));
                }
            }
            Some(Err(_)) | None => findings.wrong(format!("{name} is not a URL")),
        }
    }
    findings.verdict()
}

/// The same for clients that only know [RFC 8414 §3](https://www.rfc-editor.org/rfc/rfc8414#section-3).
pub(super) async fn oauth_metadata(trial: &Trial) -> Verdict {
    found(trial)?;
    let mut url = address(&trial.issuer)?;
    let path = url.path().trim_end_matches(WELL_KNOWN).to_owned();
    url.set_path(&format!("/.well-known/oauth-authorization-server{path}"));
    let reply = trial.http.send(Ask::get(&url)).await?;
    if reply.status == 404 {
        return Err(skip("not offered"));
    }
    reply.status(&[200])?;
    let mut findings = Findings::default();
    for (name, value) in &reply.json()? {
        if trial.metadata.get(name).is_some_and(|other| other != value) {
            findings.wrong(format!("{} differs between the two documents", plain(name)));
        }
    }
    findings.verdict()
}

/// Browser applications read it from other origins, without credentials.
pub(super) async fn cors(trial: &Trial) -> Verdict {
    found(trial)?;
    open_to_strangers(trial, &address(&trial.issuer)?).await
}

/// Used for the JWKS too.
pub(super) async fn open_to_strangers(trial: &Trial, url: &Url) -> Verdict {
    let reply = trial.http.send(Ask::get(url).header(ORIGIN, STRANGER)).await?;
    let allowed = reply.header(&ACCESS_CONTROL_ALLOW_ORIGIN);
    if reply.header(&ACCESS_CONTROL_ALLOW_CREDENTIALS) == Some("true") && allowed == Some(STRANGER)
    {
        return Err(fail("any origin may read it with the person's cookies"));
    }
    should(matches!(allowed, Some("*" | STRANGER)), || {
        "browser applications of other origins cannot read it (no Access-Control-Allow-Origin)"
            .to_owned()
    })
}

pub(super) fn nosniff(trial: &Trial) -> Verdict {
    found(trial)?.nosniff()
}

pub(super) async fn wrong_method(trial: &Trial) -> Verdict {
    found(trial)?;
    let url = address(&trial.issuer)?;
    trial.http.send(Ask::json(&url, &Value::Null)).await?.refuses_the_method()
}
