//! Clients: the record, its secrets, and the few things done with it.

pub mod assertion;
pub mod authenticate;
pub mod key_cache;
pub mod origins;
pub mod recipient;
mod settings;
pub mod software_statement;
pub mod unasked;
pub mod vault;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::origins::is_known_origin;
pub use self::settings::Settings;
use crate::domain::epoch::{self, Owner};
use crate::infra::clock::UnixTime;
use crate::infra::secret::Digest;
use crate::infra::store::{
    Consistency, CreateOutcome, Key, Partition, RawKey, Record, Store, StoreError,
};
use crate::protocol::{ClientMetadata, Scope};

/// A client's name in the protocol ([RFC 6749 §2.2](https://www.rfc-editor.org/rfc/rfc6749#section-2.2)).
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

    /// The text on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the client's record is.
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

/// One application.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Client {
    /// Its name in the protocol.
    pub id: ClientId,
    /// What it registered.
    pub metadata: ClientMetadata,
    /// What the operator decided about it.
    #[serde(default)]
    pub settings: Settings,
    /// The secrets that open it now: two at a rotation.
    #[serde(default)]
    pub secrets: Vec<ClientSecret>,
    /// What opens its registration (RFC 7592), if it registered itself.
    #[serde(default)]
    pub registration_token: Option<Digest>,
    /// A disabled client can do nothing, whatever it holds.
    pub enabled: bool,
    /// Who put it here.
    pub source: Source,
    /// When.
    pub created_at: UnixTime,
    /// Forgotten then, unless it is used before.
    #[serde(default)]
    pub unused_until: Option<UnixTime>,
    /// Made by a development installation: off on any other issuer
    /// ([`development`](crate::domain::development)).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub development: bool,
    /// What a bootstrap file set last, so that its own word counts again only when it changes. Absent in
    /// records of a release that did not remember it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<DeclaredClient>,
}

/// What a bootstrap file set last of a client, beyond what it sets at every start.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct DeclaredClient {
    /// The secrets in the file, whatever opens the client by now.
    #[serde(default)]
    pub secrets: Vec<Digest>,
    /// What the file said of `enabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Who put a client here.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Source {
    /// The operator, by file or command line.
    Operator,
    /// The client itself (RFC 7591).
    Registered,
}

/// A secret's digest and how long it is good.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ClientSecret {
    /// SHA-256 of the secret as the client sends it.
    pub digest: Digest,
    /// The secret itself, encrypted, where it has to be kept readable ([`vault`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
    /// When it was made.
    pub created_at: UnixTime,
    /// When it stops opening anything; absent: never.
    pub expires_at: Option<UnixTime>,
}

impl ClientSecret {
    /// Whether it opens anything at that time.
    pub fn is_live(&self, now: UnixTime) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// A client that registered itself is forgotten after so long without any use. Once a person has signed in
/// with it, it stays; one that only ever proves itself, to introspect or to act on its own, stays as long as
/// it comes back.
pub const UNUSED_RETENTION: Duration = Duration::from_hours(30 * 24);

/// The shortest secret an operator may choose: SHA-256 only protects what cannot be guessed.
pub const SHORTEST_SECRET: usize = 32;

impl Client {
    /// What pages call it.
    pub fn display_name(&self) -> &str {
        self.metadata.client_name.as_deref().unwrap_or(self.id.as_str())
    }

    /// The most it can be granted, as far as it says itself: what it registered, or every standard scope.
    pub fn scope_ceiling(&self) -> Scope {
        self.metadata.scope.clone().unwrap_or_else(Scope::standard)
    }

    /// Whether the text is one of its live secrets.
    pub fn opens_with(&self, shown: &str, now: UnixTime) -> bool {
        let shown = Digest::of(shown.as_bytes());
        let mut live = self.secrets.iter().filter(|it| it.is_live(now));
        live.any(|it| it.digest == shown)
    }

    /// Adds a secret and lets the others end at `others_until`.
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
    find_as_of(store, id, Consistency::Strong).await
}

/// The client of that id, for a reader who may be content with what it was a moment ago.
pub async fn find_as_of(
    store: &dyn Store,
    id: &ClientId,
    as_of: Consistency,
) -> Result<Option<Client>, StoreError> {
    store.read(&id.key(), as_of).await
}

/// Adds a client; `Taken` if the id is in use.
pub async fn add(store: &dyn Store, client: &Client) -> Result<CreateOutcome, StoreError> {
    store.index_add(&index(), client.id.as_str()).await?;
    let origins = origins::of(&client.metadata);
    origins::link(store, &client.id, &origins).await?;
    let created = store.create(client).await?;
    origins::settle(store, &client.id, &origins).await;
    Ok(created)
}

/// Ends everything the client was given, whoever gave it: after it was disabled, so that none of it comes
/// back when it is enabled again.
pub async fn cut_off(store: &dyn Store, id: &ClientId, now: UnixTime) -> Result<(), StoreError> {
    epoch::raise(store, &Owner::Client(id.clone()), now).await.map(drop)
}

/// Changes a client, but not its metadata; `None` if there is none. Whoever disables it then
/// [cuts it off](cut_off).
pub async fn update<T: Send>(
    store: &dyn Store,
    id: &ClientId,
    change: impl FnMut(&mut Client) -> T + Send,
) -> Result<Option<T>, StoreError> {
    store.update(&id.key(), change).await
}

/// Notes that a client has proven itself: one that would be forgotten is kept for longer. Written once a
/// day at most.
pub async fn note_use(store: &dyn Store, client: &Client, now: UnixTime) -> Result<(), StoreError> {
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
    let next = origins::of(next);
    origins::link(store, id, &next).await?;
    let mut before = BTreeSet::new();
    let step = |client: &mut Client| {
        before = origins::of(&client.metadata);
        change(client)
    };
    let changed = store.update(&id.key(), step).await?;
    before.extend(next);
    origins::settle(store, id, &before).await;
    Ok(changed)
}

/// Removes a client; what it was given dies with the record.
pub async fn remove(store: &dyn Store, id: &ClientId) -> Result<(), StoreError> {
    let client = find(store, id).await?;
    store.remove(&id.key()).await?;
    store.index_remove(&index(), id.as_str()).await?;
    if let Some(client) = client {
        origins::settle(store, id, &origins::of(&client.metadata)).await;
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
            // It is gone all the same, and whoever reads the index prunes it.
            tracing::warn!(%cause, "a removed client is still in the index");
        }
        origins::settle(store, &client.id, &origins::of(&client.metadata)).await;
    }
    Ok(removed)
}

/// The next ids that are listed after this one; none at the end. The list may have some too many.
pub async fn listed(
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
        let page = listed(store, after.as_ref()).await?;
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

/// Makes the store hold this very record and its listings, whatever it held under this id.
pub async fn restore(store: &dyn Store, client: &Client) -> Result<(), StoreError> {
    store.index_add(&index(), client.id.as_str()).await?;
    let held = find(store, &client.id).await?;
    let mut origins = origins::of(&client.metadata);
    origins::link(store, &client.id, &origins).await?;
    store.put(client).await?;
    origins.extend(held.iter().flat_map(|held| origins::of(&held.metadata)));
    origins::settle(store, &client.id, &origins).await;
    Ok(())
}

/// How many clients there are, counted no further than `most`.
pub async fn count(store: &dyn Store, most: usize) -> Result<usize, StoreError> {
    Ok(store.scan_index(&index(), "", most).await?.len())
}
