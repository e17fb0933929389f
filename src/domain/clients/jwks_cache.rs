//! The public keys of clients: registered as `jwks`, or fetched from their `jwks_uri` and cached.
//!
//! A set is fresh for an hour. When a key is not in it (an unknown `kid`), it is fetched again, at most once a minute: a
//! new key of the client works at once, and nobody can make us send many requests to its server. A failed fetch is cached
//! for a minute, too; a fetch that was not tried because too many were running is not. The cache is bounded and keeps what
//! is used often, so a client that registers a thousand addresses evicts no other client's keys.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use moka::ops::compute::{CompResult, Op};
use serde_json::Value;
use url::Url;

use crate::infra::clock::UnixTime;
use crate::infra::jose::{self, VerificationError, VerificationKey, VerifiedJwt};
use crate::infra::outbound::{FetchError, FetchLimiter, OutboundClient};
use crate::protocol::ClientMetadata;
use crate::protocol::algorithms::ClientAlg;

const FRESH_FOR: Duration = Duration::from_secs(3600);
/// While it cannot be fetched again, a set is used for no longer.
const MAX_AGE: Duration = Duration::from_secs(2 * 3600);
const RETRY_INTERVAL: Duration = Duration::from_secs(60);
/// All sets together, in bytes of JSON: some thousands of usual ones.
const MAX_BYTES: u64 = 8 * 1024 * 1024;
/// Requests for pages that may wait for a fetch at once: far fewer than there are places for pages.
const MAX_WAITING_BEFORE_PAGES: usize = 32;
/// Of those, the ones that wait for one host, which may be slow.
const MAX_WAITING_PER_HOST: usize = 8;

/// Caches the key sets behind `jwks_uri`.
pub struct JwksCache {
    fetcher: Arc<OutboundClient>,
    sets: Cache<String, Entry>,
    waiting_before_pages: FetchLimiter,
}

#[derive(Clone)]
struct Entry {
    /// The last set that was fetched, and when.
    set: Option<(Arc<Value>, UnixTime)>,
    /// When it was last tried, with success or without.
    tried_at: UnixTime,
    /// When it was last fetched because a key was not in the cached set.
    renewed_at: Option<UnixTime>,
    /// Its weight in the cache, in bytes.
    size: u32,
}

/// How many requests of this kind may wait for a fetch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FetchQueue {
    /// Any number: they hold nothing that others need.
    Unlimited,
    /// [`MAX_WAITING_BEFORE_PAGES`]: each holds one of the places for pages.
    BeforePages,
}

/// Why a client's JWT is not accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientJwtError {
    /// The client's keys could not be fetched.
    Keys,
    /// Too many wait for keys already.
    Busy,
    /// The signature does not verify with any of them.
    Signature(VerificationError),
}

impl JwksCache {
    /// An empty one.
    pub fn new(fetcher: Arc<OutboundClient>) -> Self {
        Self::with_capacity(fetcher, MAX_BYTES)
    }

    fn with_capacity(fetcher: Arc<OutboundClient>, bytes: u64) -> Self {
        let sets = Cache::builder()
            .max_capacity(bytes)
            .weigher(|_, entry: &Entry| entry.size)
            // It is not used any more by then; moka goes by the machine's own clock.
            .time_to_live(MAX_AGE)
            .build();
        Self {
            fetcher,
            sets,
            waiting_before_pages: FetchLimiter::new(MAX_WAITING_BEFORE_PAGES, MAX_WAITING_PER_HOST),
        }
    }

    /// Verifies a JWT with the client's own keys, by one of the `allowed` algorithms.
    pub async fn verify(
        &self,
        client: &ClientMetadata,
        jwt: &str,
        allowed: &[ClientAlg],
        queue: FetchQueue,
        now: UnixTime,
    ) -> Result<VerifiedJwt, ClientJwtError> {
        match (&client.jwks, &client.jwks_uri) {
            (Some(set), _) => verify_with_set(set, jwt, allowed).map_err(ClientJwtError::Signature),
            (None, Some(uri)) => self.verify_by_uri(uri, jwt, allowed, queue, now).await,
            (None, None) => Err(ClientJwtError::Keys),
        }
    }

    /// Verifies a JWT with the keys behind a `jwks_uri`.
    pub async fn verify_by_uri(
        &self,
        uri: &str,
        jwt: &str,
        allowed: &[ClientAlg],
        queue: FetchQueue,
        now: UnixTime,
    ) -> Result<VerifiedJwt, ClientJwtError> {
        let set = self.get(uri, false, queue, now).await?;
        let found = match verify_with_set(&set, jwt, allowed) {
            // The keys may have been changed since.
            Err(VerificationError::UnknownKey | VerificationError::Signature) => {
                verify_with_set(&*self.get(uri, true, queue, now).await?, jwt, allowed)
            }
            other => other,
        };
        found.map_err(ClientJwtError::Signature)
    }

    /// The client's JWK Set. `renew`: the cached one lacks a key.
    pub async fn keys_of(
        &self,
        client: &ClientMetadata,
        renew: bool,
        now: UnixTime,
    ) -> Option<Arc<Value>> {
        match (&client.jwks, &client.jwks_uri) {
            (Some(set), _) => Some(Arc::new(set.clone())),
            (None, Some(uri)) => self.get(uri, renew, FetchQueue::Unlimited, now).await.ok(),
            (None, None) => None,
        }
    }

    async fn get(
        &self,
        uri: &str,
        renew: bool,
        queue: FetchQueue,
        now: UnixTime,
    ) -> Result<Arc<Value>, ClientJwtError> {
        if let Some(entry) = self.sets.get(uri).await.filter(|entry| entry.is_fresh(renew, now)) {
            return entry.usable(now).ok_or(ClientJwtError::Keys);
        }
        let _place = match queue {
            FetchQueue::Unlimited => None,
            FetchQueue::BeforePages => Some(
                self.waiting_before_pages.try_acquire(&host(uri)).ok_or(ClientJwtError::Busy)?,
            ),
        };
        // One fetch at a time for each set: a request that waited for another looks at its result first.
        let mut busy = false;
        let looked = self.sets.entry_by_ref(uri).and_compute_with(|held| {
            let known = held.map(moka::Entry::into_value);
            let busy = &mut busy;
            async move {
                if known.as_ref().is_some_and(|entry| entry.is_fresh(renew, now)) {
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
                if *busy { Op::Nop } else { Op::Put(Entry::updated(known, fetched, renew, now)) }
            }
        });
        let entry = match looked.await {
            CompResult::Inserted(entry)
            | CompResult::ReplacedWith(entry)
            | CompResult::Unchanged(entry)
            | CompResult::Removed(entry) => Some(entry.into_value()),
            CompResult::StillNone(_) => None,
        };
        let unknown = if busy { ClientJwtError::Busy } else { ClientJwtError::Keys };
        entry.and_then(|entry| entry.usable(now)).ok_or(unknown)
    }
}

fn host(uri: &str) -> String {
    let host = Url::parse(uri).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.unwrap_or_default()
}

fn verify_with_set(
    set: &Value,
    jwt: &str,
    allowed: &[ClientAlg],
) -> Result<VerifiedJwt, VerificationError> {
    jose::verify_client(jwt, &VerificationKey::all_from_set(set), allowed)
}

impl Entry {
    /// The entry after a fetch. A failed one keeps the set and its age.
    fn updated(
        before: Option<Self>,
        fetched: Option<Arc<Value>>,
        renew: bool,
        now: UnixTime,
    ) -> Self {
        let renewed_at = before.as_ref().and_then(|entry| entry.renewed_at);
        let kept = before.and_then(|entry| entry.set);
        let set = fetched.map(|set| (set, now)).or(kept);
        // With the key and the bookkeeping of the cache.
        let size = 512 + set.as_ref().map_or(0, |(set, _)| set.to_string().len());
        Self {
            set,
            tried_at: now,
            renewed_at: if renew { Some(now) } else { renewed_at },
            size: u32::try_from(size).unwrap_or(u32::MAX),
        }
    }

    /// Whether it need not be fetched.
    fn is_fresh(&self, renew: bool, now: UnixTime) -> bool {
        let Some((_, fetched_at)) = self.set else {
            return now.since(self.tried_at) < RETRY_INTERVAL;
        };
        if renew {
            return self.renewed_at.is_some_and(|at| now.since(at) < RETRY_INTERVAL);
        }
        now.since(fetched_at) < FRESH_FOR || now.since(self.tried_at) < RETRY_INTERVAL
    }

    /// The set, unless it is so old that the client may have removed a key from it.
    fn usable(&self, now: UnixTime) -> Option<Arc<Value>> {
        let (set, fetched_at) = self.set.as_ref()?;
        (now.since(*fetched_at) < MAX_AGE).then(|| Arc::clone(set))
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
            assert_eq!(held.is_fresh(renew, at(now)), does, "{renew} {now}");
        }
    }

    #[tokio::test]
    async fn whoever_brings_thousands_of_sets_takes_nobodys_keys_away() {
        let fetcher = Arc::new(OutboundClient::new(OutboundOptions::default()).unwrap());
        let cache = JwksCache::with_capacity(fetcher, 64 * 1024);
        let at = UnixTime::from_secs;
        let keys = || Entry::updated(None, Some(Arc::new(json!({"keys": []}))), false, at(0));
        let name = |number: usize| format!("https://{number}.example/jwks");
        for number in 0..10 {
            cache.sets.insert(name(number), keys()).await;
        }
        let asks = async || {
            let mut found = 0;
            for number in 0..10 {
                let set = cache.get(&name(number), false, FetchQueue::Unlimited, at(1)).await;
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
        let mut entry = Entry::updated(None, set(), false, at(0));
        for minute in 60..120 {
            assert!(entry.usable(at(minute * 60)).is_some());
            assert!(!entry.is_fresh(false, at(minute * 60)), "it is tried again each minute");
            entry = Entry::updated(Some(entry), None, false, at(minute * 60));
            assert!(entry.is_fresh(false, at(minute * 60 + 59)));
        }
        assert!(entry.usable(at(7_200)).is_none());
        let entry = Entry::updated(Some(entry), set(), false, at(7_200));
        assert!(entry.usable(at(7_200)).is_some());
    }
}
