use std::time::Duration;

use super::TokenRequestError;
use crate::domain::clients::Client;
use crate::domain::grants::{Grant, OpaqueAccessToken, RefreshToken, RefreshTokenFamily};
use crate::domain::resources::Target;
use crate::domain::token_claims::{HashedValues, TokenSource};
use crate::domain::users::User;
use crate::http::app::App;
use crate::http::token_issuer;
use crate::http::token_response::TokenResponse;
use crate::protocol::{ErrorCode, OAuthError};

/// What a grant type has issued. The tokens are issued before the step that uses up the code or refresh token: nothing can
/// fail between that step and the response.
pub(super) struct IssuedTokens {
    pub response: TokenResponse,
    /// The local subject, for the audit log; absent for a client acting for itself.
    pub sub: Option<String>,
}

/// The refresh token family of a new grant; `None` where the client is not registered for refresh tokens.
pub(super) fn new_family(app: &App, client: &Client) -> Option<RefreshTokenFamily> {
    use crate::protocol::GrantType::RefreshToken;
    if !client.metadata.grant_types.contains(&RefreshToken) {
        return None;
    }
    let seconds =
        |own: Option<u32>, default| own.map_or(default, |own| Duration::from_secs(own.into()));
    let lifetimes = &app.config.lifetimes;
    let idle = seconds(client.settings.refresh_token_idle_lifetime, lifetimes.refresh_idle);
    let absolute = seconds(client.settings.refresh_token_lifetime, lifetimes.refresh_absolute);
    Some(RefreshTokenFamily::new(idle, absolute, app.now()))
}

/// The grant with the scope that the client is still allowed: the operator, or the client itself, may have removed a scope
/// from it since.
pub(super) fn restrict_to_allowed_scope(
    app: &App,
    grant: &Grant,
    client: &Client,
) -> Result<Grant, OAuthError> {
    let scope = grant.scope.intersection(&app.max_scope(client));
    if scope.is_empty() && !grant.scope.is_empty() {
        let text = "this client may have nothing of what was granted any more";
        return Err(OAuthError::new(ErrorCode::InvalidScope, text));
    }
    Ok(Grant { scope, ..grant.clone() })
}

/// Issues the access token and the ID token of a grant. `target` is what the access token is for.
pub(super) async fn issue_tokens(
    app: &App,
    (client, user): (&Client, Option<&User>),
    grant: &Grant,
    target: &Target,
) -> Result<IssuedTokens, TokenRequestError> {
    let issued =
        token_issuer::issue_access_token(app, client, TokenSource::Grant(grant), target).await?;
    let beside = HashedValues { access_token: Some(&issued.token), ..HashedValues::default() };
    let id_token = match user {
        Some(user) => token_issuer::issue_id_token(app, (client, user), grant, beside).await?,
        None => None,
    };
    let sub = grant.authentication.as_ref().map(|person| person.sub.as_str().to_owned());
    let response = TokenResponse { access_token: Some(issued), id_token, refresh_token: None };
    Ok(IssuedTokens { response, sub })
}

impl IssuedTokens {
    /// What the grant has to store for an opaque access token.
    pub fn opaque_token(&self) -> Option<&OpaqueAccessToken> {
        self.response.access_token.as_ref()?.opaque.as_ref()
    }

    /// With the refresh token of this generation.
    pub fn with_refresh_token(mut self, app: &App, client: &Client, token: RefreshToken) -> Self {
        self.response.refresh_token = Some(token.render(&client.id, &app.refresh_key));
        self
    }
}
