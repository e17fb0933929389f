use uuid::Uuid;

use super::{Grant, GrantStatus, RevocationReason};
use crate::infra::clock::UnixTime;
use crate::infra::secret::Digest;

impl Grant {
    /// Ends the grant and everything that came of it. The first reason stays.
    pub fn revoke(&mut self, at: UnixTime, why: RevocationReason) {
        if self.status == GrantStatus::Active {
            self.status = GrantStatus::Revoked { at, why };
        }
    }

    /// Ends one access token and nothing else ([RFC 7009 §2.1]: the rest MAY go with it; a client that
    /// gives back one access token still wants to refresh).
    ///
    /// [RFC 7009 §2.1]: https://www.rfc-editor.org/rfc/rfc7009#section-2.1
    pub fn revoke_access_token(&mut self, token: Uuid, expires_at: UnixTime, now: UnixTime) {
        self.revoked_access.retain(|(_, until)| now < *until);
        if !self.revoked_access.iter().any(|(revoked, _)| *revoked == token) {
            self.revoked_access.push((token, expires_at));
        }
    }

    /// Ends one opaque access token.
    pub fn revoke_opaque_token(&mut self, secret: &Digest) {
        self.opaque_tokens.retain(|held| held.secret != *secret);
    }

    /// Whether the access token was revoked, alone or with the grant.
    pub fn is_access_token_revoked(&self, token: Uuid) -> bool {
        self.status != GrantStatus::Active
            || self.revoked_access.iter().any(|(revoked, _)| *revoked == token)
    }
}
