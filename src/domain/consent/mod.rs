//! Stored consents: one record for each user and client, kept for a year after its last change.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::authorization_request::AuthorizationRequest;
use crate::domain::clients::{Client, ClientId};
use crate::domain::epoch::{self, EpochOwner};
use crate::domain::grants;
use crate::domain::users;
use crate::infra::clock::UnixTime;
use crate::infra::secret::Digest;
use crate::infra::store::{Key, RawKey, Record, Store, StoreError};
use crate::protocol::{Scope, Subject};

const CONSENT_RETENTION: Duration = Duration::from_secs(365 * 86_400);
/// The time in which copies of one form arrive.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(60);

/// A user's consent to a client.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Consent {
    pub sub: Subject,
    pub client: ClientId,
    pub scope: Scope,
    /// Claims that were asked for by name.
    #[serde(default)]
    pub claims: BTreeSet<String>,
    /// The scope for each API, by resource identifier: consent to one API is none to another.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub apis: BTreeMap<String, Scope>,
    /// The digest of what the page showed of the client; if the client changes, consent is asked again.
    #[serde(rename = "face")]
    pub display_digest: Digest,
    pub given_at: UnixTime,
}

impl Consent {
    /// Whether it covers the request, and the client is shown as it was then.
    pub fn covers(&self, request: &AuthorizationRequest, client: &Client) -> bool {
        let at = |api| self.apis.get(api).is_some_and(|held| request.scope.is_subset(held));
        request.scope.is_subset(&self.scope)
            && request.claims.user_claims().iter().all(|claim| self.claims.contains(*claim))
            && request.apis(client).iter().all(at)
            && self.display_digest == display_digest(client)
    }
}

impl Consent {
    /// Whether `given` is a copy of this consent within `DUPLICATE_WINDOW`, and adds nothing.
    fn is_repeated_by(&self, given: &Self) -> bool {
        let at = |(api, scope): (&String, &Scope)| {
            self.apis.get(api).is_some_and(|held| scope.is_subset(held))
        };
        given.scope.is_subset(&self.scope)
            && given.claims.is_subset(&self.claims)
            && given.apis.iter().all(at)
            && given.display_digest == self.display_digest
            && given.given_at < self.given_at.plus(DUPLICATE_WINDOW)
    }

    fn merge(&mut self, given: &Self) {
        let before = std::mem::replace(self, given.clone());
        if before.display_digest == self.display_digest {
            self.scope = self.scope.union(&before.scope);
            self.claims.extend(before.claims);
            for (api, scope) in before.apis {
                let held = self.apis.entry(api).or_default();
                *held = held.union(&scope);
            }
        }
    }
}

/// A digest of everything the consent page shows of a client, and of where it may be sent.
pub fn display_digest(client: &Client) -> Digest {
    let it = &client.metadata;
    let shown = (
        (&it.client_name, &it.client_uri, &it.logo_uri),
        (&it.policy_uri, &it.tos_uri, &it.redirect_uris),
    );
    Digest::of(&serde_json::to_vec(&shown).unwrap_or_default())
}

impl Record for Consent {
    const KIND: &'static str = "consent.v1";

    fn key(&self) -> Key<Self> {
        key(&self.sub, &self.client)
    }

    fn delete_after(&self) -> Option<UnixTime> {
        Some(self.given_at.plus(CONSENT_RETENTION))
    }
}

/// The key of a user's consent to a client.
pub fn key(sub: &Subject, client: &ClientId) -> Key<Consent> {
    Key::named(users::partition(sub), client.as_str())
}

/// A user's consents, by the time they expire.
fn index(sub: &Subject) -> RawKey {
    RawKey::new(users::partition(sub), "consents.v1", None)
}

fn index_entry(given: &Consent) -> String {
    let until = given.given_at.plus(CONSENT_RETENTION);
    format!("{:016x}.{}", until.as_millis(), given.client.as_str())
}

/// The consent of this user to this client.
pub async fn find(
    store: &dyn Store,
    sub: &Subject,
    client: &ClientId,
) -> Result<Option<Consent>, StoreError> {
    Ok(store.load(&key(sub, client)).await?.map(|loaded| loaded.record))
}

/// The clients that this user has consented to. The index may list too many.
pub async fn list_clients(
    store: &dyn Store,
    sub: &Subject,
) -> Result<BTreeSet<ClientId>, StoreError> {
    let (mut clients, mut after) = (BTreeSet::new(), String::new());
    loop {
        let names = store.scan_index(&index(sub), &after, 200).await?;
        let Some(last) = names.last().cloned() else { return Ok(clients) };
        let named = names.iter().filter_map(|name| ClientId::parse(name.split_once('.')?.1));
        clients.extend(named);
        after = last;
    }
}

/// Stores a consent, merged with the one before if the client is shown as it was then. A copy within
/// `DUPLICATE_WINDOW` that adds nothing changes nothing: a form that is sent many times at once is one consent.
pub async fn remember(store: &dyn Store, given: &Consent) -> Result<(), StoreError> {
    index_add(store, given).await?;
    let listed = store.upsert(given, |held: &mut Consent| {
        let before = index_entry(held);
        if !held.is_repeated_by(given) {
            held.merge(given);
        }
        (before, index_entry(held))
    });
    let (before, stays) = listed.await?;
    for stale in [before, index_entry(given)] {
        if stale != stays {
            store.index_remove(&index(&given.sub), &stale).await?;
        }
    }
    Ok(())
}

/// What withdrawing a consent came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WithdrawOutcome {
    /// There was a consent.
    pub existed: bool,
    /// How many active grants ended.
    pub grants: usize,
}

/// Withdraws a user's consent to a client, and ends all grants that rest on it. A client that needs no consent loses
/// its grants, too, and can ask again.
///
/// The consent goes first and the [epoch](crate::domain::epoch) is raised then: an authorization that reads the epoch
/// before the consent either finds no consent, or makes a grant of the epoch before.
pub async fn withdraw(
    store: &dyn Store,
    sub: &Subject,
    client: &ClientId,
    now: UnixTime,
) -> Result<WithdrawOutcome, StoreError> {
    let held = store.consume(&key(sub, client)).await?;
    let owner = EpochOwner::Consent { sub: sub.clone(), client: client.clone() };
    epoch::raise(store, &owner, now).await?;
    if let Some(held) = &held {
        store.index_remove(&index(sub), &index_entry(held)).await?;
    }
    let grants = grants::revoke_for_client(store, sub, client, now).await?;
    Ok(WithdrawOutcome { existed: held.is_some(), grants })
}

/// Removes all consents of a user; for a user who is removed.
pub async fn forget_all(store: &dyn Store, sub: &Subject) -> Result<(), StoreError> {
    let index = index(sub);
    loop {
        let names = store.scan_index(&index, "", 200).await?;
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            if let Some(client) = name.split_once('.').and_then(|(_, id)| ClientId::parse(id)) {
                store.remove(&key(sub, &client)).await?;
            }
            store.index_remove(&index, &name).await?;
        }
    }
}

/// Writes exactly this record and its index entry.
pub async fn restore(store: &dyn Store, given: &Consent) -> Result<(), StoreError> {
    index_add(store, given).await?;
    store.put(given).await
}

/// Adds a consent to the index, before it is written, and removes up to four that have expired: the index is as
/// long as the user's consents of a year.
async fn index_add(store: &dyn Store, given: &Consent) -> Result<(), StoreError> {
    let index = index(&given.sub);
    store
        .index_add_until(&index, &index_entry(given), given.given_at.plus(CONSENT_RETENTION))
        .await?;
    let present = format!("{:016x}", given.given_at.as_millis());
    for over in store.scan_index(&index, "", 4).await? {
        if *over < *present {
            store.index_remove(&index, &over).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infra::clock::Clock;
    use crate::infra::store::MemoryStore;

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

    fn given(client: &str, scope: &str, given_at: UnixTime) -> Consent {
        Consent {
            sub: Subject::parse("ada").unwrap(),
            client: ClientId::parse(client).unwrap(),
            scope: scope.parse().unwrap(),
            claims: BTreeSet::new(),
            apis: BTreeMap::new(),
            display_digest: Digest::of(b"face"),
            given_at,
        }
    }

    async fn names(store: &dyn Store) -> usize {
        let ada = Subject::parse("ada").unwrap();
        store.scan_index(&index(&ada), "", 99).await.unwrap().len()
    }

    #[tokio::test]
    async fn each_client_is_listed_once_and_no_longer_than_the_consent_is_remembered() {
        let clock = Clock::manual(NOW);
        let store: Box<dyn Store> = Box::new(MemoryStore::new(clock.clone()));
        remember(&*store, &given("a", "openid", NOW)).await.unwrap();
        remember(&*store, &given("b", "openid", NOW)).await.unwrap();
        let later = NOW.plus(CONSENT_RETENTION / 2);
        let again = given("a", "openid email", later);
        remember(&*store, &again).await.unwrap();
        assert_eq!(names(&*store).await, 2);
        let listed = list_clients(&*store, &again.sub).await.unwrap();
        assert_eq!(listed, ["a", "b"].map(|id| ClientId::parse(id).unwrap()).into());
        let after = NOW.plus(CONSENT_RETENTION).plus(Duration::from_secs(1));
        clock.advance(after.since(NOW));
        remember(&*store, &given("c", "openid", after)).await.unwrap();
        assert_eq!(names(&*store).await, 2, "b is forgotten, a was given again");
    }

    #[tokio::test]
    async fn copies_of_one_yes_are_one_and_what_they_add_is_kept_whatever_their_order() {
        let store: Box<dyn Store> = Box::new(MemoryStore::new(Clock::manual(NOW)));
        let after = |millis| NOW.plus(Duration::from_millis(millis));
        for (scope, millis) in [("openid", 5), ("openid", 9), ("email", 7), ("openid email", 8)] {
            remember(&*store, &given("a", scope, after(millis))).await.unwrap();
            assert_eq!(names(&*store).await, 1, "{scope}");
        }
        let (ada, a) = (Subject::parse("ada").unwrap(), ClientId::parse("a").unwrap());
        let held = find(&*store, &ada, &a).await.unwrap().unwrap();
        assert_eq!((held.scope.to_string().as_str(), held.given_at), ("email openid", after(7)));
        remember(&*store, &given("a", "openid", NOW.plus(DUPLICATE_WINDOW * 2))).await.unwrap();
        let renewed = find(&*store, &ada, &a).await.unwrap().unwrap().given_at;
        assert_eq!(renewed, NOW.plus(DUPLICATE_WINDOW * 2), "remembered from the last yes");
        assert_eq!(names(&*store).await, 1);
    }

    #[tokio::test]
    async fn what_a_removed_person_agreed_to_is_forgotten_whole() {
        let store: Box<dyn Store> = Box::new(MemoryStore::new(Clock::manual(NOW)));
        let (one, two) = (given("a", "openid", NOW), given("b", "openid", NOW));
        for it in [&one, &two] {
            remember(&*store, it).await.unwrap();
        }
        forget_all(&*store, &one.sub).await.unwrap();
        assert_eq!(names(&*store).await, 0);
        assert_eq!(find(&*store, &two.sub, &two.client).await.unwrap(), None);
    }
}
