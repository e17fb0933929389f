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

/// What a client is told whose tokens cannot be encrypted for it.
const NO_ENCRYPTION_KEY: ErrorCode = ErrorCode::ServerError;

/// What a client is told that asks too often.
const RATE_LIMITED: ErrorCode = ErrorCode::TemporarilyUnavailable;

/// A new request: answered at once where nobody has to be asked, otherwise kept and sent to a page.
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
        // Nobody is here, or it is no new request: neither is ever said of one.
        (NextStep::Issue | NextStep::Stop(_), _) => {
            create_interaction(app, caller, cookies, request, Step::Login).await
        }
    }
}

/// A new code for a request that nobody has to be asked about.
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

/// Files the request as an interaction of this browser and goes to a page.
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
    // As long as the record is kept: who comes too late is offered to start again.
    let kept = cookies::set_interaction(app, &id, &cookie, lifetime * 2);
    for line in cookies.make_room(app).into_iter().chain([kept]) {
        answer.headers_mut().append(header::SET_COOKIE, line);
    }
    Ok(answer)
}

/// For the record.
pub fn throttled_event(client: &ClientId) -> Event<'_> {
    Event::Authorized { client: client.as_str(), outcome: AuthorizationOutcome::Throttled }
}

/// What is answered without a page leaves a grant behind, which nobody had to do anything for: so many a
/// minute and session. Every application that a person has open may look in now and then.
async fn check_rate_limit(app: &App, session: &Session) -> Result<(), RateLimited> {
    let Some(per_minute) = app.failures_per_minute() else { return Ok(()) };
    let most = (per_minute / 5).max(10);
    let name = format!("silent {}", session.sid);
    rate_limit::consume_quota(&*app.store, &name, 1, most, app.now()).await.unwrap_or(Ok(()))
}

/// An interaction comes back from a page.
pub async fn resume(
    app: &App,
    caller: &RequestInfo,
    cookies: &Cookies,
    id: &str,
) -> Result<Response, PageError> {
    // Somebody may be faster: a second click, or another tab. Then what they were told is looked up, and it
    // stands: one more look is enough.
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

/// Gives the client what it asked for, or the same once more; none if somebody was faster.
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
    // The answer first: a store that fails in between must not end a visit without one.
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
            // The application had its answer, and the person presses once more: as if they came anew.
            return issue_at_once(app, caller, authorized, true).await.map(Some);
        }
        // It was made by a try that never got so far as to be sent.
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

/// Ends the interaction; only one of several who try is told `true`.
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

/// Ends the interaction with an error for the client, or says it once more; none if somebody was faster.
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

/// Why no silent request of such a client succeeds, however often the person said yes (RFC 8252 §8.6): it goes
/// into the log as the reason, too.
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
    // A silent look is how an application finds out what it was told of as "changed".
    let session_state = code != ErrorCode::AccessDenied;
    let options = ReplyOptions { client, reply, session_state, after_gesture };
    reply::send(app, caller, options, reply::ReplyContent::Refused(OAuthError::new(code, text)))
}
