use tokio::join;

use super::Grant;
use crate::clients::{Client, ClientId};
use crate::clock::UnixTime;
use crate::sessions::{self, Session};
use crate::store::{AsOf, Store, StoreError};
use crate::users::{self, User};
use crate::{clients, protocol::Subject};

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
    /// The person was disabled or removed.
    UserGone,
    /// The session it is bound to has ended.
    SessionEnded,
}

/// The one gate everything that is issued, described or served passes: code, refresh, introspection
/// and userinfo all ask here whether the client and the person are still allowed anything. They are looked
/// up side by side: none of them needs the others.
///
/// A yes may be as old as [`Cached`](crate::store::Cached) allows. A no is never: before it is said,
/// everyone is looked up again.
pub async fn may_issue(
    store: &dyn Store,
    grant: &Grant,
    now: UnixTime,
) -> Result<Result<Holder, Denied>, StoreError> {
    match judge(store, grant, now, AsOf::Lately).await? {
        Ok(holder) => Ok(Ok(holder)),
        Err(_) => judge(store, grant, now, AsOf::Now).await,
    }
}

async fn judge(
    store: &dyn Store,
    grant: &Grant,
    now: UnixTime,
    as_of: AsOf,
) -> Result<Result<Holder, Denied>, StoreError> {
    let person = grant.person.as_ref();
    let bound = person.filter(|person| person.bound_to_session);
    let user = async {
        match person {
            Some(person) => enabled_user(store, &person.sub, as_of).await,
            None => Ok(None),
        }
    };
    let session = async {
        match bound {
            Some(person) => sessions::find_named_as_of(store, person.sid, now, as_of).await,
            None => Ok(None),
        }
    };
    let (client, user, session) = join!(enabled_client(store, &grant.client, as_of), user, session);
    let (client, user, session) = (client?, user?, session?);
    let same = |client: &Client| grant.client_since.is_none_or(|since| since == client.created_at);
    Ok(match client.filter(same) {
        None => Err(Denied::ClientGone),
        Some(_) if person.is_some() && user.is_none() => Err(Denied::UserGone),
        Some(_) if bound.is_some() && session.is_none() => Err(Denied::SessionEnded),
        Some(client) => Ok(Holder { client, user, session }),
    })
}

/// The same gate for a client that acts for itself and left no grant behind.
pub async fn may_act_alone(
    store: &dyn Store,
    id: &ClientId,
) -> Result<Result<Holder, Denied>, StoreError> {
    let mut client = enabled_client(store, id, AsOf::Lately).await?;
    if client.is_none() {
        client = enabled_client(store, id, AsOf::Now).await?;
    }
    let alone = |client| Holder { client, user: None, session: None };
    Ok(client.map(alone).ok_or(Denied::ClientGone))
}

/// The client, if it may do anything at all.
async fn enabled_client(
    store: &dyn Store,
    id: &ClientId,
    as_of: AsOf,
) -> Result<Option<Client>, StoreError> {
    Ok(clients::find_as_of(store, id, as_of).await?.filter(|client| client.enabled))
}

async fn enabled_user(
    store: &dyn Store,
    sub: &Subject,
    as_of: AsOf,
) -> Result<Option<User>, StoreError> {
    Ok(users::find_as_of(store, sub, as_of).await?.filter(|user| user.enabled))
}
