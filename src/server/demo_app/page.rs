//! The page of the demo application: the signed-in user, and every token and claim that it got.

use askama::Template;
use serde_json::{Map, Value};

/// What came of a sign-in, in the order in which an application meets it.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "demo/told.html")]
pub struct DemoPage {
    issuer: String,
    /// The display name of the signed-in user.
    name: String,
    /// Claim and value, as userinfo has them.
    claims: Vec<(String, String)>,
    /// The decoded ID token: its header and its claims.
    id_token: [String; 2],
    /// What kind of access token there is.
    access_token: &'static str,
    lifetime: String,
    scope: String,
    has_refresh_token: bool,
}

impl DemoPage {
    /// Of a token answer, the header and claims of its ID token, and what userinfo said.
    pub fn of(
        issuer: &str,
        tokens: &Map<String, Value>,
        (header, id_claims): (&Map<String, Value>, &Map<String, Value>),
        userinfo: &Map<String, Value>,
    ) -> Self {
        let text = |map: &Map<String, Value>, name: &str| map.get(name).map(plain);
        let is_jwt = text(tokens, "access_token")
            .is_some_and(|it| it.split('.').count() == 3 && it.starts_with("ey"));
        let named = ["name", "preferred_username", "sub"];
        Self {
            issuer: issuer.to_owned(),
            name: named.iter().find_map(|name| text(userinfo, name)).unwrap_or_default(),
            claims: userinfo.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
            id_token: [header, id_claims]
                .map(|part| serde_json::to_string_pretty(part).unwrap_or_default()),
            access_token: if is_jwt {
                "a JWT that an API can check by itself"
            } else {
                "opaque: an API asks /introspect"
            },
            lifetime: lifetime(
                tokens.get("expires_in").and_then(Value::as_u64).unwrap_or_default(),
            ),
            scope: text(tokens, "scope").unwrap_or_default(),
            has_refresh_token: tokens.contains_key("refresh_token"),
        }
    }
}

/// In minutes where that says it.
fn lifetime(seconds: u64) -> String {
    if seconds >= 120 && seconds.is_multiple_of(60) {
        format!("{} minutes", seconds / 60)
    } else {
        format!("{seconds} seconds")
    }
}

/// Text as it is, anything else as JSON.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::page_test_util::{MARKUP, assert_has, assert_same_skeleton, rendered, words};

    fn shown(text: &str) -> DemoPage {
        let object = |value: Value| value.as_object().cloned().unwrap();
        let tokens = json!({"access_token": "ey.J.x", "expires_in": 600, "scope": text, "refresh_token": "x"});
        let id = json!({"iss": "https://id.example", "nonce": text, "auth_time": 1_700_000_000});
        let header = object(json!({"alg": "RS256", "kid": text}));
        let userinfo =
            json!({"sub": "248289761001", "name": text, "email": text, "email_verified": true});
        DemoPage::of(text, &object(tokens), (&header, &object(id)), &object(userinfo))
    }

    #[test]
    fn the_page_says_who_signed_in_what_was_told_and_what_to_do_next() {
        let html = rendered("demo", &shown("Demo User"));
        assert_eq!(words(&html, "h1"), "Signed in as Demo User");
        assert!(words(&html, "#claims").contains("email_verified true"));
        assert!(words(&html, "#id-token").contains("\"nonce\": \"Demo User\""));
        assert!(words(&html, "#access-token").starts_with("a JWT"));
        assert_has(&html, &["a[href='/demo']", "a[href='/logout']", "#next"]);
        assert!(!html.contains("ey.J.x"), "no token is in the page");
    }

    #[test]
    fn a_short_lifetime_is_not_rounded_away() {
        for (seconds, said) in [(30, "30 seconds"), (90, "90 seconds"), (600, "10 minutes")] {
            assert_eq!(lifetime(seconds), said);
        }
    }

    #[test]
    fn markup_in_any_field_stays_text() {
        assert_same_skeleton(&shown("x"), &shown(MARKUP));
    }
}
