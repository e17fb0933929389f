use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::infra::clock::UnixTime;
use crate::infra::secret::{Digest, Secret};
use crate::infra::store::{Key, Partition, Record, Store, StoreError};

/// Enough for the redirect that follows at once, and for a reload.
const STORED_REQUEST_LIFETIME: Duration = Duration::from_secs(60);

/// The query of a request that came by a cross-site POST, without the browser's cookies, and is too long for the
/// URL of the GET that follows. That GET carries an unguessable id in its place. Like a link, it is not bound to a
/// browser.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct StoredRequest {
    id: Digest,
    query: String,
    until: UnixTime,
}

impl Record for StoredRequest {
    const KIND: &'static str = "kept-request.v1";

    fn key(&self) -> Key<Self> {
        key(&self.id)
    }

    fn delete_after(&self) -> Option<UnixTime> {
        Some(self.until)
    }
}

fn key(id: &Digest) -> Key<StoredRequest> {
    Key::single(Partition::new(format!("kept-request:{}", id.to_hex())))
}

/// Stores a query, and returns the id it is found by.
pub async fn insert_stored(
    store: &dyn Store,
    query: String,
    now: UnixTime,
) -> Result<Secret, StoreError> {
    let id = Secret::random();
    store
        .put(&StoredRequest { id: id.digest(), query, until: now.plus(STORED_REQUEST_LIFETIME) })
        .await?;
    Ok(id)
}

/// The query with that id, if its time is not over.
pub async fn find_stored(
    store: &dyn Store,
    id: &Secret,
    now: UnixTime,
) -> Result<Option<String>, StoreError> {
    let held = store.load(&key(&id.digest())).await?.map(|loaded| loaded.record);
    Ok(held.filter(|held| now < held.until).map(|held| held.query))
}
