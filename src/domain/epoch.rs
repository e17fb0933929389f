//! The mark that everything a person or a client was given is held against: a number that only grows.
//!
//! A session carries the epoch its user had at sign-in, a grant that of its session, that of its client, and
//! that of the person's consent to this client. A cut-off raises the epoch, and so does taking a consent back. What carries a lower one is worth nothing from then on, whenever it is stored
//! and whether or not an index lists it: sweeping the listed grants alone leaves the one that is stored just
//! behind the sweep.
//!
//! **Why not a moment.** Two servers whose clocks are 10 s apart disagree for 10 s about what came first: a
//! stolen session of the fast one would survive, and on the slow one nobody could sign in right after the new
//! password. An epoch is read before the check it depends on and copied from record to record, so what
//! happened before the cut-off is told by what was seen, and no clock is asked.
//!
//! **Order.** Whoever cuts off changes the user or client first and raises the epoch then; whoever begins
//! something reads the epoch first and the user or client then. So either they see the change, or they carry
//! an epoch from before it.
//!
//! **A record of its own**, in the partition of its user or client: a member of those records would be lost
//! when a release that does not know it writes them ([`schema`](crate::infra::store::schema)). Most never have one;
//! that there is none is kept by [`CachedStore`](crate::infra::store::Cached) like a record. An epoch is the millisecond
//! it was raised in, or one more than the one before: so it grows even after the record was forgotten, and
//! sessions and grants of a release that did not copy it yet can still be judged by when they began.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::clients::ClientId;
use crate::domain::users;
use crate::infra::clock::UnixTime;
use crate::infra::store::{Consistency, CreateOutcome, Key, Record, Store, StoreError};
use crate::protocol::Subject;

/// How often somebody's everything was ended; zero if never.
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

    /// Whether, this being the epoch now, something that carries `carried` still counts. Without one it
    /// comes from a release that did not know epochs, and is judged by when it `began`.
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

/// Whose epoch it is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum EpochOwner {
    /// A person.
    User(Subject),
    /// An application.
    Client(ClientId),
    /// What a person agreed to with an application: raised when they take it back.
    Consent {
        /// The person.
        sub: Subject,
        /// The application.
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

/// An epoch that was raised.
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

    /// When everything from before it is over by itself.
    fn delete_after(&self) -> Option<UnixTime> {
        Some(UnixTime::from_millis(self.epoch.0).plus(EPOCH_RETENTION))
    }
}

/// Longer than any session or refresh token may live (`REFRESH_TOKEN_LIFETIME`, at most 400 days).
const EPOCH_RETENTION: Duration = Duration::from_secs(420 * 86_400);

/// The epoch of that user or client.
pub async fn current(
    store: &dyn Store,
    owner: &EpochOwner,
    as_of: Consistency,
) -> Result<Epoch, StoreError> {
    Ok(store.read(&owner.key(), as_of).await?.map_or_else(Epoch::default, |held| held.epoch))
}

/// Ends everything that carries the epoch there is, by beginning another. Raised twice is as good as once.
pub async fn raise(
    store: &dyn Store,
    owner: &EpochOwner,
    now: UnixTime,
) -> Result<Epoch, StoreError> {
    update(store, owner, |held| held.next(now)).await
}

/// Makes the epoch at least this one; for a restore.
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
        // Raised by somebody else in between, or unreadable, which no second look would change.
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
