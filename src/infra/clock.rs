//! The only place that reads the system clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct UnixTime(u64);

impl UnixTime {
    /// An instant from milliseconds since the epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// An instant from whole seconds since the epoch, as JWTs write it.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Whole seconds since the epoch, rounded down: the `NumericDate` of a JWT.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// How long it is from `earlier` to here; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// By how many milliseconds this is after `other`; negative if it is before.
    pub fn millis_after(self, other: Self) -> i64 {
        let apart = |later: Self, earlier: Self| i64::try_from(later.0 - earlier.0);
        if self < other {
            apart(other, self).map_or(i64::MIN, |millis| -millis)
        } else {
            apart(self, other).unwrap_or(i64::MAX)
        }
    }

    /// Stops at the epoch instead of wrapping.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Saturates instead of wrapping: a far-future instant is still in the future.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// 1 November 2026, before this version existed: a clock that is earlier is wrong.
pub const EARLIEST_PLAUSIBLE: UnixTime = UnixTime::from_secs(1_793_491_200);

/// Where `now` comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The operating system.
    System,
    /// Set by a test, in milliseconds.
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// A clock that stands still until [advanced](Self::advance).
    pub fn manual(start: UnixTime) -> Self {
        Self::Manual(Arc::new(AtomicU64::new(start.0)))
    }

    /// Moves a manual clock forward.
    ///
    /// # Panics
    /// If called on the system clock: only a test's clock can be moved by hand.
    pub fn advance(&self, by: Duration) {
        let Self::Manual(now) = self else { panic!("the system clock moves by itself") };
        now.fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// The present.
    pub fn now(&self) -> UnixTime {
        match self {
            Self::System => {
                #[expect(clippy::disallowed_methods, reason = "the one place that asks")]
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                UnixTime(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
            }
            Self::Manual(now) => UnixTime(now.load(Ordering::SeqCst)),
        }
    }
}
