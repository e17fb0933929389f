use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::end_session::{self, Initiator};
use super::request::{IdTokenHint, LogoutError, LogoutRequest, LogoutStep, decide};
use super::server_request;
use crate::domain::authorization_request;
use crate::domain::sessions::{self, Session};
use crate::domain::users;
use crate::http::app::App;
use crate::http::authorization_response::see_other;
use crate::http::cookies::Cookies;
use crate::http::form::{Form, read_form_body};
use crate::http::interaction_context::is_same_origin;
use crate::http::page_error::PageError;
use crate::http::request_info::RequestInfo;
use crate::http::request_quota::{consume_quota, quota_units, too_many_requests};
use crate::infra::secret::Secret;
use crate::infra::store::StoreError;
use crate::protocol::{LenientParams, Params};

/// `GET /logout`.
pub async fn get(
    State(app): State<App>,
    caller: RequestInfo,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let known = |name: &str| PARAMETERS.contains(&name);
    let params = read_params(&caller, query.unwrap_or_default().as_bytes(), known)?;
    let params = match params.get("kept") {
        Some(id) => load_stored(&app, &caller, id).await?,
        None => params,
    };
    let cookies = Cookies::read(&app, &headers);
    let no_form = Params::default();
    if server_request::is_server_request(&headers, cookies.session().is_some(), &no_form) {
        return Ok(server_request::handle(&app, &caller, &headers, &params, &no_form).await);
    }
    handle(&app, &caller, &cookies, &params).await
}

/// `POST /logout`: the same by form.
///
/// Browsers send no `SameSite=Lax` cookies with a cross-site POST, so it is redirected to a GET, which has the session
/// cookie. A request that is too long for a URL is stored for that redirect.
pub async fn post(
    State(app): State<App>,
    caller: RequestInfo,
    headers: HeaderMap,
    request: Request<Body>,
) -> Result<Response, PageError> {
    let body = read_form_body(&headers, request.into_body()).await;
    let body = body.map_err(|error| request_error(&caller, error.description()))?;
    let params = read_params(&caller, &body, |name| {
        PARAMETERS.contains(&name) || CLIENT_CREDENTIALS.contains(&name)
    })?;
    let params = params.without("kept");
    let cookies = Cookies::read(&app, &headers);
    if server_request::is_server_request(&headers, cookies.session().is_some(), &params) {
        return Ok(server_request::handle(&app, &caller, &headers, &params, &params).await);
    }
    if cookies.session().is_some() {
        return handle(&app, &caller, &cookies, &params).await;
    }
    // A client secret in the form must not get into a URL.
    let query = params.only(|name| PARAMETERS.contains(&name)).to_query();
    if query.len() < MAX_REDIRECT_QUERY_LEN {
        return Ok(see_other(&format!("{}?{query}", app.config.issuer.url("/logout"))));
    }
    if let Err(wait) = consume_quota(&app, &caller, quota_units(query.len())).await {
        return Ok(too_many_requests(&caller, wait));
    }
    let kept = authorization_request::insert_stored(&*app.store, query, app.now()).await;
    let id = kept.map_err(|cause| unavailable(&caller, &cause))?;
    Ok(see_other(&format!("{}?kept={}", app.config.issuer.url("/logout"), id.reveal())))
}

/// The parameters that are read.
const PARAMETERS: [&str; 5] =
    ["client_id", "id_token_hint", "kept", "post_logout_redirect_uri", "state"];

/// The parameters by which a client authenticates, in the form only ([RFC 6749 §2.3.1], [RFC 7523 §2.2]).
///
/// [RFC 6749 §2.3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
/// [RFC 7523 §2.2]: https://www.rfc-editor.org/rfc/rfc7523#section-2.2
const CLIENT_CREDENTIALS: [&str; 3] =
    ["client_assertion", "client_assertion_type", "client_secret"];

fn read_params(
    caller: &RequestInfo,
    text: &[u8],
    is_known: impl Fn(&str) -> bool,
) -> Result<Params, PageError> {
    let came = LenientParams::parse(text, is_known);
    match came.error {
        None => Ok(came.params),
        Some(fault) => Err(request_error(caller, fault.to_string())),
    }
}

async fn load_stored(app: &App, caller: &RequestInfo, id: &str) -> Result<Params, PageError> {
    let query = match Secret::parse(id) {
        Some(id) => authorization_request::find_stored(&*app.store, &id, app.now()).await,
        None => Ok(None),
    };
    let query = query.map_err(|cause| unavailable(caller, &cause))?;
    // Expired: handled like a request without parameters.
    Ok(Params::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default())
}

/// `POST /logout/confirm`: the form of the confirmation page.
pub async fn confirm(
    State(app): State<App>,
    caller: RequestInfo,
    form: Result<Form, crate::http::error::ApiError>,
) -> Result<Response, PageError> {
    let Ok(Form(params, headers)) = form else {
        return Err(PageError::foreign_form(&caller.request_id));
    };
    if !is_same_origin(&app, &headers) {
        return Err(PageError::foreign_form(&caller.request_id));
    }
    let cookies = Cookies::read(&app, &headers);
    let asked = read_request(&app, &caller, &params.clone().without("id_token_hint")).await?;
    let session = live_session(&app, &cookies).await.map_err(|it| unavailable(&caller, &it))?;
    let Some(session) = session else {
        let done = end_session::no_session(&app, &cookies, &asked).await;
        return done.map_err(|it| unavailable(&caller, &it));
    };
    let shown = params.get("csrf").unwrap_or_default();
    if !end_session::verify_csrf_token(&app, &session, shown) {
        return Err(PageError::foreign_form(&caller.request_id));
    }
    let done = end_session::end_session(&app, &caller, &session, &asked, Initiator::User).await;
    done.map_err(|it| unavailable(&caller, &it))
}

async fn handle(
    app: &App,
    caller: &RequestInfo,
    cookies: &Cookies,
    params: &Params,
) -> Result<Response, PageError> {
    let store_error = |cause: StoreError| unavailable(caller, &cause);
    let asked = read_request(app, caller, params).await?;
    let session = live_session(app, cookies).await.map_err(store_error)?;
    match (decide(&asked.hint, asked.no_redirect_reason.is_some(), session.as_ref()), session) {
        (LogoutStep::EndSession, Some(session)) => {
            let done =
                end_session::end_session(app, caller, &session, &asked, Initiator::Client).await;
            done.map_err(store_error)
        }
        (LogoutStep::Confirm, Some(session)) => {
            let user = users::find(&*app.store, &session.sub).await.map_err(store_error)?;
            Ok(end_session::confirm_page(app, &session, user.as_ref(), &asked))
        }
        (LogoutStep::NoSession, _) | (LogoutStep::Confirm | LogoutStep::EndSession, None) => {
            match &asked.hint {
                IdTokenHint::Of { sid, .. } => {
                    end_session::end_expired(app, cookies, *sid, &asked).await.map_err(store_error)
                }
                IdTokenHint::Absent | IdTokenHint::Invalid => {
                    end_session::no_session(app, cookies, &asked).await.map_err(store_error)
                }
            }
        }
    }
}

async fn read_request(
    app: &App,
    caller: &RequestInfo,
    params: &Params,
) -> Result<LogoutRequest, PageError> {
    LogoutRequest::read(app, params).await.map_err(|error| match error {
        LogoutError::Store(cause) => unavailable(caller, &cause),
        LogoutError::OtherClient => request_error(caller, error.to_string()),
    })
}

/// The live session of this browser, also of a disabled user: it can be ended in any case.
async fn live_session(app: &App, cookies: &Cookies) -> Result<Option<Session>, StoreError> {
    match cookies.session() {
        Some(id) => sessions::find(&*app.store, id, app.now()).await,
        None => Ok(None),
    }
}

/// The error page for an invalid request, with a link by which the user can sign out all the same.
fn request_error(caller: &RequestInfo, detail: impl Into<String>) -> PageError {
    PageError {
        message: "The app sent a request that cannot be answered, so nothing has changed.".into(),
        next_link: Some(("/logout".into(), "Sign out here".into())),
        ..PageError::request_error(&caller.request_id, "invalid_request", detail)
    }
}

fn unavailable(caller: &RequestInfo, cause: &StoreError) -> PageError {
    PageError {
        message: "Signing out does not work right now. Please try again in a few seconds.".into(),
        ..PageError::unavailable(&caller.request_id, cause)
    }
}

/// The longest query of the GET that a POST is redirected to; proxies pass it, too.
const MAX_REDIRECT_QUERY_LEN: usize = 6_000;
