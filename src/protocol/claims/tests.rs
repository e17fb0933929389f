use serde_json::json;

use super::*;

#[test]
fn a_standard_claim_has_its_standard_type() {
    for (name, good, bad) in [
        ("email_verified", json!(true), json!("true")),
        ("updated_at", json!(1_700_000_000), json!("yesterday")),
        ("birthdate", json!("1815-12-10"), json!("10.12.1815")),
        ("birthdate", json!("0000-12-10"), json!("1815-13-10")),
        ("address", json!({"country": "UK"}), json!("London")),
        ("picture", json!("https://img.example/ada.png"), json!("javascript:alert(1)")),
        ("name", json!("Ada"), json!("")),
    ] {
        assert_eq!(check(name, &good), Ok(()), "{name}");
        assert!(check(name, &bad).is_err(), "{name} {bad}");
    }
    assert!(check("sub", &json!("x")).is_err());
    assert_eq!(check("department", &json!(["a", 1])), Ok(()));
}

#[test]
fn a_claims_request_keeps_what_is_allowed_and_what_is_of_the_sign_in() {
    let text = r#"{"userinfo":{"name":null,"salary":{"essential":true}},
        "id_token":{"acr":null,"sub":{"value":"ada"},"groups":{"values":["a"]},"email":null}}"#;
    let request = ClaimsRequest::parse(text).unwrap().restricted_to(&["name", "email"].into());
    assert!(request.userinfo.keys().eq(["name"]));
    assert!(request.id_token.keys().eq(["acr", "email", "sub"]));
}

#[test]
fn a_claims_request_is_read() {
    let text = r#"{"userinfo":{"name":{"essential":true},"email":null},
        "id_token":{"acr":{"values":["1","2"]},"sub":{"value":"ada"}},"other":1}"#;
    let request = ClaimsRequest::parse(text).unwrap();
    assert!(request.userinfo["name"].essential && !request.userinfo["email"].essential);
    assert!(request.id_token["acr"].accepts(&json!("2")));
    assert!(!request.id_token["sub"].accepts(&json!("bob")));
    assert_eq!(
        Vec::from_iter(request.user_claims()),
        ["email", "name"],
        "what is asked of the person"
    );
}

#[test]
fn a_wish_that_cannot_be_read_is_passed_over_alone_and_a_demand_is_not() {
    for half in [
        r#"{"a":true,"b":null}"#,
        r#"{"a":[{}],"b":{"essential":1}}"#,
        r#"{"b":{"values":"x","new":{}}}"#,
    ] {
        let text = format!(r#"{{"userinfo":[],"id_token":{half}}}"#);
        let request = ClaimsRequest::parse(&text).unwrap();
        assert!(request.id_token.keys().eq(["b"]) && request.userinfo.is_empty(), "{half}");
        assert_eq!(request.id_token["b"], ClaimRequest::default(), "{half}");
    }
    let both = ClaimsRequest::parse(r#"{"id_token":{"a":{"value":1,"values":[2]}}}"#).unwrap();
    assert!(both.id_token["a"].accepts(&json!(1)) && !both.id_token["a"].accepts(&json!(2)));
    for bad in [
        "[]",
        "x",
        r#"{"userinfo":{"sub":"ada"}}"#,
        r#"{"id_token":{"sub":true}}"#,
        r#"{"id_token":{"sub":{"value":"ada","values":["bob"]}}}"#,
        r#"{"id_token":{"acr":{"essential":1}}}"#,
        r#"{"id_token":{"acr":{"values":"1"}}}"#,
    ] {
        assert_eq!(ClaimsRequest::parse(bad), Err(ClaimsRequestError), "{bad}");
    }
}
