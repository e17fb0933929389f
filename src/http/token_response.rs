//! A token response ([RFC 6749 §5.1], [OpenID Connect Core §3.1.3.3]): what every grant type answers with, and
//! what an authorization response carries of it in the front channel ([RFC 6749 §4.2.2], OpenID Connect Core
//! §3.2.2.5).
//!
//! [RFC 6749 §5.1]: https://www.rfc-editor.org/rfc/rfc6749#section-5.1
//! [RFC 6749 §4.2.2]: https://www.rfc-editor.org/rfc/rfc6749#section-4.2.2
//! [OpenID Connect Core §3.1.3.3]: https://openid.net/specs/openid-connect-core-1_0.html#TokenResponse

use serde_json::{Map, Value};

use super::token_issuer::IssuedAccessToken;

/// The tokens of one response.
#[derive(Default)]
pub struct TokenResponse {
    /// Absent only from an authorization response whose type does not name it.
    pub access_token: Option<IssuedAccessToken>,
    /// Absent where `openid` was not granted.
    pub id_token: Option<String>,
    /// Absent where the client is not registered for refresh tokens.
    pub refresh_token: Option<String>,
}

impl TokenResponse {
    /// The body of a response of the token endpoint.
    pub fn into_json(self) -> Map<String, Value> {
        self.members().into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The parameters of an authorization response, without `code`, `state` and `iss`.
    pub fn into_params(self) -> Vec<(String, String)> {
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.members().into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect()
    }

    fn members(self) -> Vec<(&'static str, Value)> {
        let mut members: Vec<(&'static str, Value)> = Vec::new();
        if let Some(issued) = self.access_token {
            members.push(("access_token", issued.token.into()));
            members.push(("token_type", issued.token_type.as_str().into()));
            members.push(("expires_in", issued.lifetime.as_secs().into()));
            if !issued.scope.is_empty() {
                members.push(("scope", issued.scope.to_string().into()));
            }
        }
        members.extend(self.id_token.map(|token| ("id_token", token.into())));
        members.extend(self.refresh_token.map(|token| ("refresh_token", token.into())));
        members
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::protocol::TokenType;

    fn response(scope: &str) -> TokenResponse {
        let access_token = IssuedAccessToken {
            token: "at".to_owned(),
            token_type: TokenType::Bearer,
            lifetime: Duration::from_secs(300),
            scope: scope.parse().unwrap_or_default(),
            cnf: None,
            opaque: None,
        };
        let (id_token, refresh_token) = (Some("id".to_owned()), Some("rt".to_owned()));
        TokenResponse { access_token: Some(access_token), id_token, refresh_token }
    }

    #[test]
    fn a_body_and_parameters_have_the_same_members_and_an_empty_scope_is_left_out() {
        let body = json!({"access_token": "at", "token_type": "Bearer", "expires_in": 300,
            "scope": "openid", "id_token": "id", "refresh_token": "rt"});
        assert_eq!(Value::Object(response("openid").into_json()), body);
        assert!(!response("").into_json().contains_key("scope"));
        let params = response("").into_params();
        assert_eq!(params[2], ("expires_in".to_owned(), "300".to_owned()));
        assert_eq!(TokenResponse::default().into_params(), []);
    }
}
