use serde_json::json;

use super::*;

fn parse(value: &Value) -> Result<ClientMetadata, OAuthError> {
    ClientMetadata::parse(value.as_object().unwrap())
}

#[test]
fn silence_means_the_defaults_of_the_rfc() {
    let client =
        parse(&json!({"redirect_uris": ["https://shop.example/cb"], "extra": {}})).unwrap();
    assert_eq!(client.grant_types, [GrantType::AuthorizationCode]);
    assert_eq!(client.response_types, [ResponseType::Code]);
    assert_eq!(client.token_endpoint_auth_method, AuthMethod::ClientSecretBasic);
    assert_eq!(client.application_type, ApplicationType::Web);
    let stored = serde_json::to_value(&client).unwrap();
    assert_eq!(stored.get("extra"), None);
    assert_eq!(parse(&stored), Ok(client), "what is stored reads back the same");
}

#[test]
fn who_names_no_way_to_authenticate_gets_the_standards_one_and_an_operator_gets_two() {
    use AuthMethod::{ClientSecretBasic, ClientSecretPost, None as Public, PrivateKeyJwt};
    let offer = Offer { by_operator: true, ..Offer::default() };
    let read = |by_operator: bool, members: Value| {
        let mut all = json!({"redirect_uris": ["https://shop.example/cb"],
            "jwks_uri": "https://shop.example/keys"});
        all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let offer = Offer { by_operator, ..offer.clone() };
        let read = ClientMetadata::parse_within(all.as_object().unwrap(), &offer);
        read.map(|it| (it.token_endpoint_auth_method, it.auth_methods().to_vec()))
            .map_err(|error| error.description.into_owned())
    };
    let (one, several) = ("token_endpoint_auth_method", "token_endpoint_auth_methods");
    let both = ["client_secret_post", "client_secret_basic"];
    for (by_operator, members, methods) in [
        (false, json!({}), vec![ClientSecretBasic]),
        (false, json!({several: both}), vec![ClientSecretBasic]),
        (false, json!({one: "client_secret_post", several: both}), vec![ClientSecretPost]),
        (true, json!({}), vec![ClientSecretBasic, ClientSecretPost]),
        (true, json!({one: "client_secret_basic"}), vec![ClientSecretBasic]),
        (true, json!({several: both}), vec![ClientSecretPost, ClientSecretBasic]),
        (true, json!({several: ["none"]}), vec![Public]),
        (
            true,
            json!({several: ["private_key_jwt", "client_secret_post", "private_key_jwt"]}),
            vec![PrivateKeyJwt, ClientSecretPost],
        ),
    ] {
        assert_eq!(read(by_operator, members.clone()), Ok((methods[0], methods)), "{members}");
    }
    let named = read(true, json!({one: "client_secret_basic", several: both})).unwrap();
    assert_eq!(named, (ClientSecretBasic, vec![ClientSecretPost, ClientSecretBasic]));
    let offered: Vec<_> = Offer::complete().auth_methods().collect();
    assert_eq!(offered[offered.len() - 1], Public, "some libraries take the first that they know");
    for members in [
        json!({one: "none", several: both}),
        json!({several: ["none", "client_secret_post"]}),
        json!({several: ["password"]}),
        json!({several: "client_secret_post"}),
        json!({several: ["client_secret_jwt"]}),
    ] {
        let sentence = read(true, members.clone()).unwrap_err();
        assert!(sentence.starts_with(one), "{members}: {sentence}");
    }
}

/// A release that knows but one method goes on with it, and drops the others when it writes.
#[test]
fn several_methods_are_stored_beside_the_one_that_every_release_reads() {
    let offer = Offer { by_operator: true, ..Offer::default() };
    let members = json!({"redirect_uris": ["https://shop.example/cb"]});
    let read = ClientMetadata::parse_within(members.as_object().unwrap(), &offer).unwrap();
    let mut stored = serde_json::to_value(&read).unwrap();
    assert_eq!(stored["token_endpoint_auth_method"], "client_secret_basic");
    let dropped = stored.as_object_mut().unwrap().remove("token_endpoint_auth_methods");
    assert_eq!(dropped, Some(json!(["client_secret_basic", "client_secret_post"])));
    let before: ClientMetadata = serde_json::from_value(stored).unwrap();
    assert_eq!(before.auth_methods(), [AuthMethod::ClientSecretBasic]);
}

#[test]
fn each_bad_member_is_named() {
    let good = json!({"redirect_uris": ["https://shop.example/cb"]});
    for (member, value) in [
        ("redirect_uris", json!(["https://shop.example/cb#"])),
        ("redirect_uris", json!("https://shop.example/cb")),
        ("redirect_uris", json!([])),
        ("grant_types", json!(["password"])),
        ("grant_types", json!("authorization_code")),
        ("grant_types", json!(["refresh_token"])),
        ("token_endpoint_auth_method", json!("client_secret_jwt")),
        ("id_token_signed_response_alg", json!("none")),
        ("subject_type", json!("global")),
        ("id_token_signed_response_alg", json!("ES256")),
        ("response_types", json!(["id_token"])),
        ("response_types", json!(["token"])),
        ("request_uris", json!(["http://shop.example/request"])),
        ("request_object_signing_alg", json!("none")),
        ("id_token_encrypted_response_alg", json!("RSA1_5")),
        ("userinfo_encrypted_response_enc", json!("A128GCM")),
        ("post_logout_redirect_uris", json!(["https://shop.example/#x"])),
        ("frontchannel_logout_uri", json!("https://other.example/out")),
        ("frontchannel_logout_session_required", json!("yes")),
        ("sector_identifier_uri", json!("http://localhost/sector.json")),
        ("logo_uri", json!("javascript:alert(1)")),
        ("policy_uri", json!("http://shop.example/policy")),
        ("initiate_login_uri", json!("http://localhost/start")),
        ("client_name", json!("x".repeat(65))),
        ("client_name", json!(["x"])),
        ("default_max_age", json!(-1)),
        ("default_max_age", json!(1.5)),
        ("jwks", json!({"keys": [{"kty": "RSA", "n": "x", "e": "AQAB", "d": "secret"}]})),
        ("jwks", json!({"keys": [{"kty": "oct", "k": "secret"}]})),
        ("scope", json!("open\"id")),
        ("token_endpoint_auth_method", json!("private_key_jwt")),
    ] {
        let mut client = good.clone();
        client[member] = value.clone();
        let error = parse(&client).unwrap_err();
        let named = error.description.contains(member) || error.description.contains("jwks");
        assert!(named, "{member}={value}: {error}");
    }
}

#[test]
fn a_name_is_stripped_of_what_cannot_be_seen() {
    let client = parse(&json!({"redirect_uris": ["https://shop.example/cb"],
        "client_name": "My\u{202E} \n Shop\u{200B}"}));
    assert_eq!(client.unwrap().client_name.as_deref(), Some("My Shop"));
}

#[test]
fn grant_types_follow_from_response_types_where_they_are_left_out() {
    let offer = Offer::complete();
    let grants = |types: Value, uri: &str| {
        let client = json!({"redirect_uris": [uri], "response_types": types});
        let read = ClientMetadata::parse_within(client.as_object().unwrap(), &offer);
        read.map(|client| client.grant_types)
    };
    let https = "https://shop.example/cb";
    let (code, implicit) = (GrantType::AuthorizationCode, GrantType::Implicit);
    assert_eq!(grants(json!(["code"]), https), Ok(vec![code]));
    assert_eq!(grants(json!(["token id_token"]), https), Ok(vec![implicit]));
    assert_eq!(grants(json!(["code id_token", "code"]), https), Ok(vec![code, implicit]));
    assert_eq!(grants(json!(["none"]), https), Ok(vec![code]));
    let plain = grants(json!(["id_token"]), "http://localhost/cb").unwrap_err();
    assert_eq!(plain.code, ErrorCode::InvalidRedirectUri);
}

#[test]
fn members_lists_every_field_there_is() {
    let uri = "https://a.example/cb";
    let mut every = serde_json::Map::new();
    for name in MEMBERS {
        let value = match *name {
            "redirect_uris" | "post_logout_redirect_uris" | "request_uris" => json!([uri]),
            "contacts" | "default_acr_values" => json!(["1"]),
            "response_types" => json!(["code"]),
            "grant_types" => json!(["authorization_code"]),
            "application_type" => json!("web"),
            "token_endpoint_auth_method" => json!("private_key_jwt"),
            "token_endpoint_auth_methods" => json!(["private_key_jwt", "client_secret_post"]),
            "subject_type" => json!("pairwise"),
            "default_max_age" => json!(1),
            "scope" => json!("openid"),
            // Excluded by `jwks_uri`.
            "jwks" => continue,
            "client_name" | "software_id" | "software_version" => json!("A"),
            _ if name.ends_with("_alg") && name.contains("encr") => json!("ECDH-ES"),
            _ if name.ends_with("_alg") => json!("RS256"),
            _ if name.ends_with("_enc") => json!("A128GCM"),
            _ if name.ends_with("_required") || *name == "require_auth_time" => json!(true),
            _ => json!(uri),
        };
        every.insert((*name).to_owned(), value);
    }
    let offer = Offer { by_operator: true, ..Offer::default() };
    let read = ClientMetadata::parse_within(&every, &offer).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), Value::Object(every), "and all are kept");
}

#[test]
fn a_name_is_counted_in_characters_of_whatever_script() {
    let named = |name: String| {
        let members = json!({"redirect_uris": ["https://a.example/cb"], "client_name": name});
        ClientMetadata::parse(members.as_object().unwrap())
    };
    for letter in ["x", "\u{e9}", "\u{8336}", "\u{1f511}"] {
        assert!(named(letter.repeat(64)).is_ok(), "{letter}");
        assert!(named(letter.repeat(65)).is_err(), "{letter}");
    }
}
