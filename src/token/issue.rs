use std::time::Duration;

use serde_json::{Map, Value};

use super::Failure;
use crate::app::App;
use crate::clients::Client;
use crate::grants::{AccessId, Family, Grant, GrantId, Handle, Opaque, RefreshToken, Use};
use crate::protocol::Scope;
use crate::secret::Secret;
use crate::tokens::{self, ACCESS_TYP, ID_TYP};
use crate::users::User;

/// A token response ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)), and whom it
/// is about.
pub(super) struct Answer {
    pub body: Map<String, Value>,
    pub sub: Option<String>,
}

/// How long an access token of this client is good.
pub(super) fn access_lifetime(app: &App, client: &Client) -> Duration {
    let own = client.settings.access_token_lifetime;
    own.map_or(app.config.lifetimes.access_token, |own| Duration::from_secs(own.into()))
}

/// An opaque access token that has been rolled. Its grant has to remember it, in the very swap that
/// earns it: a store that fails in between would have spent a code for nothing.
pub(super) struct Rolled {
    text: String,
    token: Opaque,
}

impl Rolled {
    /// One for this grant; nothing where the client is given JWTs.
    pub(super) fn new(app: &App, client: &Client, grant: GrantId, scope: &Scope) -> Option<Self> {
        if !client.settings.opaque_access_tokens {
            return None;
        }
        let now = app.now();
        let handle = Handle { grant, secret: Secret::random() };
        let token = Opaque {
            secret: handle.secret.digest(),
            scope: scope.clone(),
            audience: tokens::audience(app.issuer(), client, scope),
            issued_at: now,
            expires_at: now.plus(access_lifetime(app, client)),
        };
        Some(Self { text: handle.render(Use::Access), token })
    }

    /// Files it with its grant.
    pub(super) fn remembered_by(&self, grant: &mut Grant) {
        grant.remember(self.token.clone(), self.token.issued_at);
    }
}

/// An access token for this client; with a grant, it is one of its credentials.
pub(super) async fn access_token(
    app: &App,
    client: &Client,
    grant: Option<&Grant>,
    scope: &Scope,
    rolled: Option<Rolled>,
) -> Result<(String, Duration), Failure> {
    let lifetime = access_lifetime(app, client);
    if let Some(rolled) = rolled {
        return Ok((rolled.text, lifetime));
    }
    let id = AccessId::fresh(grant.map(|grant| grant.id));
    let claims = tokens::access_claims(app.issuer(), client, grant, scope, id, lifetime, app.now());
    let token = app.keys.sign(ACCESS_TYP, claims).await.map_err(|_| Failure::Signing)?;
    Ok((token, lifetime))
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

/// Everything that goes back to the client for a grant. `scope` is what this access token allows.
pub(super) async fn answer(
    app: &App,
    (client, user): (&Client, Option<&User>),
    grant: &Grant,
    scope: &Scope,
    (generation, rolled): (Option<u64>, Option<Rolled>),
) -> Result<Answer, Failure> {
    let (access, lifetime) = access_token(app, client, Some(grant), scope, rolled).await?;
    let mut body = Map::new();
    if let Some(user) = user
        && let Some(id_token) = id_token(app, (client, user), grant, &access).await?
    {
        body.insert("id_token".into(), id_token.into());
    }
    body.insert("access_token".into(), access.into());
    body.insert("token_type".into(), "Bearer".into());
    body.insert("expires_in".into(), lifetime.as_secs().into());
    body.insert("scope".into(), scope.to_string().into());
    if let Some(generation) = generation {
        let token = RefreshToken { grant: grant.id, generation };
        body.insert("refresh_token".into(), token.render(&client.id, &app.refresh_key).into());
    }
    let sub = grant.person.as_ref().map(|person| person.sub.as_str().to_owned());
    Ok(Answer { body, sub })
}
