//! Client assertions ([RFC 7523 §3]): the rules for `private_key_jwt` and
//! `client_secret_jwt`, apart from the signature.
//!
//! [RFC 7523 §3]: https://www.rfc-editor.org/rfc/rfc7523#section-3

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ClientId;
use crate::clock::UnixTime;
use crate::jose::read;
use crate::secret::Digest;
use crate::store::{Key, Partition, Record};

/// An assertion may be valid for so long from now: longer ones would have to be remembered longer.
const LONGEST_LIFE: Duration = Duration::from_secs(300);
/// How far a client's clock may be ahead of ours.
const SKEW: Duration = Duration::from_secs(10);

/// Which rule an assertion breaks; for the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Broken {
    /// A claim has the wrong type.
    Type,
    /// `iss` or `sub` is not the client.
    Issuer,
    /// `aud` is neither our issuer nor the endpoint.
    Audience,
    /// `exp` is missing, past, or too far ahead.
    Expiry,
    /// `nbf` or `iat` is in the future.
    NotYet,
    /// `jti` is missing or too long.
    Id,
}

/// An assertion that was used: it is good once, until it would have expired.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct UsedAssertion {
    id: Digest,
    until: UnixTime,
}

impl Record for UsedAssertion {
    const KIND: &'static str = "assertion.v1";

    fn key(&self) -> Key<Self> {
        Key::sole(Partition::new(format!("assertion:{}", self.id.to_hex())))
    }

    fn forget_at(&self) -> Option<UnixTime> {
        Some(self.until)
    }
}

/// Judges the claims of an assertion with a good signature, and answers what to remember of it.
///
/// `audiences` are the spellings of us that are accepted: the issuer ([RFC 7523bis]), and the URL of
/// the token endpoint, which OpenID Connect Core §9 asks clients to use. One of them, as one string or as
/// the only element of an array.
///
/// [RFC 7523bis]: https://datatracker.ietf.org/doc/draft-ietf-oauth-rfc7523bis/
pub fn judge(
    claims: &Map<String, Value>,
    client: &ClientId,
    audiences: &[&str],
    now: UnixTime,
) -> Result<UsedAssertion, Broken> {
    let text = |name| read::text(claims, name).map_err(|_| Broken::Type);
    let seconds = |name| read::seconds(claims, name).map_err(|_| Broken::Type);
    if text("iss")? != Some(client.as_str()) || text("sub")? != Some(client.as_str()) {
        return Err(Broken::Issuer);
    }
    match *read::audience(claims).map_err(|_| Broken::Type)? {
        [one] if audiences.contains(&one) => {}
        _ => return Err(Broken::Audience),
    }
    let expires_at = UnixTime::from_secs(seconds("exp")?.ok_or(Broken::Expiry)?);
    if expires_at <= now.minus(SKEW) || expires_at > now.plus(LONGEST_LIFE) {
        return Err(Broken::Expiry);
    }
    for name in ["nbf", "iat"] {
        if seconds(name)?.is_some_and(|at| UnixTime::from_secs(at) > now.plus(SKEW)) {
            return Err(Broken::NotYet);
        }
    }
    let id = text("jti")?.filter(|id| (1..=128).contains(&id.len())).ok_or(Broken::Id)?;
    let named = format!("{} {id}", client.as_str());
    Ok(UsedAssertion { id: Digest::of(named.as_bytes()), until: expires_at.plus(SKEW * 2) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_member_that_a_newer_release_added_is_ignored() {
        let used = UsedAssertion { id: Digest::of(b"1"), until: UnixTime::from_secs(1) };
        let mut stored = serde_json::to_value(&used).unwrap();
        stored["of_tomorrow"] = json!([1]);
        let read: UsedAssertion = serde_json::from_value(stored).unwrap();
        assert_eq!(read.until, used.until);
    }

    #[test]
    fn each_rule_refuses_alone() {
        let now = UnixTime::from_secs(1_700_000_000);
        let shop = ClientId::parse("shop").unwrap();
        let us = ["https://id.example", "https://id.example/token"];
        let good = json!({"iss": "shop", "sub": "shop", "aud": "https://id.example", "jti": "1",
            "exp": 1_700_000_060, "iat": 1_700_000_000});
        let judged = |member: &str, value: Value| {
            let mut claims = good.as_object().unwrap().clone();
            claims.insert(member.into(), value);
            judge(&claims, &shop, &us, now).map(drop)
        };
        assert_eq!(judged("aud", json!("https://id.example/token")), Ok(()));
        assert_eq!(judged("nbf", json!(1_700_000_008)), Ok(()), "eight seconds of skew");
        for (member, value, broken) in [
            ("iss", json!("other"), Broken::Issuer),
            ("sub", json!(null), Broken::Type),
            ("aud", json!("https://id.example/"), Broken::Audience),
            ("aud", json!(["https://id.example", "https://x.example"]), Broken::Audience),
            ("exp", json!(1_699_999_700), Broken::Expiry),
            ("exp", json!(1_700_009_999), Broken::Expiry),
            ("exp", json!("1700000060"), Broken::Type),
            ("nbf", json!(1_700_000_090), Broken::NotYet),
            ("jti", json!("x".repeat(129)), Broken::Id),
            ("jti", json!(""), Broken::Id),
        ] {
            assert_eq!(judged(member, value.clone()), Err(broken), "{member}={value}");
        }
    }
}
