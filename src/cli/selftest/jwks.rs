//! The public keys ([RFC 7517], [OpenID Connect Core §10.1]).
//!
//! [RFC 7517]: https://www.rfc-editor.org/rfc/rfc7517
//! [OpenID Connect Core §10.1]: https://openid.net/specs/openid-connect-core-1_0.html#SigEnc

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::discovery::open_to_strangers;
use super::http::Ask;
use super::report::{Findings, Not, Verdict, must, skip};
use super::trial::Trial;
use crate::infra::jose::ClientKey;
use crate::infra::secret::from_base64url;

pub(super) async fn document(trial: &mut Trial) -> Verdict {
    let reply = trial.http.send(Ask::get(&trial.endpoint("jwks_uri")?)).await?;
    reply.status(&[200])?;
    let set = Value::Object(reply.json()?);
    let some = set.get("keys").and_then(Value::as_array).is_some_and(|keys| !keys.is_empty());
    must(some, || "there are no keys in it".to_owned())?;
    trial.jwks = Some(set);
    Ok(())
}

fn keys(trial: &Trial) -> Result<Vec<&Map<String, Value>>, Not> {
    let set = trial.jwks.as_ref().ok_or_else(|| skip("there is no JWK Set"))?;
    let keys = set.get("keys").and_then(Value::as_array);
    Ok(keys.into_iter().flatten().filter_map(Value::as_object).collect())
}

fn text<'a>(key: &'a Map<String, Value>, name: &str) -> &'a str {
    key.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// What only the server may have ([RFC 7518 §6](https://www.rfc-editor.org/rfc/rfc7518#section-6)).
pub(super) fn private_parts(trial: &Trial) -> Verdict {
    const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
    let mut findings = Findings::default();
    for (at, key) in keys(trial)?.into_iter().enumerate() {
        if let Some(part) = PRIVATE.iter().find(|part| key.contains_key(**part)) {
            findings.wrong(format!("key {at} shows its private part {part}"));
        }
        if text(key, "kty") == "oct" {
            findings.wrong(format!("key {at} is a symmetric one"));
        }
    }
    findings.verdict()
}

pub(super) fn kids(trial: &Trial) -> Verdict {
    let keys = keys(trial)?;
    let kids: BTreeSet<&str> =
        keys.iter().map(|key| text(key, "kid")).filter(|kid| !kid.is_empty()).collect();
    must(kids.len() == keys.len(), || "not every key has a kid of its own".to_owned())
}

/// Type, use and algorithm belong together.
pub(super) fn consistency(trial: &Trial) -> Verdict {
    let mut findings = Findings::default();
    for (at, key) in keys(trial)?.into_iter().enumerate() {
        let (kty, usage, alg) = (text(key, "kty"), text(key, "use"), text(key, "alg"));
        if !matches!(usage, "" | "sig" | "enc") {
            findings.wrong(format!("key {at} has an unknown use"));
        }
        let signs = ["RS", "PS", "ES", "Ed"].iter().any(|start| alg.starts_with(start));
        let encrypts = alg.starts_with("RSA-OAEP") || alg.starts_with("ECDH") || alg == "RSA1_5";
        let signs = signs && !alg.starts_with("RSA");
        if (usage == "enc" && signs) || (usage == "sig" && encrypts) {
            findings.wrong(format!("key {at} has an algorithm that does not fit its use"));
        }
        let fits = match kty {
            "RSA" => alg.starts_with("RS") || alg.starts_with("PS"),
            "EC" => alg.starts_with("ES") || alg.starts_with("ECDH"),
            "OKP" => alg.starts_with("Ed") || alg.starts_with("ECDH"),
            _ => true,
        };
        if !alg.is_empty() && !fits {
            findings.wrong(format!("key {at} has an algorithm that does not fit its type"));
        }
        if usage.is_empty() && alg.is_empty() {
            findings.doubtful(format!("key {at} says neither use nor alg"));
        }
    }
    findings.verdict()
}

pub(super) fn strength(trial: &Trial) -> Verdict {
    let mut findings = Findings::default();
    for (at, key) in
        keys(trial)?.into_iter().enumerate().filter(|(_, key)| text(key, "kty") == "RSA")
    {
        let number = |name| from_base64url(text(key, name)).filter(|bytes| !bytes.is_empty());
        match number("n") {
            None => findings.wrong(format!("key {at} has no modulus in base64url")),
            Some(bytes) => {
                let bits = bits(&bytes);
                if bits < 2048 {
                    findings.wrong(format!("key {at} has {bits} bits"));
                }
                if bytes.first() == Some(&0) {
                    findings.doubtful(format!("key {at} has a modulus with a leading zero"));
                }
            }
        }
        match number("e").as_deref() {
            Some([1, 0, 1]) => {}
            Some(_) => findings.doubtful(format!("key {at} has an exponent other than 65537")),
            None => findings.wrong(format!("key {at} has no exponent in base64url")),
        }
    }
    findings.verdict()
}

fn bits(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let first = number.get(zeros).map_or(0, |byte| 8 - byte.leading_zeros() as usize);
    (number.len() - zeros).saturating_sub(1) * 8 + first
}

/// One that ID tokens can be verified with.
pub(super) fn usable(trial: &Trial) -> Verdict {
    let rsa = |key: &&Map<String, Value>| {
        text(key, "kty") == "RSA"
            && matches!(text(key, "alg"), "" | "RS256")
            && ClientKey::from_jwk(&Value::Object((*key).clone())).is_some()
    };
    must(keys(trial)?.iter().any(rsa), || "no key can verify RS256".to_owned())
}

pub(super) async fn cors(trial: &Trial) -> Verdict {
    keys(trial)?;
    open_to_strangers(trial, &trial.endpoint("jwks_uri")?).await
}

pub(super) async fn wrong_method(trial: &Trial) -> Verdict {
    let url = trial.endpoint("jwks_uri")?;
    trial.http.send(Ask::json(&url, &Value::Null)).await?.refuses_the_method()
}
