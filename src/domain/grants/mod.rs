//! A grant: what one subject allowed one client, and the state of every code and token that was issued for it.
//!
//! A grant is one record, so redeeming its code, rotating its refresh token and revoking all of it are each one
//! compare-and-swap. Every credential begins with the grant's id: none is looked up by its secret, and no index
//! is needed to revoke. Why one record: docs/decisions/one-record-per-grant.md.

mod access_token;
mod active;
mod by_subject;
mod insert;
mod redeem;
mod revoke;
mod rotate;
mod stored;
mod token_format;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::access_token::{AccessTokenId, MAX_OPAQUE_TOKENS, OpaqueAccessToken};
pub use self::active::{
    ActiveCheckError, ActiveParties, InactiveParty, KeyProof, check_active, check_active_now,
    check_client_active, has_consent,
};
pub use self::by_subject::{
    RevokedCounts, list_for_subject, revoke_all_for_subject, revoke_for_client,
};
pub use self::insert::{InsertOutcome, insert_once};
pub use self::redeem::{CodeRedemption, GrantError, Redeemed};
pub use self::rotate::{RefreshRequest, RotationOutcome};
pub use self::stored::{GrantV2, LoadedGrant, find, load, update, update_anew, update_from};
pub use self::token_format::{OpaqueToken, RefreshToken, TokenKind};
use crate::domain::clients::ClientId;
use crate::domain::epoch::Epoch;
use crate::infra::clock::UnixTime;
use crate::infra::secret::Digest;
use crate::infra::store::{Store, StoreError};
use crate::protocol::claims::ClaimsRequest;
use crate::protocol::{Acr, CodeChallenge, Confirmation, Scope, Subject};

/// The id of a grant. Each of its credentials begins with it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(transparent)]
pub struct GrantId(pub Uuid);

/// One grant, as it is stored.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Grant {
    /// Random, and part of each credential.
    pub id: GrantId,
    /// The client it was issued to.
    pub client: ClientId,
    /// `created_at` of that client: a client that is registered under the id of a removed one gets none of its
    /// grants. Absent in grants that are older than this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "client_since")]
    pub client_created_at: Option<UnixTime>,
    /// The epoch of the client when the grant was made; absent in grants of a release that did not know epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_epoch: Option<Epoch>,
    /// The end-user and how they were authenticated; absent where a client acts for itself.
    #[serde(rename = "person")]
    pub authentication: Option<AuthenticationContext>,
    /// What the end-user agreed to.
    pub scope: Scope,
    /// The `claims` parameter: claims that were requested one by one.
    #[serde(default)]
    pub claims: ClaimsRequest,
    /// The APIs that its access tokens may be for; what the client has by default where there is none. The release
    /// before does not know them: a grant that it changes (a refresh, say) has none from then on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// The authorization request's `nonce`, for the ID token.
    pub nonce: Option<String>,
    /// The authorization code; absent where the response type had none.
    pub code: Option<CodeState>,
    /// Absent where none was issued.
    #[serde(rename = "refresh")]
    pub refresh_tokens: Option<RefreshTokenFamily>,
    /// Whether its credentials are accepted.
    #[serde(rename = "standing")]
    pub status: GrantStatus,
    /// JWT access tokens of this grant that were revoked one by one, each until it would have expired.
    #[serde(default)]
    pub revoked_access: Vec<(Uuid, UnixTime)>,
    /// Live opaque access tokens of this grant, at most [`MAX_OPAQUE_TOKENS`].
    #[serde(default)]
    #[serde(rename = "opaque")]
    pub opaque_tokens: Vec<OpaqueAccessToken>,
    /// The key it is bound to: a request with one of its credentials has to prove to hold that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// The end of the last credential that was issued for it.
    pub ends_at: UnixTime,
}

/// How the end-user was authenticated when the grant was made. Copied from the session, never updated.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AuthenticationContext {
    /// The local subject; what a client sees may be pairwise.
    pub sub: Subject,
    /// `auth_time` of ID tokens.
    pub authenticated_at: UnixTime,
    /// RFC 8176 values, such as `pwd`.
    pub amr: Vec<String>,
    /// The authentication context class.
    #[serde(default, skip_serializing_if = "Acr::is_default")]
    pub acr: Acr,
    /// The session; what a client sees may be pairwise.
    pub sid: Uuid,
    /// The grant ends with the session. False with `offline_access`.
    pub bound_to_session: bool,
    /// The request asked for `acr`, so ID tokens carry it.
    pub wants_acr: bool,
    /// The epoch of their session; absent from a release that did not know epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// The epoch of their consent to the client, whether or not one was needed; absent from a release that
    /// did not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent_epoch: Option<Epoch>,
}

/// Whether the grant's credentials are accepted.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum GrantStatus {
    #[serde(rename = "Good")]
    Active,
    /// Every code and token of the grant is rejected.
    Revoked {
        /// The moment of the first revocation.
        at: UnixTime,
        /// The reason of the first revocation.
        why: RevocationReason,
    },
}

/// Why a grant was revoked.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum RevocationReason {
    /// The client it belongs to redeemed its code twice (RFC 6749 §4.1.2).
    CodeReplayed,
    /// Its code was presented with a wrong verifier or redirect URI too often.
    CodeGuessed,
    /// A refresh token was presented that had been replaced long ago.
    RefreshReplayed,
    /// The client revoked it (RFC 7009).
    Requested,
    /// The user got a new password, was disabled or removed, or withdrew the consent to the client.
    CutOff,
}

/// Identifies one request. A change may be sent to the store twice when a connection drops: by this id the second
/// run recognises that the first was its own.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct AttemptId(pub Uuid);

/// Which grant type a code can be redeemed with.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum Credential {
    /// [RFC 6749 §4.1.3](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3)
    #[default]
    #[serde(rename = "authorization_code")]
    AuthorizationCode,
    /// [RFC 8628 §3.4](https://www.rfc-editor.org/rfc/rfc8628#section-3.4)
    #[serde(rename = "urn:ietf:params:oauth:grant-type:device_code")]
    DeviceCode,
    /// [CIBA Core §10.1](https://openid.net/specs/openid-client-initiated-backchannel-authentication-core-1_0.html)
    #[serde(rename = "urn:openid:params:grant-type:ciba")]
    AuthReqId,
}

impl Credential {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The state of a code.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum CodeState {
    /// Not redeemed yet.
    Issued {
        /// The grant type that redeems it.
        #[serde(default, skip_serializing_if = "Credential::is_default")]
        credential: Credential,
        /// Digest of the secret part of the code.
        secret: Digest,
        /// Where it was sent; absent where the client polls for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        redirect_uri: Option<String>,
        /// PKCE; absent where the request had none.
        challenge: Option<CodeChallenge>,
        /// `CODE_LIFETIME` after it was issued.
        expires_at: UnixTime,
        /// Requests with the right secret that failed another check.
        failures: u8,
    },
    /// Kept, not deleted: a second redemption has to be told from a code that never was, and from the first
    /// request sent again because its answer was lost.
    Redeemed {
        /// Digest of the secret part of the code.
        secret: Digest,
        /// The request that redeemed it.
        by: AttemptId,
    },
}

/// The refresh tokens of a grant; [`rotate`] has the rules. A token is its generation under a MAC, so the store
/// holds nothing that could be used. Why: docs/decisions/refresh-token-generations.md.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RefreshTokenFamily {
    /// The newest generation (g).
    pub current: u64,
    /// The generation before it that is still answered (q).
    pub tolerated: Option<u64>,
    /// Generations replaced before q that a burst of refreshes may still present, oldest first. The release before
    /// drops this member, and answers q alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<ReplacedGeneration>,
    /// When g was issued, and q replaced.
    pub rotated_at: UnixTime,
    /// The family ends then unless it is used before.
    pub idle_end: UnixTime,
    /// The family ends then in any case.
    pub absolute_end: UnixTime,
    /// How long it may lie unused, as configured when it began.
    pub idle: Duration,
}

/// A generation that was replaced.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReplacedGeneration {
    /// Its number.
    pub generation: u64,
    /// When it was replaced, or a moment before that.
    pub at: UnixTime,
}

impl Grant {
    /// How long a finished grant is kept, so that replays are still recognised.
    const REPLAY_RETENTION: Duration = Duration::from_secs(24 * 3600);

    /// When the record may be deleted. A grant without a redeemed code and without refresh tokens cannot be replayed, so
    /// it is kept no longer than servers' clocks may differ: `prompt=none` leaves many of them behind.
    fn retention_end(&self) -> UnixTime {
        let is_redeemed = matches!(self.code, Some(CodeState::Redeemed { .. }));
        let may_come_back = is_redeemed || self.refresh_tokens.is_some();
        self.ends_at.plus(if may_come_back { Self::REPLAY_RETENTION } else { Self::MAX_CLOCK_SKEW })
    }

    /// How far the clocks of servers may be apart.
    const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);
}

/// Stores a grant, in place of one with its id: first in its user's index, so that no grant is missing from a later
/// listing. `until` is the latest end of anything that can be issued for it.
pub async fn insert(
    store: &dyn Store,
    grant: &Grant,
    until: UnixTime,
    now: UnixTime,
) -> Result<(), StoreError> {
    if let Some(person) = &grant.authentication {
        by_subject::index_add(store, (&person.sub, grant), until, now).await?;
    }
    stored::put(store, grant).await
}
