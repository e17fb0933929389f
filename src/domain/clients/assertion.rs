//! Client assertions ([RFC 7523 §3]): the rules for `private_key_jwt` and
//! `client_secret_jwt`, apart from the signature.
//!
//! [RFC 7523 §3]: https://www.rfc-editor.org/rfc/rfc7523#section-3

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ClientId;
use crate::infra::clock::UnixTime;
use crate::infra::jose::claims;
use crate::infra::secret::Digest;
use crate::infra::store::{Key, Partition, Record};

/// An assertion is accepted for so long after it was made, whatever its `exp`: it has to be stored that long, and many
/// libraries set an hour.
const MAX_LIFETIME: Duration = Duration::from_secs(300);
/// How far a client's clock may be from ours.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(10);

/// Which rule an assertion breaks. It is logged, and not in the response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AssertionError {
    /// A claim has the wrong type.
    Type,
    /// `iss` or `sub` is not the client.
    Issuer,
    /// `aud` is neither our issuer nor the endpoint.
    Audience,
    /// `exp` is missing or past, or the assertion was made too long ago; or nothing says when it was made,
    /// and `exp` is too far ahead.
    Expiry,
    /// `nbf` or `iat` is in the future.
    NotYet,
    /// `jti` is missing or too long.
    Id,
}

/// A used assertion, stored until it would have expired: each is accepted once.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct UsedAssertion {
    id: Digest,
    until: UnixTime,
}

impl Record for UsedAssertion {
    const KIND: &'static str = "assertion.v1";

    fn key(&self) -> Key<Self> {
        Key::single(Partition::new(format!("assertion:{}", self.id.to_hex())))
    }

    fn delete_after(&self) -> Option<UnixTime> {
        Some(self.until)
    }
}

/// Validates the claims of an assertion whose signature was verified, and answers what to store of it.
///
/// `audiences` are the accepted values of `aud`: the issuer ([RFC 7523bis]), and the URL of
/// the token endpoint, which OpenID Connect Core §9 asks clients to use. One of them, as one string or as
/// the only element of an array.
///
/// [RFC 7523bis]: https://datatracker.ietf.org/doc/draft-ietf-oauth-rfc7523bis/
pub fn validate_claims(
    claims: &Map<String, Value>,
    client: &ClientId,
    audiences: &[&str],
    now: UnixTime,
) -> Result<UsedAssertion, AssertionError> {
    let text = |name| claims::text(claims, name).map_err(|_| AssertionError::Type);
    let seconds = |name| claims::seconds(claims, name).map_err(|_| AssertionError::Type);
    if text("iss")? != Some(client.as_str()) || text("sub")? != Some(client.as_str()) {
        return Err(AssertionError::Issuer);
    }
    match *claims::audience(claims).map_err(|_| AssertionError::Type)? {
        [one] if audiences.contains(&one) => {}
        _ => return Err(AssertionError::Audience),
    }
    let time = |name| Ok(seconds(name)?.map(UnixTime::from_secs));
    let (issued_at, not_before) = (time("iat")?, time("nbf")?);
    let expires_at = time("exp")?.ok_or(AssertionError::Expiry)?;
    let over = end_of(expires_at, issued_at.or(not_before), now).ok_or(AssertionError::Expiry)?;
    if over <= now {
        return Err(AssertionError::Expiry);
    }
    if [issued_at, not_before].into_iter().flatten().any(|at| at > now.plus(MAX_CLOCK_SKEW)) {
        return Err(AssertionError::NotYet);
    }
    let id = text("jti")?.filter(|id| (1..=128).contains(&id.len())).ok_or(AssertionError::Id)?;
    let named = format!("{} {id}", client.as_str());
    Ok(UsedAssertion { id: Digest::of(named.as_bytes()), until: over.plus(MAX_CLOCK_SKEW) })
}

/// When an assertion ends, skew included. `None` where nothing says when it was made, and it would have to be stored for
/// longer than others.
fn end_of(expires_at: UnixTime, made_at: Option<UnixTime>, now: UnixTime) -> Option<UnixTime> {
    let longest = |from: UnixTime| from.plus(MAX_LIFETIME).plus(MAX_CLOCK_SKEW);
    match made_at {
        Some(made_at) => Some(expires_at.plus(MAX_CLOCK_SKEW).min(longest(made_at))),
        None => (expires_at <= longest(now)).then(|| expires_at.plus(MAX_CLOCK_SKEW)),
    }
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
    fn it_is_good_until_its_end_or_five_minutes_after_it_was_made_and_remembered_that_long() {
        const NOW: u64 = 1_700_000_000;
        let made = |seconds: i64| Some(NOW.saturating_add_signed(seconds));
        #[rustfmt::skip]
        let table = [
            // exp          iat          nbf          refused, or remembered for
            (60,         made(0),     None,        Some(80)),
            (3_600,      made(0),     None,        Some(320)),
            (301,        made(0),     None,        Some(320)),
            (3_600,      made(-309),  None,        Some(11)),
            (3_600,      made(-310),  None,        None),
            (3_600,      made(10),    None,        Some(330)),
            (3_600,      None,        made(0),     Some(320)),
            (3_600,      None,        made(-310),  None),
            (3_600,      made(0),     made(-600),  Some(320)),
            (310,        None,        None,        Some(330)),
            (311,        None,        None,        None),
            (-9,         made(-60),   None,        Some(11)),
            (-10,        made(-60),   None,        None),
        ];
        for (exp, iat, nbf, remembered) in table {
            let mut claims = json!({"iss": "shop", "sub": "shop", "aud": "us", "jti": "1",
                "exp": NOW.saturating_add_signed(exp)});
            for (name, time) in [("iat", iat), ("nbf", nbf)] {
                if let Some(time) = time {
                    claims[name] = time.into();
                }
            }
            let (now, shop) = (UnixTime::from_secs(NOW), ClientId::parse("shop").unwrap());
            let judged = validate_claims(claims.as_object().unwrap(), &shop, &["us"], now);
            let kept = judged.ok().map(|used| used.until.since(now).as_secs());
            assert_eq!(kept, remembered, "exp {exp}, iat {iat:?}, nbf {nbf:?}");
        }
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
            validate_claims(&claims, &shop, &us, now).map(drop)
        };
        assert_eq!(judged("aud", json!("https://id.example/token")), Ok(()));
        assert_eq!(judged("nbf", json!(1_700_000_008)), Ok(()), "eight seconds of skew");
        for (member, value, broken) in [
            ("iss", json!("other"), AssertionError::Issuer),
            ("sub", json!(null), AssertionError::Type),
            ("aud", json!("https://id.example/"), AssertionError::Audience),
            ("aud", json!(["https://id.example", "https://x.example"]), AssertionError::Audience),
            ("exp", json!(1_699_999_700), AssertionError::Expiry),
            ("iat", json!(1_699_999_690), AssertionError::Expiry),
            ("exp", json!("1700000060"), AssertionError::Type),
            ("nbf", json!(1_700_000_090), AssertionError::NotYet),
            ("jti", json!("x".repeat(129)), AssertionError::Id),
            ("jti", json!(""), AssertionError::Id),
        ] {
            assert_eq!(judged(member, value.clone()), Err(broken), "{member}={value}");
        }
    }
}
