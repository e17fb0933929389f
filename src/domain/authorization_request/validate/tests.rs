use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::domain::authorization_request::Destination;
use crate::domain::clients::{ClientId, ClientSettings, RegistrationSource};
use crate::infra::clock::UnixTime;
use crate::protocol::ClientMetadata;
use crate::protocol::claims::{ClaimRequest, ScopeEntry};

const URI: &str = "https://shop.example/cb";

fn client(members: &serde_json::Value, settings: ClientSettings) -> Client {
    let mut all = json!({"redirect_uris": [URI]});
    all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    Client {
        id: ClientId::parse("shop").unwrap(),
        metadata: ClientMetadata::parse(all.as_object().unwrap()).unwrap(),
        settings,
        secrets: Vec::new(),
        registration_token: None,
        enabled: true,
        source: RegistrationSource::Registered,
        created_at: UnixTime::from_secs(1_700_000_000),
        unused_until: None,
        development: false,
        declared: None,
    }
}

fn asked(client: &Client, more: &[(&str, &str)]) -> Result<AuthorizationRequest, OAuthError> {
    asked_of(client, more, RequirePkce::OrNonce)
}

fn asked_of(
    client: &Client,
    more: &[(&str, &str)],
    require_pkce: RequirePkce,
) -> Result<AuthorizationRequest, OAuthError> {
    let mut catalogue = ScopeCatalogue::default();
    let claims = ["groups", "salary"].map(str::to_owned).into();
    catalogue.add("staff", ScopeEntry { claims, ..ScopeEntry::default() });
    let usual = [("response_type", "code"), ("redirect_uri", URI)];
    let text = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(usual.iter().chain(more))
        .finish();
    let params = Params::parse(text.as_bytes()).unwrap();
    let reply = Reply::Redirect(Destination::resolve(&params, &client.metadata).unwrap());
    let policy = RequestPolicy {
        issuer: "https://id.example",
        resources: &ResourceCatalogue::default(),
        catalogue: &catalogue,
        response_types: &[ResponseType::Code],
        require_pkce,
    };
    validate(&params, client, reply, policy, HintedSubject::Absent)
}

#[test]
fn a_single_claim_is_had_only_where_a_scope_of_the_registration_would_give_it() {
    let wish = r#"{"userinfo":{"name":null,"groups":{"essential":true},"nothing":null},
        "id_token":{"email":{"value":"a@b.example"},"salary":null,"auth_time":null}}"#;
    let pkce = [
        ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
        ("code_challenge_method", "S256"),
    ];
    for (registered, scope, userinfo, id_token) in [
        (None, "openid", &["groups", "name"][..], &["auth_time", "email"][..]),
        (Some("openid"), "openid", &[], &["auth_time"]),
        (Some("openid profile"), "openid", &["name"], &["auth_time"]),
        (Some("openid staff"), "openid", &["groups"], &["auth_time", "salary"]),
        (Some("openid email staff"), "openid", &["groups"], &["auth_time", "email", "salary"]),
        // Nothing would carry them.
        (Some("profile email"), "email", &[], &[]),
    ] {
        let members = registered.map_or(json!({}), |scope| json!({ "scope": scope }));
        let client = client(&members, ClientSettings::default());
        let more = [("scope", scope), ("claims", wish)];
        let request = asked(&client, &[&pkce[..], &more].concat()).unwrap();
        let names = |claims: &BTreeMap<String, ClaimRequest>| -> Vec<String> {
            claims.keys().cloned().collect()
        };
        assert_eq!(names(&request.claims.userinfo), userinfo, "{registered:?}");
        assert_eq!(names(&request.claims.id_token), id_token, "{registered:?}");
    }
}

#[test]
fn a_code_is_tied_to_its_session_by_pkce_or_a_nonce_as_the_operator_has_it() {
    use RequirePkce::{All, OrNonce, Public};
    let openid = [("scope", "openid")];
    let nonce = [("scope", "openid"), ("nonce", "n")];
    let no_openid = [("scope", "email"), ("nonce", "n")];
    let public = json!({"token_endpoint_auth_method": "none"});
    let own = |require_pkce, require_nonce| {
        let settings = ClientSettings { require_pkce, require_nonce, ..ClientSettings::default() };
        Client { source: RegistrationSource::Operator, ..client(&json!({}), settings) }
    };
    let registered = client(&json!({}), ClientSettings::default());
    // What a release before wrote with a registration; it is no word of the operator's.
    let before = ClientSettings {
        require_pkce: Some(false),
        require_nonce: Some(false),
        ..ClientSettings::default()
    };
    let before = client(&json!({}), before);
    let (everybody, this_one) = ("REQUIRE_PKCE", "require_pkce");
    #[rustfmt::skip]
    let table = [
        // client, REQUIRE_PKCE,                       neither,         nonce,           nonce without openid
        (client(&public, ClientSettings::default()), OrNonce, [Some("public"),  Some("public"),  Some("public")]),
        (client(&public, ClientSettings::default()), Public,  [Some("public"),  Some("public"),  Some("public")]),
        (registered.clone(),                   OrNonce, [Some(everybody), None,            Some(everybody)]),
        (registered.clone(),                   All,     [Some(everybody), Some(everybody), Some(everybody)]),
        (registered,                           Public,  [None,            None,            None]),
        (before,                               OrNonce, [Some(everybody), None,            Some(everybody)]),
        (own(None, None),                      OrNonce, [Some(everybody), None,            Some(everybody)]),
        (own(None, None),                      All,     [Some(everybody), Some(everybody), Some(everybody)]),
        (own(Some(true), None),                Public,  [Some(this_one),  Some(this_one),  Some(this_one)]),
        (own(Some(false), None),               All,     [Some(everybody), None,            Some(everybody)]),
        (own(Some(false), Some(false)),        All,     [None,            None,            None]),
        (own(None, Some(false)),               OrNonce, [None,            None,            None]),
        (own(None, Some(true)),                Public,  [Some(everybody), None,            Some(everybody)]),
    ];
    for (client, all, row) in table {
        for (more, names) in [&openid[..], &nonce, &no_openid].into_iter().zip(row) {
            let refused = asked_of(&client, more, all).err();
            let says = |error: &OAuthError| names.is_some_and(|it| error.description.contains(it));
            let settings = &client.settings;
            assert!(refused.is_some() == names.is_some(), "{all:?} {settings:?} {more:?}");
            assert!(refused.as_ref().is_none_or(says), "{all:?} {settings:?} {more:?} {refused:?}");
        }
        let pkce = [
            ("scope", "openid"),
            ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
            ("code_challenge_method", "S256"),
        ];
        assert!(asked_of(&client, &pkce, all).is_ok());
        assert!(asked_of(&client, &pkce[..2], all).is_err(), "plain, unspoken");
    }
}
