use tokio::join;

use super::issue::{Answer, answer, still_allowed};
use super::{Failure, target};
use crate::domain::grants::{self, Grant, RefreshToken, Refusal, Rotation};
use crate::domain::sessions::{self, Session};
use crate::http::app::App;
use crate::http::client::Authenticated;
use crate::protocol::{ErrorCode, OAuthError, Scope};

/// `grant_type=refresh_token` ([RFC 6749 §6]); the rotation is the table in [`grants`].
///
/// The tokens are made first and remembered in the step that rotates, so that nothing can fail after it.
/// With what others need kept at hand it takes two round trips to the store: the grant is read, and it is
/// changed.
///
/// [RFC 6749 §6]: https://www.rfc-editor.org/rfc/rfc6749#section-6
pub(super) async fn refresh(app: &App, who: &Authenticated) -> Result<Answer, Failure> {
    let (client, now) = (&who.client, app.now());
    let missing = OAuthError::new(ErrorCode::InvalidRequest, "refresh_token is missing");
    let text = who.params.get("refresh_token").ok_or(missing)?;
    let token = RefreshToken::parse(text, &client.id, &app.refresh_key).ok_or(Refusal::Unknown)?;
    let loaded = grants::load(&*app.store, token.grant).await?.ok_or(Refusal::Unknown)?;
    let held = loaded.grant().clone();
    // Before the rotation, so that a scope that is too wide costs the client nothing.
    // "It SHOULD NOT have a `nonce` Claim": that is of the request the person answered (OpenID Connect Core §12.2).
    let allowed = Grant { nonce: None, ..still_allowed(app, &held, client)? };
    let scope = narrowed(who.params.get("scope"), &allowed.scope)?;
    let target = target::of_grant(app, client, &who.params, (&allowed, &scope))?;
    let holder = grants::may_issue(&*app.store, &held, who.proven_key.as_ref(), now).await?;
    let rotation = Rotation {
        client: &client.id,
        presented: token.generation,
        grace: app.config.lifetimes.refresh_grace,
    };
    // Tokens are made for a refresh token that will do. What another one ends is ended in the step.
    let made = match held.clone().rotate(rotation, now) {
        Ok(_) => Some(answer(app, (client, holder.user.as_ref()), &allowed, &target).await?),
        Err(_) => None,
    };
    let kept = made.as_ref().and_then(Answer::opaque);
    let step = |grant: &mut Grant| {
        if kept.is_some() {
            grant.has_room(now)?;
        }
        let rotated = grant.rotate(rotation, now)?;
        if let Some(kept) = kept {
            grant.remember(kept.clone(), now)?;
        }
        Ok::<_, Refusal>(rotated)
    };
    let session = holder.session.as_ref().filter(|_| made.is_some());
    let (outcome, ()) =
        join!(grants::update_from(&*app.store, loaded, step), keep_going(app, session));
    let generation = outcome?.ok_or(Refusal::Unknown)??;
    let made = made.ok_or(Refusal::Unknown)?;
    Ok(made.with_refresh(app, client, RefreshToken { grant: held.id, generation }))
}

/// An application at work keeps its person's session from going idle. If it does not for once, that is
/// no reason to keep back tokens that are paid for.
async fn keep_going(app: &App, session: Option<&Session>) {
    let Some(session) = session else { return };
    let idle = app.config.lifetimes.session_idle;
    if let Err(cause) = sessions::touch(&*app.store, session, idle, app.now()).await {
        tracing::warn!(%cause, kind = cause.kind(), "a session could not be kept from going idle");
    }
}

/// A scope may shrink for this one access token, and never grow (RFC 6749 §6).
fn narrowed(asked: Option<&str>, granted: &Scope) -> Result<Scope, OAuthError> {
    let Some(asked) = asked else { return Ok(granted.clone()) };
    let asked: Option<Scope> = asked.parse().ok();
    asked
        .filter(|asked| asked.is_subset(granted) && !asked.is_empty())
        .ok_or(OAuthError::new(ErrorCode::InvalidScope, "scope asks for more than was granted"))
}
