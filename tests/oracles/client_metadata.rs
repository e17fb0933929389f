use latchkey::protocol::client_metadata::ServerCapabilities;
use latchkey::protocol::redirect_uri::check_registrable;
use latchkey::protocol::{AuthMethod, ClientMetadata, GrantType, OAuthError};
use serde_json::{Map, Value};
use url::Url;

use super::in_process_server::InProcessServer;
use super::reference_parsers;

/// A registration that is taken comes out the same when it is read again, keeps what its members have to be
/// together ([RFC 7591 §2]), and holds no address that is not one. Sent to the endpoint, it is created or
/// refused in JSON, and never created if it is nested deeper than sixteen.
///
/// [RFC 7591 §2]: https://www.rfc-editor.org/rfc/rfc7591#section-2
pub fn client_metadata(data: &[u8]) {
    holds(data, |members| ClientMetadata::parse_within(members, &of_strangers()));
    InProcessServer::with(|server| {
        let answer =
            server.asks("POST", "/register", &[("content-type", "application/json")], data);
        let json: Value = serde_json::from_str(&answer.body).expect("JSON");
        match answer.status {
            201 => {
                assert!(reference_parsers::json_depth(data) <= 16, "nested too deeply");
                assert!(json["client_id"].is_string(), "{json}");
                assert!(json.get("jwks").is_none_or(|set| !has_private(set)), "{json}");
            }
            400 | 413 => assert!(json["error"].is_string(), "{json}"),
            other => panic!("{other}: {json}"),
        }
    });
}

fn has_private(set: &Value) -> bool {
    let keys = set["keys"].as_array().into_iter().flatten();
    keys.into_iter().any(|key| key.get("d").is_some() || key.get("k").is_some())
}

pub fn holds(
    data: &[u8],
    parse: impl Fn(&Map<String, Value>) -> Result<ClientMetadata, OAuthError>,
) {
    let Ok(Value::Object(members)) = serde_json::from_slice(data) else { return };
    let Ok(it) = parse(&members) else { return };
    let kept = serde_json::to_value(&it).expect("JSON");
    let again = parse(kept.as_object().expect("an object"));
    assert_eq!(again.as_ref().ok(), Some(&it), "{again:?}");
    assert_eq!(serde_json::from_value::<ClientMetadata>(kept).ok().as_ref(), Some(&it));

    for uri in it.redirect_uris.iter().chain(&it.post_logout_redirect_uris) {
        assert_eq!(check_registrable(uri), Ok(()), "{uri}");
        assert!(!it.redirect_uris.contains(uri) || it.allows_redirect_to(uri));
    }
    let shown = [&it.client_uri, &it.logo_uri, &it.policy_uri, &it.tos_uri];
    let fetched = [&it.jwks_uri, &it.sector_identifier_uri, &it.initiate_login_uri];
    let told = [&it.frontchannel_logout_uri, &it.backchannel_logout_uri];
    let all = shown.into_iter().chain(told).flatten().map(|link| (link, false));
    let fetched = fetched.into_iter().flatten().chain(&it.request_uris).map(|link| (link, true));
    for (link, only_https) in all.chain(fetched) {
        let url = Url::parse(link).expect("a URL");
        let loopback =
            url.scheme() == "http" && reference_parsers::Uri::split(url.as_str()).is_loopback();
        assert!(url.scheme() == "https" || (loopback && !only_https), "{link}");
        assert!(link.bytes().all(|byte| byte.is_ascii_graphic()), "{link:?}");
        assert!(url.username().is_empty() && url.password().is_none(), "{link}");
    }
    if let Some(name) = &it.client_name {
        let turns = |c: char| {
            c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!name.contains(turns) && (1..=64).contains(&name.chars().count()), "{name:?}");
    }
    let uses = |grant| it.grant_types.contains(&grant);
    let public = it.token_endpoint_auth_method == AuthMethod::None;
    assert!(!(public && uses(GrantType::ClientCredentials)), "nobody to give it to");
    assert!(it.jwks.is_none() || it.jwks_uri.is_none(), "two sets of keys");
    assert!(it.response_types.is_empty() || !it.redirect_uris.is_empty(), "nowhere to go");
}

/// Everything there is for clients that register themselves.
fn of_strangers() -> ServerCapabilities {
    ServerCapabilities { by_operator: false, ..ServerCapabilities::all() }
}
