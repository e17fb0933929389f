use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::clients::{Client, ClientId};
use crate::domain::sessions::Session;
use crate::infra::clock::UnixTime;
use crate::infra::store::{Key, Partition, Record, Store, StoreError};

/// Who is to hear of the end of the session of that name, and by what `sub` they know the person.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Participants {
    sid: Uuid,
    until: UnixTime,
    pub(super) clients: BTreeMap<ClientId, String>,
    /// Whether those that are told server to server have been.
    #[serde(default)]
    pub(super) told: bool,
}

impl Record for Participants {
    const KIND: &'static str = "logout-participants.v1";

    fn key(&self) -> Key<Self> {
        key(self.sid)
    }

    fn delete_after(&self) -> Option<UnixTime> {
        Some(self.until)
    }
}

/// Where they are noted.
pub fn key(sid: Uuid) -> Key<Participants> {
    Key::single(Partition::new(format!("logout-participants:{}", sid.simple())))
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
        told: false,
    };
    store.upsert(&new, |held| held.take_in(&new)).await
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
    now: UnixTime,
) -> Result<Option<Participants>, StoreError> {
    let held = store.load(&key(sid)).await?.map(|loaded| loaded.record);
    Ok(held.filter(|held| now < held.until))
}

/// Nobody is queued a second time; for a while it is still known who they were.
pub(super) async fn note_told(
    store: &dyn Store,
    sid: Uuid,
    now: UnixTime,
) -> Result<(), StoreError> {
    let step = |held: &mut Participants| {
        held.told = true;
        held.until = held.until.min(now.plus(A_WHILE));
    };
    store.update(&key(sid), step).await?;
    Ok(())
}

/// For a second press on the button.
const A_WHILE: Duration = Duration::from_secs(60);

/// The most clients that hear of one logout.
const MOST: usize = 100;
