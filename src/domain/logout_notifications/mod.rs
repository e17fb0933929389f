//! Whom to tell when a session ends, and what is still to be told ([Back-Channel Logout], [Front-Channel
//! Logout]).
//!
//! While a session lives, the clients that get tokens in it and want to hear of its end are noted under
//! its `sid`. At the end each that is told server to server becomes a [`Delivery`], a record of its own
//! in a queue that outlives this process; the others are for the person's browser to tell. Nobody waits
//! for a delivery: whoever ends a session rings, and a worker of any server takes it from there.
//!
//! [Back-Channel Logout]: https://openid.net/specs/openid-connect-backchannel-1_0.html
//! [Front-Channel Logout]: https://openid.net/specs/openid-connect-frontchannel-1_0.html

mod delivery;
mod participants;
mod queue;
mod token;

use uuid::Uuid;

pub use self::delivery::{Delivery, Outcome, State};
pub use self::participants::{Participants, key as participants_key, note_client};
pub use self::queue::{Claim, Settled, claim_next, count_pending, list, settle};
pub use self::token::{LOGOUT_TYP, logout_claims};
use crate::domain::clients::{self, Client, ClientId};
use crate::domain::sessions::{self, Session, SessionId};
use crate::infra::clock::UnixTime;
use crate::infra::store::{Store, StoreError};

/// What there is to do after a session has ended.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The clients that the person's browser has to tell.
    pub by_browser: Vec<Client>,
    /// Those that were to be told server to server, and found no room in the queue.
    pub dropped: Vec<ClientId>,
}

/// Queues word of the end of a session for every client that is told server to server. The session itself
/// has ended before; whoever calls rings for the couriers.
pub async fn tell(store: &dyn Store, sid: Uuid, now: UnixTime) -> Result<Told, StoreError> {
    let mut told = Told::default();
    let Some(participants) = participants::of(store, sid, now).await? else { return Ok(told) };
    let mut room = None;
    for (id, sub) in participants.clients {
        let Some(client) = clients::find(store, &id).await?.filter(|client| client.enabled) else {
            continue;
        };
        if client.metadata.backchannel_logout_uri.is_some() && !participants.told {
            let delivery = Delivery::new(id.clone(), sub, sid, now);
            let room = match &mut room {
                Some(room) => room,
                None => room.insert(queue::Room::look(store).await?),
            };
            if !room.take(store, delivery).await? {
                told.dropped.push(id);
            }
        }
        // Again at a second press: the answer to the first was not looked at.
        if client.metadata.frontchannel_logout_uri.is_some() {
            told.by_browser.push(client);
        }
    }
    // Last: if this is cut short, the next try tells some twice and nobody never.
    participants::note_told(store, sid, now).await?;
    Ok(told)
}

/// Ends the session that a new one of this name takes the place of, and has its clients told, unless it
/// goes on under its name. Answers what ended for good.
pub async fn replace(
    store: &dyn Store,
    old: SessionId,
    new: Uuid,
    now: UnixTime,
) -> Result<Option<(Session, Told)>, StoreError> {
    let retired = sessions::retire(store, old, new).await?;
    let Some(ended) = retired.filter(|ended| ended.sid != new) else {
        return Ok(None);
    };
    let told = tell(store, ended.sid, now).await?;
    Ok(Some((ended, told)))
}

#[cfg(test)]
mod tests;
