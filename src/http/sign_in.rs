//! From an [`Authentication`] to a session: the same for every authenticator.

use axum::http::header;
use axum::response::Response;

use super::authorization_response::see_other;
use super::cookies::{self, Cookies};
use super::interaction_context::InteractionContext;
use super::request_info::RequestInfo;
use crate::domain::authenticators::{Authentication, SignInPolicy};
use crate::domain::epoch::{self, EpochOwner};
use crate::domain::events::{Event, SignOutCause};
use crate::domain::interactions;
use crate::domain::logout_notifications;
use crate::domain::sessions::{self, Session};
use crate::domain::users;
use crate::http::app::App;
use crate::infra::store::{Consistency, StoreError};

/// What became of an authentication.
pub enum SignIn {
    /// The redirect to `/authorize`, with the cookies of the session if it has begun.
    Accepted(Response),
    /// What it rests on was changed while it was checked: the password, or whether the account is enabled.
    Outdated,
}

/// Begins the session if the policy is met, and else keeps in the interaction what was proven so far, so that
/// `/authorize` asks for the rest.
///
/// The epoch of the authentication is from before the check. A change of the evidence begins another epoch, and
/// so does disabling the account: such an authentication is [`SignIn::Outdated`], and a session that begins at
/// the same moment is of the epoch before and opens nothing.
pub async fn complete(
    app: &App,
    caller: &RequestInfo,
    cookies: &Cookies,
    context: &InteractionContext,
    authentication: Authentication,
) -> Result<SignIn, StoreError> {
    let owner = EpochOwner::User(authentication.sub.clone());
    let current = epoch::current(&*app.store, &owner, Consistency::Strong).await?;
    let user = users::find(&*app.store, &authentication.sub).await?.filter(|user| user.enabled);
    let Some(user) = user.filter(|_| current == authentication.epoch) else {
        return Ok(SignIn::Outdated);
    };
    let authentication = match &context.interaction.authentication {
        Some(earlier) => authentication.after(earlier),
        None => authentication,
    };
    let mut response = see_other(&context.dispatch_path());
    if !SignInPolicy::default().is_met_by(&authentication) {
        let keep = |it: &mut interactions::Interaction| {
            it.authentication = Some(authentication.clone());
        };
        interactions::update_open(&*app.store, &context.id, keep).await?;
        return Ok(SignIn::Accepted(response));
    }
    let session_cookie =
        begin_session(app, caller, cookies, context, &user.username, authentication.clone())
            .await?;
    let headers = response.headers_mut();
    headers.append(header::SET_COOKIE, session_cookie);
    let mut device = cookies.device.clone().unwrap_or_default();
    device.add_user(&authentication.sub, authentication.epoch, app.now());
    if let Some(known) = cookies::set_device(app, &device) {
        headers.append(header::SET_COOKIE, known);
    }
    // For the same user nothing changes that an application would have to look at.
    let same = previous_session(context, &authentication).is_some();
    if app.config.session_management && (!same || caller.browser_state.is_empty()) {
        headers.append(header::SET_COOKIE, cookies::set_state(app));
    }
    Ok(SignIn::Accepted(response))
}

/// Begins a session under a new id, and ends the one that this browser had, of whichever user ([OWASP ASVS
/// 7.2.4]). Returns the `Set-Cookie` line of the new one.
///
/// [OWASP ASVS 7.2.4]: https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x16-V7-Session-Management.md
async fn begin_session(
    app: &App,
    caller: &RequestInfo,
    cookies: &Cookies,
    context: &InteractionContext,
    username: &str,
    authentication: Authentication,
) -> Result<axum::http::HeaderValue, StoreError> {
    // The same user again: applications keep the session's name, so that a later sign-out reaches all of
    // them. A form that was sent twice makes two sessions of one name, whichever of them the browser keeps.
    let sid = previous_session(context, &authentication)
        .map_or_else(|| context.session_sid(app, &authentication.sub), |previous| previous.sid);
    let (mut session, cookie) = Session::begin(authentication, app.session_lifetimes());
    session.sid = sid;
    // The old session ends last: a store that fails in between leaves the browser with a session.
    let session = sessions::begin(&*app.store, &session, None).await?;
    let (sub, client) = (session.sub.as_str(), context.client.id.as_str());
    app.record_event(caller.address, &Event::SignedIn { sub, username, client });
    interactions::update_open(&*app.store, &context.id, |it| it.record_sign_in(&session)).await?;
    if let Some(old) = cookies.session()
        && let Some((ended, told)) =
            logout_notifications::replace_session(&*app.store, old, session.sid, app.now()).await?
    {
        let (sub, how) = (ended.sub.as_str(), SignOutCause::Replaced);
        app.record_event(caller.address, &Event::SignedOut { sub, how });
        app.notify_logout_workers(&told);
    }
    Ok(cookies::set_session(app, &cookie))
}

/// The session that this browser has, if it is the same user's.
fn previous_session<'a>(
    context: &'a InteractionContext,
    authentication: &Authentication,
) -> Option<&'a Session> {
    let session = context.browser_session.session.as_ref().map(|(session, _)| session);
    session.filter(|session| session.sub == authentication.sub)
}
