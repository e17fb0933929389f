use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Grant, GrantError, GrantId};
use crate::infra::clock::UnixTime;
use crate::infra::random;
use crate::infra::secret::Digest;
use crate::protocol::Scope;

/// How many opaque access tokens of one grant are live at once. At some 250 bytes each the record stays below
/// 32 KiB, which is read and written at every refresh.
pub const MAX_OPAQUE_TOKENS: usize = 128;

/// The `jti` of an access token: its own id, and that of its grant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AccessTokenId {
    /// Absent where the client acts for itself.
    pub grant: Option<GrantId>,
    pub token: Uuid,
}

impl AccessTokenId {
    /// A new id for a token of that grant.
    pub fn random(grant: Option<GrantId>) -> Self {
        Self { grant, token: random::uuid() }
    }

    /// Parses what [`Display`](fmt::Display) writes.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once('.') {
            Some((grant, token)) => Some(Self {
                grant: Some(GrantId(Uuid::try_parse(grant).ok()?)),
                token: Uuid::try_parse(token).ok()?,
            }),
            None => Some(Self { grant: None, token: Uuid::try_parse(text).ok()? }),
        }
    }
}

impl fmt::Display for AccessTokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(GrantId(grant)) = self.grant {
            write!(f, "{}.", grant.simple())?;
        }
        write!(f, "{}", self.token.simple())
    }
}

/// An opaque access token, as its grant stores it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct OpaqueAccessToken {
    /// Digest of the secret part.
    pub secret: Digest,
    /// What this token allows; may be less than the grant does.
    pub scope: Scope,
    /// `aud`.
    pub audience: Vec<String>,
    pub issued_at: UnixTime,
    pub expires_at: UnixTime,
}

impl Grant {
    /// Refuses a further opaque access token while [`MAX_OPAQUE_TOKENS`] are live. The oldest is not ended instead: a
    /// token is valid for as long as its response said.
    pub fn check_opaque_limit(&self, now: UnixTime) -> Result<(), GrantError> {
        let live = self.opaque_tokens.iter().filter(|held| now < held.expires_at);
        if live.clone().count() < MAX_OPAQUE_TOKENS {
            return Ok(());
        }
        let first = live.map(|held| held.expires_at).min().unwrap_or(now);
        Err(GrantError::TooManyTokens { retry_after: first.since(now) })
    }

    /// Adds an opaque access token, unless it is there already, and drops the expired ones.
    pub fn add_opaque_token(
        &mut self,
        token: OpaqueAccessToken,
        now: UnixTime,
    ) -> Result<(), GrantError> {
        if self.opaque_tokens.iter().any(|held| held.secret == token.secret) {
            return Ok(());
        }
        self.check_opaque_limit(now)?;
        self.opaque_tokens.retain(|held| now < held.expires_at);
        self.ends_at = self.ends_at.max(token.expires_at);
        self.opaque_tokens.push(token);
        Ok(())
    }

    /// The live opaque access token with this secret.
    pub fn find_opaque_token(&self, secret: &Digest, now: UnixTime) -> Option<&OpaqueAccessToken> {
        self.opaque_tokens.iter().find(|held| held.secret == *secret && now < held.expires_at)
    }
}
