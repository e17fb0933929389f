//! How often somebody may guess.
//!
//! An attempt is counted before its outcome is known and forgiven when it turns out right: however
//! many guesses run side by side, no more are answered than the limit says. The counter is one record,
//! so servers that share a store share the limit.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::infra::clock::UnixTime;
use crate::infra::secret::Digest;
use crate::infra::store::{Key, Partition, RawKey, Record, Store, StoreError};

/// How the limit grows with failures.
#[derive(Clone, Copy, Debug)]
pub enum Schedule {
    /// One account, whoever asks and from wherever: a hundred failures in a row (NIST SP 800-63B §3.2.2 allows
    /// no more), then none until somebody unlocks it.
    Account,
    /// One account from one place: five tries at once, then ever longer pauses, and twenty in a day.
    Guess,
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
    /// Since when nothing is answered any more, until somebody says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    locked_at: Option<UnixTime>,
}

/// Too many. Seconds until the next try is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooMany {
    /// When to come back.
    pub retry_after: Duration,
}

/// After so many failures in a row an account is locked.
pub const MAX_ACCOUNT_FAILURES: u32 = 100;

const DAY: Duration = Duration::from_secs(86_400);
/// A lock is there until somebody lifts it; nobody comes for one that is as old as this.
const LOCK_RETENTION: Duration = Duration::from_secs(400 * 86_400);
/// What a person whose account is locked is told to wait, for want of a better answer.
const LOCKED_RETRY: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

impl Attempts {
    fn none(name: String, now: UnixTime) -> Self {
        let forget_at = now.plus(DAY);
        Self { name, failures: 0, since: now, not_before: now, forget_at, locked_at: None }
    }

    /// Counts an attempt, or refuses to. Answers how many there were in a row, this one included.
    pub fn take(&mut self, schedule: Schedule, now: UnixTime) -> Result<u32, TooMany> {
        if self.forget_at <= now {
            *self = Self::none(std::mem::take(&mut self.name), now);
        }
        if self.locked_at.is_some() {
            return Err(TooMany { retry_after: LOCKED_RETRY });
        }
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
            Schedule::Guess => now.plus(pause_after(self.failures)),
            Schedule::Address { per_minute } if self.failures >= per_minute => {
                self.since.plus(MINUTE)
            }
            Schedule::Account | Schedule::Address { .. } => now,
        };
        self.forget_at = match schedule {
            Schedule::Account if self.failures >= MAX_ACCOUNT_FAILURES => {
                self.locked_at = Some(now);
                now.plus(LOCK_RETENTION)
            }
            Schedule::Account | Schedule::Guess => now.plus(DAY),
            Schedule::Address { .. } => self.since.plus(MINUTE),
        };
        Ok(self.failures)
    }

    /// The attempt was the right one: an account starts afresh, an address gets its turn back. Answers
    /// whether it was locked.
    pub fn forgive(&mut self, schedule: Schedule, now: UnixTime) -> bool {
        self.failures = match schedule {
            Schedule::Account | Schedule::Guess => 0,
            Schedule::Address { .. } => self.failures.saturating_sub(1),
        };
        self.not_before = now;
        let was_locked = self.locked_at.take().is_some();
        if was_locked {
            self.forget_at = now.plus(DAY);
        }
        was_locked
    }
}

/// The pause after so many failures in a row of one place at one account. Whoever mistypes waits seconds, and
/// the record of an account is forgotten no sooner than that of any place: so one place alone never fills it.
fn pause_after(failures: u32) -> Duration {
    match failures {
        0..5 => Duration::ZERO,
        5..10 => Duration::from_secs(3),
        10..15 => Duration::from_secs(30),
        15..20 => Duration::from_secs(120),
        20.. => DAY,
    }
}

impl Record for Attempts {
    const KIND: &'static str = "attempts.v1";

    fn key(&self) -> Key<Self> {
        key(&self.name)
    }

    fn delete_after(&self) -> Option<UnixTime> {
        Some(self.forget_at)
    }
}

/// Names are hashed: they hold what people typed, and addresses.
fn key(name: &str) -> Key<Attempts> {
    Key::single(Partition::new(format!("attempts:{}", Digest::of(name.as_bytes()).to_hex())))
}

/// Counts an attempt under `name`, or refuses to.
pub async fn take(
    store: &dyn Store,
    name: &str,
    schedule: Schedule,
    now: UnixTime,
) -> Result<Result<u32, TooMany>, StoreError> {
    // Something unreadable that stands there is replaced, and the count begins anew.
    store.upsert(&Attempts::none(name.to_owned(), now), |it| it.take(schedule, now)).await
}

/// Whether an attempt under `name` would be refused now. It is not counted.
pub async fn peek(
    store: &dyn Store,
    name: &str,
    schedule: Schedule,
    now: UnixTime,
) -> Result<Result<(), TooMany>, StoreError> {
    let held = store.load(&key(name)).await?;
    Ok(held.map_or(Ok(()), |mut held| held.record.take(schedule, now).map(drop)))
}

/// Says that the attempt counted under `name` was right. Answers whether it was locked.
pub async fn forgive(
    store: &dyn Store,
    name: &str,
    schedule: Schedule,
    now: UnixTime,
) -> Result<bool, StoreError> {
    let forgiven = store.update(&key(name), |it| it.forgive(schedule, now)).await?;
    Ok(forgiven.unwrap_or(false))
}

/// Since when nothing is answered under `name`, until somebody says otherwise.
pub async fn locked_since(store: &dyn Store, name: &str) -> Result<Option<UnixTime>, StoreError> {
    Ok(store.load(&key(name)).await?.and_then(|loaded| loaded.record.locked_at))
}

/// Forgets what was counted under `name`; answers since when it was locked.
pub async fn clear(store: &dyn Store, name: &str) -> Result<Option<UnixTime>, StoreError> {
    let cleared = store.consume(&key(name)).await?;
    Ok(cleared.and_then(|attempts| attempts.locked_at))
}

/// Whether so many were noted under `name` in this minute that it is enough.
pub async fn look(
    store: &dyn Store,
    name: &str,
    most: u32,
    now: UnixTime,
) -> Result<Result<(), TooMany>, StoreError> {
    let noted = store.get(&turns_key(name, now)).await?;
    let count = noted.and_then(|digits| str::from_utf8(&digits).ok()?.parse::<u64>().ok());
    if count.unwrap_or(0) < u64::from(most) {
        return Ok(Ok(()));
    }
    Ok(Err(TooMany { retry_after: Duration::from_secs(60 - now.as_secs() % 60) }))
}

/// Notes one under `name` in this minute, for [`look`].
pub async fn note(store: &dyn Store, name: &str, now: UnixTime) -> Result<(), StoreError> {
    store.increment(&turns_key(name, now), MINUTE * 2).await.map(drop)
}

/// The counter's window is the store's clock's business; the minute is in its name.
fn turns_key(name: &str, now: UnixTime) -> RawKey {
    let minute = now.as_secs() / 60;
    let name = Digest::of(format!("{name} {minute}").as_bytes()).to_hex();
    RawKey::new(Partition::new(format!("turns:{name}")), "turns.v1", None)
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
    let second = now.as_secs() % 60;
    for _ in 0..turns.max(1) {
        if store.increment(&turns_key(name, now), MINUTE * 2).await? > u64::from(most) {
            return Ok(Err(TooMany { retry_after: Duration::from_secs(60 - second) }));
        }
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infra::clock::Clock;
    use crate::infra::store::MemoryStore;

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
    fn one_place_slows_down_and_then_rests_for_a_day() {
        let mut it = Attempts::none("ada".into(), NOW);
        let mut now = NOW;
        let mut answered = 0;
        while now < NOW.plus(DAY) {
            match it.take(Schedule::Guess, now) {
                Ok(failures) => {
                    answered += 1;
                    assert_eq!(failures, answered);
                }
                Err(TooMany { retry_after }) => now = now.plus(retry_after),
            }
        }
        assert_eq!(answered, 20, "guesses answered in a day");
        assert!(it.forget_at >= it.not_before, "not forgotten while it rests");
    }

    #[test]
    fn the_right_password_makes_a_place_start_afresh() {
        let mut it = Attempts::none("ada".into(), NOW);
        for _ in 0..5 {
            it.take(Schedule::Guess, NOW).unwrap();
        }
        assert!(it.take(Schedule::Guess, NOW).is_err());
        assert!(!it.forgive(Schedule::Guess, NOW));
        assert!(it.take(Schedule::Guess, NOW).is_ok());
    }

    #[test]
    fn an_account_is_locked_after_a_hundred_failures_until_somebody_says_otherwise() {
        let mut it = Attempts::none("ada".into(), NOW);
        for failures in 1..=MAX_ACCOUNT_FAILURES {
            assert_eq!(it.take(Schedule::Account, NOW), Ok(failures));
        }
        for days in [0, 1, 7, 399] {
            assert!(it.take(Schedule::Account, NOW.plus(DAY * days)).is_err(), "{days}");
        }
        assert!(it.forget_at > NOW.plus(DAY * 399));
        assert!(it.forgive(Schedule::Account, NOW), "it says that it was locked");
        assert_eq!(it.take(Schedule::Account, NOW), Ok(1));
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
