//! Whose turn it is to fetch: so many at once from each host, so that a host that hangs holds up only
//! itself, and so many in all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns there are.
pub struct FetchLimiter {
    in_all: Arc<Semaphore>,
    per_host: usize,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// The right to fetch now, given back when dropped.
pub struct FetchPermit {
    _of_host: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl FetchLimiter {
    /// So many in all, so many for each host.
    pub fn new(in_all: usize, per_host: usize) -> Self {
        Self { in_all: Arc::new(Semaphore::new(in_all)), per_host, hosts: Mutex::default() }
    }

    /// A turn, sooner or later.
    pub async fn acquire(&self, host: &str) -> Option<FetchPermit> {
        let of_host = self.host_semaphore(host).acquire_owned().await.ok()?;
        let of_all = Arc::clone(&self.in_all).acquire_owned().await.ok()?;
        Some(FetchPermit { _of_host: of_host, _of_all: of_all })
    }

    /// A turn, if there is one now.
    pub fn try_acquire(&self, host: &str) -> Option<FetchPermit> {
        let of_host = self.host_semaphore(host).try_acquire_owned().ok()?;
        let of_all = Arc::clone(&self.in_all).try_acquire_owned().ok()?;
        Some(FetchPermit { _of_host: of_host, _of_all: of_all })
    }

    fn host_semaphore(&self, host: &str) -> Arc<Semaphore> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        // What nobody holds or waits for is forgotten: the names are chosen by strangers.
        hosts.retain(|_, turns| Arc::strong_count(turns) > 1);
        let turns = || Arc::new(Semaphore::new(self.per_host));
        Arc::clone(hosts.entry(host.to_owned()).or_insert_with(turns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_host_has_its_turns_and_leaves_the_others_to_others() {
        let turns = FetchLimiter::new(3, 2);
        let (first, second) = (turns.try_acquire("a"), turns.try_acquire("a"));
        assert!(first.is_some() && second.is_some());
        assert!(turns.try_acquire("a").is_none(), "its own are used up");
        let other = turns.try_acquire("b");
        assert!(other.is_some());
        assert!(turns.try_acquire("c").is_none(), "all are");
        drop(first);
        assert!(turns.acquire("a").await.is_some());
        drop((second, other));
        assert!(turns.try_acquire("c").is_some());
        assert_eq!(turns.hosts.lock().unwrap().len(), 1, "nobody is remembered who has none");
    }
}
