//! Making tokens: the claims of [`crate::tokens`], put under the house's signature.
//!
//! Both endpoints that issue come here: the token endpoint, and the authorization endpoint for what goes
//! through the browser.

use std::time::Duration;

use crate::app::App;
use crate::clients::Client;
use crate::grants::{AccessId, Grant, Handle, Opaque, Use};
use crate::protocol::Scope;
use crate::secret::Secret;
use crate::tokens::{self, ACCESS_TYP, Beside, ID_TYP, IdSubject};
use crate::users::User;

/// A signature could not be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotSigned;

/// An access token, and what its grant has to remember of it.
pub struct Access {
    /// As the client gets it.
    pub token: String,
    /// How long it is good.
    pub lifetime: Duration,
    /// Of an opaque one.
    pub kept: Option<Opaque>,
}

/// How long this client's access tokens are good.
pub fn access_lifetime(app: &App, client: &Client) -> Duration {
    let own = client.settings.access_token_lifetime;
    own.map_or(app.config.lifetimes.access_token, |own| Duration::from_secs(own.into()))
}

/// An access token for this client; with a grant, it is one of its credentials.
pub async fn access_token(
    app: &App,
    client: &Client,
    grant: Option<&Grant>,
    scope: &Scope,
) -> Result<Access, NotSigned> {
    let lifetime = access_lifetime(app, client);
    if let Some(grant) = grant.filter(|_| client.settings.opaque_access_tokens) {
        return Ok(opaque(app, client, grant, scope, lifetime));
    }
    let id = AccessId::fresh(grant.map(|grant| grant.id));
    let person = grant.and_then(|grant| grant.person.as_ref());
    let seen_as = person.map(|person| app.seen_by(client, &person.sub));
    let about = (grant, seen_as.as_ref());
    let claims = tokens::access_claims(app.issuer(), client, about, scope, id, lifetime, app.now());
    let token = app.keys.sign(ACCESS_TYP, claims).await.map_err(|_| NotSigned)?;
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

/// The ID token of a grant with a person in it; `None` where `openid` was not granted.
pub async fn id_token(
    app: &App,
    (client, user): (&Client, &User),
    grant: &Grant,
    beside: Beside<'_>,
) -> Result<Option<String>, NotSigned> {
    let Some(person) = grant.person.as_ref().filter(|_| grant.scope.contains("openid")) else {
        return Ok(None);
    };
    let own = client.settings.id_token_lifetime;
    let lifetime = own.map_or(app.config.lifetimes.id_token, |own| Duration::from_secs(own.into()));
    let seen_as = app.seen_by(client, &person.sub);
    let subject = IdSubject { grant, person, client, user, seen_as: &seen_as };
    let claims =
        tokens::id_claims(app.issuer(), subject, &app.catalogue, beside, lifetime, app.now());
    app.keys.sign(ID_TYP, claims).await.map(Some).map_err(|_| NotSigned)
}
