//! Epochs: numbers that only grow, by which everything that a user, client or consent was given is revoked.
//!
//! A session carries its user's epoch at the authentication. A grant carries that of its session, its client's, and
//! that of the consent. Revoking raises the epoch; what carries a lower one is not accepted, whenever it was stored
//! and whether or not an index lists it.
//!
//! Order: who revokes changes the user or client first and raises the epoch then; who begins something reads the
//! epoch first and the user or client then. So either they see the change, or they carry an epoch from before it.
//!
//! Why not a timestamp, and why a record of its own: docs/decisions/revocation-epochs.md.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::clients::ClientId;
use crate::domain::users;
use crate::infra::clock::UnixTime;
use crate::infra::store::{Consistency, CreateOutcome, Key, Record, Store, StoreError};
use crate::protocol::Subject;

/// Zero as long as nothing was revoked; then the millisecond of the last revocation, or more.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct Epoch(u64);

impl Epoch {
    /// The number itself, for claims.
    pub fn number(self) -> u64 {
        self.0
    }

    /// Reads what [`number`](Self::number) gives.
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// Whether this current epoch accepts what carries the epoch `carried`. What carries none comes from a release
    /// that did not know epochs, and is judged by when it `began`.
    pub fn accepts(self, carried: Option<Self>, began: UnixTime) -> bool {
        match carried {
            Some(carried) => carried >= self,
            None => self == Self::default() || began.as_millis() > self.0,
        }
    }

    fn next(self, now: UnixTime) -> Self {
        Self(self.0.saturating_add(1).max(now.as_millis()))
    }
}

/// What an epoch belongs to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum EpochOwner {
    User(Subject),
    Client(ClientId),
    /// Raised when the user withdraws the consent to this client.
    Consent {
        sub: Subject,
        client: ClientId,
    },
}

impl EpochOwner {
    fn key(&self) -> Key<EpochRecord> {
        match self {
            Self::User(sub) => Key::single(users::partition(sub)),
            Self::Client(id) => Key::single(id.key().raw().partition().clone()),
            Self::Consent { sub, client } => Key::named(users::partition(sub), client.as_str()),
        }
    }
}

/// An epoch that was raised at least once.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct EpochRecord {
    owner: EpochOwner,
    epoch: Epoch,
}

impl Record for EpochRecord {
    const KIND: &'static str = "epoch.v1";

    fn key(&self) -> Key<Self> {
        self.owner.key()
    }

    /// When everything from before it has expired by itself.
    fn delete_after(&self) -> Option<UnixTime> {
        Some(UnixTime::from_millis(self.epoch.0).plus(EPOCH_RETENTION))
    }
}

/// Longer than any session or refresh token may live (`REFRESH_TOKEN_LIFETIME`, at most 400 days).
const EPOCH_RETENTION: Duration = Duration::from_secs(420 * 86_400);

/// The current epoch.
pub async fn current(
    store: &dyn Store,
    owner: &EpochOwner,
    as_of: Consistency,
) -> Result<Epoch, StoreError> {
    Ok(store.read(&owner.key(), as_of).await?.map_or_else(Epoch::default, |held| held.epoch))
}

/// Revokes everything that carries the current epoch, by beginning another one. Idempotent.
pub async fn raise(
    store: &dyn Store,
    owner: &EpochOwner,
    now: UnixTime,
) -> Result<Epoch, StoreError> {
    update(store, owner, |held| held.next(now)).await
}

/// Raises the epoch to at least this one; for a restore.
pub async fn raise_to(store: &dyn Store, owner: &EpochOwner, to: Epoch) -> Result<(), StoreError> {
    if to == Epoch::default() {
        return Ok(());
    }
    update(store, owner, |held| held.max(to)).await.map(drop)
}

async fn update(
    store: &dyn Store,
    owner: &EpochOwner,
    next: impl Fn(Epoch) -> Epoch + Send + Sync,
) -> Result<Epoch, StoreError> {
    let key = owner.key();
    loop {
        let step = |held: &mut EpochRecord| {
            held.epoch = next(held.epoch);
            held.epoch
        };
        if let Some(epoch) = store.update(&key, step).await? {
            return Ok(epoch);
        }
        let first = EpochRecord { owner: owner.clone(), epoch: next(Epoch::default()) };
        if store.create(&first).await? == CreateOutcome::Created {
            return Ok(first.epoch);
        }
        // Raised by another server in between, or unreadable, which a second read would not change.
        if store.load(&key).await?.is_none() {
            store.put(&first).await?;
            return Ok(first.epoch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infra::clock::Clock;
    use crate::infra::store::MemoryStore;

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

    #[test]
    fn what_carries_an_epoch_is_judged_by_it_and_what_carries_none_by_when_it_began() {
        let (before, after) = (NOW.minus(Duration::from_secs(9)), NOW.plus(Duration::from_secs(9)));
        let raised = Epoch::default().next(NOW);
        #[rustfmt::skip]
        let table = [
            // now,             carried,                  began,  counts
            (Epoch::default(), Some(Epoch::default()),    before, true),
            (Epoch::default(), None,                      before, true),
            (raised,           Some(Epoch::default()),    before, false),
            // Whatever a clock that is ahead says.
            (raised,           Some(Epoch::default()),    after,  false),
            // Whatever a clock that is behind says.
            (raised,           Some(raised),              before, true),
            // Forgotten, or raised on a server that is seen later.
            (raised,           Some(raised.next(NOW)),   before, true),
            (raised.next(NOW), Some(raised),             after,  false),
            (raised,           None,                      before, false),
            (raised,           None,                      NOW,    false),
            (raised,           None,                      after,  true),
        ];
        for (epoch, carried, began, counts) in table {
            assert_eq!(epoch.accepts(carried, began), counts, "{epoch:?} {carried:?} {began:?}");
        }
    }

    #[tokio::test]
    async fn an_epoch_grows_whatever_the_clock_says_and_even_after_it_was_forgotten() {
        let clock = Clock::manual(NOW);
        let store: Box<dyn Store> = Box::new(MemoryStore::new(clock.clone()));
        let ada = EpochOwner::User(Subject::parse("ada").unwrap());
        let read = async || current(&*store, &ada, Consistency::Strong).await.unwrap();
        assert_eq!(read().await, Epoch::default());
        let first = raise(&*store, &ada, clock.now()).await.unwrap();
        let behind = raise(&*store, &ada, clock.now().minus(Duration::from_mins(1))).await.unwrap();
        assert!(behind > first);
        assert_eq!(read().await, behind);
        raise_to(&*store, &ada, first).await.unwrap();
        assert_eq!(read().await, behind, "a restore lowers nothing");
        clock.advance(EPOCH_RETENTION + Duration::from_secs(1));
        assert_eq!(read().await, Epoch::default(), "nothing of a person stays for ever");
        assert!(raise(&*store, &ada, clock.now()).await.unwrap() > behind);
    }
}
