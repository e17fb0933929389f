//! The state of a run: its settings, and what earlier checks found.

use serde_json::Value;
use zeroize::Zeroizing;

use super::authorization_request::AuthorizationUrl;
use super::browser::Browser;
use super::client::{RegisteredClient, TestUser, authenticated};
use super::http::{FormFields, Http};
use super::http_response::HttpResponse;
use super::metadata::ServerMetadata;
use super::report::{CheckFailure, skip};
use super::tokens::Tokens;
use crate::infra::clock::Clock;

/// One run against one server.
pub(super) struct TestContext {
    /// As it was given.
    pub issuer: String,
    pub initial_access_token: Option<Zeroizing<String>>,
    pub user: Option<TestUser>,
    pub http: Http,
    pub clock: Clock,
    /// The discovery document, and the answer it came in.
    pub metadata: ServerMetadata,
    pub discovery: Option<HttpResponse>,
    pub jwks: Option<Value>,
    /// The clients the checks use; with Basic, with form fields, and for itself.
    pub web: Option<RegisteredClient>,
    pub other: Option<RegisteredClient>,
    /// Everything that was registered and not yet removed, whatever the answer looked like.
    pub registered: Vec<RegisteredClient>,
    /// The browser that has signed in.
    pub browser: Browser,
    /// A code that was not redeemed yet.
    pub granted: Option<(AuthorizationUrl, String)>,
    pub tokens: Option<Tokens>,
}

impl TestContext {
    pub fn web(&self) -> Result<RegisteredClient, CheckFailure> {
        self.web.clone().ok_or_else(|| skip("no client could be registered"))
    }

    pub fn other(&self) -> Result<RegisteredClient, CheckFailure> {
        self.other.clone().ok_or_else(|| skip("no second client could be registered"))
    }

    pub fn tokens(&self) -> Result<Tokens, CheckFailure> {
        if self.user.is_none() {
            return Err(skip("needs --user"));
        }
        self.tokens.clone().ok_or_else(|| skip("nobody could be signed in"))
    }

    /// Posts a form as that client.
    pub async fn post_as(
        &self,
        client: &RegisteredClient,
        endpoint: &str,
        fields: FormFields<'_>,
    ) -> Result<HttpResponse, CheckFailure> {
        let url = self.metadata.endpoint(endpoint)?;
        self.http.send(authenticated(&url, client, fields)).await
    }

    pub async fn token(
        &self,
        client: &RegisteredClient,
        fields: FormFields<'_>,
    ) -> Result<HttpResponse, CheckFailure> {
        self.post_as(client, "token_endpoint", fields).await
    }
}
