use super::{Interaction, InteractionOutcome, InteractionStatus};
use crate::domain::authorization_request::AuthorizationRequest;
use crate::domain::clients::Client;
use crate::domain::consent::Consent;
use crate::domain::sessions::Session;
use crate::infra::clock::UnixTime;
use crate::protocol::{ErrorCode, Subject};

/// What is known when a request has to be decided.
#[derive(Clone, Copy)]
pub struct DecisionInput<'a> {
    /// What was asked.
    pub request: &'a AuthorizationRequest,
    /// By whom.
    pub client: &'a Client,
    /// Who is signed in with this browser; their account is enabled.
    pub session: Option<&'a Session>,
    /// As whom the client knows them.
    pub client_subject: Option<&'a Subject>,
    /// What they agreed to before.
    pub consent: Option<&'a Consent>,
    /// What was done in this interaction; absent while there is none.
    pub interaction: Option<&'a Interaction>,
    /// Whether the browser has the interaction's cookie.
    pub has_cookie: bool,
}

/// Every way on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NextStep {
    /// The person has to be asked something.
    Ask(Step),
    /// Give the client what it asked for: for the first time, or the same once more.
    Issue,
    /// Tell the client no.
    Refuse(ErrorCode),
    /// It does not go on here. A page says so, with a way on.
    Stop(StopReason),
}

/// What a person can be asked. Each has a page, and the form on it is sent to where the page is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Who they are, with proof.
    Login,
    /// Whether to go on as who is signed in, on the same page.
    Account,
    /// Whether the client may have this.
    Consent,
}

impl Step {
    /// Where its page is.
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
    /// It is another browser's.
    Foreign,
    /// It took too long. It can be begun again.
    Expired,
    /// It was answered, and that is a while ago.
    Finished,
}

/// A question, and what a client is told that wants nobody asked ([OpenID Connect Core §3.1.2.6]).
///
/// [OpenID Connect Core §3.1.2.6]: https://openid.net/specs/openid-connect-core-1_0.html#AuthError
struct Question {
    step: Step,
    prompt_none_error: ErrorCode,
    is_needed: fn(DecisionInput<'_>, UnixTime) -> bool,
}

/// In this order: whether there is a sign-in that will do, of the right person; as whom they go on; whether
/// they agree. What else may have to be asked is one more line.
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

/// What to do with a valid authorization request ([OpenID Connect Core §3.1.2.3], §3.1.2.4), whether it has
/// just come or is an interaction that was begun, answered, or is another browser's.
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

/// The same once more, if it would still be said, and to the same session: what was done in the interaction
/// is spent with its answer.
fn decide_answered(
    input: DecisionInput<'_>,
    answer: InteractionOutcome,
    now: UnixTime,
) -> NextStep {
    if let Some(refused) = answer.refused {
        return NextStep::Refuse(refused.code());
    }
    let same = input.session.map(|session| session.sid) == answer.sid;
    // A no after the answer went out: `ask` would refuse, and there is nobody left to refuse.
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
    // Signed in here as somebody else, after being asked: the client cannot be given that person.
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

/// Whether the sign-in is recent enough, and of this very interaction where one was demanded.
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

/// Whether the person has to be asked ([RFC 8252 §8.6] for applications nobody can tie to a place).
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
