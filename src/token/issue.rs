use std::time::Duration;

use serde_json::{Map, Value};

use super::Failure;
use crate::app::App;
use crate::clients::Client;
use crate::grants::{AccessId, Family, Grant, Handle, Opaque, RefreshToken, Use};
use crate::protocol::Scope;
use crate::secret::Secret;
use crate::tokens::{self, ACCESS_TYP, ID_TYP};
use crate::users::User;

/// A token response ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)), and whom it
/// is about. It is made before the step that pays for it: nothing can fail between that step and the
/// client.
pub(super) struct Answer {
    pub body: Map<String, Value>,
    pub sub: Option<String>,
    /// What the grant has to remember in that step for the access token to be good.
    pub kept: Option<Opaque>,
}

/// An access token, and what its grant has to remember of it.
pub(super) struct Access {
    pub token: String,
    pub lifetime: Duration,
    pub kept: Option<Opaque>,
}

/// An access token for this client; with a grant, it is one of its credentials.
pub(super) async fn access_token(
    app: &App,
    client: &Client,
    grant: Option<&Grant>,
    scope: &Scope,
) -> Result<Access, Failure> {
    let lifetime = client
        .settings
        .access_token_lifetime
        .map_or(app.config.lifetimes.access_token, |own| Duration::from_secs(own.into()));
    if let Some(grant) = grant.filter(|_| client.settings.opaque_access_tokens) {
        return Ok(opaque(app, client, grant, scope, lifetime));
    }
    let id = AccessId::fresh(grant.map(|grant| grant.id));
    let claims = tokens::access_claims(app.issuer(), client, grant, scope, id, lifetime, app.now());
    let token = app.keys.sign(ACCESS_TYP, claims).await.map_err(|_| Failure::Signing)?;
    Ok(Access { token, lifetime, kept: None })
}

fn opaque(app: &App, client: &Client, grant: &Grant, scope: &Scope, lifetime: Duration) -> Access {
    let now = app.now();
    let handle = Handle { grant: grant.id, secret: Secret::random() };
    let kept = Opaque {
        secret: handle.secret.digest(),
        scope: scope.clone(),
        audience: tokens::audience(app.issuer(), client, scope),
        issued_at: now,
        expires_at: now.plus(lifetime),
    };
    Access { token: handle.render(Use::Access), lifetime, kept: Some(kept) }
}

/// The ID token of a grant with a person in it.
pub(super) async fn id_token(
    app: &App,
    (client, user): (&Client, &User),
    grant: &Grant,
    access_token: &str,
) -> Result<Option<String>, Failure> {
    let Some(person) = grant.person.as_ref().filter(|_| grant.scope.contains("openid")) else {
        return Ok(None);
    };
    let lifetime = client
        .settings
        .id_token_lifetime
        .map_or(app.config.lifetimes.id_token, |own| Duration::from_secs(own.into()));
    let subject = tokens::IdSubject { grant, person, client, user };
    let claims =
        tokens::id_claims(app.issuer(), subject, &app.catalogue, access_token, lifetime, app.now());
    app.keys.sign(ID_TYP, claims).await.map(Some).map_err(|_| Failure::Signing)
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

/// Everything that goes back to the client for a grant, but for the refresh token. `scope` is what this
/// access token allows.
pub(super) async fn answer(
    app: &App,
    (client, user): (&Client, Option<&User>),
    grant: &Grant,
    scope: &Scope,
) -> Result<Answer, Failure> {
    let Access { token, lifetime, kept } = access_token(app, client, Some(grant), scope).await?;
    let mut body = Map::new();
    if let Some(user) = user
        && let Some(id_token) = id_token(app, (client, user), grant, &token).await?
    {
        body.insert("id_token".into(), id_token.into());
    }
    body.insert("access_token".into(), token.into());
    body.insert("token_type".into(), "Bearer".into());
    body.insert("expires_in".into(), lifetime.as_secs().into());
    body.insert("scope".into(), scope.to_string().into());
    let sub = grant.person.as_ref().map(|person| person.sub.as_str().to_owned());
    Ok(Answer { body, sub, kept })
}

impl Answer {
    /// With the refresh token of this generation.
    pub fn with_refresh(mut self, app: &App, client: &Client, token: RefreshToken) -> Self {
        let text = token.render(&client.id, &app.refresh_key);
        self.body.insert("refresh_token".into(), text.into());
        self
    }
}
