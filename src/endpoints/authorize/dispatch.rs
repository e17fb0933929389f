use axum::http::header;
use axum::response::Response;

use super::reply::{self, ReplyOptions};
use super::response::{self, AuthorizedRequest, ResponseError};
use crate::domain::authorization_request::{AuthorizationRequest, Reply};
use crate::domain::clients::{Client, ClientId};
use crate::domain::events::{AuthorizationOutcome, Event};
use crate::domain::grants::AttemptId;
use crate::domain::interactions::{
    self, DecisionInput, Interaction, InteractionOutcome, NextStep, RefusalCode, Step, StopReason,
    decide,
};
use crate::domain::rate_limit::{self, RateLimited};
use crate::domain::sessions::Session;
use crate::http::app::App;
use crate::http::authorization_response::see_other;
use crate::http::cookies::{self, Cookies};
use crate::http::interaction_context::{BrowserSession, InteractionContext};
use crate::http::page_error::PageError;
use crate::http::request_info::RequestInfo;
use crate::http::request_quota::{consume_quota, quota_units, too_many_requests};
use crate::http::stop_page;
use crate::http::token_issuer::TokenIssueError;
use crate::infra::random;
use crate::infra::secret::Secret;
use crate::protocol::{ErrorCode, OAuthError};

/// The error if tokens cannot be encrypted for the client.
const NO_ENCRYPTION_KEY: ErrorCode = ErrorCode::ServerError;

/// The error if a session is used for too many requests.
const RATE_LIMITED: ErrorCode = ErrorCode::TemporarilyUnavailable;

/// Starts a new request: answers it if no step is needed, else creates an interaction and redirects to the step.
pub async fn start(
    app: &App,
    caller: &RequestInfo,
    cookies: &Cookies,
    client: Client,
    request: AuthorizationRequest,
) -> Result<Response, PageError> {
    let store_error = |cause| PageError::unavailable(&caller.request_id, &cause);
    let browser_session = BrowserSession::find(app, cookies, &client).await.map_err(store_error)?;
    let here = browser_session.session.as_ref();
    let session = here.map(|(session, _)| session);
    let consent = browser_session.consent.as_ref();
    let client_subject = session.map(|session| app.subject_for(&client, &session.sub));
    let input = DecisionInput {
        request: &request,
        client: &client,
        session,
        client_subject: client_subject.as_ref(),
        consent,
        interaction: None,
        has_cookie: false,
    };
    match (decide(input, app.now()), here) {
        (NextStep::Refuse(code), _) => {
            Ok(refuse(app, caller, &client, &request.reply, code, false))
        }
        (NextStep::Issue, Some((session, user))) => {
            if check_rate_limit(app, session).await.is_err() {
                return Ok(refuse(app, caller, &client, &request.reply, RATE_LIMITED, false));
            }
            let authorized = AuthorizedRequest {
                client: &client,
                request: &request,
                session,
                user,
                consent_epoch: browser_session.consent_epoch,
            };
            issue_at_once(app, caller, authorized, false).await
        }
        (NextStep::Ask(step), _) => create_interaction(app, caller, cookies, request, step).await,
        // `decide` says neither of a new request: it issues only in a session, and stops only in an interaction.
        (NextStep::Issue | NextStep::Stop(_), _) => {
            create_interaction(app, caller, cookies, request, Step::Login).await
        }
    }
}

/// Answers a request that needs no step, with a new code.
async fn issue_at_once(
    app: &App,
    caller: &RequestInfo,
    authorized: AuthorizedRequest<'_>,
    after_gesture: bool,
) -> Result<Response, PageError> {
    let fields = match response::prepare(app, authorized, None).await {
        Ok(fields) => fields,
        Err(ResponseError::Token(TokenIssueError::NoEncryptionKey)) => {
            let to = &authorized.request.reply;
            return Ok(refuse(
                app,
                caller,
                authorized.client,
                to,
                NO_ENCRYPTION_KEY,
                after_gesture,
            ));
        }
        Err(why) => return Err(why.into_page(caller)),
    };
    response::record_success(app, caller, authorized);
    Ok(response::send(app, caller, authorized, fields, after_gesture))
}

/// Stores the request as an interaction of this browser, and redirects to the step.
async fn create_interaction(
    app: &App,
    caller: &RequestInfo,
    cookies: &Cookies,
    request: AuthorizationRequest,
    step: Step,
) -> Result<Response, PageError> {
    let bytes = serde_json::to_vec(&request).map_or(usize::MAX, |bytes| bytes.len());
    if let Err(wait) = consume_quota(app, caller, quota_units(bytes)).await {
        app.record_event(caller.address, &throttled_event(&request.client));
        return Ok(too_many_requests(caller, wait));
    }
    let cookie = Secret::random();
    let lifetime = app.config.lifetimes.interaction;
    let (interaction, id) = Interaction::begin(request, &cookie, lifetime, app.now());
    let created = app.store.put(&interaction).await;
    created.map_err(|cause| PageError::unavailable(&caller.request_id, &cause))?;
    let mut answer = see_other(&format!("{}?interaction={}", step.path(), id.reveal()));
    // As long as the record: a browser that comes too late is offered to start again.
    let kept = cookies::set_interaction(app, &id, &cookie, lifetime * 2);
    for line in cookies.make_room(app).into_iter().chain([kept]) {
        answer.headers_mut().append(header::SET_COOKIE, line);
    }
    Ok(answer)
}

/// The audit event of a request that is refused by a rate limit.
pub fn throttled_event(client: &ClientId) -> Event<'_> {
    Event::Authorized { client: client.as_str(), outcome: AuthorizationOutcome::Throttled }
}

/// Limits the requests that are answered without a step, for each session and minute: each leaves a grant behind.
/// The limit leaves room for every application that a user has open to check the session now and then.
async fn check_rate_limit(app: &App, session: &Session) -> Result<(), RateLimited> {
    let Some(per_minute) = app.failures_per_minute() else { return Ok(()) };
    let most = (per_minute / 5).max(10);
    let name = format!("silent {}", session.sid);
    let counted = rate_limit::consume_quota(&*app.store, &name, 1, most, app.now()).await;
    rate_limit::refuse_limited(counted)
}

/// Continues an interaction that returns from a step.
pub async fn resume(
    app: &App,
    caller: &RequestInfo,
    cookies: &Cookies,
    id: &str,
) -> Result<Response, PageError> {
    // A second click or another tab may finish it first. Then it is loaded again, and the same response is given.
    for _ in 0..3 {
        let context = InteractionContext::load(app, caller, cookies, id).await?;
        let answered = match (context.next_step(app), &context.browser_session.session) {
            (NextStep::Ask(step), _) => return Ok(see_other(&context.step_path(step))),
            (NextStep::Stop(stop), _) => {
                return Err(stop_page::explain(app, caller, &context, stop));
            }
            (NextStep::Refuse(code), _) => finish_with_error(app, caller, &context, code).await?,
            (NextStep::Issue, Some((session, user))) => {
                let request = &context.interaction.request;
                let (client, consent_epoch) =
                    (&context.client, context.browser_session.consent_epoch);
                let authorized =
                    AuthorizedRequest { client, request, session, user, consent_epoch };
                issue_and_finish(app, caller, &context, authorized).await?
            }
            (NextStep::Issue, None) => return Ok(see_other(&context.step_path(Step::Login))),
        };
        if let Some(mut answer) = answered {
            let line = context.shorten_cookie(app);
            answer.headers_mut().extend(line.map(|line| (header::SET_COOKIE, line)));
            return Ok(answer);
        }
    }
    Err(PageError::internal(&caller.request_id))
}

/// Sends the authorization response, or the same again; `None` if another request finished the interaction first.
async fn issue_and_finish(
    app: &App,
    caller: &RequestInfo,
    context: &InteractionContext,
    authorized: AuthorizedRequest<'_>,
) -> Result<Option<Response>, PageError> {
    let again = context.interaction.finished;
    if again && check_rate_limit(app, authorized.session).await.is_err() {
        let to = &authorized.request.reply;
        return Ok(Some(refuse(app, caller, authorized.client, to, RATE_LIMITED, true)));
    }
    // The grant first: if the store fails in between, the interaction must not be finished without one.
    let mut fields = response::prepare(
        app,
        authorized,
        Some(context.authorization_code(app, authorized.session)),
    )
    .await;
    if matches!(fields, Err(ResponseError::CodeUsed)) {
        if again && context.next_step_if_new(app) != NextStep::Issue {
            return Err(stop_page::explain(app, caller, context, StopReason::Finished));
        }
        if again {
            // The client has redeemed the code, and the user submits once more: like a new request.
            return issue_at_once(app, caller, authorized, true).await.map(Some);
        }
        // The code was stored by an attempt that was never sent.
        fields = response::prepare(app, authorized, None).await;
    }
    let fields = match fields {
        Ok(fields) => fields,
        Err(ResponseError::Token(TokenIssueError::NoEncryptionKey)) => {
            return finish_with_error(app, caller, context, NO_ENCRYPTION_KEY).await;
        }
        Err(why) => return Err(why.into_page(caller)),
    };
    if !again {
        if !finish(app, caller, context, None).await? {
            return Ok(None);
        }
        response::record_success(app, caller, authorized);
    }
    Ok(Some(response::send(app, caller, authorized, fields, true)))
}

/// Finishes the interaction; of concurrent attempts only one gets `true`.
async fn finish(
    app: &App,
    caller: &RequestInfo,
    context: &InteractionContext,
    refused: Option<RefusalCode>,
) -> Result<bool, PageError> {
    let sid = context.browser_session.session.as_ref().map(|(session, _)| session.sid);
    let (attempt, answer) =
        (AttemptId(random::uuid()), InteractionOutcome { at: app.now(), sid, refused });
    let finished = interactions::finish(&*app.store, &context.id, attempt, answer).await;
    finished.map_err(|cause| PageError::unavailable(&caller.request_id, &cause))
}

/// Finishes the interaction with an error for the client, or sends it again; `None` if another request finished the
/// interaction first.
async fn finish_with_error(
    app: &App,
    caller: &RequestInfo,
    context: &InteractionContext,
    code: ErrorCode,
) -> Result<Option<Response>, PageError> {
    let again = context.interaction.finished;
    if !again && !finish(app, caller, context, Some(RefusalCode::from_error(code))).await? {
        return Ok(None);
    }
    let reply = &context.interaction.request.reply;
    if !again {
        record_refusal(app, caller, &context.client, code);
    }
    Ok(Some(send_refusal(app, caller, &context.client, reply, code, true)))
}

fn refuse(
    app: &App,
    caller: &RequestInfo,
    client: &Client,
    reply: &Reply,
    code: ErrorCode,
    after_gesture: bool,
) -> Response {
    record_refusal(app, caller, client, code);
    send_refusal(app, caller, client, reply, code, after_gesture)
}

fn record_refusal(app: &App, caller: &RequestInfo, client: &Client, code: ErrorCode) {
    let outcome = if code == ErrorCode::AccessDenied {
        AuthorizationOutcome::Denied
    } else if code == NO_ENCRYPTION_KEY {
        AuthorizationOutcome::Refused
    } else if code == RATE_LIMITED {
        AuthorizationOutcome::Throttled
    } else {
        AuthorizationOutcome::InteractionNeeded
    };
    app.record_event(caller.address, &Event::Authorized { client: client.id.as_str(), outcome });
}

/// Why no `prompt=none` request of such a client succeeds (RFC 8252 §8.6). It is the reason in the log, too.
const CONSENT_EACH_TIME: &str = "a public client with application_type native, a scheme of its own or an \
    unregistered port could be any program of the device, so consent is asked each time and never remembered";

fn send_refusal(
    app: &App,
    caller: &RequestInfo,
    client: &Client,
    reply: &Reply,
    code: ErrorCode,
    after_gesture: bool,
) -> Response {
    let text = match code {
        ErrorCode::LoginRequired => "nobody is signed in, or not the person that was asked for",
        ErrorCode::ConsentRequired if reply.is_impersonable(client) => CONSENT_EACH_TIME,
        ErrorCode::ConsentRequired => "the person has not agreed to this yet",
        ErrorCode::AccessDenied => "the person said no",
        RATE_LIMITED => "very many authorizations in this session; try again in a minute",
        NO_ENCRYPTION_KEY => "there is no key of the client for the encryption it registered",
        _ => "a page would have to be shown",
    };
    // A `prompt=none` request is how an application reads the state after the iframe said "changed".
    let session_state = code != ErrorCode::AccessDenied;
    let options = ReplyOptions { client, reply, session_state, after_gesture };
    reply::send(app, caller, options, reply::ReplyContent::Refused(OAuthError::new(code, text)))
}
