//! The public keys ([RFC 7517], [OpenID Connect Core §10.1]).
//!
//! [RFC 7517]: https://www.rfc-editor.org/rfc/rfc7517
//! [OpenID Connect Core §10.1]: https://openid.net/specs/openid-connect-core-1_0.html#SigEnc

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::context::TestContext;
use super::discovery::allows_other_origins;
use super::http::HttpRequest;
use super::report::{CheckFailure, CheckResult, Findings, must, skip};
use crate::infra::jose::VerificationKey;
use crate::infra::secret::from_base64url;

pub(super) async fn document(context: &mut TestContext) -> CheckResult {
    let response =
        context.http.send(HttpRequest::get(&context.metadata.endpoint("jwks_uri")?)).await?;
    response.status(&[200])?;
    let set = Value::Object(response.json()?);
    let some = set.get("keys").and_then(Value::as_array).is_some_and(|keys| !keys.is_empty());
    must(some, || "there are no keys in it".to_owned())?;
    context.jwks = Some(set);
    Ok(())
}

fn keys(context: &TestContext) -> Result<Vec<&Map<String, Value>>, CheckFailure> {
    let set = context.jwks.as_ref().ok_or_else(|| skip("there is no JWK Set"))?;
    let keys = set.get("keys").and_then(Value::as_array);
    Ok(keys.into_iter().flatten().filter_map(Value::as_object).collect())
}

fn text<'a>(key: &'a Map<String, Value>, name: &str) -> &'a str {
    key.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// What only the server may have ([RFC 7518 §6](https://www.rfc-editor.org/rfc/rfc7518#section-6)).
pub(super) fn private_parts(context: &TestContext) -> CheckResult {
    const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    let mut findings = Findings::default();
    for (at, key) in keys(context)?.into_iter().enumerate() {
        if let Some(part) = PRIVATE.iter().find(|part| key.contains_key(**part)) {
            findings.fail(format!("key {at} shows its private part {part}"));
        }
        if text(key, "kty") == "oct" {
            findings.fail(format!("key {at} is a symmetric one"));
        }
    }
    findings.result()
}

pub(super) fn kids(context: &TestContext) -> CheckResult {
    let keys = keys(context)?;
    let kids: BTreeSet<&str> =
        keys.iter().map(|key| text(key, "kid")).filter(|kid| !kid.is_empty()).collect();
    must(kids.len() == keys.len(), || "not every key has a kid of its own".to_owned())
}

/// Type, use and algorithm belong together.
pub(super) fn consistency(context: &TestContext) -> CheckResult {
    let mut findings = Findings::default();
    for (at, key) in keys(context)?.into_iter().enumerate() {
        let (kty, usage, alg) = (text(key, "kty"), text(key, "use"), text(key, "alg"));
        if !matches!(usage, "" | "sig" | "enc") {
            findings.fail(format!("key {at} has an unknown use"));
        }
        let signs = ["RS", "PS", "ES", "Ed"].iter().any(|start| alg.starts_with(start));
        let encrypts = alg.starts_with("RSA-OAEP") || alg.starts_with("ECDH") || alg == "RSA1_5";
        let signs = signs && !alg.starts_with("RSA");
        if (usage == "enc" && signs) || (usage == "sig" && encrypts) {
            findings.fail(format!("key {at} has an algorithm that does not fit its use"));
        }
        let fits = match kty {
            "RSA" => alg.starts_with("RS") || alg.starts_with("PS"),
            "EC" => alg.starts_with("ES") || alg.starts_with("ECDH"),
            "OKP" => alg.starts_with("Ed") || alg.starts_with("ECDH"),
            _ => true,
        };
        if !alg.is_empty() && !fits {
            findings.fail(format!("key {at} has an algorithm that does not fit its type"));
        }
        if usage.is_empty() && alg.is_empty() {
            findings.warn(format!("key {at} says neither use nor alg"));
        }
    }
    findings.result()
}

pub(super) fn strength(context: &TestContext) -> CheckResult {
    let mut findings = Findings::default();
    for (at, key) in
        keys(context)?.into_iter().enumerate().filter(|(_, key)| text(key, "kty") == "RSA")
    {
        let number = |name| from_base64url(text(key, name)).filter(|bytes| !bytes.is_empty());
        match number("n") {
            None => findings.fail(format!("key {at} has no modulus in base64url")),
            Some(bytes) => {
                let bits = bits(&bytes);
                if bits < 2048 {
                    findings.fail(format!("key {at} has {bits} bits"));
                }
                if bytes.first() == Some(&0) {
                    findings.warn(format!("key {at} has a modulus with a leading zero"));
                }
            }
        }
        match number("e").as_deref() {
            Some([1, 0, 1]) => {}
            Some(_) => findings.warn(format!("key {at} has an exponent other than 65537")),
            None => findings.fail(format!("key {at} has no exponent in base64url")),
        }
    }
    findings.result()
}

fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let first = number.get(zeros).map_or(0, |byte| 8 - byte.leading_zeros() as usize);
    (number.len() - zeros).saturating_sub(1) * 8 + first
}

/// One that ID tokens can be verified with.
pub(super) fn usable(context: &TestContext) -> CheckResult {
    let rsa = |key: &&Map<String, Value>| {
        text(key, "kty") == "RSA"
            && matches!(text(key, "alg"), "" | "RS256")
            && VerificationKey::from_jwk(&Value::Object((*key).clone())).is_some()
    };
    must(keys(context)?.iter().any(rsa), || "no key can verify RS256".to_owned())
}

pub(super) async fn cors(context: &TestContext) -> CheckResult {
    keys(context)?;
    allows_other_origins(context, &context.metadata.endpoint("jwks_uri")?).await
}

pub(super) async fn wrong_method(context: &TestContext) -> CheckResult {
    let url = context.metadata.endpoint("jwks_uri")?;
    context.http.send(HttpRequest::json(&url, &Value::Null)).await?.requires_405()
}
