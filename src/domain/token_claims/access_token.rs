use std::time::Duration;

use serde_json::{Map, Value, json};
use thiserror::Error;

use super::id_token::includes_auth_time;
use super::typ;
use crate::domain::clients::{Client, ClientId};
use crate::domain::epoch::Epoch;
use crate::domain::grants::{
    self, AccessTokenId, ActiveCheckError, ActiveParties, Grant, KeyProof, OpaqueToken, TokenKind,
};
use crate::domain::keys::KeyRing;
use crate::domain::resources::Target;
use crate::infra::clock::UnixTime;
use crate::infra::jose::claims;
use crate::infra::store::{Key, Partition, Record, Store, StoreError};
use crate::protocol::{Confirmation, Scope, Subject};

/// In bytes: no longer one is issued, and none is read. With the other headers it fits into a request.
pub const MAX_ACCESS_TOKEN_LEN: usize = 12 * 1024;

/// The `resource` parameters that an access token is requested with ([RFC 8707](https://www.rfc-editor.org/rfc/rfc8707)).
#[derive(Clone, Copy, Default)]
pub struct RequestedResources<'a> {
    /// Those of the request for this token.
    pub named: &'a [String],
    /// Those of the authorization request.
    pub granted: &'a [String],
}

/// What an access token is for: exactly what the request for it names ([RFC 8707 §2.2]). Where it names nothing,
/// what was granted, or else what the operator gave the client; and our userinfo endpoint where `openid` was
/// granted. Never the client itself.
///
/// [RFC 8707 §2.2]: https://www.rfc-editor.org/rfc/rfc8707#section-2.2
pub fn audience(
    issuer: &str,
    client: &Client,
    scope: &Scope,
    wanted: RequestedResources<'_>,
) -> Vec<String> {
    if !wanted.named.is_empty() {
        return wanted.named.to_vec();
    }
    let by_default =
        if wanted.granted.is_empty() { &client.settings.audience } else { wanted.granted };
    let mut audience = by_default.to_vec();
    let has_userinfo = scope.contains("openid") || audience.is_empty();
    if has_userinfo && audience.iter().all(|it| it != issuer) {
        audience.insert(0, issuer.to_owned());
    }
    audience
}

/// The claim with the epoch of a client that acts for itself, which has no grant to store it. Left out as long as the
/// client was never disabled.
const EPOCH_CLAIM: &str = "client_epoch";

/// The claims of a JWT access token ([RFC 9068 §2.2]).
///
/// [RFC 9068 §2.2]: https://www.rfc-editor.org/rfc/rfc9068#section-2.2
///
/// `seen_as` is the subject of the grant as this client sees it.
pub fn access_token_claims(
    issuer: &str,
    client: &Client,
    (source, seen_as): (TokenSource<'_>, Option<&Subject>),
    target: &Target,
    id: AccessTokenId,
    lifetime: Duration,
    now: UnixTime,
) -> Map<String, Value> {
    let grant = source.grant().filter(|grant| includes_auth_time(client, grant));
    let person = grant.and_then(|grant| grant.authentication.as_ref());
    // A client acting for itself is its own subject (RFC 9068 §2.2).
    let sub = seen_as.map_or(client.id.as_str(), Subject::as_str);
    let audience: Value = match target.audience.as_slice() {
        [one] => one.as_str().into(),
        several => several.into(),
    };
    let mut claims = Map::new();
    claims.insert("iss".into(), issuer.into());
    claims.insert("sub".into(), sub.into());
    claims.insert("aud".into(), audience);
    claims.insert("client_id".into(), client.id.as_str().into());
    claims.insert("iat".into(), now.as_secs().into());
    claims.insert("exp".into(), now.plus(lifetime).as_secs().into());
    claims.insert("jti".into(), id.to_string().into());
    claims.insert("scope".into(), target.scope.to_string().into());
    if let Some(person) = person {
        claims.insert("auth_time".into(), person.authenticated_at.as_secs().into());
    }
    typ::add_token_use(&mut claims, typ::access_token_typ(client, target));
    if let Some(cnf) = source.cnf() {
        // RFC 9449 §6.1, RFC 8705 §3.1.
        claims.insert("cnf".into(), json!(cnf));
    }
    if let TokenSource::Client { epoch, .. } = source
        && epoch != Epoch::default()
    {
        claims.insert(EPOCH_CLAIM.into(), epoch.number().into());
    }
    claims
}

/// What an access token is issued from.
#[derive(Clone, Copy, Debug)]
pub enum TokenSource<'a> {
    /// A grant.
    Grant(&'a Grant),
    /// A client that acts for itself without a grant, and its epoch.
    Client {
        epoch: Epoch,
        /// The key that it proves to hold.
        proven_key: Option<&'a Confirmation>,
    },
}

impl<'a> TokenSource<'a> {
    /// The grant, if there is one.
    pub fn grant(self) -> Option<&'a Grant> {
        match self {
            Self::Grant(grant) => Some(grant),
            Self::Client { .. } => None,
        }
    }

    /// The key that the token is bound to.
    pub fn cnf(self) -> Option<&'a Confirmation> {
        match self {
            Self::Grant(grant) => grant.cnf.as_ref(),
            Self::Client { proven_key, .. } => proven_key,
        }
    }
}

/// An access token that is accepted now, and the parties of its grant.
pub struct ValidAccessToken {
    /// The client it was issued to.
    pub client: ClientId,
    /// What it allows.
    pub scope: Scope,
    /// `aud`.
    pub audience: Vec<String>,
    /// `iat`.
    pub issued_at: UnixTime,
    /// `exp`.
    pub expires_at: UnixTime,
    /// `jti`; opaque tokens have none.
    pub id: Option<AccessTokenId>,
    /// Absent where a client acts for itself with a JWT.
    pub grant: Option<Grant>,
    /// Its client, user and session, all active.
    pub holder: ActiveParties,
}

/// Why an access token is not accepted, or why that is not known; for the log.
#[derive(Debug, Error)]
pub enum AccessTokenError {
    /// Not an access token of ours, or not any more.
    #[error("it is unknown")]
    Unknown,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its `iat` is in the future: a server whose clock is wrong made it, and it would be valid for longer than
    /// it should be.
    #[error("it was issued in the future")]
    IssuedInFuture,
    /// It, or its grant, was revoked.
    #[error("it was revoked")]
    Revoked,
    /// The client, the user or the session of its grant is not active.
    #[error("its grant is not active: {0:?}")]
    Inactive(grants::InactiveParty),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AccessTokenError {
    /// The reason in the log, where operators search for these words.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Expired => "Expired",
            Self::IssuedInFuture => "Early",
            Self::Revoked => "Revoked",
            Self::Inactive(why) => why.as_str(),
            Self::Store(_) => "Store",
        }
    }
}

impl From<ActiveCheckError> for AccessTokenError {
    fn from(error: ActiveCheckError) -> Self {
        match error {
            ActiveCheckError::Inactive(why) => Self::Inactive(why),
            ActiveCheckError::Store(cause) => Self::Store(cause),
        }
    }
}

/// A revoked JWT access token that has no grant. Stored until it would have expired.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
pub struct RevokedToken {
    /// The token's part of its `jti`.
    pub token: uuid::Uuid,
    /// Some time after its `exp`.
    pub until: UnixTime,
}

impl Record for RevokedToken {
    const KIND: &'static str = "revoked.v1";

    fn key(&self) -> Key<Self> {
        revoked_key(self.token)
    }

    fn delete_after(&self) -> Option<UnixTime> {
        Some(self.until)
    }
}

fn revoked_key(token: uuid::Uuid) -> Key<RevokedToken> {
    Key::single(Partition::new(format!("token:{}", token.simple())))
}

/// Validates an access token, JWT or opaque: it is ours, in time, not revoked, and its parties are active.
/// A token that is bound to a key needs `proof` of it.
pub async fn validate_access_token(
    store: &dyn Store,
    (keys, issuer): (&KeyRing, &str),
    token: &str,
    proof: KeyProof<'_>,
    now: UnixTime,
) -> Result<ValidAccessToken, AccessTokenError> {
    if let Some(handle) = OpaqueToken::parse(TokenKind::Access, token) {
        return validate_opaque_token(store, &handle, proof, now).await;
    }
    let claims = parse_jwt(keys, issuer, token).ok_or(AccessTokenError::Unknown)?;
    if claims.expires_at <= now {
        return Err(AccessTokenError::Expired);
    }
    if claims.issued_at > now.plus(MAX_CLOCK_SKEW) {
        return Err(AccessTokenError::IssuedInFuture);
    }
    let grant = match claims.id.grant {
        None => {
            if store.load(&revoked_key(claims.id.token)).await?.is_some() {
                return Err(AccessTokenError::Revoked);
            }
            None
        }
        Some(id) => match grants::find(store, id).await? {
            Some(grant) if grant.client != claims.client => return Err(AccessTokenError::Unknown),
            Some(grant) if grant.is_access_token_revoked(claims.id.token) => {
                return Err(AccessTokenError::Revoked);
            }
            Some(grant) => Some(grant),
            None => return Err(AccessTokenError::Unknown),
        },
    };
    let holder = match &grant {
        Some(grant) => grants::check_active(store, grant, proof, now).await?,
        None => grants::check_client_active(store, &claims.client, claims.epoch).await?,
    };
    Ok(ValidAccessToken {
        client: claims.client,
        scope: claims.scope,
        audience: claims.audience,
        issued_at: claims.issued_at,
        expires_at: claims.expires_at,
        id: Some(claims.id),
        grant,
        holder,
    })
}

async fn validate_opaque_token(
    store: &dyn Store,
    handle: &OpaqueToken,
    proof: KeyProof<'_>,
    now: UnixTime,
) -> Result<ValidAccessToken, AccessTokenError> {
    let grant = grants::find(store, handle.grant).await?.ok_or(AccessTokenError::Unknown)?;
    if grant.status != grants::GrantStatus::Active {
        return Err(AccessTokenError::Revoked);
    }
    let token = grant.find_opaque_token(&handle.secret.digest(), now).cloned();
    let token = token.ok_or(AccessTokenError::Unknown)?;
    if token.issued_at > now.plus(MAX_CLOCK_SKEW) {
        return Err(AccessTokenError::IssuedInFuture);
    }
    let holder = grants::check_active(store, &grant, proof, now).await?;
    Ok(ValidAccessToken {
        client: grant.client.clone(),
        scope: token.scope,
        audience: token.audience,
        issued_at: token.issued_at,
        expires_at: token.expires_at,
        id: None,
        grant: Some(grant),
        holder,
    })
}

/// How far the clock of the server that issued a token may be ahead of this one's ([RFC 7519 §4.1.5] speaks
/// of a few minutes at most).
///
/// [RFC 7519 §4.1.5]: https://www.rfc-editor.org/rfc/rfc7519#section-4.1.5
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

struct AccessTokenClaims {
    client: ClientId,
    scope: Scope,
    audience: Vec<String>,
    issued_at: UnixTime,
    expires_at: UnixTime,
    id: AccessTokenId,
    epoch: Epoch,
}

/// Requires every claim that we issue, in its type.
fn parse_jwt(keys: &KeyRing, issuer: &str, token: &str) -> Option<AccessTokenClaims> {
    let claims = typ::verify_access_token(keys, token).ok()?;
    let text = |name| claims::text(&claims, name).ok().flatten();
    if text("iss") != Some(issuer) {
        return None;
    }
    Some(AccessTokenClaims {
        client: ClientId::parse(text("client_id")?)?,
        scope: Scope::try_from(text("scope")?.to_owned()).ok()?,
        audience: claims::audience(&claims).ok()?.into_iter().map(str::to_owned).collect(),
        issued_at: UnixTime::from_secs(claims::seconds(&claims, "iat").ok()??),
        expires_at: UnixTime::from_secs(claims::seconds(&claims, "exp").ok()??),
        id: AccessTokenId::parse(text("jti")?)?,
        epoch: claims::seconds(&claims, EPOCH_CLAIM)
            .ok()?
            .map_or_else(Epoch::default, Epoch::from_number),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::grants::InactiveParty;

    /// Operators search the log for them, so a renamed variant must not change its word.
    #[test]
    fn every_token_that_is_not_accepted_has_the_word_it_always_had_in_the_log() {
        for (error, word) in [
            (AccessTokenError::Unknown, "Unknown"),
            (AccessTokenError::Expired, "Expired"),
            (AccessTokenError::IssuedInFuture, "Early"),
            (AccessTokenError::Revoked, "Revoked"),
            (AccessTokenError::Inactive(InactiveParty::UserCutOff), "Denied(UserCutOff)"),
        ] {
            assert_eq!(error.as_str(), word);
        }
    }
}
