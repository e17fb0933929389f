use super::Grant;
use crate::clients::{Client, ClientId};
use crate::clock::UnixTime;
use crate::sessions;
use crate::store::{Store, StoreError};
use crate::users::{self, User};
use crate::{clients, protocol::Subject};

/// Everyone a grant needs alive, looked up now.
pub struct Holder {
    /// The client it was given to.
    pub client: Client,
    /// The person who gave it.
    pub user: Option<User>,
}

/// Why nothing may come of a grant any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Denied {
    /// The client was disabled or removed.
    ClientGone,
    /// The person was disabled or removed.
    UserGone,
    /// The session it is bound to has ended.
    SessionEnded,
}

/// The one gate everything that is issued, described or served passes: code, refresh, introspection
/// and userinfo all ask here whether the client and the person are still allowed anything.
pub async fn may_issue(
    store: &dyn Store,
    grant: &Grant,
    now: UnixTime,
) -> Result<Result<Holder, Denied>, StoreError> {
    let Some(client) = enabled_client(store, &grant.client).await? else {
        return Ok(Err(Denied::ClientGone));
    };
    let Some(person) = &grant.person else { return Ok(Ok(Holder { client, user: None })) };
    let Some(user) = enabled_user(store, &person.sub).await? else {
        return Ok(Err(Denied::UserGone));
    };
    if person.bound_to_session && sessions::find_named(store, person.sid, now).await?.is_none() {
        return Ok(Err(Denied::SessionEnded));
    }
    Ok(Ok(Holder { client, user: Some(user) }))
}

/// The same gate for a client that acts for itself and left no grant behind.
pub async fn may_act_alone(
    store: &dyn Store,
    id: &ClientId,
) -> Result<Result<Holder, Denied>, StoreError> {
    let client = enabled_client(store, id).await?;
    Ok(client.map(|client| Holder { client, user: None }).ok_or(Denied::ClientGone))
}

/// The client, if it may do anything at all.
async fn enabled_client(store: &dyn Store, id: &ClientId) -> Result<Option<Client>, StoreError> {
    Ok(clients::find(store, id).await?.filter(|client| client.enabled))
}

async fn enabled_user(store: &dyn Store, sub: &Subject) -> Result<Option<User>, StoreError> {
    Ok(users::find(store, sub).await?.filter(|user| user.enabled))
}
