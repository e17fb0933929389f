//! Revocation ([RFC 7009]): a client revokes its own tokens.
//!
//! | path | does | writes |
//! |---|---|---|
//! | `POST /revoke` | ends a refresh token and all of its grant, or one access token | the grant; `RevokedToken` for a token without one |
//!
//! The response is 200 without a body, whether or not there was a token to revoke. A token of another client stays as it
//! is. The response is 503 when the store did not take the change ([RFC 7009 §2.2.1]).
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
use crate::domain::grants::{
    self, AccessTokenId, Grant, GrantId, OpaqueToken, RefreshToken, RevocationReason, TokenKind,
};
use crate::domain::token_claims::{self, RevokedToken};
use crate::http::app::App;
use crate::http::authenticated_client::AuthenticatedClient;
use crate::http::error::{ApiError, no_store};
use crate::infra::clock::UnixTime;
use crate::infra::jose::claims;
use crate::infra::store::StoreError;
use crate::protocol::{AuthMethod, ProviderMetadata};

const PATH: &str = "/revoke";
/// How long after its `exp` a revoked token is still stored, for servers whose clocks differ.
const REVOCATION_RETENTION: Duration = Duration::from_mins(1);

/// Adds the members of this endpoint to the provider metadata: public clients may revoke their tokens, too.
pub fn add_metadata(metadata: &mut ProviderMetadata, config: &Config) {
    metadata.revocation_endpoint = Some(config.issuer.url(PATH));
    metadata.revocation_endpoint_auth_methods_supported =
        config.offer.auth_methods().map(AuthMethod::as_str).collect();
    metadata.revocation_endpoint_auth_signing_alg_values_supported =
        config.offer.assertion_alg_names();
}

/// `POST /revoke`. The type hint is not read: the text itself says what it is (RFC 7009 §2.1 makes it a hint only).
pub async fn revoke(
    State(app): State<App>,
    AuthenticatedClient { client, params, caller, .. }: AuthenticatedClient,
) -> Result<Response, ApiError> {
    let token = params.get("token").ok_or_else(|| ApiError::invalid("token is required"))?;
    let ended = match ParsedToken::parse(&app, &client.id, token) {
        Some(token) => token.revoke(&app, &client.id).await?,
        None => None,
    };
    if let Some(what) = ended {
        app.record_event(caller.address, &Event::Revoked { client: client.id.as_str(), what });
    }
    Ok(no_store(()))
}

/// A token to revoke, as far as it can be verified without the store.
enum ParsedToken {
    /// Its MAC is ours and names this client.
    Refresh(RefreshToken),
    /// Only its grant can verify it.
    OpaqueAccessToken(OpaqueToken),
    /// Its signature is ours and it was issued to this client.
    Jwt { id: AccessTokenId, expires_at: UnixTime },
}

impl ParsedToken {
    fn parse(app: &App, client: &ClientId, token: &str) -> Option<Self> {
        if let Some(refresh) = RefreshToken::parse(token, client, &app.refresh_key) {
            return Some(Self::Refresh(refresh));
        }
        if let Some(handle) = OpaqueToken::parse(TokenKind::Access, token) {
            return Some(Self::OpaqueAccessToken(handle));
        }
        // The signature first: no claim of a token that is not ours is used.
        let claims = token_claims::verify_access_token(&app.keys, token).ok()?;
        let text = |name| claims::text(&claims, name).ok().flatten();
        if text("iss") != Some(app.issuer()) || text("client_id") != Some(client.as_str()) {
            return None;
        }
        let expires_at = UnixTime::from_secs(claims::seconds(&claims, "exp").ok()??);
        let id = AccessTokenId::parse(text("jti")?)?;
        (app.now() < expires_at).then_some(Self::Jwt { id, expires_at })
    }

    /// Revokes it, and answers what it was if there was something to revoke.
    async fn revoke(self, app: &App, client: &ClientId) -> Result<Option<RevokedKind>, StoreError> {
        let now = app.now();
        match self {
            Self::Refresh(token) => {
                let step = |grant: &mut Grant| grant.revoke(now, RevocationReason::Requested);
                let done = update_own_grant(app, token.grant, client, step).await?;
                Ok(done.map(|()| RevokedKind::RefreshToken))
            }
            Self::OpaqueAccessToken(handle) => {
                let secret = handle.secret.digest();
                let step = |grant: &mut Grant| {
                    let known = grant.find_opaque_token(&secret, now).is_some();
                    grant.revoke_opaque_token(&secret);
                    known
                };
                let done = update_own_grant(app, handle.grant, client, step).await?;
                Ok(done.filter(|known| *known).map(|_| RevokedKind::AccessToken))
            }
            Self::Jwt { id: AccessTokenId { grant: Some(grant), token }, expires_at } => {
                let step = |grant: &mut Grant| grant.revoke_access_token(token, expires_at, now);
                let done = update_own_grant(app, grant, client, step).await?;
                Ok(done.map(|()| RevokedKind::AccessToken))
            }
            Self::Jwt { id: AccessTokenId { grant: None, token }, expires_at } => {
                store_revoked(app, token, expires_at).await?;
                Ok(Some(RevokedKind::AccessToken))
            }
        }
    }
}

/// Changes the grant if it belongs to this client.
async fn update_own_grant<T: Send>(
    app: &App,
    id: GrantId,
    client: &ClientId,
    mut step: impl FnMut(&mut Grant) -> T + Send,
) -> Result<Option<T>, StoreError> {
    let own = |grant: &mut Grant| (grant.client == *client).then(|| step(grant));
    // Written again also where it is revoked already: the replicas may not have acknowledged the first write.
    Ok(grants::update_anew(&*app.store, id, own, Option::is_some).await?.flatten())
}

/// Stores that a token without a grant is revoked.
async fn store_revoked(app: &App, token: Uuid, expires_at: UnixTime) -> Result<(), StoreError> {
    app.store.put(&RevokedToken { token, until: expires_at.plus(REVOCATION_RETENTION) }).await
}
