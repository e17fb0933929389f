//! Clients: the record, its secrets, and the operations on it.

pub mod assertion;
pub mod authenticate;
pub mod encryption_keys;
pub mod jwks_cache;
pub mod origins;
pub mod secret_encryption;
mod settings;
pub mod software_statement;
pub mod unused_userinfo;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::encryption_keys::check_registered_keys;
pub use self::origins::is_known_origin;
pub use self::settings::ClientSettings;
use crate::domain::epoch::{self, EpochOwner};
use crate::infra::clock::UnixTime;
use crate::infra::secret::Digest;
use crate::infra::store::{
    Consistency, CreateOutcome, Key, Partition, RawKey, Record, Store, StoreError,
};
use crate::protocol::{ClientMetadata, Scope};

/// `client_id` ([RFC 6749 §2.2](https://www.rfc-editor.org/rfc/rfc6749#section-2.2)).
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(String);

impl ClientId {
    /// One to 255 characters of `A-Z a-z 0-9 . _ ~ : @ / -`.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || b"._~:@/-".contains(&c);
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(allowed);
        fits.then(|| Self(text.to_owned()))
    }

    /// As in requests and tokens.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of the client's record.
    pub fn key(&self) -> Key<Client> {
        Key::single(Partition::new(format!("client:{}", self.0)))
    }
}

impl TryFrom<String> for ClientId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a client id is 1 to 255 characters of A-Z a-z 0-9 . _ ~ : @ / -")
    }
}

impl From<ClientId> for String {
    fn from(id: ClientId) -> Self {
        id.0
    }
}

/// One client, as it is stored.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Client {
    /// `client_id`.
    pub id: ClientId,
    /// Its registered metadata.
    pub metadata: ClientMetadata,
    /// What the operator set for it.
    #[serde(default)]
    pub settings: ClientSettings,
    /// Its secrets: two while they are rotated.
    #[serde(default)]
    pub secrets: Vec<ClientSecret>,
    /// Digest of its registration access token (RFC 7592), if it registered itself.
    #[serde(default)]
    pub registration_token: Option<Digest>,
    /// Nothing that a disabled client presents is accepted.
    pub enabled: bool,
    /// Who registered it.
    pub source: RegistrationSource,
    pub created_at: UnixTime,
    /// Deleted then, unless it is used before.
    #[serde(default)]
    pub unused_until: Option<UnixTime>,
    /// Made by a development installation: off on any other issuer
    /// ([`development`](crate::domain::development)).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub development: bool,
    /// What a bootstrap file set last. The file is applied again only where it changed since. Absent in records of a
    /// release that did not store it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<DeclaredClient>,
}

/// What a bootstrap file set last of a client, beyond what it sets at every start.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct DeclaredClient {
    /// Digests of the secrets in the file; those of the client may differ by now.
    #[serde(default)]
    pub secrets: Vec<Digest>,
    /// `enabled` in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Who registered a client.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum RegistrationSource {
    /// The operator, by file or command line.
    Operator,
    /// The client itself (RFC 7591).
    Registered,
}

/// A client secret, as it is stored.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ClientSecret {
    /// SHA-256 of the secret as the client sends it.
    pub digest: Digest,
    /// The secret itself, encrypted, where it has to be kept readable ([`secret_encryption`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
    pub created_at: UnixTime,
    /// Never, where absent.
    pub expires_at: Option<UnixTime>,
}

impl ClientSecret {
    /// Whether it has not expired.
    pub fn is_live(&self, now: UnixTime) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// A client that registered itself is deleted after so long without use. Once a user has signed in with it, it stays; one
/// that only authenticates, to introspect or to act for itself, stays as long as it comes back.
pub const UNUSED_RETENTION: Duration = Duration::from_hours(30 * 24);

/// In bytes: an operator may choose no shorter secret, for SHA-256 only protects what cannot be guessed.
pub const MIN_SECRET_LEN: usize = 32;

impl Client {
    /// Its name on pages.
    pub fn display_name(&self) -> &str {
        self.metadata.client_name.as_deref().unwrap_or(self.id.as_str())
    }

    /// The widest scope of its metadata: what it registered, or every standard scope.
    pub fn max_scope(&self) -> Scope {
        self.metadata.scope.clone().unwrap_or_else(Scope::standard)
    }

    /// Whether this is one of its live secrets.
    pub fn accepts_secret(&self, shown: &str, now: UnixTime) -> bool {
        let shown = Digest::of(shown.as_bytes());
        let mut live = self.secrets.iter().filter(|it| it.is_live(now));
        live.any(|it| it.digest == shown)
    }

    /// Adds a secret. The others expire at `others_until`.
    pub fn rotate_secret(&mut self, next: Digest, now: UnixTime, others_until: UnixTime) {
        self.secrets.retain(|it| it.is_live(now));
        // Two at once: one more rotation ends the oldest.
        let excess = self.secrets.len().saturating_sub(1);
        self.secrets.drain(..excess);
        for other in &mut self.secrets {
            other.expires_at =
                Some(other.expires_at.map_or(others_until, |end| end.min(others_until)));
        }
        let made = ClientSecret { digest: next, sealed: None, created_at: now, expires_at: None };
        self.secrets.push(made);
    }
}

impl Record for Client {
    const KIND: &'static str = "client.v1";

    fn key(&self) -> Key<Self> {
        self.id.key()
    }

    fn delete_after(&self) -> Option<UnixTime> {
        self.unused_until
    }
}

fn index() -> RawKey {
    RawKey::new(Partition::new("clients"), "index.v1", None)
}

/// The client of that id.
pub async fn find(store: &dyn Store, id: &ClientId) -> Result<Option<Client>, StoreError> {
    find_with(store, id, Consistency::Strong).await
}

/// The client of that id, read with this consistency.
pub async fn find_with(
    store: &dyn Store,
    id: &ClientId,
    as_of: Consistency,
) -> Result<Option<Client>, StoreError> {
    store.read(&id.key(), as_of).await
}

/// Adds a client; `Taken` if the id is in use.
pub async fn add(store: &dyn Store, client: &Client) -> Result<CreateOutcome, StoreError> {
    store.index_add(&index(), client.id.as_str()).await?;
    let origins = origins::web_origins(&client.metadata);
    origins::index_add(store, &client.id, &origins).await?;
    let created = store.create(client).await?;
    origins::sync_origins(store, &client.id, &origins).await;
    Ok(created)
}

/// Revokes every grant and token of the client. Called after it was disabled, so that none is accepted when it is
/// enabled again.
pub async fn revoke_all(store: &dyn Store, id: &ClientId, now: UnixTime) -> Result<(), StoreError> {
    epoch::raise(store, &EpochOwner::Client(id.clone()), now).await.map(drop)
}

/// Changes a client, but not its metadata; `None` if there is none. A caller that disables it then calls
/// [`revoke_all`].
pub async fn update<T: Send>(
    store: &dyn Store,
    id: &ClientId,
    change: impl FnMut(&mut Client) -> T + Send,
) -> Result<Option<T>, StoreError> {
    store.update(&id.key(), change).await
}

/// Records that a client authenticated: one that would be deleted is kept for longer. Writes once a day at most.
pub async fn record_use(
    store: &dyn Store,
    client: &Client,
    now: UnixTime,
) -> Result<(), StoreError> {
    let until = now.plus(UNUSED_RETENTION);
    let is_due = |client: &Client| {
        client.unused_until.is_some_and(|held| held.plus(Duration::from_hours(24)) <= until)
    };
    if !is_due(client) {
        return Ok(());
    }
    let step = |client: &mut Client| {
        if is_due(client) {
            client.unused_until = Some(until);
        }
    };
    update(store, &client.id, step).await.map(drop)
}

/// Changes a client whose metadata may become `next`; `None` if there is none.
pub async fn update_metadata<T: Send>(
    store: &dyn Store,
    id: &ClientId,
    next: &ClientMetadata,
    mut change: impl FnMut(&mut Client) -> T + Send,
) -> Result<Option<T>, StoreError> {
    let next = origins::web_origins(next);
    origins::index_add(store, id, &next).await?;
    let mut before = BTreeSet::new();
    let step = |client: &mut Client| {
        before = origins::web_origins(&client.metadata);
        change(client)
    };
    let changed = store.update(&id.key(), step).await?;
    before.extend(next);
    origins::sync_origins(store, id, &before).await;
    Ok(changed)
}

/// Removes a client. Its grants are not accepted without the record.
pub async fn remove(store: &dyn Store, id: &ClientId) -> Result<(), StoreError> {
    let client = find(store, id).await?;
    store.remove(&id.key()).await?;
    store.index_remove(&index(), id.as_str()).await?;
    if let Some(client) = client {
        origins::sync_origins(store, id, &origins::web_origins(&client.metadata)).await;
    }
    Ok(())
}

/// Removes this client if it is as `fits` wants it at that very moment; answers whether it was.
pub async fn remove_if(
    store: &dyn Store,
    client: &Client,
    fits: impl FnMut(&Client) -> bool + Send,
) -> Result<bool, StoreError> {
    let removed = store.remove_if(&client.id.key(), fits).await?;
    if removed {
        if let Err(cause) = store.index_remove(&index(), client.id.as_str()).await {
            // The client is removed all the same; readers of the index prune it.
            tracing::warn!(%cause, "a removed client is still in the index");
        }
        origins::sync_origins(store, &client.id, &origins::web_origins(&client.metadata)).await;
    }
    Ok(removed)
}

/// The next ids in the index after this one; none at the end. Some of them may be removed already.
pub async fn list_ids(
    store: &dyn Store,
    after: Option<&ClientId>,
) -> Result<Vec<ClientId>, StoreError> {
    let after = after.map(ClientId::as_str).unwrap_or_default();
    let names = store.scan_index(&index(), after, 200).await?;
    Ok(names.iter().filter_map(|name| ClientId::parse(name)).collect())
}

/// Every client; for the command line, not for requests.
pub async fn list(store: &dyn Store) -> Result<Vec<Client>, StoreError> {
    let (mut clients, mut after) = (Vec::new(), None);
    loop {
        let page = list_ids(store, after.as_ref()).await?;
        for id in &page {
            match find(store, id).await? {
                Some(client) => clients.push(client),
                // The index may list too much: the reader prunes.
                None => store.index_remove(&index(), id.as_str()).await?,
            }
        }
        let Some(last) = page.last().cloned() else { return Ok(clients) };
        after = Some(last);
    }
}

/// Stores this very record and its index entries, in place of one with its id.
pub async fn restore(store: &dyn Store, client: &Client) -> Result<(), StoreError> {
    store.index_add(&index(), client.id.as_str()).await?;
    let held = find(store, &client.id).await?;
    let mut origins = origins::web_origins(&client.metadata);
    origins::index_add(store, &client.id, &origins).await?;
    store.put(client).await?;
    origins.extend(held.iter().flat_map(|held| origins::web_origins(&held.metadata)));
    origins::sync_origins(store, &client.id, &origins).await;
    Ok(())
}

/// How many clients there are, counted no further than `most`.
pub async fn count(store: &dyn Store, most: usize) -> Result<usize, StoreError> {
    Ok(store.scan_index(&index(), "", most).await?.len())
}
