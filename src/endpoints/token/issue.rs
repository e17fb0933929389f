use std::time::Duration;

use serde_json::{Map, Value};

use super::Failure;
use crate::domain::clients::Client;
use crate::domain::grants::{Family, Grant, Opaque, RefreshToken};
use crate::domain::resources::Target;
use crate::domain::token_claims::{Behind, Beside};
use crate::domain::users::User;
use crate::http::app::App;
use crate::http::token_issuer::{self, IssuedAccessToken};
use crate::protocol::{ErrorCode, OAuthError, Scope};

/// A token response ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)), and whom it
/// is about. It is made before the step that pays for it: nothing can fail between that step and the
/// client.
pub(super) struct Answer {
    pub body: Map<String, Value>,
    pub sub: Option<String>,
    /// What the grant has to remember in that step for the access token to be good.
    pub kept: Option<Opaque>,
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
    let scope = grant.scope.shared_with(&app.scope_ceiling(client));
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
    let mut body = body(&issued, &target.scope);
    let beside = Beside { access_token: Some(&issued.token), ..Beside::default() };
    if let Some(user) = user
        && let Some(id_token) = token_issuer::id_token(app, (client, user), grant, beside).await?
    {
        body.insert("id_token".into(), id_token.into());
    }
    let sub = grant.person.as_ref().map(|person| person.sub.as_str().to_owned());
    Ok(Answer { body, sub, kept: issued.kept })
}

/// What every answer has.
pub(super) fn body(issued: &IssuedAccessToken, scope: &Scope) -> Map<String, Value> {
    let members = issued.members(scope);
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl Answer {
    /// With the refresh token of this generation.
    pub fn with_refresh(mut self, app: &App, client: &Client, token: RefreshToken) -> Self {
        let text = token.render(&client.id, &app.refresh_key);
        self.body.insert("refresh_token".into(), text.into());
        self
    }
}
