use super::Failure;
use super::issue::{Answer, Rolled, answer};
use crate::app::App;
use crate::grants::{self, Grant, RefreshToken, Refusal, Rotation};
use crate::http::client::Authenticated;
use crate::protocol::{ErrorCode, OAuthError, Scope};
use crate::sessions;

/// `grant_type=refresh_token` ([RFC 6749 §6]); the rotation is the table in [`grants`].
///
/// [RFC 6749 §6]: https://www.rfc-editor.org/rfc/rfc6749#section-6
pub(super) async fn refresh(app: &App, who: &Authenticated) -> Result<Answer, Failure> {
    let (client, now) = (&who.client, app.now());
    let missing = OAuthError::new(ErrorCode::InvalidRequest, "refresh_token is missing");
    let text = who.params.get("refresh_token").ok_or(missing)?;
    let token = RefreshToken::parse(text, &client.id, &app.refresh_key).ok_or(Refusal::Unknown)?;
    let grant = grants::find(&*app.store, token.grant).await?.ok_or(Refusal::Unknown)?;
    // Before the rotation, so that a scope that is too wide costs the client nothing.
    let scope = narrowed(who.params.get("scope"), &grant.scope)?;
    let holder = grants::may_issue(&*app.store, &grant, now).await?.map_err(Refusal::Denied)?;
    let rotation = Rotation {
        client: &client.id,
        presented: token.generation,
        grace: app.config.lifetimes.refresh_grace,
    };
    let rolled = Rolled::new(app, client, grant.id, &scope);
    let step = |grant: &mut Grant| {
        let rotated = grant.rotate(rotation, now);
        if let (Ok(_), Some(rolled)) = (rotated, &rolled) {
            rolled.remembered_by(grant);
        }
        (rotated, grant.clone())
    };
    let key = token.grant.key();
    let outcome = app.store.update(&key, step).await?;
    let (rotated, grant) = outcome.ok_or(Refusal::Unknown)?;
    let generation = rotated?;
    touch_session(app, &grant).await?;
    let user = holder.user.as_ref();
    answer(app, (client, user), &grant, &scope, (Some(generation), rolled)).await
}

/// A scope may shrink for this one access token, and never grow (RFC 6749 §6).
fn narrowed(asked: Option<&str>, granted: &Scope) -> Result<Scope, OAuthError> {
    let Some(asked) = asked else { return Ok(granted.clone()) };
    let asked: Option<Scope> = asked.parse().ok();
    asked
        .filter(|asked| asked.is_within(granted) && !asked.is_empty())
        .ok_or(OAuthError::new(ErrorCode::InvalidScope, "scope asks for more than was granted"))
}

/// An application at work keeps its person's session from going idle.
async fn touch_session(app: &App, grant: &Grant) -> Result<(), Failure> {
    let Some(person) = grant.person.as_ref().filter(|person| person.bound_to_session) else {
        return Ok(());
    };
    if let Some(session) = sessions::find_named(&*app.store, person.sid, app.now()).await? {
        let idle = app.config.lifetimes.session_idle;
        sessions::touch(&*app.store, &session, idle, app.now()).await?;
    }
    Ok(())
}
