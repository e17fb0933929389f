//! APIs that tokens are for ([RFC 8707]): those of the bootstrap file, and those that the operator declared while servers
//! run. Each declaration says which clients may request a token for it, its name, and its scopes
//! ([`ResourceCatalogue`]).
//!
//! [RFC 8707]: https://www.rfc-editor.org/rfc/rfc8707

mod catalogue;

use serde::{Deserialize, Serialize};

pub use self::catalogue::{ResourceCatalogue, ResourceEntry, Target};
use crate::infra::clock::UnixTime;
use crate::infra::secret::Digest;
use crate::infra::store::{CreateOutcome, Key, Partition, RawKey, Record, Store, StoreError};
use crate::protocol::claims::ScopeCatalogue;
use crate::protocol::resource;

/// The scopes and APIs that are not in the store: those of the bootstrap file, and those that are always there.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// The scopes.
    pub scopes: ScopeCatalogue,
    /// The APIs.
    pub resources: ResourceCatalogue,
}

impl From<ScopeCatalogue> for Declared {
    fn from(scopes: ScopeCatalogue) -> Self {
        Self { scopes, resources: ResourceCatalogue::default() }
    }
}

/// An API that was declared.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Resource {
    /// Its identifier, compared letter by letter.
    pub resource: String,
    /// What is known of it.
    pub entry: ResourceEntry,
}

impl Resource {
    /// Whether it can be declared here; the error is a sentence that begins with the member it is about.
    pub fn check_at(&self, issuer: &str) -> Result<(), String> {
        if is_issuer(&self.resource, issuer) {
            return Err(ISSUER_IS_NONE.to_owned());
        }
        self.check()
    }

    /// Whether it can be declared anywhere.
    pub fn check(&self) -> Result<(), String> {
        if !resource::is_identifier(&self.resource) {
            let rule =
                "resource: must be an absolute URI without a fragment, such as https://api.example";
            return Err(rule.to_owned());
        }
        self.entry.check()
    }
}

/// Whether that is our own identifier, with or without a slash at its end: what tokens without a `resource` are
/// for, and no API to be declared.
fn is_issuer(resource: &str, issuer: &str) -> bool {
    resource == issuer || resource == resource::with_toggled_slash(issuer)
}

const ISSUER_IS_NONE: &str =
    "resource: is the issuer, which needs no declaration: its scopes are those of `scope list`";

impl Record for Resource {
    const KIND: &'static str = "resource.v1";

    fn key(&self) -> Key<Self> {
        key(&self.resource)
    }

    /// Until it is removed.
    fn delete_after(&self) -> Option<UnixTime> {
        None
    }
}

/// The key of its record. A URI may have characters that a partition must not.
pub fn key(resource: &str) -> Key<Resource> {
    Key::single(Partition::new(format!("resource:{}", Digest::of(resource.as_bytes()).to_hex())))
}

fn index() -> RawKey {
    RawKey::new(Partition::new("resources"), "index.v1", None)
}

/// What a declaration changed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclareOutcome {
    /// It was not there.
    Added,
    /// It was otherwise.
    Changed,
    /// It was so already.
    Unchanged,
}

/// Declares it, in place of what was declared under the same identifier.
pub async fn declare(store: &dyn Store, new: &Resource) -> Result<DeclareOutcome, StoreError> {
    store.index_add(&index(), &new.resource).await?;
    if store.create(new).await? == CreateOutcome::Created {
        return Ok(DeclareOutcome::Added);
    }
    let step = |held: &mut Resource| {
        let changed = held != new;
        held.clone_from(new);
        changed
    };
    match store.update(&key(&new.resource), step).await? {
        Some(false) => Ok(DeclareOutcome::Unchanged),
        Some(true) => Ok(DeclareOutcome::Changed),
        None => {
            // Removed at this moment, or unreadable.
            store.put(new).await?;
            Ok(DeclareOutcome::Added)
        }
    }
}

/// Removes it; answers whether it was there.
pub async fn remove(store: &dyn Store, resource: &str) -> Result<bool, StoreError> {
    let held = store.consume(&key(resource)).await?;
    store.index_remove(&index(), resource).await?;
    Ok(held.is_some())
}

/// Makes the store hold this very record.
pub async fn restore(store: &dyn Store, resource: &Resource) -> Result<(), StoreError> {
    store.index_add(&index(), &resource.resource).await?;
    store.put(resource).await
}

/// Every API that was declared while servers run.
pub async fn list(store: &dyn Store) -> Result<Vec<Resource>, StoreError> {
    let mut resources = Vec::new();
    for name in list_names(store).await? {
        resources.extend(store.load(&key(&name)).await?.map(|loaded| loaded.record));
    }
    Ok(resources)
}

/// The identifiers of all of them.
pub async fn list_names(store: &dyn Store) -> Result<Vec<String>, StoreError> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let names = store.scan_index(&index(), &after, 200).await?;
        let Some(last) = names.last().cloned() else { return Ok(all) };
        all.extend(names);
        after = last;
    }
}

/// What the file declares, and what was declared beside it.
pub async fn merge_stored(
    store: &dyn Store,
    declared: &ResourceCatalogue,
) -> Result<ResourceCatalogue, StoreError> {
    let mut catalogue = ResourceCatalogue::default();
    for it in list(store).await? {
        catalogue.declare(it);
    }
    // The file's word counts.
    for it in declared.iter() {
        catalogue.declare(it);
    }
    Ok(catalogue)
}
