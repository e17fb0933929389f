use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::dispatch;
use super::reply::{self, ReplyContent, ReplyOptions};
use super::request_object::{self, RequestObjectError};
use crate::domain::authorization_request::{
    self, AuthorizationRequest, Destination, HintedSubject, Reply, RequestPolicy,
};
use crate::domain::clients::{self, Client, ClientId};
use crate::domain::events::{AuthorizationOutcome, Event};
use crate::domain::token_claims;
use crate::http::app::App;
use crate::http::authorization_response;
use crate::http::cookies::Cookies;
use crate::http::form;
use crate::http::page_error::PageError;
use crate::http::request_info::RequestInfo;
use crate::http::request_quota::{consume_quota, quota_units, too_many_requests};
use crate::http::stop_page;
use crate::infra::jose::{self, claims};
use crate::infra::secret::Secret;
use crate::protocol::{ErrorCode, LenientParams, OAuthError, Params, Subject};

/// `GET /authorize`: a new request, or the return of an interaction from a step.
pub async fn get(
    State(app): State<App>,
    caller: RequestInfo,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let came = LenientParams::parse(query.unwrap_or_default().as_bytes(), is_known_parameter);
    let cookies = Cookies::read(&app, &headers);
    let of_a_request = came.params.get("client_id").is_some();
    match (came.params.get("interaction"), came.params.get("kept")) {
        (Some(id), _) if !of_a_request => dispatch::resume(&app, &caller, &cookies, id).await,
        (None, Some(id)) if !of_a_request => {
            let params = load_stored(&app, &caller, id).await?;
            start_request(&app, &caller, &cookies, &params.into()).await
        }
        (Some(_) | None, Some(_) | None) => {
            start_request(&app, &caller, &cookies, &only_request(came)).await
        }
    }
}

/// The parameters that are read: those of a request, and the ids that lead back to one.
fn is_known_parameter(name: &str) -> bool {
    authorization_request::is_known(name) || ["interaction", "kept"].contains(&name)
}

/// Drops all parameters but those of an authorization request.
fn only_request(mut came: LenientParams) -> LenientParams {
    came.params = came.params.only(authorization_request::is_known);
    came
}

/// `POST /authorize`: a request by form ([OpenID Connect Core §3.1.2.1]).
///
/// Browsers send no `SameSite=Lax` cookies with a cross-site POST, so a request by form is redirected to a GET, which
/// has the session cookie. A request that is too long for a URL is stored for that redirect.
///
/// [OpenID Connect Core §3.1.2.1]: https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest
pub async fn post(
    State(app): State<App>,
    caller: RequestInfo,
    headers: HeaderMap,
    request: Request<Body>,
) -> Result<Response, PageError> {
    let body = match form::read_form_body(&headers, request.into_body()).await {
        Ok(body) => body,
        Err(error) => {
            let code = "invalid_request";
            return Err(PageError::request_error(&caller.request_id, code, error.description()));
        }
    };
    let came = LenientParams::parse(&body, is_known_parameter);
    let cookies = Cookies::read(&app, &headers);
    if came.params.get("interaction").is_some() && came.params.get("client_id").is_none() {
        // A login page of an older release, whose form came here: redirect the form as it is.
        return Ok((StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/login")]).into_response());
    }
    let came = only_request(came);
    let query = came.params.to_query();
    // These are refused in any session, or their hint is longer than any of ours.
    let is_refused = came.error.is_some()
        || query.len() > MAX_STORED_QUERY_LEN
        || authorization_request::to_query(&came.params).is_err();
    if is_refused || !cookies.is_empty() {
        return start_request(&app, &caller, &cookies, &came).await;
    }
    if query.len() < MAX_REDIRECT_QUERY_LEN {
        return Ok(authorization_response::see_other(&format!(
            "{}?{query}",
            app.config.issuer.url("/authorize")
        )));
    }
    redirect_to_stored(&app, &caller, &came, query).await
}

/// Stores the request, and redirects to a GET that finds it.
async fn redirect_to_stored(
    app: &App,
    caller: &RequestInfo,
    came: &LenientParams,
    query: String,
) -> Result<Response, PageError> {
    let client = find_client(app, caller, came).await?;
    if let Err(wait) = consume_quota(app, caller, quota_units(query.len())).await {
        app.record_event(caller.address, &dispatch::throttled_event(&client.id));
        return Ok(too_many_requests(caller, wait));
    }
    let kept = authorization_request::insert_stored(&*app.store, query, app.now()).await;
    let id = kept.map_err(|cause| PageError::unavailable(&caller.request_id, &cause))?;
    let to = format!("{}?kept={}", app.config.issuer.url("/authorize"), id.reveal());
    Ok(authorization_response::see_other(&to))
}

async fn load_stored(app: &App, caller: &RequestInfo, id: &str) -> Result<Params, PageError> {
    let query = match Secret::parse(id) {
        Some(id) => authorization_request::find_stored(&*app.store, &id, app.now()).await,
        None => Ok(None),
    };
    let query = query.map_err(|cause| PageError::unavailable(&caller.request_id, &cause))?;
    let query = query.ok_or_else(|| stop_page::unknown_interaction(caller))?;
    Params::parse(query.as_bytes()).map_err(|_| PageError::internal(&caller.request_id))
}

const UNREADABLE_STATE: &str =
    "state cannot be read, or is another one each time, so nothing can be sent back";

/// The longest query of the GET that a POST is redirected to; proxies pass it, too.
const MAX_REDIRECT_QUERY_LEN: usize = 6_000;
/// The longest query that is stored for that redirect, with an `id_token_hint` of the greatest length we issue.
const MAX_STORED_QUERY_LEN: usize =
    authorization_request::MAX_QUERY_LEN + "&id_token_hint=".len() + jose::MAX_OWN_JWT_LEN;

/// Checks a new request: first the client, then the redirect URI, and only then what may be answered by redirect
/// ([RFC 9700 §4.11.2]).
///
/// [RFC 9700 §4.11.2]: https://www.rfc-editor.org/rfc/rfc9700#section-4.11.2
async fn start_request(
    app: &App,
    caller: &RequestInfo,
    cookies: &Cookies,
    came: &LenientParams,
) -> Result<Response, PageError> {
    let client = find_client(app, caller, came).await?;
    let opened = match &came.error {
        None => request_object::resolve_params(app, caller, &client, &came.params).await,
        Some(fault) => Err(RequestObjectError {
            error: OAuthError::described(ErrorCode::InvalidRequest, &fault.to_string()),
            reply_params: came.params.clone(),
        }),
    };
    // Of an invalid request object the readable parameters still say where the error goes.
    let said = opened.as_ref().unwrap_or_else(|unopened| &unopened.reply_params);
    let destination =
        Destination::resolve(said, &client.metadata).map_err(|error| error.to_string());
    let lost = came.is_unreadable("state").then(|| UNREADABLE_STATE.to_owned());
    let destination = destination.and_then(|to| lost.map_or(Ok(to), Err));
    let destination = destination.map_err(|why| {
        app.record_event(caller.address, &refused_event(&client));
        request_error_page(caller, came, "invalid_request", &why).back_to(&client)
    })?;
    let reply = Reply::Redirect(destination);
    // Stored to start the request again: the query as it came, not the parameters of its request object.
    let query = authorization_request::to_query(&came.params);
    let checked = opened.map_err(|unopened| unopened.error).and_then(|counted| {
        let query = query?;
        let (catalogue, resources) = (app.catalogue(), app.resources());
        let policy = RequestPolicy {
            issuer: app.issuer(),
            catalogue: &catalogue,
            resources: &resources,
            response_types: &app.config.offer.response_types,
            require_pkce: app.config.require_pkce,
        };
        let hinted = read_hint(app, &counted);
        let request =
            authorization_request::validate(&counted, &client, reply.clone(), policy, hinted)?;
        Ok(AuthorizationRequest { query, ..request })
    });
    match checked {
        Ok(request) => dispatch::start(app, caller, cookies, client, request).await,
        Err(error) => {
            app.record_event(caller.address, &refused_event(&client));
            let (session_state, after_gesture) = (false, false);
            let options =
                ReplyOptions { client: &client, reply: &reply, session_state, after_gesture };
            Ok(reply::send(app, caller, options, ReplyContent::Refused(error)))
        }
    }
}

fn refused_event(client: &Client) -> Event<'_> {
    Event::Authorized { client: client.id.as_str(), outcome: AuthorizationOutcome::Refused }
}

/// The error page for a request without a valid destination. A fault of the parameters comes first in its detail.
fn request_error_page(
    caller: &RequestInfo,
    came: &LenientParams,
    code: &'static str,
    why: &str,
) -> PageError {
    let detail =
        came.error.as_ref().map_or_else(|| why.to_owned(), |fault| format!("{fault}; {why}"));
    PageError::request_error(&caller.request_id, code, detail)
}

async fn find_client(
    app: &App,
    caller: &RequestInfo,
    came: &LenientParams,
) -> Result<Client, PageError> {
    let refuse = |code, detail: &str| request_error_page(caller, came, code, detail);
    let id = came.params.get("client_id");
    let id = id.ok_or_else(|| refuse("invalid_request", "client_id is missing"))?;
    let unknown = || refuse("invalid_client", "no client is registered under this client_id");
    let id = ClientId::parse(id).ok_or_else(unknown)?;
    let client = clients::find(&*app.store, &id).await;
    let client = client.map_err(|cause| PageError::unavailable(&caller.request_id, &cause))?;
    client.filter(|client| client.enabled).ok_or_else(unknown)
}

/// Verifies the `id_token_hint`: an ID token of ours, expired or not, as it is no credential.
fn read_hint(app: &App, params: &Params) -> HintedSubject {
    let Some(token) = params.get("id_token_hint") else { return HintedSubject::Absent };
    let Ok(claims) = token_claims::verify_id_token(&app.keys, token) else {
        return HintedSubject::Unreadable;
    };
    let text = |name| claims::text(&claims, name).ok().flatten();
    if text("iss") != Some(app.issuer()) {
        return HintedSubject::Unreadable;
    }
    text("sub").and_then(Subject::parse).map_or(HintedSubject::Unreadable, HintedSubject::Is)
}
