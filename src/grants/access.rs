use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Grant, GrantId};
use crate::clock::UnixTime;
use crate::protocol::Scope;
use crate::random;
use crate::secret::Digest;

/// How many opaque access tokens of one grant are live at once; more end the oldest.
const MOST_OPAQUE: usize = 32;

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
    /// Remembers an opaque access token, once, and forgets the expired ones.
    pub fn remember(&mut self, token: Opaque, now: UnixTime) {
        if self.opaque.iter().any(|held| held.secret == token.secret) {
            return;
        }
        self.opaque.retain(|held| now < held.expires_at);
        let excess = (self.opaque.len() + 1).saturating_sub(MOST_OPAQUE);
        self.opaque.drain(..excess);
        self.ends_at = self.ends_at.max(token.expires_at);
        self.opaque.push(token);
    }

    /// The live opaque access token with this secret.
    pub fn opaque(&self, secret: &Digest, now: UnixTime) -> Option<&Opaque> {
        self.opaque.iter().find(|held| held.secret == *secret && now < held.expires_at)
    }
}
