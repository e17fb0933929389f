use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::infra::clock::UnixTime;
use crate::infra::secret::{Digest, Secret};
use crate::infra::store::{Key, Partition, Record, Store, StoreError};

/// From the form to the redirect, and for who loads the page again.
const STORED_REQUEST_LIFETIME: Duration = Duration::from_secs(60);

/// A request that came without the browser's cookies, and comes back with them under an id that nobody can
/// guess. It is as good as the link it would have been, had it been shorter: it belongs to nobody.
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

/// Keeps it, and answers the id it is found by.
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

/// The request of that id.
pub async fn find_stored(
    store: &dyn Store,
    id: &Secret,
    now: UnixTime,
) -> Result<Option<String>, StoreError> {
    let held = store.load(&key(&id.digest())).await?.map(|loaded| loaded.record);
    Ok(held.filter(|held| now < held.until).map(|held| held.query))
}
