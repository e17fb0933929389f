use thiserror::Error;
use tokio::join;

use super::{Grant, Person};
use crate::domain::clients;
use crate::domain::clients::{Client, ClientId};
use crate::domain::epoch::{self, Epoch, Owner};
use crate::domain::sessions::{self, Session};
use crate::domain::users::{self, User};
use crate::infra::clock::UnixTime;
use crate::infra::store::{Consistency, Store, StoreError};
use crate::protocol::{Confirmation, Subject};

/// Everyone a grant needs alive, looked up now.
pub struct Holder {
    /// The client it was given to.
    pub client: Client,
    /// The person who gave it.
    pub user: Option<User>,
    /// The session it is bound to, if it is bound to one.
    pub session: Option<Session>,
}

/// Why nothing may come of a grant any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Denied {
    /// The client was disabled, or removed; another one may go by its id.
    ClientGone,
    /// The client was disabled since it was given, whatever it is now.
    ClientCutOff,
    /// The person was disabled or removed.
    UserGone,
    /// The person was cut off since they signed in for it: a new password, a sign-out everywhere.
    UserCutOff,
    /// The person took back what they had agreed to with the client.
    ConsentWithdrawn,
    /// The session it is bound to has ended.
    SessionEnded,
    /// It is bound to a key, and the request does not prove to hold that one.
    Unproven,
}

/// Why nothing may come of a grant, or why that is not known.
#[derive(Debug, Error)]
pub enum ActiveCheckError {
    /// It is not active.
    #[error("the grant is not active: {0:?}")]
    Inactive(Denied),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Denied> for ActiveCheckError {
    fn from(why: Denied) -> Self {
        Self::Inactive(why)
    }
}

/// The one gate everything that is issued, described or served passes: code, refresh, introspection
/// and userinfo all ask here whether the client and the person are still allowed anything, and whether both,
/// and the consent of the one to the other, are in the [epoch](crate::domain::epoch) that the grant is of. They are looked up side by side: none of them needs
/// the others.
///
/// A yes may be as old as [`CachedStore`](crate::infra::store::Cached) allows. A no is never: before it is said,
/// everyone is looked up again.
///
/// `proven_key` is the key that the request proves to hold. A grant that is bound to one needs that very key.
pub async fn may_issue(
    store: &dyn Store,
    grant: &Grant,
    proven_key: Option<&Confirmation>,
    now: UnixTime,
) -> Result<Holder, ActiveCheckError> {
    match judge(store, grant, proven_key, now, Consistency::Cached).await {
        Err(ActiveCheckError::Inactive(_)) => {
            judge(store, grant, proven_key, now, Consistency::Strong).await
        }
        known => known,
    }
}

/// The gate for a grant that is about to be filed, as everything is now. The session counts whether or not
/// the grant is bound to it: nothing begins in one that has ended.
pub async fn may_begin(
    store: &dyn Store,
    grant: &Grant,
    session: &Session,
    now: UnixTime,
) -> Result<(), ActiveCheckError> {
    let bound_to = grant.cnf.as_ref();
    let (holder, is_current) = join!(
        judge(store, grant, bound_to, now, Consistency::Strong),
        sessions::is_current(store, session)
    );
    // A store that does not answer is no answer, whatever the other look-up found.
    let is_current = match holder {
        Err(ActiveCheckError::Store(cause)) => return Err(cause.into()),
        Err(ActiveCheckError::Inactive(_)) | Ok(_) => is_current?,
    };
    holder?;
    if is_current { Ok(()) } else { Err(Denied::SessionEnded.into()) }
}

async fn judge(
    store: &dyn Store,
    grant: &Grant,
    proven_key: Option<&Confirmation>,
    now: UnixTime,
    as_of: Consistency,
) -> Result<Holder, ActiveCheckError> {
    let person = grant.person.as_ref();
    let bound = person.filter(|person| person.bound_to_session);
    let user = async {
        match person {
            Some(person) => enabled_user(store, &person.sub, as_of).await,
            None => Ok(None),
        }
    };
    let user_epoch = async {
        match person {
            Some(person) => epoch::current(store, &Owner::User(person.sub.clone()), as_of).await,
            None => Ok(Epoch::default()),
        }
    };
    let session = async {
        match bound {
            Some(person) => sessions::find_named_as_of(store, person.sid, now, as_of).await,
            None => Ok(None),
        }
    };
    let owner = Owner::Client(grant.client.clone());
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
    let same = |client: &Client| grant.client_since.is_none_or(|since| since == client.created_at);
    let cut_off = |person: &Person| !user_epoch.admits(person.epoch, person.authenticated_at);
    let is_unproven = grant.cnf.as_ref().is_some_and(|bound_to| proven_key != Some(bound_to));
    let denied = match client.filter(same) {
        None => Denied::ClientGone,
        Some(_) if is_unproven => Denied::Unproven,
        Some(_) if !client_epoch.admits(grant.client_epoch, grant.began_by()) => {
            Denied::ClientCutOff
        }
        Some(_) if person.is_some() && user.is_none() => Denied::UserGone,
        Some(_) if person.is_some_and(cut_off) => Denied::UserCutOff,
        Some(_) if !consented => Denied::ConsentWithdrawn,
        Some(_) if bound.is_some() && session.is_none() => Denied::SessionEnded,
        Some(client) => return Ok(Holder { client, user, session }),
    };
    Err(denied.into())
}

/// Whether the person has not taken back since what they agreed to with the client. Where no consent was
/// needed there was none to take back, and what ended then ended all the same.
pub async fn has_consent(
    store: &dyn Store,
    grant: &Grant,
    as_of: Consistency,
) -> Result<bool, StoreError> {
    let Some(person) = &grant.person else { return Ok(true) };
    let owner = Owner::Consent { sub: person.sub.clone(), client: grant.client.clone() };
    let epoch = epoch::current(store, &owner, as_of).await?;
    Ok(epoch.admits(person.consent_epoch, person.authenticated_at))
}

impl Grant {
    /// A moment before which it cannot be known to have begun: for grants of a release that did not know
    /// epochs.
    fn began_by(&self) -> UnixTime {
        let person = self.person.as_ref().map(|person| person.authenticated_at);
        let first = self.opaque.first().map(|token| token.issued_at);
        person.or(first).unwrap_or(UnixTime::from_millis(0))
    }
}

/// The same gate for a client that acts for itself and left no grant behind: `epoch` is its own from when
/// the token was made.
pub async fn may_act_alone(
    store: &dyn Store,
    id: &ClientId,
    epoch: Epoch,
) -> Result<Holder, ActiveCheckError> {
    match judge_alone(store, id, epoch, Consistency::Cached).await {
        Err(ActiveCheckError::Inactive(_)) => {
            judge_alone(store, id, epoch, Consistency::Strong).await
        }
        known => known,
    }
}

async fn judge_alone(
    store: &dyn Store,
    id: &ClientId,
    epoch: Epoch,
    as_of: Consistency,
) -> Result<Holder, ActiveCheckError> {
    let owner = Owner::Client(id.clone());
    let (client, current) =
        join!(enabled_client(store, id, as_of), epoch::current(store, &owner, as_of));
    let (client, current) = (client?, current?);
    match client {
        None => Err(Denied::ClientGone.into()),
        Some(_) if epoch < current => Err(Denied::ClientCutOff.into()),
        Some(client) => Ok(Holder { client, user: None, session: None }),
    }
}

/// The client, if it may do anything at all.
async fn enabled_client(
    store: &dyn Store,
    id: &ClientId,
    as_of: Consistency,
) -> Result<Option<Client>, StoreError> {
    Ok(clients::find_as_of(store, id, as_of).await?.filter(|client| client.enabled))
}

async fn enabled_user(
    store: &dyn Store,
    sub: &Subject,
    as_of: Consistency,
) -> Result<Option<User>, StoreError> {
    Ok(users::find_as_of(store, sub, as_of).await?.filter(|user| user.enabled))
}
