//! Public keys that clients keep behind a `jwks_uri`, remembered for a while.
//!
//! A set is good for an hour; an unknown `kid` fetches it again, at most once a minute, so that a
//! client's new key works at once and a stranger cannot make us hammer its server. A failed fetch is
//! remembered for a minute too. The cache is bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::clock::UnixTime;
use crate::fetch::Fetcher;

const GOOD: Duration = Duration::from_secs(3600);
const PAUSE: Duration = Duration::from_secs(60);
const MOST: usize = 1_000;

/// The cache.
pub struct KeyCache {
    fetcher: Fetcher,
    sets: Mutex<HashMap<String, Entry>>,
}

#[derive(Clone)]
struct Entry {
    set: Option<Arc<Value>>,
    fetched_at: UnixTime,
}

impl KeyCache {
    /// An empty one.
    pub fn new(fetcher: Fetcher) -> Self {
        Self { fetcher, sets: Mutex::default() }
    }

    /// The JWK Set behind the URI. `renew`: what is remembered did not do.
    pub async fn get(&self, uri: &str, renew: bool, now: UnixTime) -> Option<Arc<Value>> {
        if let Some(entry) = self.remembered(uri) {
            let age = now.since(entry.fetched_at);
            if age < PAUSE || (age < GOOD && !renew && entry.set.is_some()) {
                return entry.set;
            }
        }
        let fetched = match self.fetcher.get_json(uri).await {
            Ok(set) => Some(Arc::new(set)),
            Err(cause) => {
                tracing::warn!(reason = cause.reason(), "a client's jwks_uri could not be fetched");
                None
            }
        };
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if sets.len() >= MOST {
            sets.retain(|_, entry| now.since(entry.fetched_at) < PAUSE);
        }
        // A failed renewal keeps the old set in use.
        let kept = fetched.or_else(|| sets.get(uri).and_then(|entry| entry.set.clone()));
        if sets.len() < MOST {
            sets.insert(uri.to_owned(), Entry { set: kept.clone(), fetched_at: now });
        }
        kept
    }

    fn remembered(&self, uri: &str) -> Option<Entry> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner).get(uri).cloned()
    }
}
