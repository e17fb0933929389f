use serde_json::json;

use super::*;

fn parse(value: &Value) -> Result<ClientMetadata, OAuthError> {
    ClientMetadata::parse(value.as_object().unwrap())
}

/// As an operator would have it read: whole, or not at all.
fn strictly(value: &Value) -> Result<ClientMetadata, OAuthError> {
    let offer = ServerCapabilities { by_operator: true, ..ServerCapabilities::default() };
    ClientMetadata::parse_within(value.as_object().unwrap(), &offer)
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
    let offer = ServerCapabilities { by_operator: true, ..ServerCapabilities::default() };
    let read = |by_operator: bool, members: Value| {
        let mut all = json!({"redirect_uris": ["https://shop.example/cb"],
            "jwks_uri": "https://shop.example/keys"});
        all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let offer = ServerCapabilities { by_operator, ..offer.clone() };
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
    let offered: Vec<_> = ServerCapabilities::all().auth_methods().collect();
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
    let offer = ServerCapabilities { by_operator: true, ..ServerCapabilities::default() };
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
        let error = strictly(&client).unwrap_err();
        let named = error.description.contains(member) || error.description.contains("jwks");
        assert!(named, "{member}={value}: {error}");
    }
}

/// What a client that registers itself gets of a member that cannot be read; the rest is as it would be.
#[test]
fn what_is_only_told_or_offered_is_dropped_or_replaced_alone() {
    let uri = "https://shop.example/cb";
    let rsa = json!({"kty": "RSA", "n": "x", "e": "AQAB"});
    let many = |most: usize| json!((0..=most).map(|n| format!("{uri}/{n}")).collect::<Vec<_>>());
    let first = |most: usize| json!((0..most).map(|n| format!("{uri}/{n}")).collect::<Vec<_>>());
    let long = "x".repeat(300);
    let nothing = Value::Null;
    #[rustfmt::skip]
    let table = [
        ("redirect_uris", many(20), first(20)),
        ("redirect_uris", json!([format!("{uri}#x"), 1, uri, "javascript:alert(1)", "x".repeat(3000)]), json!([uri])),
        ("post_logout_redirect_uris", json!([uri, "https://shop.example/#x", {}]), json!([uri])),
        ("post_logout_redirect_uris", json!("https://shop.example/bye"), nothing.clone()),
        ("request_uris", json!(["http://shop.example/r", uri]), json!([uri])),
        ("application_type", json!("desktop"), json!("web")),
        ("client_name", json!(format!("{} and more", "x".repeat(63))), json!("x".repeat(63))),
        ("client_name", json!("\u{e9}".repeat(2_000)), json!("\u{e9}".repeat(64))),
        ("client_name", json!(["x"]), nothing.clone()),
        ("client_uri", json!("http://shop.example"), nothing.clone()),
        ("logo_uri", json!("javascript:alert(1)"), nothing.clone()),
        ("policy_uri", json!(7), nothing.clone()),
        ("tos_uri", json!(format!("https://shop.example/{}", "x".repeat(3000))), nothing.clone()),
        ("contacts", json!(["ada@shop.example", 1, null]), json!(["ada@shop.example"])),
        ("contacts", json!("ada@shop.example"), nothing.clone()),
        ("default_acr_values", json!([1, "1"]), json!(["1"])),
        ("default_max_age", json!("3600"), json!(3600)),
        ("default_max_age", json!(3600.0), json!(3600)),
        ("require_auth_time", json!("yes"), nothing.clone()),
        ("backchannel_logout_session_required", json!(1), nothing.clone()),
        ("id_token_signed_response_alg", json!("HS256"), json!("RS256")),
        ("id_token_signed_response_alg", json!("none"), json!("RS256")),
        ("userinfo_signed_response_alg", json!("ES512"), json!("RS256")),
        ("userinfo_signed_response_alg", json!("none"), nothing.clone()),
        ("userinfo_signed_response_alg", json!(7), json!("RS256")),
        ("userinfo_signed_response_alg", json!(long), json!("RS256")),
        ("userinfo_encrypted_response_enc", json!("A128GCM"), nothing.clone()),
        ("request_object_encryption_alg", json!("RSA1_5"), nothing.clone()),
        ("jwks_uri", json!("http://shop.example/keys"), nothing.clone()),
        ("jwks", json!({"keys": []}), nothing.clone()),
        ("jwks", json!({"keys": [{"kty": "AKP", "pub": "x"}, 7, rsa, {}], "x": 1}), json!({"keys": [rsa]})),
        ("scope", json!("openid open\"id email"), json!("email openid")),
        ("software_id", json!(long), nothing.clone()),
        ("software_version", json!({}), nothing.clone()),
    ];
    for (member, value, registered) in table {
        let mut client = json!({"redirect_uris": [uri]});
        client[member] = value.clone();
        let members = client.as_object().unwrap();
        let (read, dropped) =
            ClientMetadata::parse_reporting(members, &ServerCapabilities::default())
                .unwrap_or_else(|error| panic!("{member}={value}: {error}"));
        let stored = serde_json::to_value(&read).unwrap();
        assert_eq!(stored.get(member).unwrap_or(&Value::Null), &registered, "{member}={value}");
        let is_said = member == "default_max_age" || !dropped.is_empty();
        assert!(is_said, "{member}={value}");
        assert!(dropped.iter().all(|why| why.description.contains(member)), "{dropped:?}");
        let mut rest = stored.as_object().unwrap().clone();
        rest.remove(member);
        let mut plain =
            serde_json::to_value(parse(&json!({"redirect_uris": [uri]})).unwrap()).unwrap();
        plain.as_object_mut().unwrap().remove(member);
        assert_eq!(Value::Object(rest), plain, "{member}={value}");
        assert_eq!(parse(&stored).ok().as_ref(), Some(&read), "{member}={value}");
    }
}

/// What is said of it goes to the log.
#[test]
fn however_much_of_a_member_is_dropped_one_complaint_is_kept() {
    let uri = "https://shop.example/cb";
    let mut uris = vec![json!(uri)];
    uris.resize(30_000, json!(1));
    let members = json!({"redirect_uris": uris, "scope": "a\" ".repeat(300) + "openid"});
    let read = ClientMetadata::parse_reporting(
        members.as_object().unwrap(),
        &ServerCapabilities::default(),
    );
    let (read, dropped) = read.unwrap();
    assert_eq!(read.redirect_uris.len(), 1);
    assert_eq!(dropped.len(), 2, "{}", dropped.len());
}

/// Dropped, it would leave the client with more than it asked for, or with less of a guard.
#[test]
fn what_guards_is_never_dropped_and_the_reason_is_told() {
    let uri = "https://shop.example/cb";
    for (member, value, says) in [
        ("redirect_uris", json!([format!("{uri}#x")]), "fragment"),
        ("redirect_uris", json!([1]), "redirect_uris must be an array"),
        ("redirect_uris", json!([]), "redirect_uris"),
        ("grant_types", json!(["password"]), "grant_types"),
        ("grant_types", json!("authorization_code"), "grant_types"),
        ("response_types", json!(["id_token"]), "response_types"),
        ("token_endpoint_auth_method", json!("tls_client_auth"), "token_endpoint_auth_method"),
        ("token_endpoint_auth_method", json!("private_key_jwt"), "jwks"),
        ("token_endpoint_auth_signing_alg", json!("ES512"), "token_endpoint_auth_signing_alg"),
        ("subject_type", json!("global"), "subject_type"),
        ("sector_identifier_uri", json!("http://shop.example/s"), "sector_identifier_uri"),
        ("id_token_encrypted_response_alg", json!("RSA1_5"), "id_token_encrypted_response_alg"),
        ("userinfo_encrypted_response_alg", json!(7), "userinfo_encrypted_response_alg"),
        ("request_object_signing_alg", json!("none"), "request_object_signing_alg"),
        ("default_max_age", json!(-1), "default_max_age"),
        ("scope", json!("open\"id"), "scope"),
        ("scope", json!(["openid"]), "scope"),
        ("frontchannel_logout_uri", json!("https://other.example/out"), "frontchannel_logout_uri"),
        ("backchannel_logout_uri", json!("http://shop.example/out"), "backchannel_logout_uri"),
        ("jwks", json!({"keys": [{"kty": "RSA", "n": "x", "e": "AQAB", "d": "x"}]}), "private"),
        ("jwks", json!({"keys": [{"kty": "AKP", "priv": "x"}]}), "private"),
        ("jwks", json!({"keys": [{"kty": "oct", "k": "x"}]}), "symmetric"),
    ] {
        let mut client = json!({"redirect_uris": [uri]});
        client[member] = value.clone();
        let error = parse(&client).unwrap_err();
        assert!(error.description.contains(says), "{member}={value}: {error}");
    }
    let keyed = |jwks_uri: &str| {
        parse(&json!({"redirect_uris": [uri], "jwks_uri": jwks_uri,
            "token_endpoint_auth_method": "private_key_jwt"}))
    };
    assert!(keyed("https://shop.example/keys").is_ok());
    let error = keyed("http://shop.example/keys").unwrap_err();
    assert_eq!(error.description, "jwks_uri must be an https URL");
}

#[test]
fn a_name_is_stripped_of_what_cannot_be_seen() {
    let client = parse(&json!({"redirect_uris": ["https://shop.example/cb"],
        "client_name": "My\u{202E} \n Shop\u{200B}"}));
    assert_eq!(client.unwrap().client_name.as_deref(), Some("My Shop"));
}

#[test]
fn grant_types_follow_from_response_types_where_they_are_left_out() {
    let offer = ServerCapabilities::all();
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
    let offer = ServerCapabilities { by_operator: true, ..ServerCapabilities::default() };
    let read = ClientMetadata::parse_within(&every, &offer).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), Value::Object(every), "and all are kept");
}

#[test]
fn a_name_is_counted_in_characters_of_whatever_script() {
    let named = |name: String| {
        strictly(&json!({"redirect_uris": ["https://a.example/cb"], "client_name": name}))
    };
    for letter in ["x", "\u{e9}", "\u{8336}", "\u{1f511}"] {
        assert!(named(letter.repeat(64)).is_ok(), "{letter}");
        assert!(named(letter.repeat(65)).is_err(), "{letter}");
    }
}
