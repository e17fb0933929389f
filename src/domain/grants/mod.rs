//! A grant: what one subject let one client do, and every credential that came of it.
//!
//! It is one record, so redeeming its code, rotating its refresh token and revoking all of it are
//! each one compare-and-swap. Every credential begins with the grant's id; nothing has to be looked
//! up by secret, and nothing needs an index to be revoked.

mod access;
mod answer;
mod handle;
mod may_issue;
mod person;
mod redeem;
mod revoke;
mod rotate;
mod stored;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::access::{AccessId, MAX_OPAQUE, Opaque};
pub use self::answer::{Filed, file_answer};
pub use self::handle::{Handle, RefreshToken, Use};
pub use self::may_issue::{
    ActiveCheckError, Denied, Holder, has_consent, may_act_alone, may_begin, may_issue,
};
pub use self::person::{CutOff, cut_off, end_given_to, listed};
pub use self::redeem::{Redeemed, Redemption, Refusal};
pub use self::rotate::{Rotated, Rotation};
pub use self::stored::{GrantV2, LoadedGrant, find, load, update, update_anew, update_from};
use crate::domain::clients::ClientId;
use crate::domain::epoch::Epoch;
use crate::infra::clock::UnixTime;
use crate::infra::secret::Digest;
use crate::infra::store::{Store, StoreError};
use crate::protocol::claims::ClaimsRequest;
use crate::protocol::{Acr, CodeChallenge, Confirmation, Scope, Subject};

/// A grant's name, at the head of each of its credentials.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(transparent)]
pub struct GrantId(pub Uuid);

/// One grant.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Grant {
    /// Its name.
    pub id: GrantId,
    /// Whom it was given to.
    pub client: ClientId,
    /// When that client was registered: what a removed one was given does not come back with another of
    /// the same id. Absent in grants that are older than this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_since: Option<UnixTime>,
    /// The epoch of the client when it was given; absent from a release that did not know epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_epoch: Option<Epoch>,
    /// Who gave it, and how they had signed in; absent for a client acting for itself.
    pub person: Option<Person>,
    /// What it allows.
    pub scope: Scope,
    /// Single claims asked for beside the scopes.
    #[serde(default)]
    pub claims: ClaimsRequest,
    /// The APIs that its access tokens may be for; what the client has by default where there is none. The release
    /// before does not know them: a grant that it changes (a refresh, say) has none from then on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// The authorization request's `nonce`, for the ID token.
    pub nonce: Option<String>,
    /// The state of the code it was handed out by; absent where there was none.
    pub code: Option<Code>,
    /// The refresh tokens' state; absent where none was issued.
    pub refresh: Option<Family>,
    /// Whether it still stands.
    pub standing: Standing,
    /// Access tokens of this grant that were revoked one by one, until they would have expired.
    #[serde(default)]
    pub revoked_access: Vec<(Uuid, UnixTime)>,
    /// Opaque access tokens of this grant.
    #[serde(default)]
    pub opaque: Vec<Opaque>,
    /// The key that whoever uses it has to prove to hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
    /// When everything that came of it is over.
    pub ends_at: UnixTime,
}

/// The person behind a grant, as they were when they gave it: a token tells what happened then.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Person {
    /// Who.
    pub sub: Subject,
    /// When they proved it.
    pub authenticated_at: UnixTime,
    /// How.
    pub amr: Vec<String>,
    /// The authentication context class.
    #[serde(default, skip_serializing_if = "Acr::is_default")]
    pub acr: Acr,
    /// The session's name, also in ID tokens.
    pub sid: Uuid,
    /// Whether the grant ends with the session (no `offline_access`).
    pub bound_to_session: bool,
    /// Whether the client asked for `acr`.
    pub wants_acr: bool,
    /// The epoch of their session; absent from a release that did not know epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// The epoch of their consent to the client, whether or not one was needed; absent from a release that
    /// did not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent_epoch: Option<Epoch>,
}

/// Why a credential of this grant is, or is no longer, worth anything.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Standing {
    /// It is.
    Good,
    /// It is not.
    Revoked {
        /// Since when.
        at: UnixTime,
        /// For what reason.
        why: Why,
    },
}

/// What ended a grant.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Why {
    /// Its code was used twice by the client it belongs to.
    CodeReplayed,
    /// Its code was tried with a wrong verifier or redirect URI too often.
    CodeGuessed,
    /// A refresh token was used that had long been replaced.
    RefreshReplayed,
    /// The client asked (RFC 7009).
    Requested,
    /// The person behind it was cut off, by a new password, disabled or removed; or took back their consent
    /// to the client.
    CutOff,
}

/// Names one request's try at a step. The store may try twice when a connection drops; the second
/// try must recognise the first as its own.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Attempt(pub Uuid);

/// What a code is redeemed as, by the grant type that takes it.
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

/// A code's life.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Code {
    /// Not yet used.
    Issued {
        /// As what it may be redeemed.
        #[serde(default, skip_serializing_if = "Credential::is_default")]
        credential: Credential,
        /// Of the secret half.
        secret: Digest,
        /// Where it was sent; absent if the client asks for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        redirect_uri: Option<String>,
        /// PKCE.
        challenge: Option<CodeChallenge>,
        /// A minute later.
        expires_at: UnixTime,
        /// Tries that showed the right secret and failed otherwise.
        failures: u8,
    },
    /// Kept, not deleted: a second redemption must be told apart from a made-up code, and from the
    /// first one asking again because its answer was lost on the way.
    Redeemed {
        /// Of the secret half.
        secret: Digest,
        /// Whose try it was.
        by: Attempt,
    },
}

/// The refresh tokens of a grant ([`rotate`] has the rules). Generations, not tokens: a token is its
/// generation under a MAC, so the store holds nothing that could be used.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Family {
    /// g: the newest generation.
    pub current: u64,
    /// q: the one before it that is tolerated.
    pub tolerated: Option<u64>,
    /// What was replaced before q and may still be shown by a burst of refreshes, oldest first. The release before drops
    /// it, and tolerates q alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Replaced>,
    /// When g was made, and q replaced.
    pub rotated_at: UnixTime,
    /// Ends then without use.
    pub idle_end: UnixTime,
    /// Ends then in any case.
    pub absolute_end: UnixTime,
    /// Seconds it may lie unused, as set when it began.
    pub idle: Duration,
}

/// A generation that has a successor.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Replaced {
    /// Which.
    pub generation: u64,
    /// Since when, or since a moment before that.
    pub at: UnixTime,
}

impl Grant {
    /// How long a finished grant is remembered, so that replays are still recognised.
    const AFTERLIFE: Duration = Duration::from_secs(24 * 3600);

    /// When it may be forgotten. One of which nothing can come back, for its code was never redeemed or it
    /// had none, is not remembered for longer than servers' clocks differ: a session leaves many behind that
    /// only looks whether its person is signed in.
    fn forgotten_at(&self) -> UnixTime {
        let is_redeemed = matches!(self.code, Some(Code::Redeemed { .. }));
        let may_come_back = is_redeemed || self.refresh.is_some();
        self.ends_at.plus(if may_come_back { Self::AFTERLIFE } else { Self::SKEW })
    }

    /// How far the clocks of servers may be apart.
    const SKEW: Duration = Duration::from_secs(60);
}

/// Files a grant, whatever was filed under its id: first in its person's index, so that none escapes a later
/// look-up. `until` is the latest moment at which anything that can come of it is over.
pub async fn file(
    store: &dyn Store,
    grant: &Grant,
    until: UnixTime,
    now: UnixTime,
) -> Result<(), StoreError> {
    if let Some(person) = &grant.person {
        person::list(store, (&person.sub, grant), until, now).await?;
    }
    stored::put(store, grant).await
}
