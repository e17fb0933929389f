use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{hub, object};
use crate::app::App;
use crate::clients::{self, Client, ClientId};
use crate::events::Event;
use crate::http::answer::{self, Sender};
use crate::http::caller::Caller;
use crate::http::cookies::Cookies;
use crate::http::form;
use crate::http::stopped;
use crate::http::trouble::Trouble;
use crate::jose::read;
use crate::protocol::{Params, Subject};
use crate::requests::{
    self, AuthorizationRequest, Destination, Hinted, RequestPolicy, Unredirectable,
};
use crate::secret::Secret;
use crate::tokens;

/// `GET /authorize`: a new request, or an interaction that comes back to the hub.
pub async fn get(
    State(app): State<App>,
    caller: Caller,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let params = read(&caller, query.unwrap_or_default().as_bytes())?;
    let cookies = Cookies::read(&app, &headers);
    if params.get("client_id").is_some() {
        return begin(&app, &caller, &cookies, &requests::known(params)).await;
    }
    match (params.get("interaction"), params.get("kept")) {
        (Some(id), _) => hub::resume(&app, &caller, &cookies, id).await,
        (None, Some(id)) => {
            let params = kept(&app, &caller, id).await?;
            begin(&app, &caller, &cookies, &params).await
        }
        (None, None) => begin(&app, &caller, &cookies, &requests::known(params)).await,
    }
}

/// `POST /authorize`: a request by form ([OpenID Connect Core §3.1.2.1]).
///
/// A browser leaves `SameSite=Lax` cookies out of a cross-site POST, so that a request by form is turned
/// into a GET first, and meets its session there: by query, or kept for a moment if it is too long for one.
///
/// [OpenID Connect Core §3.1.2.1]: https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest
pub async fn post(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    request: Request<Body>,
) -> Result<Response, Trouble> {
    let Ok(params) = form::read_form(&headers, request.into_body()).await else {
        let detail = "the body is not a well-formed form, or a parameter is repeated";
        return Err(Trouble::request_error(&caller.request_id, "invalid_request", detail));
    };
    let cookies = Cookies::read(&app, &headers);
    if params.get("interaction").is_some() && params.get("client_id").is_none() {
        // A login page that was opened under a release whose form came here. The form is sent on as it is.
        return Ok((StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/login")]).into_response());
    }
    let params = requests::known(params);
    if !cookies.are_none() {
        return begin(&app, &caller, &cookies, &params).await;
    }
    let query = params.to_query();
    if query.len() < LONGEST_QUERY {
        return Ok(answer::see_other(&format!("{}?{query}", app.config.issuer.url("/authorize"))));
    }
    if query.len() > LONGEST_KEPT || requests::to_query(&params).is_err() {
        // It is refused, whoever may be signed in; or its hint is longer than any of ours.
        return begin(&app, &caller, &cookies, &params).await;
    }
    keep(&app, &caller, &params, query).await
}

/// Keeps a request that comes back with the browser's cookies in a moment.
async fn keep(
    app: &App,
    caller: &Caller,
    params: &Params,
    query: String,
) -> Result<Response, Trouble> {
    let client = find_client(app, caller, params).await?;
    if let Err(wait) = hub::take_turns(app, caller, hub::turns_for(query.len())).await {
        app.tell(caller.address, &hub::throttled(&client.id));
        return Ok(hub::too_many(caller, wait));
    }
    let kept = requests::keep(&*app.store, query, app.now()).await;
    let id = kept.map_err(|cause| Trouble::unavailable(&caller.request_id, &cause))?;
    let to = format!("{}?kept={}", app.config.issuer.url("/authorize"), id.reveal());
    Ok(answer::see_other(&to))
}

async fn kept(app: &App, caller: &Caller, id: &str) -> Result<Params, Trouble> {
    let query = match Secret::parse(id) {
        Some(id) => requests::kept(&*app.store, &id, app.now()).await,
        None => Ok(None),
    };
    let query = query.map_err(|cause| Trouble::unavailable(&caller.request_id, &cause))?;
    read(caller, query.ok_or_else(|| stopped::unknown(caller))?.as_bytes())
}

/// What fits into the address of the GET that a POST becomes, also through proxies.
const LONGEST_QUERY: usize = 6_000;
/// What is kept of a request that is too long for that, its hint included.
const LONGEST_KEPT: usize = 16 * 1024;

fn read(caller: &Caller, query: &[u8]) -> Result<Params, Trouble> {
    Params::parse(query).map_err(|malformed| {
        Trouble::request_error(&caller.request_id, "invalid_request", malformed.to_string())
    })
}

/// The checks in their order: client, redirect URI, and only then errors that may travel
/// ([RFC 9700 §4.11.2]).
///
/// [RFC 9700 §4.11.2]: https://www.rfc-editor.org/rfc/rfc9700#section-4.11.2
async fn begin(
    app: &App,
    caller: &Caller,
    cookies: &Cookies,
    params: &Params,
) -> Result<Response, Trouble> {
    let client = find_client(app, caller, params).await?;
    let opened = object::open(app, caller, &client, params).await;
    // What stands beside a request object that is not good still says where the error goes.
    let counted = opened.as_ref().unwrap_or(params);
    let destination = Destination::settle(counted, &client.metadata).map_err(|why| {
        app.tell(caller.address, &refused(&client));
        let trouble = Trouble::request_error(&caller.request_id, "invalid_request", describe(why));
        trouble.back_to(&client)
    })?;
    // Begun again, it is the request that came, not what was read out of it.
    let query = requests::to_query(params);
    let checked = opened.and_then(|counted| {
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
        let request = requests::validate(&counted, &client, destination.clone(), policy, hinted)?;
        Ok(AuthorizationRequest { query, ..request })
    });
    match checked {
        Ok(request) => hub::enter(app, caller, cookies, client, request).await,
        Err(error) => {
            app.tell(caller.address, &refused(&client));
            let sender = Sender {
                issuer: app.issuer(),
                client_name: client.display_name(),
                after_gesture: false,
            };
            Ok(answer::failure(&destination, &error, &sender))
        }
    }
}

fn refused(client: &Client) -> Event<'_> {
    Event::Authorized { client: client.id.as_str(), outcome: "refused" }
}

async fn find_client(app: &App, caller: &Caller, params: &Params) -> Result<Client, Trouble> {
    let refuse = |code, detail: &str| Trouble::request_error(&caller.request_id, code, detail);
    let id = params.get("client_id");
    let id = id.ok_or_else(|| refuse("invalid_request", "client_id is missing"))?;
    let unknown = || refuse("invalid_client", "no client is registered under this client_id");
    let id = ClientId::parse(id).ok_or_else(unknown)?;
    let client = clients::find(&*app.store, &id).await;
    let client = client.map_err(|cause| Trouble::unavailable(&caller.request_id, &cause))?;
    client.filter(|client| client.enabled).ok_or_else(unknown)
}

fn describe(why: Unredirectable) -> &'static str {
    match why {
        Unredirectable::NoRedirectUri => {
            "redirect_uri is missing; it is required even when only one is registered"
        }
        Unredirectable::UnregisteredRedirectUri => {
            "redirect_uri is not one of those registered for this client; they are compared \
             character by character"
        }
    }
}

/// An ID token of ours, expired or not: it is a hint about who, not a credential.
fn read_hint(app: &App, params: &Params) -> Hinted {
    let Some(token) = params.get("id_token_hint") else { return Hinted::Nobody };
    let Ok(claims) = tokens::verify_id_token(&app.keys, token) else { return Hinted::Unreadable };
    let text = |name| read::text(&claims, name).ok().flatten();
    if text("iss") != Some(app.issuer()) {
        return Hinted::Unreadable;
    }
    text("sub").and_then(Subject::parse).map_or(Hinted::Unreadable, Hinted::Somebody)
}
