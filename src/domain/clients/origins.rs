//! The web origins of clients, which are those of their redirect URIs: for CORS.
//!
//! Where the client of a request is known, its record decides ([`web_origins`]). A preflight has no client, nor has a
//! request that could not be read: for these there is an index of `origin client_id` pairs. It may list too many, never
//! too few, also under concurrent changes:
//!
//! * a writer adds entries before it writes the record, and syncs them afterwards;
//! * after an entry was removed the record is read again, and the entry added again if the record has the origin;
//! * a reader accepts an entry only if the record agrees, and syncs it otherwise. That also removes the entries of clients
//!   that were deleted unused.

use std::collections::BTreeSet;

use super::{ClientId, find};
use crate::infra::store::{Partition, RawKey, Store, StoreError};
use crate::protocol::{ClientMetadata, redirect_uri};

/// The web origins of the redirect URIs, as browsers write them.
pub fn web_origins(metadata: &ClientMetadata) -> BTreeSet<String> {
    metadata.redirect_uris.iter().filter_map(|uri| redirect_uri::web_origin(uri)).collect()
}

/// Whether some client has a redirect URI of this origin.
pub async fn is_known_origin(store: &dyn Store, origin: &str) -> Result<bool, StoreError> {
    let prefix = index_entry(origin, "");
    for name in store.scan_index(&index(), &prefix, MAX_READ).await? {
        let Some(id) = name.strip_prefix(&prefix).and_then(ClientId::parse) else { break };
        if has_origin(store, &id, origin).await? {
            return Ok(true);
        }
        sync_origin(store, &id, origin).await?;
    }
    Ok(false)
}

/// Adds the entries, before the record is written.
pub(super) async fn index_add(
    store: &dyn Store,
    id: &ClientId,
    origins: &BTreeSet<String>,
) -> Result<(), StoreError> {
    for origin in origins {
        store.index_add(&index(), &index_entry(origin, id.as_str())).await?;
    }
    Ok(())
}

/// Makes the entries agree with the record, after it was written or removed. A failure is only logged, for the change has
/// happened: readers remove what is listed too long.
pub(super) async fn sync_origins(store: &dyn Store, id: &ClientId, origins: &BTreeSet<String>) {
    for origin in origins {
        if let Err(cause) = sync_origin(store, id, origin).await {
            tracing::warn!(%cause, client = id.as_str(), "a client's origins are not settled yet");
            return;
        }
    }
}

async fn sync_origin(store: &dyn Store, id: &ClientId, origin: &str) -> Result<(), StoreError> {
    let name = index_entry(origin, id.as_str());
    if !has_origin(store, id, origin).await? {
        store.index_remove(&index(), &name).await?;
        // The record may have been written in between; its entry is removed now.
        if !has_origin(store, id, origin).await? {
            return Ok(());
        }
    }
    store.index_add(&index(), &name).await
}

async fn has_origin(store: &dyn Store, id: &ClientId, origin: &str) -> Result<bool, StoreError> {
    let client = find(store, id).await?;
    Ok(client.is_some_and(|client| web_origins(&client.metadata).contains(origin)))
}

/// Neither an origin nor an id has a space in it.
fn index_entry(origin: &str, id: &str) -> String {
    format!("{origin} {id}")
}

fn index() -> RawKey {
    RawKey::new(Partition::new("origins"), "index.v2", None)
}

/// How many clients of one origin are read. More are needed only if so many are gone, and those are removed then.
const MAX_READ: usize = 20;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::clients::{self, Client, ClientSettings, RegistrationSource};
    use crate::infra::clock::{Clock, UnixTime};
    use crate::infra::store::{CreateOutcome, MemoryStore};

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
    const SHOP: &str = "https://shop.example";
    const MOVED: &str = "https://moved.example:8443";

    fn store() -> MemoryStore {
        MemoryStore::new(Clock::manual(NOW))
    }

    fn metadata(uris: &[&str]) -> ClientMetadata {
        let members = json!({"redirect_uris": uris});
        ClientMetadata::parse(members.as_object().unwrap()).unwrap()
    }

    fn client(id: &str, uris: &[&str]) -> Client {
        Client {
            id: ClientId::parse(id).unwrap(),
            metadata: metadata(uris),
            settings: ClientSettings::default(),
            secrets: Vec::new(),
            registration_token: None,
            enabled: true,
            source: RegistrationSource::Operator,
            created_at: NOW,
            unused_until: None,
            development: false,
            declared: None,
        }
    }

    async fn known(store: &MemoryStore, origin: &str) -> bool {
        is_known_origin(store, origin).await.unwrap()
    }

    async fn pairs(store: &MemoryStore) -> Vec<String> {
        store.scan_index(&index(), "", 100).await.unwrap()
    }

    #[tokio::test]
    async fn an_origin_is_known_whole_or_not_at_all() {
        let store = store();
        let shop = client("shop", &["https://shop.example/cb", "https://shop.example/b?x=1"]);
        assert_eq!(clients::add(&store, &shop).await.unwrap(), CreateOutcome::Created);
        assert!(known(&store, SHOP).await);
        #[rustfmt::skip]
        let strangers = [
            "https://shop.exampl", "https://shop.example.evil", "https://shop.example:443",
            "https://shop.example shop", "https://shop.example ", "http://shop.example",
            "https://SHOP.example", "https://shop.example/", "https://", "", " ", "null",
        ];
        for stranger in strangers {
            assert!(!known(&store, stranger).await, "{stranger}");
        }
    }

    #[tokio::test]
    async fn an_origin_is_known_as_long_as_one_of_its_clients_is_there() {
        let store = store();
        let (one, other) = (client("one", &["https://shop.example/1"]), "https://shop.example/2");
        let other = client("other", &[other, "https://moved.example:8443/"]);
        for client in [&one, &other] {
            assert_eq!(clients::add(&store, client).await.unwrap(), CreateOutcome::Created);
        }
        clients::remove(&store, &one.id).await.unwrap();
        assert!(known(&store, SHOP).await && known(&store, MOVED).await);
        clients::remove(&store, &other.id).await.unwrap();
        assert!(!known(&store, SHOP).await && !known(&store, MOVED).await);
        assert!(pairs(&store).await.is_empty());
    }

    #[tokio::test]
    async fn new_redirect_uris_take_the_place_of_the_old_ones() {
        let store = store();
        let shop = client("shop", &["https://shop.example/cb"]);
        assert_eq!(clients::add(&store, &shop).await.unwrap(), CreateOutcome::Created);
        let next = metadata(&["https://moved.example:8443/cb"]);
        let change = |client: &mut Client| client.metadata = next.clone();
        clients::update_metadata(&store, &shop.id, &next, change).await.unwrap().unwrap();
        assert_eq!(pairs(&store).await, [index_entry(MOVED, "shop")]);

        let refused = metadata(&["https://evil.example/cb"]);
        clients::update_metadata(&store, &shop.id, &refused, |_| ()).await.unwrap().unwrap();
        assert_eq!(pairs(&store).await, [index_entry(MOVED, "shop")], "the change was not made");

        let namesake = client("shop", &["https://evil.example/cb"]);
        assert_eq!(clients::add(&store, &namesake).await.unwrap(), CreateOutcome::Exists);
        assert_eq!(pairs(&store).await, [index_entry(MOVED, "shop")], "the name was taken");
    }

    #[tokio::test]
    async fn a_reader_drops_what_no_client_says_any_more() {
        let store = store();
        let gone = [SHOP.to_owned()].into();
        for n in 0..25 {
            let id = ClientId::parse(&format!("gone-{n}")).unwrap();
            index_add(&store, &id, &gone).await.unwrap();
        }
        let stays = client("stays", &["https://shop.example/cb"]);
        assert_eq!(clients::add(&store, &stays).await.unwrap(), CreateOutcome::Created);
        known(&store, SHOP).await;
        assert!(known(&store, SHOP).await);
        assert_eq!(pairs(&store).await, [index_entry(SHOP, "stays")]);
    }
}
