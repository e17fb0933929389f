use serde_json::json;

use super::*;
use crate::clients::{ClientId, Settings, Source};
use crate::clock::UnixTime;
use crate::protocol::ClientMetadata;
use crate::protocol::claims::ScopeEntry;

const URI: &str = "https://shop.example/cb";

fn client(members: &serde_json::Value, settings: Settings) -> Client {
    let mut all = json!({"redirect_uris": [URI]});
    all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    Client {
        id: ClientId::parse("shop").unwrap(),
        metadata: ClientMetadata::parse(all.as_object().unwrap()).unwrap(),
        settings,
        secrets: Vec::new(),
        registration_token: None,
        enabled: true,
        source: Source::Registered,
        created_at: UnixTime::from_secs(1_700_000_000),
        unused_until: None,
        development: false,
        declared: None,
    }
}

fn asked(client: &Client, more: &[(&str, &str)]) -> Result<AuthorizationRequest, OAuthError> {
    let mut catalogue = ScopeCatalogue::default();
    let claims = ["groups", "salary"].map(str::to_owned).into();
    catalogue.add("staff", ScopeEntry { description: None, claims });
    let usual = [("response_type", "code"), ("redirect_uri", URI)];
    let text = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(usual.iter().chain(more))
        .finish();
    let params = Params::parse(text.as_bytes()).unwrap();
    let to = Destination::settle(&params, &client.metadata).unwrap();
    let known = (&catalogue, &[ResponseType::Code][..]);
    validate(&params, client, to, known, Hinted::Nobody)
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
        (None, "openid", &["name"][..], &["auth_time", "email"][..]),
        (Some("openid"), "openid", &[], &["auth_time"]),
        (Some("openid profile"), "openid", &["name"], &["auth_time"]),
        (Some("openid staff"), "openid", &["groups"], &["auth_time", "salary"]),
        (Some("openid email staff"), "openid", &["groups"], &["auth_time", "email", "salary"]),
        // Nothing would carry them.
        (Some("profile email"), "email", &[], &[]),
    ] {
        let members = registered.map_or(json!({}), |scope| json!({ "scope": scope }));
        let client = client(&members, Settings::default());
        let more = [("scope", scope), ("claims", wish)];
        let request = asked(&client, &[&pkce[..], &more].concat()).unwrap();
        assert_eq!(Vec::from_iter(request.claims.userinfo.keys()), userinfo, "{registered:?}");
        assert_eq!(Vec::from_iter(request.claims.id_token.keys()), id_token, "{registered:?}");
    }
}
