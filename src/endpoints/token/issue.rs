use std::time::Duration;

use super::Failure;
use crate::domain::clients::Client;
use crate::domain::grants::{Family, Grant, Opaque, RefreshToken};
use crate::domain::resources::Target;
use crate::domain::token_claims::{Behind, Beside};
use crate::domain::users::User;
use crate::http::app::App;
use crate::http::token_issuer;
use crate::http::token_response::TokenResponse;
use crate::protocol::{ErrorCode, OAuthError};

/// What a grant type answers with, and whom it is about. The tokens are made before the step that pays for them:
/// nothing can fail between that step and the client.
pub(super) struct Answer {
    pub response: TokenResponse,
    /// The local subject, for the audit log; absent for a client acting for itself.
    pub sub: Option<String>,
}

/// The refresh tokens a client's grant begins with; none where it did not register for them.
pub(super) fn new_family(app: &App, client: &Client) -> Option<Family> {
    use crate::protocol::GrantType::RefreshToken;
    if !client.metadata.grant_types.contains(&RefreshToken) {
        return None;
    }
    let seconds =
        |own: Option<u32>, default| own.map_or(default, |own| Duration::from_secs(own.into()));
    let lifetimes = &app.config.lifetimes;
    let idle = seconds(client.settings.refresh_token_idle_lifetime, lifetimes.refresh_idle);
    let absolute = seconds(client.settings.refresh_token_lifetime, lifetimes.refresh_absolute);
    Some(Family::begin(idle, absolute, app.now()))
}

/// The grant as far as the client may still have what was granted: an operator, or the client itself, may
/// have taken a scope from it since.
pub(super) fn still_allowed(
    app: &App,
    grant: &Grant,
    client: &Client,
) -> Result<Grant, OAuthError> {
    let scope = grant.scope.intersection(&app.scope_ceiling(client));
    if scope.is_empty() && !grant.scope.is_empty() {
        let text = "this client may have nothing of what was granted any more";
        return Err(OAuthError::new(ErrorCode::InvalidScope, text));
    }
    Ok(Grant { scope, ..grant.clone() })
}

/// Everything that goes back to the client for a grant, but for the refresh token. `target` is what this
/// access token is for.
pub(super) async fn answer(
    app: &App,
    (client, user): (&Client, Option<&User>),
    grant: &Grant,
    target: &Target,
) -> Result<Answer, Failure> {
    let issued = token_issuer::access_token(app, client, Behind::Grant(grant), target).await?;
    let beside = Beside { access_token: Some(&issued.token), ..Beside::default() };
    let id_token = match user {
        Some(user) => token_issuer::id_token(app, (client, user), grant, beside).await?,
        None => None,
    };
    let sub = grant.person.as_ref().map(|person| person.sub.as_str().to_owned());
    let response = TokenResponse { access_token: Some(issued), id_token, refresh_token: None };
    Ok(Answer { response, sub })
}

impl Answer {
    /// What the grant has to store in the step that pays for the tokens.
    pub fn opaque(&self) -> Option<&Opaque> {
        self.response.access_token.as_ref()?.opaque.as_ref()
    }

    /// With the refresh token of this generation.
    pub fn with_refresh(mut self, app: &App, client: &Client, token: RefreshToken) -> Self {
        self.response.refresh_token = Some(token.render(&client.id, &app.refresh_key));
        self
    }
}
