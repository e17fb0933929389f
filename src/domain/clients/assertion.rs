//! Client assertions ([RFC 7523 §3]): the rules for `private_key_jwt` and
//! `client_secret_jwt`, apart from the signature.
//!
//! [RFC 7523 §3]: https://www.rfc-editor.org/rfc/rfc7523#section-3

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ClientId;
use crate::infra::clock::UnixTime;
use crate::infra::jose::read;
use crate::infra::secret::Digest;
use crate::infra::store::{Key, Partition, Record};

/// An assertion is good for so long from when it was made, whatever its `exp`: it has to be remembered that
/// long, and many libraries write an hour.
const LONGEST_LIFE: Duration = Duration::from_secs(300);
/// How far a client's clock may be from ours.
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
    /// `exp` is missing or past, or the assertion was made too long ago; or nothing says when it was made,
    /// and `exp` is too far ahead.
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
        Key::single(Partition::new(format!("assertion:{}", self.id.to_hex())))
    }

    fn delete_after(&self) -> Option<UnixTime> {
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
    let time = |name| Ok(seconds(name)?.map(UnixTime::from_secs));
    let (issued_at, not_before) = (time("iat")?, time("nbf")?);
    let expires_at = time("exp")?.ok_or(Broken::Expiry)?;
    let over = end_of(expires_at, issued_at.or(not_before), now).ok_or(Broken::Expiry)?;
    if over <= now {
        return Err(Broken::Expiry);
    }
    if [issued_at, not_before].into_iter().flatten().any(|at| at > now.plus(SKEW)) {
        return Err(Broken::NotYet);
    }
    let id = text("jti")?.filter(|id| (1..=128).contains(&id.len())).ok_or(Broken::Id)?;
    let named = format!("{} {id}", client.as_str());
    Ok(UsedAssertion { id: Digest::of(named.as_bytes()), until: over.plus(SKEW) })
}

/// When an assertion is over, skew included. None where nothing says when it was made, and it would have to
/// be remembered for longer than others.
fn end_of(expires_at: UnixTime, made_at: Option<UnixTime>, now: UnixTime) -> Option<UnixTime> {
    let longest = |from: UnixTime| from.plus(LONGEST_LIFE).plus(SKEW);
    match made_at {
        Some(made_at) => Some(expires_at.plus(SKEW).min(longest(made_at))),
        None => (expires_at <= longest(now)).then(|| expires_at.plus(SKEW)),
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
            let judged = judge(claims.as_object().unwrap(), &shop, &["us"], now);
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
            ("iat", json!(1_699_999_690), Broken::Expiry),
            ("exp", json!("1700000060"), Broken::Type),
            ("nbf", json!(1_700_000_090), Broken::NotYet),
            ("jti", json!("x".repeat(129)), Broken::Id),
            ("jti", json!(""), Broken::Id),
        ] {
            assert_eq!(judged(member, value.clone()), Err(broken), "{member}={value}");
        }
    }
}
