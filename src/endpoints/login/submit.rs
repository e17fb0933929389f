use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Response;
use tracing::Instrument as _;

use crate::domain::epoch::{self, Epoch, Owner};
use crate::domain::events::{Actor, Event, SignInFailure, SignOutCause};
use crate::domain::interactions;
use crate::domain::logout_notifications;
use crate::domain::sessions::{self, Session};
use crate::domain::users::{self, Credentials, Failed, NotSignedIn, SignIn, SignedIn, Typed, User};
use crate::http::answer::see_other;
use crate::http::app::App;
use crate::http::caller::Caller;
use crate::http::cookies::{self, Cookies};
use crate::http::error::ApiError;
use crate::http::form::Form;
use crate::http::login_page::Alert;
use crate::http::trouble::Trouble;
use crate::http::visit::Visit;
use crate::infra::store::{AsOf, StoreError};
use crate::protocol::{Params, Subject};

/// The login form: a user name and a password, or "go on as who is signed in", or "cancel". Whatever it
/// says becomes a proof in the interaction, and the hub goes on from there.
pub async fn check(
    State(app): State<App>,
    caller: Caller,
    form: Result<Form, ApiError>,
) -> Result<Response, Trouble> {
    let Ok(Form(params, headers)) = form else {
        return Err(Trouble::foreign_form(&caller.request_id));
    };
    let cookies = Cookies::read(&app, &headers);
    let id = params.get("interaction").unwrap_or_default();
    let visit = Visit::load(&app, &caller, &cookies, id).await?;
    visit.admit_form(&app, &caller, &headers, ("login", params.get("csrf")))?;
    let broken = |cause: StoreError| Trouble::unavailable(&caller.request_id, &cause);
    if params.get("cancel").is_some() {
        interactions::decline(&*app.store, &visit.id).await.map_err(broken)?;
        return Ok(see_other(&visit.hub()));
    }
    if visit.interaction.finished {
        // A second click: the first one was answered, and the hub knows how. But who comes back to be somebody
        // else is not that.
        if !is_same_person(&app, &visit, &params).await.map_err(broken)? {
            interactions::decline(&*app.store, &visit.id).await.map_err(broken)?;
        }
        return Ok(see_other(&visit.hub()));
    }
    if params.get("continue").is_some() {
        if let Some((session, _)) = &visit.presence.session {
            let chosen = session.id;
            let noted = interactions::note(&*app.store, &visit.id, |it| it.chosen = Some(chosen));
            noted.await.map_err(broken)?;
        }
        return Ok(see_other(&visit.hub()));
    }
    let (desk, shown) = desk(&app, &caller, &cookies, &params);
    match desk.may_wait(&shown).await {
        Ok(()) => {}
        Err(Failed { why: NotSignedIn::Store(cause), .. }) => return Err(broken(cause)),
        Err(failed) => return Ok(show_again(&app, &caller, &visit, &params, &failed)),
    }
    // Whoever hangs up while they wait has not signed in, and is in nobody's way.
    let password = params.get("password").unwrap_or_default();
    let typed = match Typed::in_turn(&app.passwords, password).await {
        Ok(typed) => typed,
        Err(failed) => return Ok(show_again(&app, &caller, &visit, &params, &failed)),
    };
    // Whoever hangs up from now on is told of in the record all the same, and no sign-in stays half done.
    let request_id = caller.request_id.clone();
    let rest = async move { judge(&app, &caller, &cookies, &visit, (&params, typed)).await };
    let judged = tokio::spawn(rest.in_current_span()).await;
    judged.unwrap_or_else(|_panicked| Err(Trouble::internal(&request_id)))
}

/// What comes of a name and a password.
async fn judge(
    app: &App,
    caller: &Caller,
    cookies: &Cookies,
    visit: &Visit,
    (params, typed): (&Params, Typed),
) -> Result<Response, Trouble> {
    let broken = |cause: StoreError| Trouble::unavailable(&caller.request_id, &cause);
    let (desk, shown) = desk(app, caller, cookies, params);
    match desk.check(&shown, typed).await {
        Ok(SignedIn { user, epoch, unlocked }) => {
            if unlocked {
                let (sub, by) = (user.sub.as_str(), Actor::SignIn);
                let event = Event::AccountUnlocked { sub, by };
                app.tell(caller.address, &event);
            }
            let sub = Some(user.sub.clone());
            let begun = begin_session(app, caller, cookies, visit, (user, epoch)).await;
            let begun = begun.map_err(broken)?;
            let outdated = || {
                let why = NotSignedIn::WrongPassword;
                show_again(app, caller, visit, params, &Failed { why, sub, locks: false })
            };
            Ok(begun.unwrap_or_else(outdated))
        }
        Err(Failed { why: NotSignedIn::Store(cause), .. }) => Err(broken(cause)),
        Err(failed) => Ok(show_again(app, caller, visit, params, &failed)),
    }
}

/// Whether the name in the form, if there is one, is that of who is signed in.
async fn is_same_person(app: &App, visit: &Visit, params: &Params) -> Result<bool, StoreError> {
    let Some(name) = typed(params) else { return Ok(true) };
    let named = users::find_by_username(&*app.store, name).await?;
    let here = visit.presence.session.as_ref();
    Ok(here.is_none_or(|(session, _)| named.is_some_and(|user| user.sub == session.sub)))
}

fn desk<'a>(
    app: &'a App,
    caller: &Caller,
    cookies: &'a Cookies,
    params: &'a Params,
) -> (SignIn<'a>, Credentials<'a>) {
    let desk = SignIn { store: &*app.store, clock: &app.clock, limits: app.guess_limits() };
    let shown = Credentials {
        username: typed(params).unwrap_or_default(),
        address: caller.address,
        device: cookies.device.as_ref(),
    };
    (desk, shown)
}

fn typed(params: &Params) -> Option<&str> {
    params.get("username").filter(|name| name.len() <= users::MAX_TYPED_BYTES)
}

/// A new session under a new id; the one before it, whoever's, is over ([OWASP ASVS 7.2.4]). None where
/// the password was changed, or the account disabled, while it was being checked: that begins another epoch.
/// A session that begins at the same moment is of the epoch before, and opens nothing.
///
/// [OWASP ASVS 7.2.4]: https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x16-V7-Session-Management.md
async fn begin_session(
    app: &App,
    caller: &Caller,
    cookies: &Cookies,
    visit: &Visit,
    (user, epoch): (User, Epoch),
) -> Result<Option<Response>, StoreError> {
    let client = visit.client.id.as_str();
    let before = visit.presence.session.as_ref().filter(|(session, _)| session.sub == user.sub);
    // For the same person nothing changes that an application would have to look at.
    let changes = before.is_none() || caller.browser_state.is_empty();
    let owner = Owner::User(user.sub.clone());
    let is_cut_off = epoch::current(&*app.store, &owner, AsOf::Now).await? != epoch;
    let held = users::find(&*app.store, &user.sub).await?;
    if is_cut_off || held.is_none_or(|held| !held.enabled) {
        return Ok(None);
    }
    let (mut session, cookie) =
        Session::begin(user.sub.clone(), epoch, &["pwd"], app.session_limits(), app.now());
    // The same person again: applications keep the session's name, so that a later sign-out reaches all of
    // them. A form that was sent twice makes two sessions of one name, whichever of them the browser keeps.
    session.sid = before.map_or_else(|| visit.session_name(app, &user), |(before, _)| before.sid);
    // The old session ends last: a store that fails in between signs nobody out.
    let session = sessions::begin(&*app.store, &session, None).await?;
    let (sub, username) = (user.sub.as_str(), &*user.username);
    app.tell(caller.address, &Event::SignedIn { sub, username, client });
    interactions::note(&*app.store, &visit.id, |it| it.note_sign_in(&session)).await?;
    if let Some(old) = cookies.session()
        && let Some((ended, told)) =
            logout_notifications::replace(&*app.store, old, session.sid, app.now()).await?
    {
        let (sub, how) = (ended.sub.as_str(), SignOutCause::Replaced);
        app.tell(caller.address, &Event::SignedOut { sub, how });
        app.was_told(&told);
    }
    let mut answer = see_other(&visit.hub());
    answer.headers_mut().append(header::SET_COOKIE, cookies::set_session(app, &cookie));
    let mut device = cookies.device.clone().unwrap_or_default();
    device.note(&session.sub, epoch, app.now());
    if let Some(known) = cookies::set_device(app, &device) {
        answer.headers_mut().append(header::SET_COOKIE, known);
    }
    if changes && app.config.session_management {
        answer.headers_mut().append(header::SET_COOKIE, cookies::set_state(app));
    }
    Ok(Some(answer))
}

/// The form again, with an alert. What is said is the same for an unknown user, a wrong password and a
/// disabled account; the log knows which.
fn show_again(
    app: &App,
    caller: &Caller,
    visit: &Visit,
    params: &Params,
    failed: &Failed,
) -> Response {
    let why = &failed.why;
    let (reason, status, alert) = match why {
        NotSignedIn::UnknownUser => (SignInFailure::UnknownUser, StatusCode::OK, WRONG),
        NotSignedIn::WrongPassword => (SignInFailure::WrongPassword, StatusCode::OK, WRONG),
        NotSignedIn::Disabled => (SignInFailure::Disabled, StatusCode::OK, WRONG),
        NotSignedIn::Throttled(_) => {
            (SignInFailure::Throttled, StatusCode::TOO_MANY_REQUESTS, TOO_MANY)
        }
        NotSignedIn::Locked(_) => (SignInFailure::Locked, StatusCode::TOO_MANY_REQUESTS, TOO_MANY),
        NotSignedIn::Busy | NotSignedIn::Store(_) => {
            (SignInFailure::Busy, StatusCode::SERVICE_UNAVAILABLE, BUSY)
        }
    };
    let client = visit.client.id.as_str();
    let sub = failed.sub.as_ref().map(Subject::as_str);
    let digest = app.name_digest(typed(params).unwrap_or_default());
    let whose = sub.ok_or(&*digest);
    app.tell(caller.address, &Event::SignInFailed { client, reason, whose });
    if let Some(sub) = sub.filter(|_| failed.locks) {
        app.tell(caller.address, &Event::AccountLocked { sub });
    }
    let mut answer = crate::http::sign_in::show(app, visit, typed(params), Some(alert), status);
    let wait = match why {
        NotSignedIn::Throttled(wait) | NotSignedIn::Locked(wait) => {
            Some(wait.retry_after.as_secs().max(1))
        }
        NotSignedIn::Busy => Some(3),
        NotSignedIn::UnknownUser
        | NotSignedIn::WrongPassword
        | NotSignedIn::Disabled
        | NotSignedIn::Store(_) => None,
    };
    if let Some(seconds) = wait {
        answer.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    answer
}

const WRONG: Alert = Alert {
    words: "That user name and password do not match. Please try again.",
    is_about_input: true,
};
const TOO_MANY: Alert = Alert {
    words: "Too many tries. Please wait before you try again, or use a browser in which you have signed in \
            before. If that does not help, ask whoever runs this service.",
    is_about_input: false,
};
const BUSY: Alert = Alert {
    words: "Many people are signing in right now. Please try again in a few seconds.",
    is_about_input: false,
};
