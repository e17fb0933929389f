//! The public keys of clients: registered whole, or kept by the client behind a `jwks_uri` and remembered
//! here for a while.
//!
//! A set is good for an hour; one that does not do (an unknown `kid`) is fetched again, at most once a
//! minute, so that a client's new key works at once and a stranger cannot make us hammer its server. A
//! failed fetch is remembered for a minute too. The cache is bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::clock::UnixTime;
use crate::fetch::Fetcher;
use crate::jose::{self, ClientKey, NotVerified, Verified};
use crate::protocol::ClientMetadata;
use crate::protocol::algorithms::ClientAlg;

const GOOD: Duration = Duration::from_secs(3600);
const PAUSE: Duration = Duration::from_secs(60);
const MOST: usize = 1_000;

/// The cache.
pub struct KeyCache {
    fetcher: Arc<Fetcher>,
    sets: Mutex<HashMap<String, Entry>>,
}

#[derive(Clone)]
struct Entry {
    set: Option<Arc<Value>>,
    fetched_at: UnixTime,
    /// When it was last fetched because what was remembered did not do.
    renewed_at: Option<UnixTime>,
}

/// Why a client's JWT was not believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotItsOwn {
    /// The client's keys could not be had.
    Keys,
    /// It is not signed with any of them as it should be.
    Signature(NotVerified),
}

impl KeyCache {
    /// An empty one.
    pub fn new(fetcher: Arc<Fetcher>) -> Self {
        Self { fetcher, sets: Mutex::default() }
    }

    /// Verifies a JWT with the client's own keys, by one of the `allowed` algorithms.
    pub async fn verify(
        &self,
        client: &ClientMetadata,
        jwt: &str,
        allowed: &[ClientAlg],
        now: UnixTime,
    ) -> Result<Verified, NotItsOwn> {
        match (&client.jwks, &client.jwks_uri) {
            (Some(set), _) => verified(set, jwt, allowed).map_err(NotItsOwn::Signature),
            (None, Some(uri)) => self.verify_behind(uri, jwt, allowed, now).await,
            (None, None) => Err(NotItsOwn::Keys),
        }
    }

    /// Verifies a JWT with the keys behind an address.
    pub async fn verify_behind(
        &self,
        uri: &str,
        jwt: &str,
        allowed: &[ClientAlg],
        now: UnixTime,
    ) -> Result<Verified, NotItsOwn> {
        let set = self.get(uri, false, now).await.ok_or(NotItsOwn::Keys)?;
        let found = match verified(&set, jwt, allowed) {
            // The keys may have been changed since.
            Err(NotVerified::UnknownKey | NotVerified::Signature) => {
                let set = self.get(uri, true, now).await.ok_or(NotItsOwn::Keys)?;
                verified(&set, jwt, allowed)
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
            (None, Some(uri)) => self.get(uri, renew, now).await,
            (None, None) => None,
        }
    }

    async fn get(&self, uri: &str, renew: bool, now: UnixTime) -> Option<Arc<Value>> {
        let known = self.remembered(uri);
        if let Some(entry) = &known
            && entry.will_do(renew, now)
        {
            return entry.set.clone();
        }
        let fetched = match self.fetcher.get_json(uri).await {
            Ok(set) => Some(Arc::new(set)),
            Err(cause) => {
                tracing::warn!(reason = cause.reason(), "a JWK Set could not be fetched");
                None
            }
        };
        let renewed_at = known.and_then(|entry| entry.renewed_at);
        let renewed_at = if renew { Some(now) } else { renewed_at };
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if sets.len() >= MOST {
            sets.retain(|_, entry| now.since(entry.fetched_at) < PAUSE);
        }
        // A failed renewal keeps the old set in use.
        let set = fetched.or_else(|| sets.get(uri).and_then(|entry| entry.set.clone()));
        if sets.len() < MOST {
            sets.insert(uri.to_owned(), Entry { set: set.clone(), fetched_at: now, renewed_at });
        }
        set
    }

    fn remembered(&self, uri: &str) -> Option<Entry> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner).get(uri).cloned()
    }
}

fn verified(set: &Value, jwt: &str, allowed: &[ClientAlg]) -> Result<Verified, NotVerified> {
    jose::verify_client(jwt, &ClientKey::all_from_set(set), allowed)
}

impl Entry {
    fn will_do(&self, renew: bool, now: UnixTime) -> bool {
        let age = now.since(self.fetched_at);
        if self.set.is_none() {
            return age < PAUSE;
        }
        if renew {
            return self.renewed_at.is_some_and(|at| now.since(at) < PAUSE);
        }
        age < GOOD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_fetched_again_when_it_does_not_do_but_not_twice_a_minute() {
        let at = UnixTime::from_secs;
        let entry = |set: bool, renewed_at| Entry {
            set: set.then(|| Arc::new(Value::Null)),
            fetched_at: at(1_000),
            renewed_at,
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
}
