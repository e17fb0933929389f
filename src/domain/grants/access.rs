use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Grant, GrantId, Refusal};
use crate::infra::clock::UnixTime;
use crate::infra::random;
use crate::infra::secret::Digest;
use crate::protocol::Scope;

/// How many opaque access tokens of one grant are live at once. At some 250 bytes each the record stays below
/// 32 KiB, which is read and written at every refresh.
pub const MAX_OPAQUE: usize = 128;

/// An access token's `jti`: its own id, and the grant it came of, if any.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AccessId {
    /// The grant, unless the client acts for itself.
    pub grant: Option<GrantId>,
    /// This token.
    pub token: Uuid,
}

impl AccessId {
    /// A new one.
    pub fn fresh(grant: Option<GrantId>) -> Self {
        Self { grant, token: random::uuid() }
    }

    /// Reads what [`Display`](fmt::Display) writes.
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

impl fmt::Display for AccessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(GrantId(grant)) = self.grant {
            write!(f, "{}.", grant.simple())?;
        }
        write!(f, "{}", self.token.simple())
    }
}

/// An opaque access token, as the grant remembers it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Opaque {
    /// Of the secret half.
    pub secret: Digest,
    /// What this token allows; may be less than the grant.
    pub scope: Scope,
    /// The resources it is for.
    pub audience: Vec<String>,
    /// Since when.
    pub issued_at: UnixTime,
    /// Until when.
    pub expires_at: UnixTime,
}

impl Grant {
    /// Whether one more opaque access token may be made now: one that was given out is good for as long as
    /// it said, so the next one has to wait for the first to expire.
    pub fn has_room(&self, now: UnixTime) -> Result<(), Refusal> {
        let live = self.opaque.iter().filter(|held| now < held.expires_at);
        if live.clone().count() < MAX_OPAQUE {
            return Ok(());
        }
        let first = live.map(|held| held.expires_at).min().unwrap_or(now);
        Err(Refusal::TooManyTokens { retry_after: first.since(now) })
    }

    /// Remembers an opaque access token, once, and forgets the expired ones.
    pub fn remember(&mut self, token: Opaque, now: UnixTime) -> Result<(), Refusal> {
        if self.opaque.iter().any(|held| held.secret == token.secret) {
            return Ok(());
        }
        self.has_room(now)?;
        self.opaque.retain(|held| now < held.expires_at);
        self.ends_at = self.ends_at.max(token.expires_at);
        self.opaque.push(token);
        Ok(())
    }

    /// The live opaque access token with this secret.
    pub fn opaque(&self, secret: &Digest, now: UnixTime) -> Option<&Opaque> {
        self.opaque.iter().find(|held| held.secret == *secret && now < held.expires_at)
    }
}
