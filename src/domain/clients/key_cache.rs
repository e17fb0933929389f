//! The public keys of clients: registered whole, or kept by the client behind a `jwks_uri` and remembered
//! here for a while.
//!
//! A set is good for an hour; one that does not do (an unknown `kid`) is fetched again, at most once a
//! minute, so that a client's new key works at once and a stranger cannot make us hammer its server. A
//! failed fetch is remembered for a minute too; that we were too busy to try is not. The cache is bounded,
//! and where there is no room, what is asked for often stays: whoever registers a thousand addresses takes
//! nobody's keys away.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use moka::ops::compute::{CompResult, Op};
use serde_json::Value;
use url::Url;

use crate::infra::clock::UnixTime;
use crate::infra::jose::{self, ClientKey, NotVerified, Verified};
use crate::infra::outbound::{FetchError, FetchLimiter, OutboundClient};
use crate::protocol::ClientMetadata;
use crate::protocol::algorithms::ClientAlg;

const GOOD: Duration = Duration::from_secs(3600);
/// While it cannot be fetched again, a set is used no longer than this.
const LONGEST: Duration = Duration::from_secs(2 * 3600);
const PAUSE: Duration = Duration::from_secs(60);
/// All sets together, in bytes of JSON: some thousands of usual ones.
const MAX_BYTES: u64 = 8 * 1024 * 1024;
/// Callers before the pages that may wait for a fetch at once: far fewer than there are places.
const MAX_AT_PAGES: usize = 32;
/// Of those, the ones that wait for the same host, which may be slow.
const MAX_AT_PAGES_PER_HOST: usize = 8;

/// The cache.
pub struct KeyCache {
    fetcher: Arc<OutboundClient>,
    sets: Cache<String, Entry>,
    at_pages: FetchLimiter,
}

#[derive(Clone)]
struct Entry {
    /// The last that was fetched, and when.
    set: Option<(Arc<Value>, UnixTime)>,
    /// When it was last tried, with success or without.
    tried_at: UnixTime,
    /// When it was last fetched because what was remembered did not do.
    renewed_at: Option<UnixTime>,
    /// What it takes, in bytes.
    size: u32,
}

/// What somebody holds who waits for keys to be fetched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Holding {
    /// Nothing that others need.
    Nothing,
    /// One of the places before the pages.
    Place,
}

/// Why a client's JWT was not believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotItsOwn {
    /// The client's keys could not be had.
    Keys,
    /// Too many wait for keys already.
    Busy,
    /// It is not signed with any of them as it should be.
    Signature(NotVerified),
}

impl KeyCache {
    /// An empty one.
    pub fn new(fetcher: Arc<OutboundClient>) -> Self {
        Self::within(fetcher, MAX_BYTES)
    }

    fn within(fetcher: Arc<OutboundClient>, bytes: u64) -> Self {
        let sets = Cache::builder()
            .max_capacity(bytes)
            .weigher(|_, entry: &Entry| entry.size)
            // By then it is worth nothing any more, and goes by the machine's own clock.
            .time_to_live(LONGEST)
            .build();
        Self { fetcher, sets, at_pages: FetchLimiter::new(MAX_AT_PAGES, MAX_AT_PAGES_PER_HOST) }
    }

    /// Verifies a JWT with the client's own keys, by one of the `allowed` algorithms.
    pub async fn verify(
        &self,
        client: &ClientMetadata,
        jwt: &str,
        allowed: &[ClientAlg],
        holding: Holding,
        now: UnixTime,
    ) -> Result<Verified, NotItsOwn> {
        match (&client.jwks, &client.jwks_uri) {
            (Some(set), _) => verified(set, jwt, allowed).map_err(NotItsOwn::Signature),
            (None, Some(uri)) => self.verify_behind(uri, jwt, allowed, holding, now).await,
            (None, None) => Err(NotItsOwn::Keys),
        }
    }

    /// Verifies a JWT with the keys behind an address.
    pub async fn verify_behind(
        &self,
        uri: &str,
        jwt: &str,
        allowed: &[ClientAlg],
        holding: Holding,
        now: UnixTime,
    ) -> Result<Verified, NotItsOwn> {
        let set = self.get(uri, false, holding, now).await?;
        let found = match verified(&set, jwt, allowed) {
            // The keys may have been changed since.
            Err(NotVerified::UnknownKey | NotVerified::Signature) => {
                verified(&*self.get(uri, true, holding, now).await?, jwt, allowed)
            }
            other => other,
        };
        found.map_err(NotItsOwn::Signature)
    }

    /// The client's JWK Set. `renew`: what is remembered did not do.
    pub async fn keys_of(
        &self,
        client: &ClientMetadata,
        renew: bool,
        now: UnixTime,
    ) -> Option<Arc<Value>> {
        match (&client.jwks, &client.jwks_uri) {
            (Some(set), _) => Some(Arc::new(set.clone())),
            (None, Some(uri)) => self.get(uri, renew, Holding::Nothing, now).await.ok(),
            (None, None) => None,
        }
    }

    async fn get(
        &self,
        uri: &str,
        renew: bool,
        holding: Holding,
        now: UnixTime,
    ) -> Result<Arc<Value>, NotItsOwn> {
        if let Some(entry) = self.sets.get(uri).await.filter(|entry| entry.will_do(renew, now)) {
            return entry.usable(now).ok_or(NotItsOwn::Keys);
        }
        let _place = match holding {
            Holding::Nothing => None,
            Holding::Place => Some(self.at_pages.try_acquire(&host(uri)).ok_or(NotItsOwn::Busy)?),
        };
        // One fetch at a time for each set: who waited for it looks again.
        let mut busy = false;
        let looked = self.sets.entry_by_ref(uri).and_compute_with(|held| {
            let known = held.map(moka::Entry::into_value);
            let busy = &mut busy;
            async move {
                if known.as_ref().is_some_and(|entry| entry.will_do(renew, now)) {
                    return Op::Nop;
                }
                let fetched = match self.fetcher.get_json(uri).await {
                    Ok(set) => Some(Arc::new(set)),
                    Err(cause) => {
                        let reason = cause.reason();
                        tracing::warn!(reason, "a client's jwks_uri could not be fetched");
                        *busy = matches!(cause, FetchError::Busy);
                        None
                    }
                };
                if *busy { Op::Nop } else { Op::Put(Entry::after(known, fetched, renew, now)) }
            }
        });
        let entry = match looked.await {
            CompResult::Inserted(entry)
            | CompResult::ReplacedWith(entry)
            | CompResult::Unchanged(entry)
            | CompResult::Removed(entry) => Some(entry.into_value()),
            CompResult::StillNone(_) => None,
        };
        let unknown = if busy { NotItsOwn::Busy } else { NotItsOwn::Keys };
        entry.and_then(|entry| entry.usable(now)).ok_or(unknown)
    }
}

fn host(uri: &str) -> String {
    let host = Url::parse(uri).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.unwrap_or_default()
}

fn verified(set: &Value, jwt: &str, allowed: &[ClientAlg]) -> Result<Verified, NotVerified> {
    jose::verify_client(jwt, &ClientKey::all_from_set(set), allowed)
}

impl Entry {
    /// What is known after a try. A failed one keeps the set there was, and does not make it younger.
    fn after(
        before: Option<Self>,
        fetched: Option<Arc<Value>>,
        renew: bool,
        now: UnixTime,
    ) -> Self {
        let renewed_at = before.as_ref().and_then(|entry| entry.renewed_at);
        let kept = before.and_then(|entry| entry.set);
        let set = fetched.map(|set| (set, now)).or(kept);
        // With what is needed to find it again.
        let size = 512 + set.as_ref().map_or(0, |(set, _)| set.to_string().len());
        Self {
            set,
            tried_at: now,
            renewed_at: if renew { Some(now) } else { renewed_at },
            size: u32::try_from(size).unwrap_or(u32::MAX),
        }
    }

    /// Whether no fetch is due.
    fn will_do(&self, renew: bool, now: UnixTime) -> bool {
        let Some((_, fetched_at)) = self.set else { return now.since(self.tried_at) < PAUSE };
        if renew {
            return self.renewed_at.is_some_and(|at| now.since(at) < PAUSE);
        }
        now.since(fetched_at) < GOOD || now.since(self.tried_at) < PAUSE
    }

    /// The set, unless it is so old that the client may long have taken a key out of it.
    fn usable(&self, now: UnixTime) -> Option<Arc<Value>> {
        let (set, fetched_at) = self.set.as_ref()?;
        (now.since(*fetched_at) < LONGEST).then(|| Arc::clone(set))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::infra::outbound::OutboundOptions;

    #[test]
    fn a_set_is_fetched_again_when_it_does_not_do_but_not_twice_a_minute() {
        let at = UnixTime::from_secs;
        let entry = |set: bool, renewed_at| Entry {
            set: set.then(|| (Arc::new(Value::Null), at(1_000))),
            tried_at: at(1_000),
            renewed_at,
            size: 512,
        };
        for (held, renew, now, does) in [
            (entry(true, None), false, 1_000 + 3_599, true),
            (entry(true, None), false, 1_000 + 3_600, false),
            (entry(true, None), true, 1_001, false),
            (entry(true, Some(at(1_000))), true, 1_059, true),
            (entry(true, Some(at(1_000))), true, 1_060, false),
            (entry(false, None), true, 1_059, true),
            (entry(false, None), false, 1_060, false),
        ] {
            assert_eq!(held.will_do(renew, at(now)), does, "{renew} {now}");
        }
    }

    #[tokio::test]
    async fn whoever_brings_thousands_of_sets_takes_nobodys_keys_away() {
        let fetcher = Arc::new(OutboundClient::new(OutboundOptions::default()).unwrap());
        let cache = KeyCache::within(fetcher, 64 * 1024);
        let at = UnixTime::from_secs;
        let keys = || Entry::after(None, Some(Arc::new(json!({"keys": []}))), false, at(0));
        let name = |number: usize| format!("https://{number}.example/jwks");
        for number in 0..10 {
            cache.sets.insert(name(number), keys()).await;
        }
        let asks = async || {
            let mut found = 0;
            for number in 0..10 {
                let set = cache.get(&name(number), false, Holding::Nothing, at(1)).await;
                found += usize::from(set.is_ok());
            }
            found
        };
        for _ in 0..5 {
            assert_eq!(asks().await, 10);
        }
        cache.sets.run_pending_tasks().await;
        for number in 10..5_000 {
            cache.sets.insert(name(number), keys()).await;
            if number % 100 == 0 {
                cache.sets.run_pending_tasks().await;
                assert_eq!(asks().await, 10, "after {number}");
            }
        }
        cache.sets.run_pending_tasks().await;
        assert!(cache.sets.weighted_size() <= 64 * 1024, "{}", cache.sets.weighted_size());
    }

    #[test]
    fn a_set_does_not_get_younger_by_failing_to_fetch_it() {
        let at = UnixTime::from_secs;
        let set = || Some(Arc::new(Value::Null));
        let mut entry = Entry::after(None, set(), false, at(0));
        for minute in 60..120 {
            assert!(entry.usable(at(minute * 60)).is_some());
            assert!(!entry.will_do(false, at(minute * 60)), "it is tried again each minute");
            entry = Entry::after(Some(entry), None, false, at(minute * 60));
            assert!(entry.will_do(false, at(minute * 60 + 59)));
        }
        assert!(entry.usable(at(7_200)).is_none());
        let entry = Entry::after(Some(entry), set(), false, at(7_200));
        assert!(entry.usable(at(7_200)).is_some());
    }
}
