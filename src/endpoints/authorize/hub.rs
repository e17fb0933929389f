use axum::http::header;
use axum::response::Response;

use super::issue::{self, Issuance, Unprepared};
use super::reply::{self, ReplyOptions};
use crate::domain::authorization_request::{AuthorizationRequest, Reply};
use crate::domain::clients::{Client, ClientId};
use crate::domain::events::{AuthorizationOutcome, Event};
use crate::domain::grants::AttemptId;
use crate::domain::interactions::{
    self, Answer, Interaction, Known, Next, Refused, Step, Stop, decide,
};
use crate::domain::rate_limit::{self, RateLimited};
use crate::domain::sessions::Session;
use crate::http::app::App;
use crate::http::authorization_response::see_other;
use crate::http::cookies::{self, Cookies};
use crate::http::page_error::PageError;
use crate::http::request_info::RequestInfo;
use crate::http::stopped;
use crate::http::token_issuer::TokenIssueError;
use crate::http::turns::{take_turns, too_many, turns_for};
use crate::http::visit::{Presence, Visit};
use crate::infra::random;
use crate::infra::secret::Secret;
use crate::protocol::{ErrorCode, OAuthError};

/// What a client is told whose tokens cannot be encrypted for it.
const NO_KEY: ErrorCode = ErrorCode::ServerError;

/// What a client is told that asks too often.
const TOO_OFTEN: ErrorCode = ErrorCode::TemporarilyUnavailable;

/// A new request: answered at once where nobody has to be asked, otherwise kept and sent to a page.
pub async fn enter(
    app: &App,
    caller: &RequestInfo,
    cookies: &Cookies,
    client: Client,
    request: AuthorizationRequest,
) -> Result<Response, PageError> {
    let broken = |cause| PageError::unavailable(&caller.request_id, &cause);
    let presence = Presence::find(app, cookies, &client).await.map_err(broken)?;
    let here = presence.session.as_ref();
    let session = here.map(|(session, _)| session);
    let consent = presence.consent.as_ref();
    let seen_as = session.map(|session| app.subject_for(&client, &session.sub));
    let known = Known {
        request: &request,
        client: &client,
        session,
        seen_as: seen_as.as_ref(),
        consent,
        interaction: None,
        own: false,
    };
    match (decide(known, app.now()), here) {
        (Next::Refuse(code), _) => Ok(refuse(app, caller, &client, &request.reply, code, false)),
        (Next::Issue, Some((session, user))) => {
            if take_silent_turn(app, session).await.is_err() {
                return Ok(refuse(app, caller, &client, &request.reply, TOO_OFTEN, false));
            }
            let issuance = Issuance {
                client: &client,
                request: &request,
                session,
                user,
                consent_epoch: presence.consent_epoch,
            };
            answer_at_once(app, caller, issuance, false).await
        }
        (Next::Ask(step), _) => keep(app, caller, cookies, request, step).await,
        // Nobody is here, or it is no new request: neither is ever said of one.
        (Next::Issue | Next::Stop(_), _) => keep(app, caller, cookies, request, Step::Login).await,
    }
}

/// A new code for a request that nobody has to be asked about.
async fn answer_at_once(
    app: &App,
    caller: &RequestInfo,
    it: Issuance<'_>,
    after_gesture: bool,
) -> Result<Response, PageError> {
    let fields = match issue::prepare(app, it, None).await {
        Ok(fields) => fields,
        Err(Unprepared::Unmade(TokenIssueError::NoEncryptionKey)) => {
            let to = &it.request.reply;
            return Ok(refuse(app, caller, it.client, to, NO_KEY, after_gesture));
        }
        Err(why) => return Err(why.explained(caller)),
    };
    issue::tell(app, caller, it);
    Ok(issue::send(app, caller, it, fields, after_gesture))
}

/// Files the request as an interaction of this browser and goes to a page.
async fn keep(
    app: &App,
    caller: &RequestInfo,
    cookies: &Cookies,
    request: AuthorizationRequest,
    step: Step,
) -> Result<Response, PageError> {
    let bytes = serde_json::to_vec(&request).map_or(usize::MAX, |bytes| bytes.len());
    if let Err(wait) = take_turns(app, caller, turns_for(bytes)).await {
        app.record_event(caller.address, &throttled(&request.client));
        return Ok(too_many(caller, wait));
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
pub fn throttled(client: &ClientId) -> Event<'_> {
    Event::Authorized { client: client.as_str(), outcome: AuthorizationOutcome::Throttled }
}

/// What is answered without a page leaves a grant behind, which nobody had to do anything for: so many a
/// minute and session. Every application that a person has open may look in now and then.
async fn take_silent_turn(app: &App, session: &Session) -> Result<(), RateLimited> {
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
        let visit = Visit::load(app, caller, cookies, id).await?;
        let answered = match (visit.next(app), &visit.presence.session) {
            (Next::Ask(step), _) => return Ok(see_other(&visit.path_of(step))),
            (Next::Stop(stop), _) => return Err(stopped::explain(app, caller, &visit, stop)),
            (Next::Refuse(code), _) => finish_with(app, caller, &visit, code).await?,
            (Next::Issue, Some((session, user))) => {
                let request = &visit.interaction.request;
                let (client, consent_epoch) = (&visit.client, visit.presence.consent_epoch);
                let issuance = Issuance { client, request, session, user, consent_epoch };
                issue_for(app, caller, &visit, issuance).await?
            }
            (Next::Issue, None) => return Ok(see_other(&visit.path_of(Step::Login))),
        };
        if let Some(mut answer) = answered {
            let line = visit.release_cookie(app);
            answer.headers_mut().extend(line.map(|line| (header::SET_COOKIE, line)));
            return Ok(answer);
        }
    }
    Err(PageError::internal(&caller.request_id))
}

/// Gives the client what it asked for, or the same once more; none if somebody was faster.
async fn issue_for(
    app: &App,
    caller: &RequestInfo,
    visit: &Visit,
    it: Issuance<'_>,
) -> Result<Option<Response>, PageError> {
    let again = visit.interaction.finished;
    if again && take_silent_turn(app, it.session).await.is_err() {
        let to = &it.request.reply;
        return Ok(Some(refuse(app, caller, it.client, to, TOO_OFTEN, true)));
    }
    // The answer first: a store that fails in between must not end a visit without one.
    let mut fields = issue::prepare(app, it, Some(visit.code(app, it.session))).await;
    if matches!(fields, Err(Unprepared::Spent)) {
        if again && visit.next_anew(app) != Next::Issue {
            return Err(stopped::explain(app, caller, visit, Stop::Finished));
        }
        if again {
            // The application had its answer, and the person presses once more: as if they came anew.
            return answer_at_once(app, caller, it, true).await.map(Some);
        }
        // It was made by a try that never got so far as to be sent.
        fields = issue::prepare(app, it, None).await;
    }
    let fields = match fields {
        Ok(fields) => fields,
        Err(Unprepared::Unmade(TokenIssueError::NoEncryptionKey)) => {
            return finish_with(app, caller, visit, NO_KEY).await;
        }
        Err(why) => return Err(why.explained(caller)),
    };
    if !again {
        if !finish(app, caller, visit, None).await? {
            return Ok(None);
        }
        issue::tell(app, caller, it);
    }
    Ok(Some(issue::send(app, caller, it, fields, true)))
}

/// Ends the interaction; only one of several who try is told `true`.
async fn finish(
    app: &App,
    caller: &RequestInfo,
    visit: &Visit,
    refused: Option<Refused>,
) -> Result<bool, PageError> {
    let sid = visit.presence.session.as_ref().map(|(session, _)| session.sid);
    let (attempt, answer) = (AttemptId(random::uuid()), Answer { at: app.now(), sid, refused });
    let finished = interactions::finish(&*app.store, &visit.id, attempt, answer).await;
    finished.map_err(|cause| PageError::unavailable(&caller.request_id, &cause))
}

/// Ends the interaction with an error for the client, or says it once more; none if somebody was faster.
async fn finish_with(
    app: &App,
    caller: &RequestInfo,
    visit: &Visit,
    code: ErrorCode,
) -> Result<Option<Response>, PageError> {
    let again = visit.interaction.finished;
    if !again && !finish(app, caller, visit, Some(Refused::of(code))).await? {
        return Ok(None);
    }
    let reply = &visit.interaction.request.reply;
    if !again {
        tell_refusal(app, caller, &visit.client, code);
    }
    Ok(Some(send_refusal(app, caller, &visit.client, reply, code, true)))
}

fn refuse(
    app: &App,
    caller: &RequestInfo,
    client: &Client,
    reply: &Reply,
    code: ErrorCode,
    after_gesture: bool,
) -> Response {
    tell_refusal(app, caller, client, code);
    send_refusal(app, caller, client, reply, code, after_gesture)
}

fn tell_refusal(app: &App, caller: &RequestInfo, client: &Client, code: ErrorCode) {
    let outcome = if code == ErrorCode::AccessDenied {
        AuthorizationOutcome::Denied
    } else if code == NO_KEY {
        AuthorizationOutcome::Refused
    } else if code == TOO_OFTEN {
        AuthorizationOutcome::Throttled
    } else {
        AuthorizationOutcome::InteractionNeeded
    };
    app.record_event(caller.address, &Event::Authorized { client: client.id.as_str(), outcome });
}

/// Why no silent request of such a client succeeds, however often the person said yes (RFC 8252 §8.6): it goes
/// into the log as the reason, too.
const ASKED_EACH_TIME: &str = "a public client with application_type native, a scheme of its own or an \
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
        ErrorCode::ConsentRequired if reply.is_impersonable(client) => ASKED_EACH_TIME,
        ErrorCode::ConsentRequired => "the person has not agreed to this yet",
        ErrorCode::AccessDenied => "the person said no",
        TOO_OFTEN => "very many authorizations in this session; try again in a minute",
        NO_KEY => "there is no key of the client for the encryption it registered",
        _ => "a page would have to be shown",
    };
    // A silent look is how an application finds out what it was told of as "changed".
    let session_state = code != ErrorCode::AccessDenied;
    let options = ReplyOptions { client, reply, session_state, after_gesture };
    reply::send(app, caller, options, reply::Answer::Refused(OAuthError::new(code, text)))
}
