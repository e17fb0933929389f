use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::clients::{Client, ClientId};
use crate::domain::sessions::Session;
use crate::infra::clock::UnixTime;
use crate::infra::store::{Key, Partition, Record, Store, StoreError};

/// The clients to notify when the session of that `sid` ends, each with the `sub` that it sees.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SessionClients {
    sid: Uuid,
    until: UnixTime,
    pub(super) clients: BTreeMap<ClientId, String>,
    /// Whether the back-channel deliveries are queued.
    #[serde(default, rename = "told")]
    pub(super) notified: bool,
}

impl Record for SessionClients {
    const KIND: &'static str = "logout-participants.v1";

    fn key(&self) -> Key<Self> {
        key(self.sid)
    }

    fn delete_after(&self) -> Option<UnixTime> {
        Some(self.until)
    }
}

/// The key of the record.
pub fn key(sid: Uuid) -> Key<SessionClients> {
    Key::single(Partition::new(format!("logout-participants:{}", sid.simple())))
}

/// Adds a client that gets tokens in this session, where it registered a logout URI. `sub` is that of its ID token.
pub async fn add_client(
    store: &dyn Store,
    client: &Client,
    session: &Session,
    sub: &str,
) -> Result<(), StoreError> {
    let metadata = &client.metadata;
    if metadata.backchannel_logout_uri.is_none() && metadata.frontchannel_logout_uri.is_none() {
        return Ok(());
    }
    let new = SessionClients {
        sid: session.sid,
        until: session.absolute_end,
        clients: BTreeMap::from([(client.id.clone(), sub.to_owned())]),
        notified: false,
    };
    store.upsert(&new, |held| held.merge(&new)).await
}

impl SessionClients {
    fn merge(&mut self, new: &Self) {
        self.until = self.until.max(new.until);
        for (client, sub) in &new.clients {
            if self.clients.len() >= MAX_CLIENTS && !self.clients.contains_key(client) {
                tracing::warn!(client = client.as_str(), "too many clients to tell of one logout");
                continue;
            }
            self.clients.insert(client.clone(), sub.clone());
        }
    }
}

/// The clients of that session.
pub(super) async fn find(
    store: &dyn Store,
    sid: Uuid,
    now: UnixTime,
) -> Result<Option<SessionClients>, StoreError> {
    let held = store.load(&key(sid)).await?.map(|loaded| loaded.record);
    Ok(held.filter(|held| now < held.until))
}

/// Marks the deliveries as queued. The clients are still kept for a while, for their front-channel URIs.
pub(super) async fn mark_notified(
    store: &dyn Store,
    sid: Uuid,
    now: UnixTime,
) -> Result<(), StoreError> {
    let step = |held: &mut SessionClients| {
        held.notified = true;
        held.until = held.until.min(now.plus(NOTIFIED_RETENTION));
    };
    store.update(&key(sid), step).await?;
    Ok(())
}

/// For a second logout request of the same user.
const NOTIFIED_RETENTION: Duration = Duration::from_secs(60);

/// Clients of one session that are notified.
const MAX_CLIENTS: usize = 100;
