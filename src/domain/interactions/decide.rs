use super::{Answer, Interaction, Standing};
use crate::domain::authorization_request::AuthorizationRequest;
use crate::domain::clients::Client;
use crate::domain::consent::Consent;
use crate::domain::sessions::Session;
use crate::infra::clock::UnixTime;
use crate::protocol::{ErrorCode, Subject};

/// What is known when a request has to be decided.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// What was asked.
    pub request: &'a AuthorizationRequest,
    /// By whom.
    pub client: &'a Client,
    /// Who is signed in with this browser; their account is enabled.
    pub session: Option<&'a Session>,
    /// As whom the client knows them.
    pub seen_as: Option<&'a Subject>,
    /// What they agreed to before.
    pub consent: Option<&'a Consent>,
    /// What was done in this interaction; absent while there is none.
    pub interaction: Option<&'a Interaction>,
    /// Whether the browser has the interaction's cookie.
    pub own: bool,
}

/// Every way on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// The person has to be asked something.
    Ask(Step),
    /// Give the client what it asked for: for the first time, or the same once more.
    Issue,
    /// Tell the client no.
    Refuse(ErrorCode),
    /// It does not go on here. A page says so, with a way on.
    Stop(Stop),
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
pub enum Stop {
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
    silent: ErrorCode,
    is_open: fn(Known<'_>, UnixTime) -> bool,
}

/// In this order: whether there is a sign-in that will do, of the right person; as whom they go on; whether
/// they agree. What else may have to be asked is one more line.
const QUESTIONS: [Question; 3] = [
    Question { step: Step::Login, silent: ErrorCode::LoginRequired, is_open: needs_login },
    Question {
        step: Step::Account,
        silent: ErrorCode::InteractionRequired,
        is_open: needs_account,
    },
    Question { step: Step::Consent, silent: ErrorCode::ConsentRequired, is_open: needs_consent },
];

/// What to do with a valid authorization request ([OpenID Connect Core §3.1.2.3], §3.1.2.4), whether it has
/// just come or is an interaction that was begun, answered, or is another browser's.
///
/// [OpenID Connect Core §3.1.2.3]: https://openid.net/specs/openid-connect-core-1_0.html#Authenticates
pub fn decide(known: Known<'_>, now: UnixTime) -> Next {
    match known.interaction.map(|it| it.standing(known.own, now)) {
        None | Some(Standing::Open) => ask(known, now),
        Some(Standing::Answered(answer)) => again(known, answer, now),
        Some(Standing::Over) => Next::Stop(Stop::Finished),
        Some(Standing::Foreign) => Next::Stop(Stop::Foreign),
        Some(Standing::Expired) => Next::Stop(Stop::Expired),
    }
}

/// The same once more, if it would still be said, and to the same session: what was done in the interaction
/// is spent with its answer.
fn again(known: Known<'_>, answer: Answer, now: UnixTime) -> Next {
    if let Some(refused) = answer.refused {
        return Next::Refuse(refused.code());
    }
    let same = known.session.map(|session| session.sid) == answer.sid;
    // A no after the answer went out: `ask` would refuse, and there is nobody left to refuse.
    if same && ask(known, now) == Next::Issue { Next::Issue } else { Next::Stop(Stop::Finished) }
}

fn ask(known: Known<'_>, now: UnixTime) -> Next {
    if known.interaction.is_some_and(|it| it.declined) {
        return Next::Refuse(ErrorCode::AccessDenied);
    }
    // Signed in here as somebody else, after being asked: the client cannot be given that person.
    if known.session.is_some_and(|it| signed_in_here(known, it) && is_other_than_hinted(known)) {
        return Next::Refuse(ErrorCode::LoginRequired);
    }
    match QUESTIONS.iter().find(|question| (question.is_open)(known, now)) {
        Some(question) if known.request.prompt.none => Next::Refuse(question.silent),
        Some(question) => Next::Ask(question.step),
        None => Next::Issue,
    }
}

fn needs_login(known: Known<'_>, now: UnixTime) -> bool {
    known.session.is_none_or(|session| !will_do(known, session, now)) || is_other_than_hinted(known)
}

fn is_other_than_hinted(known: Known<'_>) -> bool {
    known.request.hinted.as_ref().is_some_and(|wanted| known.seen_as != Some(wanted))
}

fn needs_account(known: Known<'_>, _: UnixTime) -> bool {
    known.request.prompt.select_account
        && known.session.is_none_or(|session| !chosen_here(known, session))
}

/// Whether the sign-in is recent enough, and of this very interaction where one was demanded.
fn will_do(known: Known<'_>, session: &Session, now: UnixTime) -> bool {
    if signed_in_here(known, session) {
        return true;
    }
    if known.request.prompt.login {
        return false;
    }
    let age = now.since(session.authenticated_at).as_secs();
    known.request.max_age.is_none_or(|most| most > 0 && age <= most)
}

fn signed_in_here(known: Known<'_>, session: &Session) -> bool {
    known.interaction.is_some_and(|it| it.has_signed_in(session))
}

fn chosen_here(known: Known<'_>, session: &Session) -> bool {
    signed_in_here(known, session)
        || known.interaction.is_some_and(|it| it.chosen == Some(session.id))
}

/// Whether the person has to be asked ([RFC 8252 §8.6] for applications nobody can tie to a place).
///
/// [RFC 8252 §8.6]: https://www.rfc-editor.org/rfc/rfc8252#section-8.6
fn needs_consent(known: Known<'_>, _: UnixTime) -> bool {
    let request = known.request;
    let agreed_here = known
        .interaction
        .and_then(|it| it.agreed.as_ref())
        .zip(known.session)
        .is_some_and(|(agreed, session)| agreed.covers(&session.sub, request, known.client));
    if agreed_here {
        return false;
    }
    if request.prompt.consent {
        return true;
    }
    if known.client.settings.first_party {
        return false;
    }
    let impersonable = request.reply.is_impersonable(known.client);
    let remembered = known.consent.is_some_and(|it| it.covers(request, known.client));
    impersonable || !remembered
}

#[cfg(test)]
mod tests;
