//! Which web origins clients' pages live at: the origins of their redirect URIs, for CORS.
//!
//! Who asks is known from the request itself, and then the client's own record decides ([`of`]). A
//! preflight and a request nobody could read have no client; for these there is an index of
//! `origin client_id` pairs. It may list too much, never too little, whatever happens at the same time:
//!
//! * a writer links before it writes the record, and settles afterwards;
//! * whoever unlinks a pair looks at the record after that, and links again what it still says;
//! * a reader believes a pair only if the record agrees, and settles it if not. So it also drops the
//!   pairs of clients that were forgotten unused.

use std::collections::BTreeSet;

use super::{ClientId, find};
use crate::infra::store::{Partition, RawKey, Store, StoreError};
use crate::protocol::{ClientMetadata, redirect_uri};

/// The web origins of its redirect URIs, as browsers write them.
pub fn of(metadata: &ClientMetadata) -> BTreeSet<String> {
    metadata.redirect_uris.iter().filter_map(|uri| redirect_uri::web_origin(uri)).collect()
}

/// Whether some client has a redirect URI of this origin.
pub async fn is_known_origin(store: &dyn Store, origin: &str) -> Result<bool, StoreError> {
    let prefix = pair(origin, "");
    for name in store.scan_index(&index(), &prefix, READ_AT_ONCE).await? {
        let Some(id) = name.strip_prefix(&prefix).and_then(ClientId::parse) else { break };
        if has(store, &id, origin).await? {
            return Ok(true);
        }
        settle_one(store, &id, origin).await?;
    }
    Ok(false)
}

/// Notes the pairs, before the record is written.
pub(super) async fn link(
    store: &dyn Store,
    id: &ClientId,
    origins: &BTreeSet<String>,
) -> Result<(), StoreError> {
    for origin in origins {
        store.index_add(&index(), &pair(origin, id.as_str())).await?;
    }
    Ok(())
}

/// Makes the pairs agree with the record, after it was written or removed. That has happened, so a
/// failure here is no failure of it: what stays listed too long is for the readers.
pub(super) async fn settle(store: &dyn Store, id: &ClientId, origins: &BTreeSet<String>) {
    for origin in origins {
        if let Err(cause) = settle_one(store, id, origin).await {
            tracing::warn!(%cause, client = id.as_str(), "a client's origins are not settled yet");
            return;
        }
    }
}

async fn settle_one(store: &dyn Store, id: &ClientId, origin: &str) -> Result<(), StoreError> {
    let name = pair(origin, id.as_str());
    if !has(store, id, origin).await? {
        store.index_remove(&index(), &name).await?;
        // Somebody may have written the record in between, and their link is gone now.
        if !has(store, id, origin).await? {
            return Ok(());
        }
    }
    store.index_add(&index(), &name).await
}

async fn has(store: &dyn Store, id: &ClientId, origin: &str) -> Result<bool, StoreError> {
    let client = find(store, id).await?;
    Ok(client.is_some_and(|client| of(&client.metadata).contains(origin)))
}

/// Neither an origin nor an id has a space in it.
fn pair(origin: &str, id: &str) -> String {
    format!("{origin} {id}")
}

fn index() -> RawKey {
    RawKey::new(Partition::new("origins"), "index.v2", None)
}

/// How many clients of one origin are looked at. More are needed only if so many are gone, and those
/// are dropped then.
const READ_AT_ONCE: usize = 20;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::clients::{self, Client, Settings, Source};
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
            settings: Settings::default(),
            secrets: Vec::new(),
            registration_token: None,
            enabled: true,
            source: Source::Operator,
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
        assert_eq!(pairs(&store).await, [pair(MOVED, "shop")]);

        let refused = metadata(&["https://evil.example/cb"]);
        clients::update_metadata(&store, &shop.id, &refused, |_| ()).await.unwrap().unwrap();
        assert_eq!(pairs(&store).await, [pair(MOVED, "shop")], "the change was not made");

        let namesake = client("shop", &["https://evil.example/cb"]);
        assert_eq!(clients::add(&store, &namesake).await.unwrap(), CreateOutcome::Exists);
        assert_eq!(pairs(&store).await, [pair(MOVED, "shop")], "the name was taken");
    }

    #[tokio::test]
    async fn a_reader_drops_what_no_client_says_any_more() {
        let store = store();
        let gone = [SHOP.to_owned()].into();
        for n in 0..25 {
            let id = ClientId::parse(&format!("gone-{n}")).unwrap();
            link(&store, &id, &gone).await.unwrap();
        }
        let stays = client("stays", &["https://shop.example/cb"]);
        assert_eq!(clients::add(&store, &stays).await.unwrap(), CreateOutcome::Created);
        known(&store, SHOP).await;
        assert!(known(&store, SHOP).await);
        assert_eq!(pairs(&store).await, [pair(SHOP, "stays")]);
    }
}
