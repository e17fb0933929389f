use latchkey::protocol::claims::{ClaimRequest, ClaimsRequest, UnreadableClaims};
use serde_json::Value;

use super::text;

/// The `claims` parameter is read as [OpenID Connect Core §5.5] has it, by a second reader over plain JSON,
/// and comes back the same from a store.
///
/// [OpenID Connect Core §5.5]: https://openid.net/specs/openid-connect-core-1_0.html#ClaimsParameter
pub fn claims_param(data: &[u8]) {
    holds(data, ClaimsRequest::parse);
}

pub fn holds(data: &[u8], parse: impl Fn(&str) -> Result<ClaimsRequest, UnreadableClaims>) {
    let json = text(data);
    let read = parse(&json);
    let Ok(Value::Object(members)) = serde_json::from_str::<Value>(&json) else {
        assert!(read.is_err(), "{json} is no object");
        return;
    };
    let half = |name: &str| members.get(name).is_none_or(is_well_formed);
    assert_eq!(read.is_ok(), half("userinfo") && half("id_token"), "{json}");
    let Ok(read) = read else { return };

    for (name, half) in [("userinfo", &read.userinfo), ("id_token", &read.id_token)] {
        let asked = members.get(name).and_then(Value::as_object);
        assert!(half.len() == asked.map_or(0, serde_json::Map::len) && half.len() <= 100);
        for (claim, wish) in half {
            assert!(agrees(wish, &members[name][claim]), "{claim} in {json}");
        }
    }
    assert_eq!(read.is_empty(), read.userinfo.is_empty() && read.id_token.is_empty());
    let kept = serde_json::to_string(&read).expect("JSON");
    assert_eq!(serde_json::from_str::<ClaimsRequest>(&kept).ok(), Some(read), "{kept}");
}

fn is_well_formed(half: &Value) -> bool {
    let one = |wish: &Value| match wish {
        Value::Null => true,
        Value::Object(wish) => {
            wish.get("essential").is_none_or(Value::is_boolean)
                && wish.get("values").is_none_or(Value::is_array)
                && !(wish.contains_key("value") && wish.contains_key("values"))
        }
        _ => false,
    };
    match half {
        Value::Null => true,
        Value::Object(claims) => claims.len() <= 100 && claims.values().all(one),
        _ => false,
    }
}

fn agrees(read: &ClaimRequest, wish: &Value) -> bool {
    let expected = match (wish.get("value"), wish.get("values")) {
        (Some(one), _) => vec![one.clone()],
        (None, Some(several)) => several.as_array().cloned().unwrap_or_default(),
        (None, None) => Vec::new(),
    };
    let essential = wish.get("essential").and_then(Value::as_bool).unwrap_or_default();
    read.values == expected
        && read.essential == essential
        && expected.iter().all(|value| read.accepts(value))
}
