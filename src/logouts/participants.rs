use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clients::{Client, ClientId};
use crate::clock::UnixTime;
use crate::sessions::Session;
use crate::store::{Created, Key, Partition, Record, Store, StoreError};

/// Who is to hear of the end of the session of that name, and by what `sub` they know the person.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Participants {
    sid: Uuid,
    until: UnixTime,
    clients: BTreeMap<ClientId, String>,
}

impl Record for Participants {
    const KIND: &'static str = "logout-participants.v1";

    fn key(&self) -> Key<Self> {
        key(self.sid)
    }

    fn forget_at(&self) -> Option<UnixTime> {
        Some(self.until)
    }
}

fn key(sid: Uuid) -> Key<Participants> {
    Key::sole(Partition::new(format!("logout-participants:{}", sid.simple())))
}

/// Notes that the client gets tokens in this session, where it wants to hear of the end. `sub` is what
/// its ID token says.
pub async fn note_client(
    store: &dyn Store,
    client: &Client,
    session: &Session,
    sub: &str,
) -> Result<(), StoreError> {
    let metadata = &client.metadata;
    if metadata.backchannel_logout_uri.is_none() && metadata.frontchannel_logout_uri.is_none() {
        return Ok(());
    }
    let new = Participants {
        sid: session.sid,
        until: session.absolute_end,
        clients: BTreeMap::from([(client.id.clone(), sub.to_owned())]),
    };
    // Taken by somebody else between the two looks: then there is one to be changed.
    for _ in 0..2 {
        let (key, step) = (new.key(), |held: &mut Participants| held.take_in(&new));
        if store.update(&key, step).await?.is_some() || store.create(&new).await? == Created::New {
            return Ok(());
        }
    }
    Ok(())
}

impl Participants {
    fn take_in(&mut self, new: &Self) {
        self.until = self.until.max(new.until);
        for (client, sub) in &new.clients {
            if self.clients.len() >= MOST && !self.clients.contains_key(client) {
                tracing::warn!(client = client.as_str(), "too many clients to tell of one logout");
                continue;
            }
            self.clients.insert(client.clone(), sub.clone());
        }
    }
}

/// Everybody noted under that name.
pub(super) async fn of(
    store: &dyn Store,
    sid: Uuid,
) -> Result<BTreeMap<ClientId, String>, StoreError> {
    let held = store.load(&key(sid)).await?;
    Ok(held.map(|loaded| loaded.record.clients).unwrap_or_default())
}

pub(super) async fn forget(store: &dyn Store, sid: Uuid) -> Result<(), StoreError> {
    store.remove(&key(sid)).await
}

/// The most clients that hear of one logout.
const MOST: usize = 100;
