use thiserror::Error;
use tokio::join;

use super::{AuthenticationContext, Grant};
use crate::domain::clients;
use crate::domain::clients::{Client, ClientId};
use crate::domain::epoch::{self, Epoch, EpochOwner};
use crate::domain::sessions::{self, Session};
use crate::domain::users::{self, User};
use crate::infra::clock::UnixTime;
use crate::infra::store::{Consistency, Store, StoreError};
use crate::protocol::{Confirmation, Subject};

/// The parties of a grant, all of them active.
pub struct ActiveParties {
    /// The client it was issued to.
    pub client: Client,
    /// Absent where the client acts for itself.
    pub user: Option<User>,
    /// Absent unless the grant is bound to one.
    pub session: Option<Session>,
}

/// Which party of a grant is not active, or does not match it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InactiveParty {
    /// The client was disabled or removed. Another one may have its id by now.
    ClientGone,
    /// The client was disabled after the grant was made, whether or not it is enabled again.
    ClientCutOff,
    /// The user was disabled or removed.
    UserGone,
    /// Everything of the user was ended after the sign-in: by a new password or a sign-out everywhere.
    UserCutOff,
    /// The user withdrew the consent to the client.
    ConsentWithdrawn,
    /// The session it is bound to has ended.
    SessionEnded,
    /// It is bound to a key, and the request does not prove to hold that one.
    Unproven,
}

impl InactiveParty {
    /// The reason in the log and, of a refused token request, in the audit log. Operators search for these words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientGone => "Denied(ClientGone)",
            Self::ClientCutOff => "Denied(ClientCutOff)",
            Self::UserGone => "Denied(UserGone)",
            Self::UserCutOff => "Denied(UserCutOff)",
            Self::ConsentWithdrawn => "Denied(ConsentWithdrawn)",
            Self::SessionEnded => "Denied(SessionEnded)",
            Self::Unproven => "Denied(Unproven)",
        }
    }
}

/// What a request proves of the key that a grant is bound to.
#[derive(Clone, Copy, Debug)]
pub enum KeyProof<'a> {
    /// Nothing, and it need not: it only asks about the grant.
    NotRequired,
    /// That the client holds this key, if any.
    Presented(Option<&'a Confirmation>),
}

impl KeyProof<'_> {
    fn satisfies(self, bound_to: Option<&Confirmation>) -> bool {
        match self {
            Self::NotRequired => true,
            Self::Presented(proven_key) => bound_to.is_none() || bound_to == proven_key,
        }
    }
}

/// Why a grant is not active, or why that is not known.
#[derive(Debug, Error)]
pub enum ActiveCheckError {
    /// It is not active.
    #[error("the grant is not active: {0:?}")]
    Inactive(InactiveParty),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<InactiveParty> for ActiveCheckError {
    fn from(why: InactiveParty) -> Self {
        Self::Inactive(why)
    }
}

/// Checks that the client, the user and the session of a grant are active, and that client, user and consent are in
/// the [epoch](crate::domain::epoch) of the grant. Redemption, refresh, introspection and userinfo all check it here.
///
/// All are looked up concurrently. An active party may be read as [`CachedStore`](crate::infra::store::CachedStore) allows; before a grant is
/// rejected, everything is read again from the store.
///
/// A grant that is bound to a key needs `proof` of that very key.
pub async fn check_active(
    store: &dyn Store,
    grant: &Grant,
    proof: KeyProof<'_>,
    now: UnixTime,
) -> Result<ActiveParties, ActiveCheckError> {
    match check_parties(store, grant, proof, now, Consistency::Cached).await {
        Err(ActiveCheckError::Inactive(_)) => {
            check_parties(store, grant, proof, now, Consistency::Strong).await
        }
        known => known,
    }
}

/// [`check_active`] for a grant that is about to be stored: nothing is read from the cache, and the session has to be
/// current whether or not the grant is bound to it.
pub async fn check_active_now(
    store: &dyn Store,
    grant: &Grant,
    session: &Session,
    now: UnixTime,
) -> Result<(), ActiveCheckError> {
    let (holder, is_current) = join!(
        check_parties(store, grant, KeyProof::NotRequired, now, Consistency::Strong),
        sessions::is_current(store, session)
    );
    // A store that does not answer is no answer, whatever the other look-up found.
    let is_current = match holder {
        Err(ActiveCheckError::Store(cause)) => return Err(cause.into()),
        Err(ActiveCheckError::Inactive(_)) | Ok(_) => is_current?,
    };
    holder?;
    if is_current { Ok(()) } else { Err(InactiveParty::SessionEnded.into()) }
}

async fn check_parties(
    store: &dyn Store,
    grant: &Grant,
    proof: KeyProof<'_>,
    now: UnixTime,
    as_of: Consistency,
) -> Result<ActiveParties, ActiveCheckError> {
    let person = grant.authentication.as_ref();
    let bound = person.filter(|person| person.bound_to_session);
    let user = async {
        match person {
            Some(person) => enabled_user(store, &person.sub, as_of).await,
            None => Ok(None),
        }
    };
    let user_epoch = async {
        match person {
            Some(person) => {
                epoch::current(store, &EpochOwner::User(person.sub.clone()), as_of).await
            }
            None => Ok(Epoch::default()),
        }
    };
    let session = async {
        match bound {
            Some(person) => sessions::find_by_sid_as_of(store, person.sid, now, as_of).await,
            None => Ok(None),
        }
    };
    let owner = EpochOwner::Client(grant.client.clone());
    let (client, client_epoch, user, user_epoch, consented, session) = join!(
        enabled_client(store, &grant.client, as_of),
        epoch::current(store, &owner, as_of),
        user,
        user_epoch,
        has_consent(store, grant, as_of),
        session
    );
    let (client, user, consented, session) = (client?, user?, consented?, session?);
    let (client_epoch, user_epoch) = (client_epoch?, user_epoch?);
    let same =
        |client: &Client| grant.client_created_at.is_none_or(|since| since == client.created_at);
    let cut_off =
        |person: &AuthenticationContext| !user_epoch.accepts(person.epoch, person.authenticated_at);
    let is_unproven = !proof.satisfies(grant.cnf.as_ref());
    let denied = match client.filter(same) {
        None => InactiveParty::ClientGone,
        Some(_) if is_unproven => InactiveParty::Unproven,
        Some(_) if !client_epoch.accepts(grant.client_epoch, grant.begun_after()) => {
            InactiveParty::ClientCutOff
        }
        Some(_) if person.is_some() && user.is_none() => InactiveParty::UserGone,
        Some(_) if person.is_some_and(cut_off) => InactiveParty::UserCutOff,
        Some(_) if !consented => InactiveParty::ConsentWithdrawn,
        Some(_) if bound.is_some() && session.is_none() => InactiveParty::SessionEnded,
        Some(client) => return Ok(ActiveParties { client, user, session }),
    };
    Err(denied.into())
}

/// Whether the user has not withdrawn the consent to the client since. A first-party client needs no consent; its
/// grants end all the same when access is withdrawn.
pub async fn has_consent(
    store: &dyn Store,
    grant: &Grant,
    as_of: Consistency,
) -> Result<bool, StoreError> {
    let Some(person) = &grant.authentication else { return Ok(true) };
    let owner = EpochOwner::Consent { sub: person.sub.clone(), client: grant.client.clone() };
    let epoch = epoch::current(store, &owner, as_of).await?;
    Ok(epoch.accepts(person.consent_epoch, person.authenticated_at))
}

impl Grant {
    /// The earliest moment at which the grant can have begun: for grants of a release that did not know epochs.
    fn begun_after(&self) -> UnixTime {
        let person = self.authentication.as_ref().map(|person| person.authenticated_at);
        let first = self.opaque_tokens.first().map(|token| token.issued_at);
        person.or(first).unwrap_or(UnixTime::from_millis(0))
    }
}

/// [`check_active`] for a client that acts for itself with a JWT, which has no grant. `epoch` is that of the client
/// when the token was issued.
pub async fn check_client_active(
    store: &dyn Store,
    id: &ClientId,
    epoch: Epoch,
) -> Result<ActiveParties, ActiveCheckError> {
    match check_client(store, id, epoch, Consistency::Cached).await {
        Err(ActiveCheckError::Inactive(_)) => {
            check_client(store, id, epoch, Consistency::Strong).await
        }
        known => known,
    }
}

async fn check_client(
    store: &dyn Store,
    id: &ClientId,
    epoch: Epoch,
    as_of: Consistency,
) -> Result<ActiveParties, ActiveCheckError> {
    let owner = EpochOwner::Client(id.clone());
    let (client, current) =
        join!(enabled_client(store, id, as_of), epoch::current(store, &owner, as_of));
    let (client, current) = (client?, current?);
    match client {
        None => Err(InactiveParty::ClientGone.into()),
        Some(_) if epoch < current => Err(InactiveParty::ClientCutOff.into()),
        Some(client) => Ok(ActiveParties { client, user: None, session: None }),
    }
}

/// The client, unless it is disabled.
async fn enabled_client(
    store: &dyn Store,
    id: &ClientId,
    as_of: Consistency,
) -> Result<Option<Client>, StoreError> {
    Ok(clients::find_with(store, id, as_of).await?.filter(|client| client.enabled))
}

async fn enabled_user(
    store: &dyn Store,
    sub: &Subject,
    as_of: Consistency,
) -> Result<Option<User>, StoreError> {
    Ok(users::find_cached(store, sub, as_of).await?.filter(|user| user.enabled))
}
