use tokio::join;

use super::response::{IssuedTokens, issue_tokens, restrict_to_allowed_scope};
use super::{TokenRequestError, target};
use crate::domain::grants::{self, Grant, GrantError, RefreshRequest, RefreshToken};
use crate::domain::sessions::{self, Session};
use crate::http::app::App;
use crate::http::authenticated_client::AuthenticatedClient;
use crate::protocol::{ErrorCode, OAuthError, Scope};

/// `grant_type=refresh_token` ([RFC 6749 §6]); the rotation is the table in [`grants`].
///
/// The tokens are issued first and stored in the step that rotates, so that nothing can fail after it. While client, user
/// and session are cached it takes two round trips to the store: the grant is read, and changed.
///
/// [RFC 6749 §6]: https://www.rfc-editor.org/rfc/rfc6749#section-6
pub(super) async fn refresh(
    app: &App,
    who: &AuthenticatedClient,
) -> Result<IssuedTokens, TokenRequestError> {
    let (client, now) = (&who.client, app.now());
    let missing = OAuthError::new(ErrorCode::InvalidRequest, "refresh_token is missing");
    let text = who.params.get("refresh_token").ok_or(missing)?;
    let token =
        RefreshToken::parse(text, &client.id, &app.refresh_key).ok_or(GrantError::Unknown)?;
    let loaded = grants::load(&*app.store, token.grant).await?.ok_or(GrantError::Unknown)?;
    let held = loaded.grant().clone();
    // Before the rotation, so that a scope that is too wide uses up nothing.
    // "It SHOULD NOT have a `nonce` Claim": the nonce belongs to the authorization request (OpenID Connect Core §12.2).
    let allowed = Grant { nonce: None, ..restrict_to_allowed_scope(app, &held, client)? };
    let scope = narrow_scope(who.params.get("scope"), &allowed.scope)?;
    let target = target::for_grant(app, client, &who.params, (&allowed, &scope))?;
    let holder = grants::check_active(&*app.store, &held, who.key_proof(), now).await?;
    let rotation = RefreshRequest {
        client: &client.id,
        presented: token.generation,
        grace: app.config.lifetimes.refresh_grace,
    };
    // Tokens are issued for a valid refresh token alone. Reuse ends the family in the step below.
    let made = match held.clone().rotate(rotation, now) {
        Ok(_) => Some(issue_tokens(app, (client, holder.user.as_ref()), &allowed, &target).await?),
        Err(_) => None,
    };
    let kept = made.as_ref().and_then(IssuedTokens::opaque_token);
    let step = |grant: &mut Grant| {
        if kept.is_some() {
            grant.check_opaque_limit(now)?;
        }
        let rotated = grant.rotate(rotation, now)?;
        if let Some(kept) = kept {
            grant.add_opaque_token(kept.clone(), now)?;
        }
        Ok::<_, GrantError>(rotated)
    };
    let session = holder.session.as_ref().filter(|_| made.is_some());
    let (outcome, ()) =
        join!(grants::update_from(&*app.store, loaded, step), touch_session(app, session));
    let generation = outcome?.ok_or(GrantError::Unknown)??;
    let made = made.ok_or(GrantError::Unknown)?;
    Ok(made.with_refresh_token(app, client, RefreshToken { grant: held.id, generation }))
}

/// Keeps the session from going idle, for its user is active in the application. A failure is logged: the tokens are issued
/// already.
async fn touch_session(app: &App, session: Option<&Session>) {
    let Some(session) = session else { return };
    let idle = app.config.lifetimes.session_idle;
    if let Err(cause) = sessions::touch(&*app.store, session, idle, app.now()).await {
        tracing::warn!(%cause, kind = cause.kind(), "a session could not be kept from going idle");
    }
}

/// A scope may shrink for this one access token, and never grow (RFC 6749 §6).
fn narrow_scope(asked: Option<&str>, granted: &Scope) -> Result<Scope, OAuthError> {
    let Some(asked) = asked else { return Ok(granted.clone()) };
    let asked: Option<Scope> = asked.parse().ok();
    asked
        .filter(|asked| asked.is_subset(granted) && !asked.is_empty())
        .ok_or(OAuthError::new(ErrorCode::InvalidScope, "scope asks for more than was granted"))
}
