use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::Response;
use tracing::Instrument as _;

use super::page::Alert;
use super::render;
use crate::domain::authenticators::{
    Credentials, LoginError, LoginFailure, LoginOutcome, PasswordAuthenticator, QueuedPassword,
};
use crate::domain::events::{Actor, Event, SignInAccount, SignInFailure};
use crate::domain::interactions;
use crate::domain::users;
use crate::http::app::App;
use crate::http::authorization_response::see_other;
use crate::http::cookies::Cookies;
use crate::http::error::ApiError;
use crate::http::form::Form;
use crate::http::interaction_context::InteractionContext;
use crate::http::page_error::PageError;
use crate::http::request_info::RequestInfo;
use crate::http::sign_in::{self, SignIn};
use crate::infra::store::StoreError;
use crate::protocol::{Params, Subject};

/// `POST /login`: a user name and a password, or "continue" with the session there is, or "cancel". The result is
/// stored in the interaction, and `/authorize` continues from there.
pub async fn submit(
    State(app): State<App>,
    caller: RequestInfo,
    form: Result<Form, ApiError>,
) -> Result<Response, PageError> {
    let Ok(Form(params, headers)) = form else {
        return Err(PageError::foreign_form(&caller.request_id));
    };
    let cookies = Cookies::read(&app, &headers);
    let id = params.get("interaction").unwrap_or_default();
    let context = InteractionContext::load(&app, &caller, &cookies, id).await?;
    context.check_form(&app, &caller, &headers, "login", params.get("csrf"))?;
    let store_error = |cause: StoreError| PageError::unavailable(&caller.request_id, &cause);
    if params.get("cancel").is_some() {
        interactions::decline(&*app.store, &context.id).await.map_err(store_error)?;
        return Ok(see_other(&context.dispatch_path()));
    }
    if context.interaction.finished {
        // A second click gets the response of the first one. Another user name is no second click.
        if !is_same_user(&app, &context, &params).await.map_err(store_error)? {
            interactions::decline(&*app.store, &context.id).await.map_err(store_error)?;
        }
        return Ok(see_other(&context.dispatch_path()));
    }
    if params.get("continue").is_some() {
        if let Some((session, _)) = &context.browser_session.session {
            let chosen = session.id;
            let noted = interactions::update_open(&*app.store, &context.id, |it| {
                it.chosen_session = Some(chosen);
            });
            noted.await.map_err(store_error)?;
        }
        return Ok(see_other(&context.dispatch_path()));
    }
    let (authenticator, credentials) = authenticator(&app, &caller, &cookies, &params);
    match authenticator.check_address_limit(&credentials).await {
        Ok(()) => {}
        Err(LoginFailure { why: LoginError::Store(cause), .. }) => return Err(store_error(cause)),
        Err(failed) => return Ok(show_failure(&app, &caller, &context, &params, &failed)),
    }
    // A client that disconnects while it waits has made no attempt, and leaves the queue.
    let password = params.get("password").unwrap_or_default();
    let typed = match QueuedPassword::acquire(&app.passwords, password).await {
        Ok(typed) => typed,
        Err(failed) => return Ok(show_failure(&app, &caller, &context, &params, &failed)),
    };
    // In a task of its own: a client that disconnects from now on still has its audit event, and no sign-in is
    // left half done.
    let request_id = caller.request_id.clone();
    let attempt =
        async move { authenticate(&app, &caller, &cookies, &context, &params, typed).await };
    let outcome = tokio::spawn(attempt.in_current_span()).await;
    outcome.unwrap_or_else(|_panicked| Err(PageError::internal(&request_id)))
}

/// Checks the user name and password, and begins the session.
async fn authenticate(
    app: &App,
    caller: &RequestInfo,
    cookies: &Cookies,
    context: &InteractionContext,
    params: &Params,
    typed: QueuedPassword,
) -> Result<Response, PageError> {
    let store_error = |cause: StoreError| PageError::unavailable(&caller.request_id, &cause);
    let (authenticator, credentials) = authenticator(app, caller, cookies, params);
    match authenticator.authenticate(&credentials, typed).await {
        Ok(LoginOutcome { authentication, user, unlocked }) => {
            if unlocked {
                let (sub, by) = (user.sub.as_str(), Actor::SignIn);
                let event = Event::AccountUnlocked { sub, by };
                app.record_event(caller.address, &event);
            }
            let sub = Some(user.sub.clone());
            let signed_in = sign_in::complete(app, caller, cookies, context, authentication).await;
            match signed_in.map_err(store_error)? {
                SignIn::Accepted(response) => Ok(response),
                SignIn::Outdated => {
                    let why = LoginError::WrongPassword;
                    let failure = LoginFailure { why, sub, locks: false };
                    Ok(show_failure(app, caller, context, params, &failure))
                }
            }
        }
        Err(LoginFailure { why: LoginError::Store(cause), .. }) => Err(store_error(cause)),
        Err(failed) => Ok(show_failure(app, caller, context, params, &failed)),
    }
}

/// Whether the user name in the form, if there is one, is that of the session's user.
async fn is_same_user(
    app: &App,
    context: &InteractionContext,
    params: &Params,
) -> Result<bool, StoreError> {
    let Some(name) = typed_username(params) else { return Ok(true) };
    let named = users::find_by_username(&*app.store, name).await?;
    let here = context.browser_session.session.as_ref();
    Ok(here.is_none_or(|(session, _)| named.is_some_and(|user| user.sub == session.sub)))
}

fn authenticator<'a>(
    app: &'a App,
    caller: &RequestInfo,
    cookies: &'a Cookies,
    params: &'a Params,
) -> (PasswordAuthenticator<'a>, Credentials<'a>) {
    let authenticator =
        PasswordAuthenticator { store: &*app.store, clock: &app.clock, limits: app.guess_limits() };
    let credentials = Credentials {
        username: typed_username(params).unwrap_or_default(),
        address: caller.address,
        device: cookies.device.as_ref(),
    };
    (authenticator, credentials)
}

fn typed_username(params: &Params) -> Option<&str> {
    params.get("username").filter(|name| name.len() <= users::MAX_USERNAME_INPUT_LEN)
}

/// The login page with an alert. It says the same for an unknown user, a wrong password and a disabled account; the
/// audit event says which.
fn show_failure(
    app: &App,
    caller: &RequestInfo,
    context: &InteractionContext,
    params: &Params,
    failed: &LoginFailure,
) -> Response {
    let why = &failed.why;
    let (reason, status, alert) = match why {
        LoginError::UnknownUser => (SignInFailure::UnknownUser, StatusCode::OK, WRONG_CREDENTIALS),
        LoginError::WrongPassword => {
            (SignInFailure::WrongPassword, StatusCode::OK, WRONG_CREDENTIALS)
        }
        LoginError::Disabled => (SignInFailure::Disabled, StatusCode::OK, WRONG_CREDENTIALS),
        LoginError::Throttled(_) => {
            (SignInFailure::Throttled, StatusCode::TOO_MANY_REQUESTS, TOO_MANY_ATTEMPTS)
        }
        LoginError::Locked(_) => {
            (SignInFailure::Locked, StatusCode::TOO_MANY_REQUESTS, TOO_MANY_ATTEMPTS)
        }
        LoginError::Busy | LoginError::Store(_) => {
            (SignInFailure::Busy, StatusCode::SERVICE_UNAVAILABLE, HASHER_BUSY)
        }
    };
    let client = context.client.id.as_str();
    let sub = failed.sub.as_ref().map(Subject::as_str);
    let digest = app.name_digest(typed_username(params).unwrap_or_default());
    let account = sub.map_or(SignInAccount::UnknownName { digest: &digest }, SignInAccount::Sub);
    app.record_event(caller.address, &Event::SignInFailed { client, reason, account });
    if let Some(sub) = sub.filter(|_| failed.locks) {
        app.record_event(caller.address, &Event::AccountLocked { sub });
    }
    let mut answer = render::show(app, context, typed_username(params), Some(alert), status);
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

const WRONG_CREDENTIALS: Alert = Alert {
    words: "That user name and password do not match. Please try again.",
    is_about_input: true,
};
const TOO_MANY_ATTEMPTS: Alert = Alert {
    words: "Too many tries. Please wait before you try again, or use a browser in which you have signed in \
            before. If that does not help, ask whoever runs this service.",
    is_about_input: false,
};
const HASHER_BUSY: Alert = Alert {
    words: "Many people are signing in right now. Please try again in a few seconds.",
    is_about_input: false,
};
