use std::borrow::Cow;
use std::time::Duration;

use super::{Attempt, Code, Credential, Denied, Family, Grant, Standing, Why};
use crate::domain::clients::ClientId;
use crate::infra::clock::UnixTime;
use crate::infra::secret::Secret;
use crate::protocol::{CodeChallenge, ErrorCode, OAuthError, PkceError};

/// A code that was shown so often with a wrong verifier or redirect URI is being guessed at.
const MOST_FAILURES: u8 = 5;

/// What a client shows to turn a code into tokens.
#[derive(Debug)]
pub struct Redemption<'a> {
    /// This request's try.
    pub attempt: Attempt,
    /// Who asks, authenticated.
    pub client: &'a ClientId,
    /// What it is shown as.
    pub credential: Credential,
    /// The secret half of the code.
    pub secret: &'a Secret,
    /// As in the authorization request.
    pub redirect_uri: Option<&'a str>,
    /// PKCE.
    pub verifier: Option<&'a str>,
    /// The refresh tokens to come, decided by the caller.
    pub refresh: Option<Family>,
    /// When everything that came of it will be over.
    pub ends_at: UnixTime,
}

/// The code was good; what it was good for stands in the grant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Redeemed;

/// Which check failed: for the log, never for the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// It was good once.
    Expired,
    /// No such grant, or the text is no credential of ours.
    Unknown,
    /// The grant has no refresh tokens.
    NoRefresh,
    /// PKCE.
    Pkce(PkceError),
    /// It was used before; the grant is over.
    Replayed,
    /// The grant was over already.
    Revoked,
    /// It is another client's.
    WrongClient,
    /// Not where the code was sent.
    WrongRedirectUri,
    /// The grant exists, the secret is not its.
    WrongSecret,
    /// The client, the person or the session behind it is gone.
    Denied(Denied),
    /// It is good, but so many access tokens of it are in use that there is no room for another.
    TooManyTokens {
        /// When the first of them expires.
        retry_after: Duration,
    },
}

impl Grant {
    /// Redeems the authorization code ([RFC 6749 §4.1.3], [OpenID Connect Core §3.1.3.2]).
    ///
    /// The order matters. The secret comes first, so that knowing a grant's id is worth nothing. Then
    /// the client, so that one client cannot burn or revoke another's grant. Only then is the state
    /// looked at, and only a replay with the rightful client's credentials ends the grant.
    ///
    /// [RFC 6749 §4.1.3]: https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3
    /// [OpenID Connect Core §3.1.3.2]: https://openid.net/specs/openid-connect-core-1_0.html#TokenRequestValidation
    pub fn redeem(&mut self, shown: &Redemption<'_>, now: UnixTime) -> Result<Redeemed, Refusal> {
        let Some(Code::Issued { secret, .. } | Code::Redeemed { secret, .. }) = self.code else {
            return Err(Refusal::Unknown);
        };
        if secret != shown.secret.digest() {
            return Err(Refusal::WrongSecret);
        }
        if self.client != *shown.client {
            return Err(Refusal::WrongClient);
        }
        if self.standing != Standing::Good {
            return Err(Refusal::Revoked);
        }
        match &mut self.code {
            None => return Err(Refusal::Unknown),
            Some(Code::Redeemed { by, .. }) if *by == shown.attempt => {}
            Some(Code::Redeemed { .. }) => {
                self.revoke(now, Why::CodeReplayed);
                return Err(Refusal::Replayed);
            }
            Some(Code::Issued {
                credential,
                redirect_uri,
                challenge,
                expires_at,
                failures,
                ..
            }) => {
                if *credential != shown.credential {
                    return Err(Refusal::Unknown);
                }
                if *expires_at <= now {
                    return Err(Refusal::Expired);
                }
                if let Err(refusal) = fits(redirect_uri.as_deref(), challenge.as_ref(), shown) {
                    *failures = failures.saturating_add(1);
                    if *failures >= MOST_FAILURES {
                        self.revoke(now, Why::CodeGuessed);
                    }
                    return Err(refusal);
                }
                self.code = Some(Code::Redeemed { secret, by: shown.attempt });
                self.refresh.clone_from(&shown.refresh);
                self.ends_at = self.ends_at.max(shown.ends_at);
            }
        }
        Ok(Redeemed)
    }
}

fn fits(
    redirect_uri: Option<&str>,
    challenge: Option<&CodeChallenge>,
    shown: &Redemption<'_>,
) -> Result<(), Refusal> {
    if shown.redirect_uri != redirect_uri {
        return Err(Refusal::WrongRedirectUri);
    }
    CodeChallenge::check(challenge, shown.verifier).map_err(Refusal::Pkce)
}

impl Refusal {
    /// The check's word in the audit log (`reason` of `token_refused`). Operators search for these.
    pub fn as_str(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Expired => "Expired",
            Self::Unknown => "Unknown",
            Self::NoRefresh => "NoRefresh",
            Self::Pkce(PkceError::MalformedChallenge) => "Pkce(MalformedChallenge)",
            Self::Pkce(PkceError::MalformedVerifier) => "Pkce(MalformedVerifier)",
            Self::Pkce(PkceError::MethodNotS256) => "Pkce(MethodNotS256)",
            Self::Pkce(PkceError::MissingVerifier) => "Pkce(MissingVerifier)",
            Self::Pkce(PkceError::UnexpectedVerifier) => "Pkce(UnexpectedVerifier)",
            Self::Pkce(PkceError::WrongVerifier) => "Pkce(WrongVerifier)",
            Self::Replayed => "Replayed",
            Self::Revoked => "Revoked",
            Self::WrongClient => "WrongClient",
            Self::WrongRedirectUri => "WrongRedirectUri",
            Self::WrongSecret => "WrongSecret",
            Self::Denied(Denied::ClientGone) => "Denied(ClientGone)",
            Self::Denied(Denied::ClientCutOff) => "Denied(ClientCutOff)",
            Self::Denied(Denied::UserGone) => "Denied(UserGone)",
            Self::Denied(Denied::UserCutOff) => "Denied(UserCutOff)",
            Self::Denied(Denied::ConsentWithdrawn) => "Denied(ConsentWithdrawn)",
            Self::Denied(Denied::SessionEnded) => "Denied(SessionEnded)",
            Self::Denied(Denied::Unproven) => "Denied(Unproven)",
            Self::TooManyTokens { retry_after } => {
                return format!("TooManyTokens {{ retry_after: {retry_after:?} }}").into();
            }
        })
    }
}

impl From<Refusal> for OAuthError {
    /// One answer for all of them: which check failed is the attacker's question.
    fn from(_: Refusal) -> Self {
        Self::new(ErrorCode::InvalidGrant, "the grant is invalid, expired, revoked or not yours")
    }
}

#[cfg(test)]
mod tests;
