//! Whose turn it is to fetch: so many at once from each host, so that a host that hangs holds up only
//! itself, and so many in all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns there are.
pub struct Turns {
    in_all: Arc<Semaphore>,
    per_host: usize,
    hosts: Mutex<HashMap<String, Arc<Semaphore>>>,
}

/// The right to fetch now, given back when dropped.
pub struct Turn {
    _of_host: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Turns {
    /// So many in all, so many for each host.
    pub fn new(in_all: usize, per_host: usize) -> Self {
        Self { in_all: Arc::new(Semaphore::new(in_all)), per_host, hosts: Mutex::default() }
    }

    /// A turn, sooner or later.
    pub async fn wait(&self, host: &str) -> Option<Turn> {
        let of_host = self.of(host).acquire_owned().await.ok()?;
        let of_all = Arc::clone(&self.in_all).acquire_owned().await.ok()?;
        Some(Turn { _of_host: of_host, _of_all: of_all })
    }

    /// A turn, if there is one now.
    pub fn take(&self, host: &str) -> Option<Turn> {
        let of_host = self.of(host).try_acquire_owned().ok()?;
        let of_all = Arc::clone(&self.in_all).try_acquire_owned().ok()?;
        Some(Turn { _of_host: of_host, _of_all: of_all })
    }

    fn of(&self, host: &str) -> Arc<Semaphore> {
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
        let turns = Turns::new(3, 2);
        let (first, second) = (turns.take("a"), turns.take("a"));
        assert!(first.is_some() && second.is_some());
        assert!(turns.take("a").is_none(), "its own are used up");
        let other = turns.take("b");
        assert!(other.is_some());
        assert!(turns.take("c").is_none(), "all are");
        drop(first);
        assert!(turns.wait("a").await.is_some());
        drop((second, other));
        assert!(turns.take("c").is_some());
        assert_eq!(turns.hosts.lock().unwrap().len(), 1, "nobody is remembered who has none");
    }
}
