//! Scopes that the operator added while servers run, beside the standard ones and those of the bootstrap
//! file.

use serde::{Deserialize, Serialize};

use crate::infra::clock::UnixTime;
use crate::infra::secret::Digest;
use crate::infra::store::{CreateOutcome, Key, Partition, RawKey, Record, Store, StoreError};
use crate::protocol::Scope;
use crate::protocol::claims::{ScopeCatalogue, ScopeEntry};

/// A scope in the store.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct StoredScope {
    /// Its name.
    pub scope: String,
    /// What it is.
    pub entry: ScopeEntry,
}

impl Record for StoredScope {
    const KIND: &'static str = "scope.v1";

    fn key(&self) -> Key<Self> {
        key(&self.scope)
    }

    /// Scopes stay.
    fn delete_after(&self) -> Option<UnixTime> {
        None
    }
}

/// A scope may hold characters that a partition must not.
fn key(scope: &str) -> Key<StoredScope> {
    Key::single(Partition::new(format!("scope:{}", Digest::of(scope.as_bytes()).to_hex())))
}

fn index() -> RawKey {
    RawKey::new(Partition::new("scopes"), "index.v1", None)
}

/// Whether the text can be the name of one scope; the error is a sentence.
pub fn check_name(text: &str) -> Result<(), &'static str> {
    let is_one_word = text.parse::<Scope>().is_ok_and(|scope| scope.contains(text));
    if is_one_word && text.len() <= 255 {
        Ok(())
    } else {
        Err(
            "must be one word of at most 255 printable ASCII characters without quotes and backslashes",
        )
    }
}

/// The scope of that name, if it was added.
pub async fn find(store: &dyn Store, scope: &str) -> Result<Option<StoredScope>, StoreError> {
    Ok(store.load(&key(scope)).await?.map(|loaded| loaded.record))
}

/// Adds a scope, or adds to one that was added before; answers whether anything is different now.
pub async fn add(store: &dyn Store, new: &StoredScope) -> Result<bool, StoreError> {
    store.index_add(&index(), &new.scope).await?;
    if store.create(new).await? == CreateOutcome::Created {
        return Ok(true);
    }
    let step = |held: &mut StoredScope| {
        let before = held.clone();
        held.entry.claims.extend(new.entry.claims.iter().cloned());
        if new.entry.description.is_some() {
            held.entry.description.clone_from(&new.entry.description);
        }
        held.entry.advertised = new.entry.advertised.or(held.entry.advertised);
        *held != before
    };
    if let Some(changed) = store.update(&key(&new.scope), step).await? {
        return Ok(changed);
    }
    // Unreadable, so it is none.
    store.put(new).await?;
    Ok(true)
}

/// Makes the store hold this very scope.
pub async fn restore(store: &dyn Store, scope: &StoredScope) -> Result<(), StoreError> {
    store.index_add(&index(), &scope.scope).await?;
    store.put(scope).await
}

/// Every scope that was added.
pub async fn list(store: &dyn Store) -> Result<Vec<StoredScope>, StoreError> {
    let (mut scopes, mut after) = (Vec::new(), String::new());
    loop {
        let names = store.scan_index(&index(), &after, 200).await?;
        let Some(last) = names.last().cloned() else { return Ok(scopes) };
        for name in &names {
            scopes.extend(store.load(&key(name)).await?.map(|loaded| loaded.record));
        }
        after = last;
    }
}

/// What is declared, and what was added.
pub async fn merge_stored(
    store: &dyn Store,
    declared: &ScopeCatalogue,
) -> Result<ScopeCatalogue, StoreError> {
    let mut catalogue = declared.clone();
    for StoredScope { scope, entry } in list(store).await? {
        catalogue.add(&scope, entry);
    }
    Ok(catalogue)
}
