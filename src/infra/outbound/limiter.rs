//! Limits requests under way, in all and to each host, so that a host that hangs holds up no other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Gives out permits.
pub struct FetchLimiter {
    in_all: Arc<Semaphore>,
    per_host: usize,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// One request under way; dropping it gives the permits back.
pub struct FetchPermit {
    _of_host: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl FetchLimiter {
    /// So many permits in all, so many for each host.
    pub fn new(in_all: usize, per_host: usize) -> Self {
        Self { in_all: Arc::new(Semaphore::new(in_all)), per_host, hosts: Mutex::default() }
    }

    /// Waits for a permit.
    pub async fn acquire(&self, host: &str) -> Option<FetchPermit> {
        let of_host = self.host_semaphore(host).acquire_owned().await.ok()?;
        let of_all = Arc::clone(&self.in_all).acquire_owned().await.ok()?;
        Some(FetchPermit { _of_host: of_host, _of_all: of_all })
    }

    /// A permit, if there is one now.
    pub fn try_acquire(&self, host: &str) -> Option<FetchPermit> {
        let of_host = self.host_semaphore(host).try_acquire_owned().ok()?;
        let of_all = Arc::clone(&self.in_all).try_acquire_owned().ok()?;
        Some(FetchPermit { _of_host: of_host, _of_all: of_all })
    }

    fn host_semaphore(&self, host: &str) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        // Unused entries are removed: the names are chosen by clients.
        hosts.retain(|_, limiter| Arc::strong_count(limiter) > 1);
        let limiter = || Arc::new(Semaphore::new(self.per_host));
        Arc::clone(hosts.entry(host.to_owned()).or_insert_with(limiter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_host_has_its_turns_and_leaves_the_others_to_others() {
        let limiter = FetchLimiter::new(3, 2);
        let (first, second) = (limiter.try_acquire("a"), limiter.try_acquire("a"));
        assert!(first.is_some() && second.is_some());
        assert!(limiter.try_acquire("a").is_none(), "its own are used up");
        let other = limiter.try_acquire("b");
        assert!(other.is_some());
        assert!(limiter.try_acquire("c").is_none(), "all are");
        drop(first);
        assert!(limiter.acquire("a").await.is_some());
        drop((second, other));
        assert!(limiter.try_acquire("c").is_some());
        assert_eq!(limiter.hosts.lock().unwrap().len(), 1, "nobody is remembered who has none");
    }
}
