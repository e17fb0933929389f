use super::Interaction;
use crate::clients::Client;
use crate::clock::UnixTime;
use crate::consents::Consent;
use crate::protocol::{ErrorCode, Subject};
use crate::requests::AuthorizationRequest;
use crate::sessions::Session;

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
}

/// Every way on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// Show the login page.
    AskLogin,
    /// Show the login page with the choice to go on as who is signed in.
    AskAccount,
    /// Show the consent page.
    AskConsent,
    /// Give the client its code.
    Issue,
    /// Tell the client no.
    Refuse(ErrorCode),
}

/// What to do with a valid authorization request ([OpenID Connect Core §3.1.2.3], §3.1.2.4).
///
/// First whether there is a sign-in that will do, then whether it is the right person, then whether they
/// agree. With `prompt=none` each question that would need a page is an error instead (§3.1.2.6).
///
/// [OpenID Connect Core §3.1.2.3]: https://openid.net/specs/openid-connect-core-1_0.html#Authenticates
pub fn decide(known: Known<'_>, now: UnixTime) -> Next {
    let request = known.request;
    let silent = request.prompt.none;
    let ask = |page: Next, error: ErrorCode| if silent { Next::Refuse(error) } else { page };

    let Some(session) = known.session.filter(|session| will_do(known, session, now)) else {
        return ask(Next::AskLogin, ErrorCode::LoginRequired);
    };
    if request.hinted.as_ref().is_some_and(|wanted| known.seen_as != Some(wanted)) {
        // Signed in here as somebody else, after being asked: the client cannot be given that person.
        let just_signed_in = signed_in_here(known, session);
        return if just_signed_in {
            Next::Refuse(ErrorCode::LoginRequired)
        } else {
            ask(Next::AskLogin, ErrorCode::LoginRequired)
        };
    }
    if request.prompt.select_account && !chosen_here(known, session) {
        return Next::AskAccount;
    }
    if needs_consent(known, session) {
        return ask(Next::AskConsent, ErrorCode::ConsentRequired);
    }
    Next::Issue
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
    known.interaction.is_some_and(|it| it.signed_in == Some(session.id))
}

fn chosen_here(known: Known<'_>, session: &Session) -> bool {
    signed_in_here(known, session)
        || known.interaction.is_some_and(|it| it.chosen == Some(session.id))
}

/// Whether the person has to be asked ([RFC 8252 §8.6] for applications nobody can tie to a place).
///
/// [RFC 8252 §8.6]: https://www.rfc-editor.org/rfc/rfc8252#section-8.6
fn needs_consent(known: Known<'_>, session: &Session) -> bool {
    let request = known.request;
    let agreed_here = known
        .interaction
        .and_then(|it| it.agreed.as_ref())
        .is_some_and(|agreed| agreed.covers(&session.sub, request));
    if agreed_here {
        return false;
    }
    if request.prompt.consent {
        return true;
    }
    if known.client.settings.first_party {
        return false;
    }
    let impersonable = known.client.metadata.is_impersonable_at(request.destination.redirect_uri());
    let remembered = known
        .consent
        .is_some_and(|it| it.covers(&request.scope, &request.claims.names(), known.client));
    impersonable || !remembered
}

#[cfg(test)]
mod tests;
