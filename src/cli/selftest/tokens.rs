use serde_json::{Map, Value};

use super::authorization_request::AuthorizationUrl;
use super::report::{CheckFailure, skip};

/// What the application holds in the end, and what it asked for.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    pub request: AuthorizationUrl,
    pub body: Map<String, Value>,
    /// Of the ID token, once it was verified.
    pub claims: Map<String, Value>,
}

impl Tokens {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name).and_then(Value::as_str)
    }

    pub fn access(&self) -> Result<&str, CheckFailure> {
        self.text("access_token").ok_or_else(|| skip("there is no access token"))
    }

    pub fn refresh(&self) -> Result<&str, CheckFailure> {
        self.text("refresh_token").ok_or_else(|| skip("no refresh token was issued"))
    }

    pub fn sub(&self) -> Option<&str> {
        self.claims.get("sub").and_then(Value::as_str)
    }
}
