use latchkey::protocol::claims::{ClaimRequest, ClaimsRequest, ClaimsRequestError};
use serde_json::Value;

use super::text;

/// The `claims` parameter is read as [OpenID Connect Core §5.5] has it, by a second reader over plain JSON, a
/// wish that is none passed over and a demand that is none refused; and it comes back the same from a store.
///
/// [OpenID Connect Core §5.5]: https://openid.net/specs/openid-connect-core-1_0.html#ClaimsParameter
pub fn claims_param(data: &[u8]) {
    holds(data, ClaimsRequest::parse);
}

pub fn holds(data: &[u8], parse: impl Fn(&str) -> Result<ClaimsRequest, ClaimsRequestError>) {
    let json = text(data);
    let read = parse(&json);
    let Ok(Value::Object(members)) = serde_json::from_str::<Value>(&json) else {
        assert!(read.is_err(), "{json} is no object");
        return;
    };
    let claims =
        |name: &str| members.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
    let halves = [claims("userinfo"), claims("id_token")];
    let demands = halves.iter().flatten().filter(|(claim, _)| ["acr", "sub"].contains(&&***claim));
    assert_eq!(read.is_ok(), demands.clone().all(|(_, wish)| is_well_formed(wish)), "{json}");
    let Ok(read) = read else { return };

    for (asked, half) in halves.iter().zip([&read.userinfo, &read.id_token]) {
        let legible = asked.iter().filter(|(_, wish)| wish.is_null() || wish.is_object());
        assert!(legible.map(|(claim, _)| claim).eq(half.keys()), "{json}");
        for (claim, wish) in half {
            assert!(agrees(wish, &asked[claim]), "{claim} in {json}");
        }
    }
    assert_eq!(read.is_empty(), read.userinfo.is_empty() && read.id_token.is_empty());
    let kept = serde_json::to_string(&read).expect("JSON");
    assert_eq!(serde_json::from_str::<ClaimsRequest>(&kept).ok(), Some(read), "{kept}");
}

fn is_well_formed(wish: &Value) -> bool {
    match wish {
        Value::Null => true,
        Value::Object(wish) => {
            wish.get("essential").is_none_or(Value::is_boolean)
                && wish.get("values").is_none_or(Value::is_array)
                && !(wish.contains_key("value") && wish.contains_key("values"))
        }
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
