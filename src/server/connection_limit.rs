//! Limits the connections of each address, so that one peer cannot hold them all.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

use crate::infra::client_ip;

/// Counts the open connections of each address.
pub(super) struct ConnectionLimiter {
    counts: Mutex<HashMap<IpAddr, usize>>,
    max_per_address: usize,
    trusted: Vec<IpNet>,
}

impl ConnectionLimiter {
    /// Allows so many connections for every address that is not trusted.
    pub(super) fn new(each: usize, trusted: Vec<IpNet>) -> Arc<Self> {
        Arc::new(Self { counts: Mutex::default(), max_per_address: each, trusted })
    }

    /// A permit for one more connection of this address; `None` at the limit.
    ///
    /// Loopback and trusted proxies forward for many clients and are not counted.
    pub(super) fn try_acquire(self: &Arc<Self>, peer: IpAddr) -> Option<ConnectionPermit> {
        let peer = client_ip::canonical(peer);
        if peer.is_loopback() || self.trusted.iter().any(|net| net.contains(&peer)) {
            return Some(ConnectionPermit(None));
        }

        let key = client_ip::rate_limit_key(peer);
        let mut seats = self.lock_counts();
        let taken = seats.entry(key).or_default();
        if *taken >= self.max_per_address {
            return None;
        }
        *taken += 1;
        Some(ConnectionPermit(Some((Arc::clone(self), key))))
    }

    fn release(&self, key: IpAddr) {
        let mut seats = self.lock_counts();
        let Some(taken) = seats.get_mut(&key) else { return };
        *taken -= 1;
        if *taken == 0 {
            seats.remove(&key);
        }
    }

    fn lock_counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Counting cannot panic half-way, so the counts behind a poisoned lock are right.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One counted connection; dropping it lowers the count.
pub(super) struct ConnectionPermit(Option<(Arc<ConnectionLimiter>, IpAddr)>);

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        if let Some((limiter, key)) = self.0.take() {
            limiter.release(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_gets_its_share_and_a_seat_left_can_be_taken_again() {
        let limiter = ConnectionLimiter::new(2, Vec::new());
        let first = limiter.try_acquire(ip("192.0.2.1"));
        let second = limiter.try_acquire(ip("::ffff:192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(limiter.try_acquire(ip("192.0.2.1")).is_none(), "the share is used up");
        assert!(limiter.try_acquire(ip("192.0.2.2")).is_some(), "another address has its own");

        drop(first);
        assert!(limiter.try_acquire(ip("192.0.2.1")).is_some());
    }

    #[test]
    fn a_whole_ipv6_subnet_counts_as_one_peer() {
        let limiter = ConnectionLimiter::new(1, Vec::new());
        let _permit = limiter.try_acquire(ip("2001:db8:1:2::1"));
        assert!(limiter.try_acquire(ip("2001:db8:1:2:ffff::9")).is_none());
        assert!(limiter.try_acquire(ip("2001:db8:1:3::1")).is_some());
    }

    #[test]
    fn loopback_and_trusted_proxies_are_not_counted() {
        let limiter = ConnectionLimiter::new(0, vec!["10.0.0.0/8".parse().expect("a net")]);
        assert!(limiter.try_acquire(ip("127.0.0.1")).is_some());
        assert!(limiter.try_acquire(ip("::ffff:10.1.2.3")).is_some());
        assert!(limiter.try_acquire(ip("11.1.2.3")).is_none());
    }

    #[test]
    fn nobody_who_left_is_remembered() {
        let limiter = ConnectionLimiter::new(1, Vec::new());
        drop(limiter.try_acquire(ip("192.0.2.1")));
        assert!(limiter.lock_counts().is_empty());
    }
}
