//! Rate limits: how many failed attempts are answered, and how many requests of a kind.
//!
//! An attempt is counted before its outcome is known, and cleared when it succeeds: however many run concurrently, no
//! more are answered than the limit allows. The counter is one record, so servers that share a store share the limit.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::infra::clock::UnixTime;
use crate::infra::secret::Digest;
use crate::infra::store::{Key, Partition, RawKey, Record, Store, StoreError};

/// How the limit depends on failures.
#[derive(Clone, Copy, Debug)]
pub enum LimitPolicy {
    /// One account, from any address: a hundred failures in a row (NIST SP 800-63B §3.2.2 allows
    /// no more), then none until an operator unlocks it.
    Account,
    /// One account from one address or browser: five attempts at once, then ever longer pauses, and twenty in a day.
    Guess,
    /// One address, for all accounts: so many failures in a minute.
    Address {
        /// Failures that are answered in one minute.
        per_minute: u32,
    },
}

/// The attempts under one name that failed or are not decided yet.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Attempts {
    name: String,
    failures: u32,
    since: UnixTime,
    not_before: UnixTime,
    forget_at: UnixTime,
    /// Since when it is locked; absent where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    locked_at: Option<UnixTime>,
}

/// There were too many attempts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RateLimited {
    /// Until the next attempt is answered.
    pub retry_after: Duration,
}

/// Why an attempt may not be made.
#[derive(Debug, thiserror::Error)]
pub enum RateLimitError {
    #[error("there were too many attempts")]
    Limited(RateLimited),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Refuses what is over the limit, and lets pass what the store could not count.
pub fn refuse_limited<T>(counted: Result<T, RateLimitError>) -> Result<(), RateLimited> {
    match counted {
        Err(RateLimitError::Limited(limited)) => Err(limited),
        Ok(_) | Err(RateLimitError::Store(_)) => Ok(()),
    }
}

/// After so many failures in a row an account is locked.
pub const MAX_ACCOUNT_FAILURES: u32 = 100;

const DAY: Duration = Duration::from_secs(86_400);
/// A lock lasts until it is lifted; one as old as this is deleted.
const LOCK_RETENTION: Duration = Duration::from_secs(400 * 86_400);
/// `Retry-After` of a locked account, for want of a better answer.
const LOCKED_RETRY: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

impl Attempts {
    fn new(name: String, now: UnixTime) -> Self {
        let forget_at = now.plus(DAY);
        Self { name, failures: 0, since: now, not_before: now, forget_at, locked_at: None }
    }

    /// Counts an attempt, or refuses it. Answers how many there were in a row, this one included.
    pub fn record(&mut self, schedule: LimitPolicy, now: UnixTime) -> Result<u32, RateLimited> {
        if self.forget_at <= now {
            *self = Self::new(std::mem::take(&mut self.name), now);
        }
        if self.locked_at.is_some() {
            return Err(RateLimited { retry_after: LOCKED_RETRY });
        }
        if let LimitPolicy::Address { .. } = schedule
            && self.since.plus(MINUTE) <= now
        {
            *self = Self::new(std::mem::take(&mut self.name), now);
        }
        if now < self.not_before {
            return Err(RateLimited { retry_after: self.not_before.since(now) });
        }
        self.failures = self.failures.saturating_add(1);
        self.not_before = match schedule {
            LimitPolicy::Guess => now.plus(pause_after(self.failures)),
            LimitPolicy::Address { per_minute } if self.failures >= per_minute => {
                self.since.plus(MINUTE)
            }
            LimitPolicy::Account | LimitPolicy::Address { .. } => now,
        };
        self.forget_at = match schedule {
            LimitPolicy::Account if self.failures >= MAX_ACCOUNT_FAILURES => {
                self.locked_at = Some(now);
                now.plus(LOCK_RETENTION)
            }
            LimitPolicy::Account | LimitPolicy::Guess => now.plus(DAY),
            LimitPolicy::Address { .. } => self.since.plus(MINUTE),
        };
        Ok(self.failures)
    }

    /// The attempt succeeded: the failures of an account are cleared, an address gets one attempt back. Answers whether
    /// it was locked.
    pub fn clear(&mut self, schedule: LimitPolicy, now: UnixTime) -> bool {
        self.failures = match schedule {
            LimitPolicy::Account | LimitPolicy::Guess => 0,
            LimitPolicy::Address { .. } => self.failures.saturating_sub(1),
        };
        self.not_before = now;
        let was_locked = self.locked_at.take().is_some();
        if was_locked {
            self.forget_at = now.plus(DAY);
        }
        was_locked
    }
}

/// The pause after so many failures in a row for one account from one address or browser. A user who mistypes waits
/// seconds. The record of an account is deleted no sooner than any of these, so one address alone never locks it.
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

/// Names are hashed: they contain what users typed, and addresses.
fn key(name: &str) -> Key<Attempts> {
    Key::single(Partition::new(format!("attempts:{}", Digest::of(name.as_bytes()).to_hex())))
}

/// Counts an attempt under `name`, or refuses it.
pub async fn record_attempt(
    store: &dyn Store,
    name: &str,
    schedule: LimitPolicy,
    now: UnixTime,
) -> Result<u32, RateLimitError> {
    // An unreadable record is replaced, and the count begins anew.
    let blank = Attempts::new(name.to_owned(), now);
    let counted = store.upsert(&blank, |it| it.record(schedule, now)).await?;
    counted.map_err(RateLimitError::Limited)
}

/// Whether an attempt under `name` would be refused now, without counting one.
pub async fn check_attempt(
    store: &dyn Store,
    name: &str,
    schedule: LimitPolicy,
    now: UnixTime,
) -> Result<(), RateLimitError> {
    let held = store.load(&key(name)).await?;
    let counted = held.map_or(Ok(()), |mut held| held.record.record(schedule, now).map(drop));
    counted.map_err(RateLimitError::Limited)
}

/// The attempt counted under `name` succeeded. Answers whether it was locked.
pub async fn clear_attempt(
    store: &dyn Store,
    name: &str,
    schedule: LimitPolicy,
    now: UnixTime,
) -> Result<bool, StoreError> {
    let forgiven = store.update(&key(name), |it| it.clear(schedule, now)).await?;
    Ok(forgiven.unwrap_or(false))
}

/// Since when `name` is locked.
pub async fn locked_since(store: &dyn Store, name: &str) -> Result<Option<UnixTime>, StoreError> {
    Ok(store.load(&key(name)).await?.and_then(|loaded| loaded.record.locked_at))
}

/// Deletes what was counted under `name`, its lock included; answers since when it was locked.
pub async fn unlock(store: &dyn Store, name: &str) -> Result<Option<UnixTime>, StoreError> {
    let cleared = store.consume(&key(name)).await?;
    Ok(cleared.and_then(|attempts| attempts.locked_at))
}

/// Refuses once `most` were added under `name` in this minute, without adding one.
pub async fn check_quota(
    store: &dyn Store,
    name: &str,
    most: u32,
    now: UnixTime,
) -> Result<(), RateLimitError> {
    let noted = store.get(&quota_key(name, now)).await?;
    let count = noted.and_then(|digits| str::from_utf8(&digits).ok()?.parse::<u64>().ok());
    if count.unwrap_or(0) < u64::from(most) {
        return Ok(());
    }
    let retry_after = Duration::from_secs(60 - now.as_secs() % 60);
    Err(RateLimitError::Limited(RateLimited { retry_after }))
}

/// Adds one under `name` to this minute, for [`check_quota`].
pub async fn add_to_quota(store: &dyn Store, name: &str, now: UnixTime) -> Result<(), StoreError> {
    store.increment(&quota_key(name, now), MINUTE * 2).await.map(drop)
}

/// The minute is in the name of the counter, so its window need not be exact.
fn quota_key(name: &str, now: UnixTime) -> RawKey {
    let minute = now.as_secs() / 60;
    let name = Digest::of(format!("{name} {minute}").as_bytes()).to_hex();
    RawKey::new(Partition::new(format!("turns:{name}")), "turns.v1", None)
}

/// Counts so many `turns` under `name`, whether or not they succeed, and refuses once there were `most` in this minute.
/// Each is one command of the store, without a compare-and-swap that concurrent requests would repeat.
pub async fn consume_quota(
    store: &dyn Store,
    name: &str,
    turns: u32,
    most: u32,
    now: UnixTime,
) -> Result<(), RateLimitError> {
    let second = now.as_secs() % 60;
    for _ in 0..turns.max(1) {
        if store.increment(&quota_key(name, now), MINUTE * 2).await? > u64::from(most) {
            let retry_after = Duration::from_secs(60 - second);
            return Err(RateLimitError::Limited(RateLimited { retry_after }));
        }
    }
    Ok(())
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
        let spend =
            async |name| refuse_limited(consume_quota(&*store, name, 1, 2, clock.now()).await);
        assert_eq!([spend("a").await, spend("a").await], [Ok(()), Ok(())]);
        // The minute began at …1_700_000_040.
        let wait = Duration::from_secs(50);
        assert_eq!(spend("a").await, Err(RateLimited { retry_after: wait }));
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
        let spend =
            async |turns| refuse_limited(consume_quota(&*store, "a", turns, 5, clock.now()).await);
        assert_eq!([spend(3).await, spend(2).await], [Ok(()), Ok(())]);
        assert!(spend(1).await.is_err());
        clock.advance(MINUTE);
        assert_eq!(spend(2).await, Ok(()));
        assert!(spend(4).await.is_err());
    }

    const NOW: UnixTime = UnixTime::from_millis(1_700_000_000_000);

    #[test]
    fn one_place_slows_down_and_then_rests_for_a_day() {
        let mut it = Attempts::new("ada".into(), NOW);
        let mut now = NOW;
        let mut answered = 0;
        while now < NOW.plus(DAY) {
            match it.record(LimitPolicy::Guess, now) {
                Ok(failures) => {
                    answered += 1;
                    assert_eq!(failures, answered);
                }
                Err(RateLimited { retry_after }) => now = now.plus(retry_after),
            }
        }
        assert_eq!(answered, 20, "guesses answered in a day");
        assert!(it.forget_at >= it.not_before, "not forgotten while it rests");
    }

    #[test]
    fn the_right_password_makes_a_place_start_afresh() {
        let mut it = Attempts::new("ada".into(), NOW);
        for _ in 0..5 {
            it.record(LimitPolicy::Guess, NOW).unwrap();
        }
        assert!(it.record(LimitPolicy::Guess, NOW).is_err());
        assert!(!it.clear(LimitPolicy::Guess, NOW));
        assert!(it.record(LimitPolicy::Guess, NOW).is_ok());
    }

    #[test]
    fn an_account_is_locked_after_a_hundred_failures_until_somebody_says_otherwise() {
        let mut it = Attempts::new("ada".into(), NOW);
        for failures in 1..=MAX_ACCOUNT_FAILURES {
            assert_eq!(it.record(LimitPolicy::Account, NOW), Ok(failures));
        }
        for days in [0, 1, 7, 399] {
            assert!(it.record(LimitPolicy::Account, NOW.plus(DAY * days)).is_err(), "{days}");
        }
        assert!(it.forget_at > NOW.plus(DAY * 399));
        assert!(it.clear(LimitPolicy::Account, NOW), "it says that it was locked");
        assert_eq!(it.record(LimitPolicy::Account, NOW), Ok(1));
    }

    #[test]
    fn an_address_has_so_many_failures_a_minute_and_successes_are_free() {
        let schedule = LimitPolicy::Address { per_minute: 3 };
        let mut it = Attempts::new("192.0.2.1".into(), NOW);
        for _ in 0..10 {
            it.record(schedule, NOW).unwrap();
            it.clear(schedule, NOW);
        }
        for _ in 0..3 {
            it.record(schedule, NOW).unwrap();
        }
        assert_eq!(it.record(schedule, NOW), Err(RateLimited { retry_after: MINUTE }));
        assert!(it.record(schedule, NOW.plus(MINUTE)).is_ok());
    }
}
