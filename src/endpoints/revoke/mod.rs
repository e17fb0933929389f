//! Revocation ([RFC 7009]): a client gives back what it no longer needs.
//!
//! | path | does | writes |
//! |---|---|---|
//! | `POST /revoke` | ends a refresh token and all of its grant, or one access token | the grant; `RevokedToken` for a token without one |
//!
//! The answer is 200 with nothing in it whether there was something to end or not, and also where the
//! token is somebody else's, which stays as it is. It is 503, not 200, when the store did not take it
//! ([RFC 7009 §2.2.1]).
//!
//! [RFC 7009]: https://www.rfc-editor.org/rfc/rfc7009
//! [RFC 7009 §2.2.1]: https://www.rfc-editor.org/rfc/rfc7009#section-2.2.1

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use uuid::Uuid;

use crate::config::Config;
use crate::domain::clients::ClientId;
use crate::domain::events::{Event, RevokedKind};
use crate::domain::grants::{self, AccessId, Grant, GrantId, Handle, RefreshToken, Use, Why};
use crate::domain::token_claims::{self, RevokedToken};
use crate::http::app::App;
use crate::http::client::Authenticated;
use crate::http::error::{ApiError, no_store};
use crate::infra::clock::UnixTime;
use crate::infra::jose::read;
use crate::infra::store::StoreError;
use crate::protocol::{AuthMethod, ProviderMetadata};

const PATH: &str = "/revoke";
/// How long after a token's end its revocation is still remembered, for servers whose clocks differ.
const AFTERLIFE: Duration = Duration::from_mins(1);

/// What discovery says about it: public clients too may end what is theirs.
pub fn advertise(metadata: &mut ProviderMetadata, config: &Config) {
    metadata.revocation_endpoint = Some(config.issuer.url(PATH));
    metadata.revocation_endpoint_auth_methods_supported =
        config.offer.auth_methods().map(AuthMethod::as_str).collect();
    metadata.revocation_endpoint_auth_signing_alg_values_supported =
        config.offer.assertion_alg_names();
}

/// `POST /revoke`. The type hint is not read: the text itself says what it is (RFC 7009 §2.1 makes it a hint only).
pub async fn revoke(
    State(app): State<App>,
    Authenticated { client, params, caller, .. }: Authenticated,
) -> Result<Response, ApiError> {
    let token = params.get("token").ok_or_else(|| ApiError::invalid("token is required"))?;
    let ended = match Found::read(&app, &client.id, token) {
        Some(found) => found.end(&app, &client.id).await?,
        None => None,
    };
    if let Some(what) = ended {
        app.tell(caller.address, &Event::Revoked { client: client.id.as_str(), what });
    }
    Ok(no_store(()))
}

/// A token as far as its text proves anything.
enum Found {
    /// Its MAC is ours and names this client.
    Refresh(RefreshToken),
    /// Whether it is one is for the grant to say.
    Opaque(Handle),
    /// Its signature is ours and it was issued to this client.
    Jwt { id: AccessId, expires_at: UnixTime },
}

impl Found {
    fn read(app: &App, client: &ClientId, token: &str) -> Option<Self> {
        if let Some(refresh) = RefreshToken::parse(token, client, &app.refresh_key) {
            return Some(Self::Refresh(refresh));
        }
        if let Some(handle) = Handle::parse(Use::Access, token) {
            return Some(Self::Opaque(handle));
        }
        // The signature first: no claim of a token that is not ours leads anywhere.
        let claims = token_claims::verify_access_token(&app.keys, token).ok()?;
        let text = |name| read::text(&claims, name).ok().flatten();
        if text("iss") != Some(app.issuer()) || text("client_id") != Some(client.as_str()) {
            return None;
        }
        let expires_at = UnixTime::from_secs(read::seconds(&claims, "exp").ok()??);
        let id = AccessId::parse(text("jti")?)?;
        (app.now() < expires_at).then_some(Self::Jwt { id, expires_at })
    }

    /// Ends it, and answers what it was if there was anything to end.
    async fn end(self, app: &App, client: &ClientId) -> Result<Option<RevokedKind>, StoreError> {
        let now = app.now();
        match self {
            Self::Refresh(token) => {
                let step = |grant: &mut Grant| grant.revoke(now, Why::Requested);
                let done = on_grant(app, token.grant, client, step).await?;
                Ok(done.map(|()| RevokedKind::RefreshToken))
            }
            Self::Opaque(handle) => {
                let secret = handle.secret.digest();
                let step = |grant: &mut Grant| {
                    let known = grant.opaque(&secret, now).is_some();
                    grant.revoke_opaque(&secret);
                    known
                };
                let done = on_grant(app, handle.grant, client, step).await?;
                Ok(done.filter(|known| *known).map(|_| RevokedKind::AccessToken))
            }
            Self::Jwt { id: AccessId { grant: Some(grant), token }, expires_at } => {
                let step = |grant: &mut Grant| grant.revoke_access(token, expires_at, now);
                let done = on_grant(app, grant, client, step).await?;
                Ok(done.map(|()| RevokedKind::AccessToken))
            }
            Self::Jwt { id: AccessId { grant: None, token }, expires_at } => {
                remember(app, token, expires_at).await?;
                Ok(Some(RevokedKind::AccessToken))
            }
        }
    }
}

/// Takes a step on the client's own grant; nothing happens to another client's.
async fn on_grant<T: Send>(
    app: &App,
    id: GrantId,
    client: &ClientId,
    mut step: impl FnMut(&mut Grant) -> T + Send,
) -> Result<Option<T>, StoreError> {
    let own = |grant: &mut Grant| (grant.client == *client).then(|| step(grant));
    // Also what is revoked already: whoever asks again may have been told that it could not be made sure.
    Ok(grants::update_anew(&*app.store, id, own, Option::is_some).await?.flatten())
}

/// A token without a grant has nothing that could be ended: that it was is all there is to note.
async fn remember(app: &App, token: Uuid, expires_at: UnixTime) -> Result<(), StoreError> {
    app.store.put(&RevokedToken { token, until: expires_at.plus(AFTERLIFE) }).await
}
