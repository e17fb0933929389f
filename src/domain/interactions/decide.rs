use super::{Interaction, InteractionOutcome, InteractionStatus};
use crate::domain::authorization_request::AuthorizationRequest;
use crate::domain::clients::Client;
use crate::domain::consent::Consent;
use crate::domain::sessions::Session;
use crate::infra::clock::UnixTime;
use crate::protocol::{ErrorCode, Subject};

/// What a decision about an authorization request rests on.
#[derive(Clone, Copy)]
pub struct DecisionInput<'a> {
    pub request: &'a AuthorizationRequest,
    pub client: &'a Client,
    /// The live session of this browser, of an enabled user.
    pub session: Option<&'a Session>,
    /// The `sub` by which the client knows that user.
    pub client_subject: Option<&'a Subject>,
    /// The user's stored consent to the client.
    pub consent: Option<&'a Consent>,
    /// Absent for a request that has just come.
    pub interaction: Option<&'a Interaction>,
    /// The browser sent the interaction's cookie.
    pub has_cookie: bool,
}

/// What to do next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NextStep {
    /// Show the page of this step.
    Ask(Step),
    /// Send the client the authorization response, for the first time or again.
    Issue,
    /// Send the client this error.
    Refuse(ErrorCode),
    /// Show a page that says why it does not go on, with a link.
    Stop(StopReason),
}

/// A step that asks the end-user something. The `GET` of its path shows its page, the `POST` takes its form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Authenticate.
    Login,
    /// Choose whether to continue with the session there is, on the login page.
    Account,
    /// Allow or deny what the client asks for.
    Consent,
}

impl Step {
    /// The path of its page and its form.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Login | Self::Account => "/login",
            Self::Consent => "/consent",
        }
    }
}

/// Why an interaction does not go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StopReason {
    /// It belongs to another browser.
    Foreign,
    /// It took too long. It can be begun again.
    Expired,
    /// It was answered more than `REPEAT_WINDOW` ago.
    Finished,
}

/// When a step is needed, and the error for a request with `prompt=none` then ([OpenID Connect Core §3.1.2.6]).
///
/// [OpenID Connect Core §3.1.2.6]: https://openid.net/specs/openid-connect-core-1_0.html#AuthError
struct Question {
    step: Step,
    prompt_none_error: ErrorCode,
    is_needed: fn(DecisionInput<'_>, UnixTime) -> bool,
}

/// The first that is needed comes next. A new step is one more line here, a variant of [`Step`], and an endpoint.
const QUESTIONS: [Question; 3] = [
    Question {
        step: Step::Login,
        prompt_none_error: ErrorCode::LoginRequired,
        is_needed: needs_login,
    },
    Question {
        step: Step::Account,
        prompt_none_error: ErrorCode::InteractionRequired,
        is_needed: needs_account,
    },
    Question {
        step: Step::Consent,
        prompt_none_error: ErrorCode::ConsentRequired,
        is_needed: needs_consent,
    },
];

/// What to do with a valid authorization request ([OpenID Connect Core §3.1.2.3], §3.1.2.4), new or within an
/// interaction.
///
/// [OpenID Connect Core §3.1.2.3]: https://openid.net/specs/openid-connect-core-1_0.html#Authenticates
pub fn decide(input: DecisionInput<'_>, now: UnixTime) -> NextStep {
    match input.interaction.map(|it| it.status(input.has_cookie, now)) {
        None | Some(InteractionStatus::Open) => decide_open(input, now),
        Some(InteractionStatus::Answered(answer)) => decide_answered(input, answer, now),
        Some(InteractionStatus::Finished) => NextStep::Stop(StopReason::Finished),
        Some(InteractionStatus::Foreign) => NextStep::Stop(StopReason::Foreign),
        Some(InteractionStatus::Expired) => NextStep::Stop(StopReason::Expired),
    }
}

/// Repeats the response of a finished interaction, if the same decision would be made today for the same session.
fn decide_answered(
    input: DecisionInput<'_>,
    answer: InteractionOutcome,
    now: UnixTime,
) -> NextStep {
    if let Some(refused) = answer.refused {
        return NextStep::Refuse(refused.code());
    }
    let same = input.session.map(|session| session.sid) == answer.sid;
    // Denied after the response went out: `decide_open` would refuse, but the client has its response.
    if same && decide_open(input, now) == NextStep::Issue {
        NextStep::Issue
    } else {
        NextStep::Stop(StopReason::Finished)
    }
}

fn decide_open(input: DecisionInput<'_>, now: UnixTime) -> NextStep {
    if input.interaction.is_some_and(|it| it.declined) {
        return NextStep::Refuse(ErrorCode::AccessDenied);
    }
    // In this interaction another user signed in than the hint names: not to be given to the client.
    if input
        .session
        .is_some_and(|it| signed_in_in_interaction(input, it) && is_not_hinted_subject(input))
    {
        return NextStep::Refuse(ErrorCode::LoginRequired);
    }
    match QUESTIONS.iter().find(|question| (question.is_needed)(input, now)) {
        Some(question) if input.request.prompt.none => NextStep::Refuse(question.prompt_none_error),
        Some(question) => NextStep::Ask(question.step),
        None => NextStep::Issue,
    }
}

fn needs_login(input: DecisionInput<'_>, now: UnixTime) -> bool {
    input.session.is_none_or(|session| !is_recent_enough(input, session, now))
        || is_not_hinted_subject(input)
}

fn is_not_hinted_subject(input: DecisionInput<'_>) -> bool {
    input.request.hinted.as_ref().is_some_and(|wanted| input.client_subject != Some(wanted))
}

fn needs_account(input: DecisionInput<'_>, _: UnixTime) -> bool {
    input.request.prompt.select_account
        && input.session.is_none_or(|session| !chosen_in_interaction(input, session))
}

/// Whether the authentication is recent enough for `max_age`, and of this interaction where `prompt=login` asks
/// for that.
fn is_recent_enough(input: DecisionInput<'_>, session: &Session, now: UnixTime) -> bool {
    if signed_in_in_interaction(input, session) {
        return true;
    }
    if input.request.prompt.login {
        return false;
    }
    let age = now.since(session.authenticated_at).as_secs();
    input.request.max_age.is_none_or(|most| most > 0 && age <= most)
}

fn signed_in_in_interaction(input: DecisionInput<'_>, session: &Session) -> bool {
    input.interaction.is_some_and(|it| it.has_signed_in(session))
}

fn chosen_in_interaction(input: DecisionInput<'_>, session: &Session) -> bool {
    signed_in_in_interaction(input, session)
        || input.interaction.is_some_and(|it| it.chosen_session == Some(session.id))
}

/// Whether consent has to be asked: each time for clients that can be impersonated ([RFC 8252 §8.6]).
///
/// [RFC 8252 §8.6]: https://www.rfc-editor.org/rfc/rfc8252#section-8.6
fn needs_consent(input: DecisionInput<'_>, _: UnixTime) -> bool {
    let request = input.request;
    let agreed_here = input
        .interaction
        .and_then(|it| it.given_consent.as_ref())
        .zip(input.session)
        .is_some_and(|(agreed, session)| agreed.covers(&session.sub, request, input.client));
    if agreed_here {
        return false;
    }
    if request.prompt.consent {
        return true;
    }
    if input.client.settings.first_party {
        return false;
    }
    let impersonable = request.reply.is_impersonable(input.client);
    let remembered = input.consent.is_some_and(|it| it.covers(request, input.client));
    impersonable || !remembered
}

#[cfg(test)]
mod tests;
