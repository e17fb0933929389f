use serde_json::json;

use super::*;
use crate::domain::clients::{ClientId, ClientSettings, RegistrationSource};
use crate::protocol::ClientMetadata;

const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
const US: &str = "https://id.example";

fn shop() -> Client {
    let members = json!({"redirect_uris": ["https://shop.example/cb"],
        "request_uris": ["https://shop.example/r.jwt#abc"]});
    Client {
        id: ClientId::parse("shop").unwrap(),
        metadata: ClientMetadata::parse(members.as_object().unwrap()).unwrap(),
        settings: ClientSettings::default(),
        secrets: Vec::new(),
        registration_token: None,
        enabled: true,
        source: RegistrationSource::Registered,
        created_at: NOW,
        unused_until: None,
        development: false,
        declared: None,
    }
}

fn assembled(typ: Option<&str>, claims: Value, outer: &str) -> Result<String, OAuthError> {
    let Value::Object(claims) = claims else { panic!("an object") };
    let object = VerifiedJwt { typ: typ.map(str::to_owned), claims };
    let outer = Params::parse(outer.as_bytes()).unwrap();
    merge_params(&outer, &object, &shop(), US, NOW).map(|params| params.to_query())
}

#[test]
fn what_is_inside_counts_first_and_what_is_beside_completes_it() {
    let outer = "client_id=shop&response_type=code&state=outer&nonce=outer&request=x";
    let inner = json!({"state": "inner", "max_age": 60, "claims": {"userinfo": null}, "x": [1]});
    let merged = "claims=%7B%22userinfo%22%3Anull%7D&client_id=shop&max_age=60&nonce=outer\
        &response_type=code&state=inner";
    assert_eq!(assembled(None, inner, outer).as_deref(), Ok(merged));
}

#[test]
fn by_rfc_9101_nothing_beside_it_counts() {
    let inner = json!({"iss": "shop", "aud": US, "exp": 1_700_000_060, "state": "inner"});
    let merged = assembled(Some(TYP), inner, "client_id=shop&nonce=outer&scope=openid");
    assert_eq!(merged.as_deref(), Ok("client_id=shop&state=inner"));
}

#[test]
fn each_rule_refuses_alone() {
    let outer = "client_id=shop&response_type=code";
    for (typ, claims) in [
        (None, json!({"iss": "other"})),
        (None, json!({"aud": "https://other.example"})),
        (None, json!({"aud": 1})),
        (None, json!({"sub": "shop"})),
        (None, json!({"request": "x"})),
        (None, json!({"request_uri": "https://shop.example/r.jwt"})),
        (None, json!({"client_id": "other"})),
        (None, json!({"response_type": "id_token"})),
        (None, json!({"exp": 1_699_999_980})),
        (None, json!({"exp": "soon"})),
        (None, json!({"nbf": 1_700_000_060})),
        (None, json!({"state": 1.5})),
        (None, json!({"scope": ["openid"]})),
        (None, json!({"claims": []})),
        (Some(TYP), json!({"iss": "shop", "exp": 1_700_000_060})),
        (Some(TYP), json!({"aud": US, "exp": 1_700_000_060})),
        (Some(TYP), json!({"iss": "shop", "aud": US})),
        (Some(TYP), json!({"iss": "shop", "aud": US, "exp": 1_700_009_000})),
    ] {
        let refused = assembled(typ, claims.clone(), outer).unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidRequestObject, "{claims}");
    }
    assert!(assembled(None, json!({"aud": ["x", US], "nbf": 1_700_000_008}), outer).is_ok());
    // An hour, by a clock that is ten seconds ahead.
    let hour = |exp: u64| json!({"iss": "shop", "aud": US, "exp": exp});
    assert!(assembled(Some(TYP), hour(1_700_003_610), outer).is_ok());
    assert!(assembled(Some(TYP), hour(1_700_003_611), outer).is_err());
}

#[test]
fn a_request_uri_is_registered_whatever_its_fragment() {
    for (uri, registered) in [
        ("https://shop.example/r.jwt#abc", true),
        ("https://shop.example/r.jwt", true),
        ("https://shop.example/r.jwt#other", true),
        ("https://shop.example/r.jwt?x=1", false),
        ("https://shop.example/R.jwt", false),
    ] {
        assert_eq!(is_registered(uri, &shop()), registered, "{uri}");
    }
}
