use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Response;
use tracing::Instrument as _;

use super::page::Alert;
use super::render;
use crate::domain::authenticators::{
    Credentials, LoginError, LoginFailure, LoginOutcome, PasswordAuthenticator, QueuedPassword,
};
use crate::domain::events::{Actor, Event, SignInFailure};
use crate::domain::interactions;
use crate::domain::users;
use crate::http::app::App;
use crate::http::authorization_response::see_other;
use crate::http::cookies::Cookies;
use crate::http::error::ApiError;
use crate::http::form::Form;
use crate::http::page_error::PageError;
use crate::http::request_info::RequestInfo;
use crate::http::sign_in::{self, SignIn};
use crate::http::visit::Visit;
use crate::infra::store::StoreError;
use crate::protocol::{Params, Subject};

/// The login form: a user name and a password, or "go on as who is signed in", or "cancel". Whatever it
/// says becomes a proof in the interaction, and the hub goes on from there.
pub async fn check(
    State(app): State<App>,
    caller: RequestInfo,
    form: Result<Form, ApiError>,
) -> Result<Response, PageError> {
    let Ok(Form(params, headers)) = form else {
        return Err(PageError::foreign_form(&caller.request_id));
    };
    let cookies = Cookies::read(&app, &headers);
    let id = params.get("interaction").unwrap_or_default();
    let visit = Visit::load(&app, &caller, &cookies, id).await?;
    visit.admit_form(&app, &caller, &headers, ("login", params.get("csrf")))?;
    let broken = |cause: StoreError| PageError::unavailable(&caller.request_id, &cause);
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
    match desk.check_address_limit(&shown).await {
        Ok(()) => {}
        Err(LoginFailure { why: LoginError::Store(cause), .. }) => return Err(broken(cause)),
        Err(failed) => return Ok(show_again(&app, &caller, &visit, &params, &failed)),
    }
    // Whoever hangs up while they wait has not signed in, and is in nobody's way.
    let password = params.get("password").unwrap_or_default();
    let typed = match QueuedPassword::acquire(&app.passwords, password).await {
        Ok(typed) => typed,
        Err(failed) => return Ok(show_again(&app, &caller, &visit, &params, &failed)),
    };
    // Whoever hangs up from now on is told of in the record all the same, and no sign-in stays half done.
    let request_id = caller.request_id.clone();
    let rest = async move { judge(&app, &caller, &cookies, &visit, (&params, typed)).await };
    let judged = tokio::spawn(rest.in_current_span()).await;
    judged.unwrap_or_else(|_panicked| Err(PageError::internal(&request_id)))
}

/// What comes of a name and a password.
async fn judge(
    app: &App,
    caller: &RequestInfo,
    cookies: &Cookies,
    visit: &Visit,
    (params, typed): (&Params, QueuedPassword),
) -> Result<Response, PageError> {
    let broken = |cause: StoreError| PageError::unavailable(&caller.request_id, &cause);
    let (desk, shown) = desk(app, caller, cookies, params);
    match desk.authenticate(&shown, typed).await {
        Ok(LoginOutcome { authentication, user, unlocked }) => {
            if unlocked {
                let (sub, by) = (user.sub.as_str(), Actor::SignIn);
                let event = Event::AccountUnlocked { sub, by };
                app.record_event(caller.address, &event);
            }
            let sub = Some(user.sub.clone());
            let signed_in = sign_in::complete(app, caller, cookies, visit, authentication).await;
            match signed_in.map_err(broken)? {
                SignIn::Accepted(response) => Ok(response),
                SignIn::Outdated => {
                    let why = LoginError::WrongPassword;
                    let failure = LoginFailure { why, sub, locks: false };
                    Ok(show_again(app, caller, visit, params, &failure))
                }
            }
        }
        Err(LoginFailure { why: LoginError::Store(cause), .. }) => Err(broken(cause)),
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
    caller: &RequestInfo,
    cookies: &'a Cookies,
    params: &'a Params,
) -> (PasswordAuthenticator<'a>, Credentials<'a>) {
    let desk =
        PasswordAuthenticator { store: &*app.store, clock: &app.clock, limits: app.guess_limits() };
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

/// The form again, with an alert. What is said is the same for an unknown user, a wrong password and a
/// disabled account; the log knows which.
fn show_again(
    app: &App,
    caller: &RequestInfo,
    visit: &Visit,
    params: &Params,
    failed: &LoginFailure,
) -> Response {
    let why = &failed.why;
    let (reason, status, alert) = match why {
        LoginError::UnknownUser => (SignInFailure::UnknownUser, StatusCode::OK, WRONG),
        LoginError::WrongPassword => (SignInFailure::WrongPassword, StatusCode::OK, WRONG),
        LoginError::Disabled => (SignInFailure::Disabled, StatusCode::OK, WRONG),
        LoginError::Throttled(_) => {
            (SignInFailure::Throttled, StatusCode::TOO_MANY_REQUESTS, TOO_MANY)
        }
        LoginError::Locked(_) => (SignInFailure::Locked, StatusCode::TOO_MANY_REQUESTS, TOO_MANY),
        LoginError::Busy | LoginError::Store(_) => {
            (SignInFailure::Busy, StatusCode::SERVICE_UNAVAILABLE, BUSY)
        }
    };
    let client = visit.client.id.as_str();
    let sub = failed.sub.as_ref().map(Subject::as_str);
    let digest = app.name_digest(typed(params).unwrap_or_default());
    let whose = sub.ok_or(&*digest);
    app.record_event(caller.address, &Event::SignInFailed { client, reason, whose });
    if let Some(sub) = sub.filter(|_| failed.locks) {
        app.record_event(caller.address, &Event::AccountLocked { sub });
    }
    let mut answer = render::show(app, visit, typed(params), Some(alert), status);
    let wait = match why {
        LoginError::Throttled(wait) | LoginError::Locked(wait) => {
            Some(wait.retry_after.as_secs().max(1))
        }
        LoginError::Busy => Some(3),
        LoginError::UnknownUser
        | LoginError::WrongPassword
        | LoginError::Disabled
        | LoginError::Store(_) => None,
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
