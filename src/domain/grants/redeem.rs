use std::borrow::Cow;
use std::time::Duration;

use super::{
    AttemptId, CodeState, Credential, Grant, GrantStatus, InactiveParty, RefreshTokenFamily,
    RevocationReason,
};
use crate::domain::clients::ClientId;
use crate::infra::clock::UnixTime;
use crate::infra::secret::Secret;
use crate::protocol::{CodeChallenge, Confirmation, ErrorCode, OAuthError, PkceError};

/// The grant is revoked after this many requests with a wrong verifier or redirect URI, for they are guesses.
const MAX_CODE_FAILURES: u8 = 5;

/// A token request with a code.
#[derive(Debug)]
pub struct CodeRedemption<'a> {
    /// Identifies this request.
    pub attempt: AttemptId,
    /// The authenticated client.
    pub client: &'a ClientId,
    /// By the grant type.
    pub credential: Credential,
    /// The secret part of the code.
    pub secret: &'a Secret,
    /// Must be that of the authorization request.
    pub redirect_uri: Option<&'a str>,
    /// PKCE `code_verifier`.
    pub verifier: Option<&'a str>,
    /// The key that the request proves to hold. The grant is bound to it from now on.
    pub proven_key: Option<&'a Confirmation>,
    /// The refresh token family to start, if any.
    pub refresh_tokens: Option<RefreshTokenFamily>,
    /// The latest end of the tokens that are issued for it.
    pub ends_at: UnixTime,
}

/// The code was valid. What it allows is in the grant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Redeemed;

/// Which check of a code or refresh token failed. It goes into the audit log and never into a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GrantError {
    /// The code or the refresh token family has expired.
    Expired,
    /// There is no such grant, or the text is no credential of ours.
    Unknown,
    /// The grant has no refresh tokens.
    NoRefresh,
    /// The PKCE verifier does not match.
    Pkce(PkceError),
    /// It was used before; the grant is revoked now.
    Replayed,
    /// The grant had been revoked before.
    Revoked,
    /// It belongs to another client.
    WrongClient,
    /// The redirect URI is not the one that the code was sent to.
    WrongRedirectUri,
    /// The grant exists, but the secret is wrong.
    WrongSecret,
    /// The client, the user or the session of the grant is not active.
    Inactive(InactiveParty),
    /// The credential is valid, but [`MAX_OPAQUE_TOKENS`](super::MAX_OPAQUE_TOKENS) access tokens are live.
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
    pub fn redeem(
        &mut self,
        shown: &CodeRedemption<'_>,
        now: UnixTime,
    ) -> Result<Redeemed, GrantError> {
        let Some(CodeState::Issued { secret, .. } | CodeState::Redeemed { secret, .. }) = self.code
        else {
            return Err(GrantError::Unknown);
        };
        if secret != shown.secret.digest() {
            return Err(GrantError::WrongSecret);
        }
        if self.client != *shown.client {
            return Err(GrantError::WrongClient);
        }
        if self.status != GrantStatus::Active {
            return Err(GrantError::Revoked);
        }
        match &mut self.code {
            None => return Err(GrantError::Unknown),
            Some(CodeState::Redeemed { by, .. }) if *by == shown.attempt => {}
            Some(CodeState::Redeemed { .. }) => {
                self.revoke(now, RevocationReason::CodeReplayed);
                return Err(GrantError::Replayed);
            }
            Some(CodeState::Issued {
                credential,
                redirect_uri,
                challenge,
                expires_at,
                failures,
                ..
            }) => {
                if *credential != shown.credential {
                    return Err(GrantError::Unknown);
                }
                if *expires_at <= now {
                    return Err(GrantError::Expired);
                }
                if let Err(refusal) =
                    check_binding(redirect_uri.as_deref(), challenge.as_ref(), shown)
                {
                    *failures = failures.saturating_add(1);
                    if *failures >= MAX_CODE_FAILURES {
                        self.revoke(now, RevocationReason::CodeGuessed);
                    }
                    return Err(refusal);
                }
                self.code = Some(CodeState::Redeemed { secret, by: shown.attempt });
                self.cnf = self.cnf.take().or_else(|| shown.proven_key.cloned());
                self.refresh_tokens.clone_from(&shown.refresh_tokens);
                self.ends_at = self.ends_at.max(shown.ends_at);
            }
        }
        Ok(Redeemed)
    }
}

fn check_binding(
    redirect_uri: Option<&str>,
    challenge: Option<&CodeChallenge>,
    shown: &CodeRedemption<'_>,
) -> Result<(), GrantError> {
    if shown.redirect_uri != redirect_uri {
        return Err(GrantError::WrongRedirectUri);
    }
    CodeChallenge::check(challenge, shown.verifier).map_err(GrantError::Pkce)
}

impl GrantError {
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
            Self::Inactive(why) => why.as_str(),
            Self::TooManyTokens { retry_after } => {
                return format!("TooManyTokens {{ retry_after: {retry_after:?} }}").into();
            }
        })
    }
}

impl From<GrantError> for OAuthError {
    /// The same answer for every check: which one failed would help an attacker.
    fn from(_: GrantError) -> Self {
        Self::new(ErrorCode::InvalidGrant, "the grant is invalid, expired, revoked or not yours")
    }
}

#[cfg(test)]
mod tests;
