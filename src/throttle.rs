//! How often somebody may guess.
//!
//! An attempt is counted before its outcome is known and forgiven when it turns out right: however
//! many guesses run side by side, no more are answered than the limit says. The counter is one record,
//! so servers that share a store share the limit.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;
use crate::secret::Digest;
use crate::store::{Key, Partition, RawKey, Record, Store, StoreError};

/// How the limit grows with failures.
#[derive(Clone, Copy, Debug)]
pub enum Schedule {
    /// One account, whoever asks: five tries at once, then ever longer pauses, and after a hundred
    /// failures a day (NIST SP 800-63B §3.2.2 allows at most 100).
    Account,
    /// One address, whatever it asks for: so many failures in a minute.
    Address {
        /// Failures that are answered in one minute.
        per_minute: u32,
    },
}

/// The attempts somebody has made, failed or not yet decided.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Attempts {
    name: String,
    failures: u32,
    since: UnixTime,
    not_before: UnixTime,
    forget_at: UnixTime,
}

/// Too many. Seconds until the next try is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooMany {
    /// When to come back.
    pub retry_after: Duration,
}

const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);

impl Attempts {
    fn none(name: String, now: UnixTime) -> Self {
        Self { name, failures: 0, since: now, not_before: now, forget_at: now.plus(DAY) }
    }

    /// Counts an attempt, or refuses to.
    pub fn take(&mut self, schedule: Schedule, now: UnixTime) -> Result<(), TooMany> {
        if let Schedule::Address { .. } = schedule
            && self.since.plus(MINUTE) <= now
        {
            *self = Self::none(std::mem::take(&mut self.name), now);
        }
        if now < self.not_before {
            return Err(TooMany { retry_after: self.not_before.since(now) });
        }
        self.failures = self.failures.saturating_add(1);
        self.not_before = match schedule {
            Schedule::Account => now.plus(pause_after(self.failures)),
            Schedule::Address { per_minute } if self.failures >= per_minute => {
                self.since.plus(MINUTE)
            }
            Schedule::Address { .. } => now,
        };
        self.forget_at = match schedule {
            Schedule::Account => now.plus(DAY),
            Schedule::Address { .. } => self.since.plus(MINUTE),
        };
        Ok(())
    }

    /// The attempt was the right one: an account starts afresh, an address gets its turn back.
    pub fn forgive(&mut self, schedule: Schedule, now: UnixTime) {
        self.failures = match schedule {
            Schedule::Account => 0,
            Schedule::Address { .. } => self.failures.saturating_sub(1),
        };
        self.not_before = now;
    }
}

/// The pause after so many failures in a row.
fn pause_after(failures: u32) -> Duration {
    match failures {
        0..5 => Duration::ZERO,
        5..10 => Duration::from_secs(3),
        10..25 => Duration::from_secs(5),
        25..100 => Duration::from_secs(10),
        100.. => DAY,
    }
}

impl Record for Attempts {
    const KIND: &'static str = "attempts.v1";

    fn key(&self) -> Key<Self> {
        key(&self.name)
    }

    fn forget_at(&self) -> Option<UnixTime> {
        Some(self.forget_at)
    }
}

/// Names are hashed: they hold what people typed, and addresses.
fn key(name: &str) -> Key<Attempts> {
    Key::sole(Partition::new(format!("attempts:{}", Digest::of(name.as_bytes()).to_hex())))
}

/// Counts an attempt under `name`, or refuses to.
pub async fn take(
    store: &dyn Store,
    name: &str,
    schedule: Schedule,
    now: UnixTime,
) -> Result<Result<(), TooMany>, StoreError> {
    // Something unreadable that stands there is replaced, and the count begins anew.
    store.upsert(&Attempts::none(name.to_owned(), now), |it| it.take(schedule, now)).await
}

/// Says that the attempt counted under `name` was right.
pub async fn forgive(
    store: &dyn Store,
    name: &str,
    schedule: Schedule,
    now: UnixTime,
) -> Result<(), StoreError> {
    store.update(&key(name), |it| it.forgive(schedule, now)).await.map(drop)
}

/// Counts something that is done under `name` and takes so many `turns`, whatever comes of it, and refuses it
/// once there were `most` in this minute. One command of the store for each, so many at once cost no more
/// than one by one.
pub async fn spend(
    store: &dyn Store,
    name: &str,
    turns: u32,
    most: u32,
    now: UnixTime,
) -> Result<Result<(), TooMany>, StoreError> {
    let (minute, second) = (now.as_secs() / 60, now.as_secs() % 60);
    let name = Digest::of(format!("{name} {minute}").as_bytes()).to_hex();
    let counter = RawKey::new(Partition::new(format!("turns:{name}")), "turns.v1", None);
    // The counter's window is the store's clock's business; the minute is in its name.
    for _ in 0..turns.max(1) {
        if store.tally(&counter, MINUTE * 2).await? > u64::from(most) {
            return Ok(Err(TooMany { retry_after: Duration::from_secs(60 - second) }));
        }
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn a_minute_has_so_many_turns_and_the_next_one_has_them_again() {
        let clock = Clock::manual(UnixTime::from_secs(1_700_000_050));
        let store: Box<dyn Store> = Box::new(MemoryStore::new(clock.clone()));
        let spend = async |name| spend(&*store, name, 1, 2, clock.now()).await.unwrap();
        assert_eq!([spend("a").await, spend("a").await], [Ok(()), Ok(())]);
        // The minute began at …1_700_000_040.
        let wait = Duration::from_secs(50);
        assert_eq!(spend("a").await, Err(TooMany { retry_after: wait }));
        assert_eq!(spend("b").await, Ok(()), "somebody else's turn");
        clock.advance(wait.checked_sub(Duration::from_secs(1)).unwrap());
        assert!(spend("a").await.is_err());
        clock.advance(Duration::from_secs(1));
        assert_eq!(spend("a").await, Ok(()));
    }

    #[tokio::test]
    async fn what_takes_several_turns_is_refused_when_one_of_them_is_not_there() {
        let clock = Clock::manual(UnixTime::from_secs(1_700_000_040));
        let store: Box<dyn Store> = Box::new(MemoryStore::new(clock.clone()));
        let spend = async |turns| spend(&*store, "a", turns, 5, clock.now()).await.unwrap();
        assert_eq!([spend(3).await, spend(2).await], [Ok(()), Ok(())]);
        assert!(spend(1).await.is_err());
        clock.advance(MINUTE);
        assert_eq!(spend(2).await, Ok(()));
        assert!(spend(4).await.is_err());
    }

    const NOW: UnixTime = UnixTime::from_millis(1_700_000_000_000);

    #[test]
    fn an_account_slows_down_and_then_rests_for_a_day() {
        let mut it = Attempts::none("ada".into(), NOW);
        let mut now = NOW;
        let mut answered = 0;
        while now < NOW.plus(DAY) {
            match it.take(Schedule::Account, now) {
                Ok(()) => answered += 1,
                Err(TooMany { retry_after }) => now = now.plus(retry_after),
            }
        }
        assert_eq!(answered, 100, "guesses answered in a day");
    }

    #[test]
    fn the_right_password_makes_an_account_start_afresh() {
        let mut it = Attempts::none("ada".into(), NOW);
        for _ in 0..5 {
            it.take(Schedule::Account, NOW).unwrap();
        }
        assert!(it.take(Schedule::Account, NOW).is_err());
        it.forgive(Schedule::Account, NOW);
        assert!(it.take(Schedule::Account, NOW).is_ok());
    }

    #[test]
    fn an_address_has_so_many_failures_a_minute_and_successes_are_free() {
        let schedule = Schedule::Address { per_minute: 3 };
        let mut it = Attempts::none("192.0.2.1".into(), NOW);
        for _ in 0..10 {
            it.take(schedule, NOW).unwrap();
            it.forgive(schedule, NOW);
        }
        for _ in 0..3 {
            it.take(schedule, NOW).unwrap();
        }
        assert_eq!(it.take(schedule, NOW), Err(TooMany { retry_after: MINUTE }));
        assert!(it.take(schedule, NOW.plus(MINUTE)).is_ok());
    }
}
