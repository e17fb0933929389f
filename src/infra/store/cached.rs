//! Answers kept in this process for a moment, and given up the moment somebody changes them.
//!
//! **What for.** A token request needs four records that hardly ever change (the client, the person, the
//! session and its name) and one that changes each time (the grant). The four cost as many round trips to
//! a store that is far away as the rest of the request together. So a reader who is content with
//! [`Consistency::Lately`](super::AsOf) is given what was so a moment ago.
//!
//! **Who may.** Readers say so one by one; everybody else reads what is filed now, through this store like
//! through any other. Content are client authentication and the gate that everything issued passes
//! ([`check_active`](fn@crate::domain::grants::may_issue)). Not content is whatever begins something: an authorization
//! looks at the session and the person as they are, or a sign-out could be outlived by a grant made
//! behind it. Not content is whatever changes something: `update`, `remove_if` and `create` see what is
//! filed, so no swap ever loops on what is kept here. `take`, grants, codes, consents and counters are
//! never kept. Nor is "there is nothing", and the readers above ask again before they say no: a record
//! that has just come, or come back, is never missed. But of an [epoch](crate::domain::epoch) it is kept that there is
//! none, which is so of most people and clients: there the absence is the yes, and as old as any other yes.
//!
//! **How it is known that something changed.** The backend tells ([`ChangeListener`]), whoever made the change:
//! another server, the command line, a restore, expiry, somebody with `redis-cli`. Redis does so by
//! `CLIENT TRACKING … BCAST`, on one connection to each primary. Changes that we published ourselves would
//! leave out all that others make, and those whose publisher died between the two. One made through this
//! store is known here anyway: what is kept is dropped before it is sent, and again when it is answered.
//!
//! **How stale an answer can be.**
//! * On the server where a change was acknowledged: not at all.
//! * On any other: until Redis has told it, which takes as long as any answer of Redis, usually less than a
//!   millisecond; and at most 1.5 seconds after the change was answered. By then the connection on which it
//!   would have been told has proven itself, or nothing is answered from here, by the clock of the reader.
//! * A server that still talks to a primary which has been replaced reads there what was so before, with
//!   or without this. What it has kept goes with its connection to that primary.
//!
//! So for that long, on another server, client authentication takes a client that was disabled, removed or
//! given a new secret for what it was, and code redemption, refresh, introspection and userinfo so take the
//! client, the person and the session behind a grant. An access token made in that time is as good as one
//! made the moment before: introspection and userinfo refuse it as soon as the change is known, and whoever
//! checks a JWT alone takes it until it expires. A refresh token made in that time refreshes nothing then.
//!
//! Not even for that long: whatever ends grants, which is revocation, a replay, and `latchkey user disable`,
//! `remove` and `set-password`. A grant is always read, and always swapped against what is filed: once
//! these have answered, nothing comes of the grants they ended, on any server. A grant that was filed behind
//! their backs is ended by the epoch they raised, and that is known elsewhere after those 1.5 seconds at most.
//!
//! **Why a read cannot file what is out of date.** Whoever misses here takes a lease on the key and asks
//! the backend. A change of the key ends the lease, and without it the answer is not kept: it was read
//! before the change. The other order, changed and then read, files the new one. The backend tells of changes
//! since before it answered, or the lease would have ended with [`ChangeListener::lost`].
//!
//! Memory is bounded in number and bytes. All that is kept is kept for the same short time, so the oldest is
//! always the next to expire: making room is taking from one end of a queue, and needs no library.

mod entries;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use self::entries::{CacheEntries, Lookup};
use super::{
    ChangeListener, CommitOutcome, PingInfo, RawKey, Store, StoreError, StoreFuture, Subscription,
    Transaction, Write,
};

/// A store that remembers for a moment what it was asked [`Consistency::Lately`](super::AsOf).
pub struct CachedStore {
    inner: Arc<dyn Store>,
    shelf: Arc<CacheEntries>,
    _listening: Subscription,
}

/// What happens in here, for whoever counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CacheEvent {
    /// Answered from here.
    Hit,
    /// Asked, and if there was something, it is kept.
    Miss,
    /// Asked, because nobody would tell of a change.
    Off,
    /// Something that was kept has changed.
    Invalidated,
    /// Whether changes are being told.
    Live(bool),
}

type Tell = Box<dyn Fn(CacheEvent) + Send + Sync>;

impl CachedStore {
    /// Around a store that is far away and tells of changes, keeping things for so long; around any
    /// other, and for no time at all, there is nothing to gain, and the store comes back as it is. `tell`
    /// must not block.
    pub fn wrap(
        inner: Arc<dyn Store>,
        life: Duration,
        tell: impl Fn(CacheEvent) + Send + Sync + 'static,
    ) -> Arc<dyn Store> {
        if life.is_zero() {
            return inner;
        }
        let shelf = Arc::new(CacheEntries::new(life, Box::new(tell)));
        let listener: Arc<dyn ChangeListener> = Arc::clone(&shelf) as _;
        match inner.subscribe(&listener) {
            Some(listening) => Arc::new(Self { inner, shelf, _listening: listening }),
            None => inner,
        }
    }

    async fn looked_up(&self, key: &RawKey) -> Result<Option<Vec<u8>>, StoreError> {
        let lease = match self.shelf.look(key.as_str()) {
            Lookup::Kept(bytes) => return Ok(bytes.map(|bytes| bytes.to_vec())),
            Lookup::Missing(lease) => lease,
        };
        let answer = self.inner.get(key).await?;
        if let Some(lease) = lease
            && (answer.is_some() || ABSENCE_IS_KEPT.contains(&key.kind()))
        {
            lease.file(answer.as_deref());
        }
        Ok(answer)
    }

    /// Whoever has seen what is filed now never sees what was before it.
    async fn asked(&self, key: &RawKey) -> Result<Option<Vec<u8>>, StoreError> {
        let answer = self.inner.get(key).await;
        if is_kept(key) {
            let seen = answer.as_ref().ok().and_then(Option::as_deref);
            self.shelf.invalidate_if_stale(key.as_str(), seen);
        }
        answer
    }
}

impl Store for CachedStore {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(self.asked(key))
    }

    fn get_cached<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        if is_kept(key) { Box::pin(self.looked_up(key)) } else { self.get(key) }
    }

    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        let changing = Changing::of(&self.shelf, vec![key.clone()]);
        let command = self.inner.get_and_remove(key);
        Box::pin(async move {
            let _changing = changing;
            command.await
        })
    }

    fn commit(&self, change: Transaction) -> StoreFuture<'_, CommitOutcome> {
        let keys = change.writes.iter().filter_map(|write| match write {
            Write::Put { key, .. } | Write::Delete { key } => Some(key.clone()),
            Write::Link { .. } | Write::Unlink { .. } => None,
        });
        let changing = Changing::of(&self.shelf, keys.collect());
        let command = self.inner.commit(change);
        Box::pin(async move {
            let _changing = changing;
            command.await
        })
    }

    fn scan_index<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<String>> {
        self.inner.scan_index(index, after, limit)
    }

    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64> {
        self.inner.increment(counter, window)
    }

    fn ping(&self) -> StoreFuture<'_, PingInfo> {
        self.inner.ping()
    }
}

/// What is kept of these keys goes before they are changed, and again after, however that ends: in
/// between somebody may have read what was there before.
struct Changing<'a> {
    shelf: &'a CacheEntries,
    keys: Vec<RawKey>,
}

impl<'a> Changing<'a> {
    fn of(shelf: &'a CacheEntries, mut keys: Vec<RawKey>) -> Self {
        keys.retain(is_kept);
        let changing = Self { shelf, keys };
        changing.drop_all();
        changing
    }

    fn drop_all(&self) {
        for key in &self.keys {
            self.shelf.remove(key.as_str());
        }
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.drop_all();
    }
}

/// Whether the key is of a partition whose changes are told.
fn is_kept(key: &RawKey) -> bool {
    BEGINNINGS.iter().any(|beginning| key.as_str().starts_with(beginning))
}

/// Kinds of which it is kept that there is none.
const ABSENCE_IS_KEPT: &[&str] = &["epoch.v1"];

/// Clients, people, sessions and the names of sessions. What else is in a person's partition is told of
/// too, and nobody asks for it here.
const BEGINNINGS: &[&str] = &["{client:", "{user:", "{session:", "{sid:"];
