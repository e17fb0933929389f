//! Which clients to notify when a session ends, and the queue of notifications ([Back-Channel Logout], [Front-Channel
//! Logout]).
//!
//! While a session lives, the clients that get tokens in it and registered a logout URI are stored under its `sid`. When it
//! ends, each client with a back-channel URI gets a [`Delivery`], a record in a queue that outlives this process; the
//! front-channel URIs are loaded by the user's browser. No request waits for a delivery: a logout worker of any server
//! sends it.
//!
//! [Back-Channel Logout]: https://openid.net/specs/openid-connect-backchannel-1_0.html
//! [Front-Channel Logout]: https://openid.net/specs/openid-connect-frontchannel-1_0.html

mod delivery;
mod logout_token;
mod queue;
mod session_clients;

use uuid::Uuid;

pub use self::delivery::{Delivery, DeliveryOutcome, DeliveryState};
pub use self::logout_token::{LOGOUT_TOKEN_TYP, logout_token_claims};
pub use self::queue::{ClaimedDelivery, DeliveryResult, claim_next, complete, count_pending, list};
pub use self::session_clients::{SessionClients, add_client, key as session_clients_key};
use crate::domain::clients::{self, Client, ClientId};
use crate::domain::sessions::{self, Session, SessionId};
use crate::infra::clock::UnixTime;
use crate::infra::store::{Store, StoreError};

/// What is left to do after a session has ended.
#[derive(Clone, Debug, Default)]
pub struct LogoutNotifications {
    /// The clients with a front-channel URI for the browser to load.
    pub by_browser: Vec<Client>,
    /// The back-channel clients that are not notified, for the queue was full.
    pub dropped: Vec<ClientId>,
}

/// Queues a delivery for every back-channel client of a session that has ended. The caller wakes the logout workers.
pub async fn notify(
    store: &dyn Store,
    sid: Uuid,
    now: UnixTime,
) -> Result<LogoutNotifications, StoreError> {
    let mut notifications = LogoutNotifications::default();
    let Some(participants) = session_clients::find(store, sid, now).await? else {
        return Ok(notifications);
    };
    let mut capacity = None;
    for (id, sub) in participants.clients {
        let Some(client) = clients::find(store, &id).await?.filter(|client| client.enabled) else {
            continue;
        };
        if client.metadata.backchannel_logout_uri.is_some() && !participants.notified {
            let delivery = Delivery::new(id.clone(), sub, sid, now);
            let capacity = match &mut capacity {
                Some(capacity) => capacity,
                None => capacity.insert(queue::QueueCapacity::read(store).await?),
            };
            if !capacity.enqueue(store, delivery).await? {
                notifications.dropped.push(id);
            }
        }
        // Also at a second logout request: the response to the first may not have been loaded.
        if client.metadata.frontchannel_logout_uri.is_some() {
            notifications.by_browser.push(client);
        }
    }
    // Last: if this request breaks off before, the next one queues some twice, and misses none.
    session_clients::mark_notified(store, sid, now).await?;
    Ok(notifications)
}

/// Ends the session that a new sign-in replaces, and notifies its clients, unless the new session has the same `sid`.
/// Answers the session that ended, if any.
pub async fn replace_session(
    store: &dyn Store,
    old: SessionId,
    new: Uuid,
    now: UnixTime,
) -> Result<Option<(Session, LogoutNotifications)>, StoreError> {
    let retired = sessions::end_replaced(store, old, new).await?;
    let Some(ended) = retired.filter(|ended| ended.sid != new) else {
        return Ok(None);
    };
    let notifications = notify(store, ended.sid, now).await?;
    Ok(Some((ended, notifications)))
}

#[cfg(test)]
mod tests;
