use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::issue::{self, Issuance, Unprepared};
use crate::app::App;
use crate::client_ip::bucket;
use crate::clients::Client;
use crate::events::Event;
use crate::grants::Attempt;
use crate::http::answer::{self, Sender, see_other};
use crate::http::caller::Caller;
use crate::http::cookies::{self, Cookies};
use crate::http::session_state;
use crate::http::trouble::Trouble;
use crate::http::visit::{Presence, Visit};
use crate::interactions::{self, Interaction, Known, Next, decide};
use crate::mint::NotMade;
use crate::protocol::{ErrorCode, OAuthError};
use crate::random;
use crate::requests::{AuthorizationRequest, Destination};
use crate::secret::Secret;
use crate::sessions::Session;
use crate::throttle::{self, TooMany};

/// What a client is told whose tokens cannot be encrypted for it.
const NO_KEY: ErrorCode = ErrorCode::ServerError;

/// What a client is told that asks too often.
const TOO_OFTEN: ErrorCode = ErrorCode::TemporarilyUnavailable;

/// A new request: answered at once where nobody has to be asked, otherwise kept and sent to a page.
pub async fn enter(
    app: &App,
    caller: &Caller,
    cookies: &Cookies,
    client: Client,
    request: AuthorizationRequest,
) -> Result<Response, Trouble> {
    let broken = |cause| Trouble::unavailable(&caller.request_id, &cause);
    let presence = Presence::find(app, cookies, &client).await.map_err(broken)?;
    let here = presence.session.as_ref();
    let session = here.map(|(session, _)| session);
    let consent = presence.consent.as_ref();
    let seen_as = session.map(|session| app.seen_by(&client, &session.sub));
    let known = Known {
        request: &request,
        client: &client,
        session,
        seen_as: seen_as.as_ref(),
        consent,
        interaction: None,
    };
    match (decide(known, app.now()), here) {
        (Next::Refuse(code), _) => {
            Ok(refuse(app, caller, &client, &request.destination, code, false))
        }
        (Next::Issue, Some((session, user))) => {
            if take_silent_turn(app, session).await.is_err() {
                return Ok(refuse(app, caller, &client, &request.destination, TOO_OFTEN, false));
            }
            let issuance = Issuance { client: &client, request: &request, session, user };
            let fields = match issue::prepare(app, issuance).await {
                Ok(fields) => fields,
                Err(Unprepared::Unmade(NotMade::Recipient)) => {
                    return Ok(refuse(app, caller, &client, &request.destination, NO_KEY, false));
                }
                Err(why) => return Err(why.explained(caller)),
            };
            Ok(issue::send(app, caller, issuance, fields, false))
        }
        (Next::AskConsent, _) => keep(app, caller, cookies, request, "/consent").await,
        (Next::AskLogin | Next::AskAccount | Next::Issue, _) => {
            keep(app, caller, cookies, request, "/login").await
        }
    }
}

/// Files the request as an interaction of this browser and goes to a page.
async fn keep(
    app: &App,
    caller: &Caller,
    cookies: &Cookies,
    request: AuthorizationRequest,
    page: &str,
) -> Result<Response, Trouble> {
    if let Err(wait) = take_turns(app, caller, turns_for(&request)).await {
        app.tell(caller.address, &throttled(&request));
        let mut answer = Trouble::too_many(&caller.request_id).into_response();
        answer.headers_mut().insert(header::RETRY_AFTER, wait.retry_after.as_secs().into());
        return Ok(answer);
    }
    let browser = cookies.browser.clone();
    let is_new = browser.is_none();
    let browser = browser.unwrap_or_else(Secret::random);
    let lifetime = app.config.lifetimes.interaction;
    let (interaction, id) = Interaction::begin(request, &browser, lifetime, app.now());
    let created = app.store.put(&interaction).await;
    created.map_err(|cause| Trouble::unavailable(&caller.request_id, &cause))?;
    let mut answer = see_other(&format!("{page}?interaction={}", id.reveal()));
    if is_new {
        answer.headers_mut().append(header::SET_COOKIE, cookies::set_browser(app, &browser));
    }
    Ok(answer)
}

fn throttled(request: &AuthorizationRequest) -> Event<'_> {
    Event::Authorized { client: request.client.as_str(), outcome: "throttled" }
}

/// How many turns it takes to keep this: so it is bytes that an address has so many of in a minute. A usual
/// request is less than one.
fn turns_for(request: &AuthorizationRequest) -> u32 {
    const BYTES_PER_TURN: usize = 2 * 1024;
    let bytes = serde_json::to_vec(request).map_or(usize::MAX, |bytes| bytes.len());
    u32::try_from(bytes.div_ceil(BYTES_PER_TURN)).unwrap_or(u32::MAX)
}

/// Anybody may begin an authorization, and each one that has to wait for a person is a record: so many
/// a minute and address. Many people may be behind one address, so it is generous, and what can be
/// answered at once is counted by its session. A store that does not count leaves it open.
pub async fn take_turns(app: &App, caller: &Caller, turns: u32) -> Result<(), TooMany> {
    const STARTS_PER_FAILURE: u32 = 10;
    let Some(per_minute) = app.per_minute() else { return Ok(()) };
    let name = format!("authorize {}", bucket(caller.address));
    let most = per_minute.saturating_mul(STARTS_PER_FAILURE);
    throttle::spend(&*app.store, &name, turns, most, app.now()).await.unwrap_or(Ok(()))
}

/// What is answered without a page leaves a grant behind, which nobody had to do anything for: so many a
/// minute and session. Every application that a person has open may look in now and then.
async fn take_silent_turn(app: &App, session: &Session) -> Result<(), TooMany> {
    let Some(per_minute) = app.per_minute() else { return Ok(()) };
    let most = (per_minute / 5).max(10);
    let name = format!("silent {}", session.sid);
    throttle::spend(&*app.store, &name, 1, most, app.now()).await.unwrap_or(Ok(()))
}

/// An interaction comes back from a page.
pub async fn resume(
    app: &App,
    caller: &Caller,
    cookies: &Cookies,
    id: &str,
) -> Result<Response, Trouble> {
    let visit = Visit::load(app, caller, cookies, id).await?;
    match (visit.next(app), &visit.presence.session) {
        (Next::AskConsent, _) => Ok(see_other(&format!("/consent?interaction={id}"))),
        (Next::Refuse(code), _) => finish_with(app, caller, &visit, code).await,
        (Next::Issue, Some((session, user))) => {
            let request = &visit.interaction.request;
            let issuance = Issuance { client: &visit.client, request, session, user };
            // The answer first: a store that fails in between must not end a visit without one.
            let fields = match issue::prepare(app, issuance).await {
                Ok(fields) => fields,
                Err(Unprepared::Unmade(NotMade::Recipient)) => {
                    return finish_with(app, caller, &visit, NO_KEY).await;
                }
                Err(why) => return Err(why.explained(caller)),
            };
            if !finish(app, caller, &visit).await? {
                // Somebody was faster: a second click, or another tab. One answer is enough.
                return Visit::load(app, caller, cookies, id)
                    .await
                    .map(|visit| see_other(&visit.hub()));
            }
            Ok(issue::send(app, caller, issuance, fields, true))
        }
        (Next::AskLogin | Next::AskAccount | Next::Issue, _) => {
            Ok(see_other(&format!("/login?interaction={id}")))
        }
    }
}

/// Ends the interaction; only one of several who try is told `true`.
async fn finish(app: &App, caller: &Caller, visit: &Visit) -> Result<bool, Trouble> {
    let finished = interactions::finish(&*app.store, &visit.id, Attempt(random::uuid())).await;
    finished.map_err(|cause| Trouble::unavailable(&caller.request_id, &cause))
}

/// Ends the interaction with an error for the client.
pub async fn finish_with(
    app: &App,
    caller: &Caller,
    visit: &Visit,
    code: ErrorCode,
) -> Result<Response, Trouble> {
    finish(app, caller, visit).await?;
    let destination = &visit.interaction.request.destination;
    Ok(refuse(app, caller, &visit.client, destination, code, true))
}

fn refuse(
    app: &App,
    caller: &Caller,
    client: &Client,
    to: &Destination,
    code: ErrorCode,
    after_gesture: bool,
) -> Response {
    let outcome = if code == ErrorCode::AccessDenied {
        "denied"
    } else if code == NO_KEY {
        "refused"
    } else if code == TOO_OFTEN {
        "throttled"
    } else {
        "interaction_needed"
    };
    app.tell(caller.address, &Event::Authorized { client: client.id.as_str(), outcome });
    let text = match code {
        ErrorCode::LoginRequired => "nobody is signed in, or not the person that was asked for",
        ErrorCode::ConsentRequired => "the person has not agreed to this yet",
        ErrorCode::AccessDenied => "the person said no",
        TOO_OFTEN => "very many authorizations in this session; try again in a minute",
        NO_KEY => "there is no key of the client for the encryption it registered",
        _ => "a page would have to be shown",
    };
    let sender = Sender { issuer: app.issuer(), client_name: client.display_name(), after_gesture };
    // A silent look is how an application finds out what it was told of as "changed".
    let silent = code != ErrorCode::AccessDenied;
    let state = silent.then(|| session_state::field(app, caller, &client.id, to)).flatten();
    answer::failure_with(to, &OAuthError::new(code, text), state, &sender)
}
