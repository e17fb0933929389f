//! The ID token, judged as a client has to ([OpenID Connect Core §3.1.3.7]).
//!
//! [OpenID Connect Core §3.1.3.7]: https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation

use serde_json::{Map, Value};

use super::context::TestContext;
use super::report::{CheckFailure, CheckResult, Findings, fail, must, printable, should, skip};
use crate::infra::jose::{VerificationKey, claims, verify_client};
use crate::infra::secret::{base64url, from_base64url};
use crate::protocol::client_metadata::ClientAlg;
use sha2::{Digest as _, Sha256};

/// How far the clocks may be apart.
const MAX_CLOCK_SKEW_SECONDS: u64 = 300;

/// The claims, if one of the published keys has signed them with RS256.
pub(super) fn verified(
    context: &TestContext,
    token: &str,
) -> Result<Map<String, Value>, CheckFailure> {
    let set = context.jwks.as_ref().ok_or_else(|| skip("there is no JWK Set"))?;
    let keys = VerificationKey::all_from_set(set);
    verify_client(token, &keys, &[ClientAlg::Rs256])
        .map(|verified| verified.claims)
        .map_err(|why| fail(format!("the ID token does not verify ({why:?})")))
}

/// The claims as they stand, for the checks that come before anything is verified.
pub(super) fn peek(token: &str) -> Option<Map<String, Value>> {
    piece(token, 1)
}

fn piece(token: &str, at: usize) -> Option<Map<String, Value>> {
    serde_json::from_slice(&from_base64url(token.split('.').nth(at)?)?).ok()
}

fn token(context: &TestContext) -> Result<String, CheckFailure> {
    let tokens = context.tokens()?;
    tokens.text("id_token").map(str::to_owned).ok_or_else(|| skip("there is no ID token"))
}

pub(super) fn signature(context: &TestContext) -> CheckResult {
    verified(context, &token(context)?).map(|_| ())
}

pub(super) fn header(context: &TestContext) -> CheckResult {
    let header = piece(&token(context)?, 0).ok_or_else(|| fail("the header is no JSON"))?;
    let text = |name: &str| header.get(name).and_then(Value::as_str).unwrap_or_default();
    must(text("alg") == "RS256", || format!("alg is {}, not RS256", printable(text("alg"))))?;
    let keys = context.jwks.as_ref().and_then(|set| set.get("keys")?.as_array());
    let kid = text("kid");
    must(!kid.is_empty(), || "there is no kid".to_owned())?;
    let known = |key: &Value| key.get("kid").and_then(Value::as_str) == Some(kid);
    must(keys.is_some_and(|keys| keys.iter().any(known)), || {
        "the kid is not in the JWK Set".to_owned()
    })
}

/// Whether an API can tell an access token from an ID token without a look at who it is for ([RFC 9068 §2.1, §5]).
///
/// [RFC 9068 §2.1, §5]: https://www.rfc-editor.org/rfc/rfc9068#section-2.1
pub(super) fn typ_of_access_token(context: &TestContext) -> CheckResult {
    let tokens = context.tokens()?;
    let header = piece(tokens.access()?, 0).ok_or_else(|| skip("the access token is no JWT"))?;
    let typ = header.get("typ").and_then(Value::as_str).unwrap_or_default();
    let is_own = ["at+jwt", "application/at+jwt"].iter().any(|own| typ.eq_ignore_ascii_case(own));
    should(is_own, || {
        format!(
            "the access token says typ {}, not at+jwt: an API has to look at its aud, or takes an ID token for one",
            printable(typ)
        )
    })
}

/// Who says what of whom, to whom and when.
pub(super) fn claims(context: &TestContext) -> CheckResult {
    let tokens = context.tokens()?;
    let claims = peek(&token(context)?).ok_or_else(|| fail("the claims are no JSON object"))?;
    let mut findings = Findings::default();
    findings.add(usual(context, &claims));
    if claims.get("nonce").and_then(Value::as_str) != Some(&tokens.request.nonce) {
        findings.fail("the nonce is not the one that was sent");
    }
    findings.result()
}

/// What holds for every ID token, after a refresh as well.
pub(super) fn usual(context: &TestContext, claims: &Map<String, Value>) -> CheckResult {
    let client = context.web()?.id;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let mut findings = Findings::default();
    if text("iss") != context.metadata.text("issuer") {
        findings.fail("iss is not the issuer");
    }
    match claims::audience(claims) {
        Ok(audience) if audience.contains(&&*client) => {}
        Ok(_) | Err(_) => findings.fail("aud does not have the client"),
    }
    if text("azp").is_some_and(|azp| azp != client) {
        findings.fail("azp is not the client");
    }
    if !text("sub").is_some_and(|sub| (1..=255).contains(&sub.len()) && sub.is_ascii()) {
        findings.fail("sub is not 1 to 255 ASCII characters");
    }
    let now = context.clock.now().as_secs();
    let time = |name| claims::seconds(claims, name).ok().flatten();
    match time("exp") {
        Some(exp) if exp > now.saturating_sub(MAX_CLOCK_SKEW_SECONDS) => {}
        Some(_) => findings.fail("exp is past"),
        None => findings.fail("there is no exp"),
    }
    match time("iat") {
        Some(iat) if iat.abs_diff(now) <= MAX_CLOCK_SKEW_SECONDS => {}
        Some(_) => findings.fail("iat is more than five minutes off"),
        None => findings.fail("there is no iat"),
    }
    if claims.contains_key("auth_time")
        && time("auth_time").is_none_or(|at| at > now + MAX_CLOCK_SKEW_SECONDS)
    {
        findings.fail("auth_time is no time, or one to come");
    }
    if claims.get("acr").is_some_and(|acr| !acr.is_string()) {
        findings.fail("acr is not text");
    }
    findings.result()
}

/// Half of the hash of the access token, where it is said
/// ([§3.1.3.6](https://openid.net/specs/openid-connect-core-1_0.html#CodeIDToken)).
pub(super) fn at_hash(context: &TestContext) -> CheckResult {
    let tokens = context.tokens()?;
    let said = peek(&token(context)?).and_then(|mut claims| claims.remove("at_hash"));
    let said = said.ok_or_else(|| skip("the ID token has none"))?;
    let digest = Sha256::digest(tokens.access()?.as_bytes());
    let half = base64url(digest.get(..16).unwrap_or_default());
    must(said == half, || "at_hash is not that of the access token".to_owned())
}

/// Claims about the person come from userinfo; nothing is empty.
pub(super) fn contents(context: &TestContext) -> CheckResult {
    const USUAL: [&str; 16] = [
        "iss",
        "sub",
        "aud",
        "exp",
        "iat",
        "auth_time",
        "nonce",
        "acr",
        "amr",
        "azp",
        "at_hash",
        "c_hash",
        "s_hash",
        "nbf",
        "jti",
        "sid",
    ];
    let claims = peek(&token(context)?).ok_or_else(|| fail("the claims are no JSON object"))?;
    let empty = claims.iter().find(|(_, value)| {
        value.is_null() || value.as_str().is_some_and(|text| text.is_empty() || text == "null")
    });
    must(empty.is_none(), || {
        format!("{} is empty", printable(empty.map_or("", |(name, _)| name.as_str())))
    })?;
    let more: Vec<String> = claims
        .keys()
        .filter(|name| !USUAL.contains(&&***name))
        .map(|name| printable(name))
        .collect();
    should(more.is_empty(), || format!("nobody asked for {}", more.join(", ")))
}
