//! Logout requests ([RP-Initiated Logout §2]): parsed and validated before any session ends.
//!
//! [RP-Initiated Logout §2]: https://openid.net/specs/openid-connect-rpinitiated-1_0.html#RPLogout

use thiserror::Error;
use uuid::Uuid;

use super::post_logout_redirect::PostLogoutRedirect;
use crate::domain::authorization_request;
use crate::domain::clients::{self, Client, ClientId};
use crate::domain::sessions::Session;
use crate::domain::token_claims;
use crate::http::app::App;
use crate::infra::jose::claims;
use crate::infra::store::StoreError;
use crate::protocol::Params;

/// A logout request.
#[derive(Clone, Debug)]
pub struct LogoutRequest {
    pub hint: IdTokenHint,
    /// The client that asks: proven only by the hint, or confirmed by the user.
    pub client: Option<Client>,
    pub redirect: Option<PostLogoutRedirect>,
    /// For the developer: why the browser is not redirected although `post_logout_redirect_uri` was given.
    pub no_redirect_reason: Option<&'static str>,
}

/// The verified `id_token_hint`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum IdTokenHint {
    Absent,
    /// Not an ID token of ours.
    Invalid,
    /// An ID token of ours, expired or not.
    Of {
        /// Its audience.
        client: ClientId,
        sid: Uuid,
    },
}

/// Why a logout request is refused.
#[derive(Debug, Error)]
pub enum LogoutError {
    /// `client_id` is not the audience of the hint.
    #[error("client_id is not the client that id_token_hint was given to")]
    OtherClient,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What to do with a logout request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogoutStep {
    /// The browser has no live session.
    NoSession,
    /// Ask the user.
    Confirm,
    /// End the session without asking.
    EndSession,
}

/// Ends the session without asking only for an ID token of this very session, and with a registered
/// `post_logout_redirect_uri`, if any. Any other request could come from a page that wants to be a nuisance
/// ([RP-Initiated Logout §2], §6), and a wrong redirect URI has to be shown before the session is gone (§4).
///
/// [RP-Initiated Logout §2]: https://openid.net/specs/openid-connect-rpinitiated-1_0.html#RPLogout
pub fn decide(hint: &IdTokenHint, stays: bool, session: Option<&Session>) -> LogoutStep {
    match (hint, session) {
        (_, None) => LogoutStep::NoSession,
        (IdTokenHint::Of { sid, .. }, Some(session)) if *sid == session.sid && !stays => {
            LogoutStep::EndSession
        }
        (IdTokenHint::Absent | IdTokenHint::Invalid | IdTokenHint::Of { .. }, Some(_)) => {
            LogoutStep::Confirm
        }
    }
}

impl LogoutRequest {
    /// Reads the request.
    pub async fn read(app: &App, params: &Params) -> Result<Self, LogoutError> {
        let shown = read_hint(app, params.get("id_token_hint"));
        let named = params.get("client_id");
        let who = match &shown {
            // "… the OP MUST verify that the Client Identifier matches the one used when issuing the
            // ID Token" (§2).
            HintClaims::Of { client, .. }
                if named.is_some_and(|named| named != client.as_str()) =>
            {
                return Err(LogoutError::OtherClient);
            }
            HintClaims::Of { client, .. } => Some(client.clone()),
            HintClaims::Absent => named.and_then(ClientId::parse),
            // The rest of a request with a forged hint is not believed.
            HintClaims::Invalid => None,
        };
        let client = match who {
            Some(id) => clients::find(&*app.store, &id).await?,
            None => None,
        };
        let hint = shown.resolve_sid(app, client.as_ref());
        let client = client.filter(|client| client.enabled);
        let asked = params.get("post_logout_redirect_uri");
        // A `state` that is too long to go back prevents the redirect, not the logout.
        let is_long = params.get("state").is_some_and(authorization_request::exceeds_url_length);
        let after = asked.zip(client.as_ref()).filter(|_| !is_long);
        let after =
            after.and_then(|(asked, client)| PostLogoutRedirect::resolve(asked, params, client));
        let stays = asked.filter(|_| after.is_none());
        let stays = stays.map(|_| {
            if is_long { STATE_TOO_LONG } else { no_redirect_reason(&hint, client.as_ref()) }
        });
        Ok(Self { hint, client, redirect: after, no_redirect_reason: stays })
    }
}

const STATE_TOO_LONG: &str = "state is longer than the 8 KiB that an address can carry back";

fn no_redirect_reason(hint: &IdTokenHint, client: Option<&Client>) -> &'static str {
    match (hint, client) {
        (IdTokenHint::Invalid, _) => {
            "id_token_hint is not an ID token of this provider, so nobody is sent to the \
             post_logout_redirect_uri"
        }
        (IdTokenHint::Absent | IdTokenHint::Of { .. }, None) => {
            "post_logout_redirect_uri needs an id_token_hint, or the client_id of a registered client"
        }
        (IdTokenHint::Absent | IdTokenHint::Of { .. }, Some(_)) => {
            "post_logout_redirect_uri is not one of those registered for this client; they are \
             compared character by character"
        }
    }
}

/// The claims of the `id_token_hint`, whose `sid` can be resolved only when the client is known: pairwise clients
/// have session ids of their own.
enum HintClaims {
    Absent,
    /// Not an ID token of ours.
    Invalid,
    Of {
        /// Its audience.
        client: ClientId,
        /// As this client knows the session.
        sid: String,
    },
}

impl HintClaims {
    fn resolve_sid(self, app: &App, client: Option<&Client>) -> IdTokenHint {
        let (id, sid) = match self {
            Self::Absent => return IdTokenHint::Absent,
            Self::Invalid => return IdTokenHint::Invalid,
            Self::Of { client, sid } => (client, sid),
        };
        // The sector of a removed client is not known.
        let sid = match client {
            Some(client) => app.pairwise_key.resolve_sid(&client.metadata, &sid),
            None => Uuid::try_parse(&sid).ok(),
        };
        sid.map_or(IdTokenHint::Invalid, |sid| IdTokenHint::Of { client: id, sid })
    }
}

/// An ID token of ours, by any key of the ring, expired or not: "the OP SHOULD accept ID Tokens when
/// the RP identified by the ID Token's `aud` claim and/or `sid` claim has a current session or had a
/// recent session" (§2).
fn read_hint(app: &App, token: Option<&str>) -> HintClaims {
    let Some(token) = token else { return HintClaims::Absent };
    let Ok(claims) = token_claims::verify_id_token(&app.keys, token) else {
        return HintClaims::Invalid;
    };
    let text = |name| claims::text(&claims, name).ok().flatten();
    let ours = text("iss") == Some(app.issuer());
    let audience = claims::audience(&claims).unwrap_or_default();
    let client = audience.first().filter(|_| audience.len() == 1);
    let client = client.and_then(|client| ClientId::parse(client));
    match (client, text("sid")) {
        (Some(client), Some(sid)) if ours => HintClaims::Of { client, sid: sid.to_owned() },
        _ => HintClaims::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::authenticators::Authentication;
    use crate::domain::epoch::Epoch;
    use crate::domain::sessions::SessionLifetimes;
    use crate::infra::clock::UnixTime;
    use crate::protocol::Subject;

    #[test]
    fn only_an_id_token_of_this_very_session_and_a_registered_address_spare_the_question() {
        let limits =
            SessionLifetimes { idle: Duration::from_secs(60), absolute: Duration::from_secs(60) };
        let ada = || Subject::parse("ada").unwrap();
        let begin = || {
            Session::begin(
                Authentication::by_password(ada(), Epoch::default(), UnixTime::from_secs(1)),
                limits,
            )
            .0
        };
        let (this, other) = (begin(), begin());
        let client = ClientId::parse("shop").unwrap();
        let of = |session: &Session| IdTokenHint::Of { client: client.clone(), sid: session.sid };
        #[rustfmt::skip]
        let table = [
            //                  no session           session          and the URI is not registered
            (IdTokenHint::Absent,     [LogoutStep::NoSession, LogoutStep::Confirm,      LogoutStep::Confirm]),
            (IdTokenHint::Invalid, [LogoutStep::NoSession, LogoutStep::Confirm,      LogoutStep::Confirm]),
            (of(&other),       [LogoutStep::NoSession, LogoutStep::Confirm,      LogoutStep::Confirm]),
            (of(&this),        [LogoutStep::NoSession, LogoutStep::EndSession,  LogoutStep::Confirm]),
        ];
        for (hint, [alone, here, astray]) in table {
            assert_eq!(decide(&hint, false, None), alone, "{hint:?}");
            assert_eq!(decide(&hint, true, None), alone, "{hint:?}");
            assert_eq!(decide(&hint, false, Some(&this)), here, "{hint:?}");
            assert_eq!(decide(&hint, true, Some(&this)), astray, "{hint:?}");
        }
    }
}
