//! The single sign-on session of one browser.
//!
//! The cookie holds 256 random bits; the store's key is their digest. A session has an idle and an absolute end,
//! both in the record and judged by our clock ([NIST SP 800-63B §5.2]).
//!
//! It is in two indexes: of all sessions, by its idle end, and of its user's, by its absolute end. It is valid as
//! long as its `sid` is ([`sid`]) and its user's [epoch](crate::domain::epoch) is the one that it began in.
//!
//! [NIST SP 800-63B §5.2]: https://pages.nist.gov/800-63-4/sp800-63b.html

mod by_subject;
mod sid;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::join;
use uuid::Uuid;

pub use self::by_subject::{end_all_for_subject, list_ids};
use crate::domain::authenticators::Authentication;
use crate::domain::epoch::{self, Epoch, EpochOwner};
use crate::infra::clock::UnixTime;
use crate::infra::random;
use crate::infra::secret::{Digest, Secret};
use crate::infra::store::{
    Consistency, Key, Partition, RawKey, Record, Store, StoreError, Transaction, Versioned,
};
use crate::protocol::{Acr, Subject};

/// The digest of the session cookie.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct SessionId(Digest);

impl SessionId {
    /// The id of the session with that cookie.
    pub fn of(cookie: &Secret) -> Self {
        Self(cookie.digest())
    }

    /// The key of its record.
    pub fn key(self) -> Key<Session> {
        Key::single(Partition::new(format!("session:{}", self.0.to_hex())))
    }
}

/// An authenticated session.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Session {
    pub id: SessionId,
    /// `sid` of ID tokens and logout tokens; no secret.
    pub sid: Uuid,
    pub sub: Subject,
    /// [`auth_time`](https://openid.net/specs/openid-connect-core-1_0.html#IDToken) of ID tokens.
    pub authenticated_at: UnixTime,
    /// [RFC 8176](https://www.rfc-editor.org/rfc/rfc8176) values, such as `pwd`.
    pub amr: Vec<String>,
    /// The authentication context class.
    #[serde(default, skip_serializing_if = "Acr::is_default")]
    pub acr: Acr,
    /// When it ends if it is not used.
    pub idle_end: UnixTime,
    /// When it ends in any case.
    pub absolute_end: UnixTime,
    /// The user's epoch at the authentication; absent in sessions of a release that did not know epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
}

/// The lifetimes of sessions.
#[derive(Clone, Copy, Debug)]
pub struct SessionLifetimes {
    pub idle: Duration,
    pub absolute: Duration,
}

impl Session {
    /// A new session, which begins with the authentication, and the cookie that opens it.
    pub fn begin(authentication: Authentication, limits: SessionLifetimes) -> (Self, Secret) {
        let Authentication { sub, epoch, at, methods, acr } = authentication;
        let cookie = Secret::random();
        let absolute_end = at.plus(limits.absolute);
        let session = Self {
            id: SessionId::of(&cookie),
            sid: random::uuid(),
            sub,
            authenticated_at: at,
            amr: methods.iter().map(|method| method.as_str().to_owned()).collect(),
            acr,
            idle_end: at.plus(limits.idle).min(absolute_end),
            absolute_end,
            epoch: Some(epoch),
        };
        (session, cookie)
    }

    /// Whether neither of its ends has passed.
    pub fn is_live(&self, now: UnixTime) -> bool {
        now < self.idle_end && now < self.absolute_end
    }

    fn index_entry(&self) -> String {
        format!("{:016x}.{}", self.idle_end.as_millis(), self.id.0.to_hex())
    }
}

impl Record for Session {
    const KIND: &'static str = "session.v1";

    fn key(&self) -> Key<Self> {
        self.id.key()
    }

    fn delete_after(&self) -> Option<UnixTime> {
        Some(self.absolute_end)
    }
}

/// All sessions by their idle end, for the gauge.
fn index() -> RawKey {
    RawKey::new(Partition::new("sessions"), "index.v1", None)
}

/// The live session of that id, unless its `sid` has ended or its user's epoch was raised.
///
/// Two sign-ins at the same moment leave two sessions with one `sid`, and the browser keeps either of them. The
/// one that is used becomes the owner of the `sid`; else it would end with the one that is not used.
pub async fn find(
    store: &dyn Store,
    id: SessionId,
    now: UnixTime,
) -> Result<Option<Session>, StoreError> {
    let session = store.read(&id.key(), Consistency::Strong).await?;
    let Some(session) = session.filter(|session| session.is_live(now)) else { return Ok(None) };
    let (owner, admitted) = find_owner_of_sid(store, &session).await?;
    let Some(owner) = owner.filter(|_| admitted) else { return Ok(None) };
    let has_name = owner == session.id || sid::assign(store, &session).await?;
    Ok(has_name.then_some(session))
}

/// Whether the `sid` of the session has not ended, and its user's epoch was not raised since it began.
pub async fn is_current(store: &dyn Store, session: &Session) -> Result<bool, StoreError> {
    let (owner, admitted) = find_owner_of_sid(store, session).await?;
    Ok(owner.is_some() && admitted)
}

/// The session that owns the `sid` of this one, and whether the user's epoch still accepts this one.
async fn find_owner_of_sid(
    store: &dyn Store,
    session: &Session,
) -> Result<(Option<SessionId>, bool), StoreError> {
    let owner = EpochOwner::User(session.sub.clone());
    let (owner, epoch) = join!(
        sid::find_session(store, session.sid, Consistency::Strong),
        epoch::current(store, &owner, Consistency::Strong)
    );
    Ok((owner?, epoch?.accepts(session.epoch, session.authenticated_at)))
}

/// The live session that owns this `sid`.
pub async fn find_by_sid(
    store: &dyn Store,
    sid: Uuid,
    now: UnixTime,
) -> Result<Option<Session>, StoreError> {
    find_by_sid_as_of(store, sid, now, Consistency::Strong).await
}

/// The live session that owns this `sid`, by a read that may be cached. The caller has to check the epoch of its
/// user.
pub async fn find_by_sid_as_of(
    store: &dyn Store,
    sid: Uuid,
    now: UnixTime,
    as_of: Consistency,
) -> Result<Option<Session>, StoreError> {
    let Some(id) = sid::find_session(store, sid, as_of).await? else { return Ok(None) };
    let session = store.read(&id.key(), as_of).await?;
    Ok(session.filter(|session| session.is_live(now)))
}

/// Stores a new session, and ends the one it replaces: after a sign-in the old cookie is worthless. Returns the
/// session as it is stored: a `sid` that has ended in the meantime is replaced by a new one.
pub async fn begin(
    store: &dyn Store,
    session: &Session,
    replaces: Option<SessionId>,
) -> Result<Session, StoreError> {
    let mut session = session.clone();
    by_subject::index_add(store, &session).await?;
    store.index_add(&index(), &session.index_entry()).await?;
    // Each new session prunes up to four that ended, so the index is as long as the live sessions.
    prune_index(store, 4, session.authenticated_at).await?;
    // Before it owns its `sid`: what is bound to a `sid` always finds a session.
    store.put(&session).await?;
    while !sid::assign(store, &session).await? {
        session.sid = random::uuid();
        store.put(&session).await?;
    }
    if let Some(old) = replaces {
        end_replaced(store, old, session.sid).await?;
    }
    Ok(session)
}

/// Writes exactly this record, its `sid` and its index entries.
pub async fn restore(store: &dyn Store, session: &Session) -> Result<(), StoreError> {
    by_subject::index_add(store, session).await?;
    store.index_add(&index(), &session.index_entry()).await?;
    store.put(session).await?;
    sid::restore(store, session).await
}

/// Ends a session and its `sid` for good, and with it any other session of that `sid`. Of concurrent calls one
/// gets the session.
pub async fn end(store: &dyn Store, id: SessionId) -> Result<Option<Session>, StoreError> {
    let Some(session) = store.read(&id.key(), Consistency::Strong).await? else { return Ok(None) };
    // The `sid` first: if the store fails in between, the records left are not valid.
    let other = sid::end(store, &session).await?;
    if let Some(other) = other.filter(|other| *other != id) {
        remove(store, other).await?;
    }
    remove(store, id).await
}

/// Ends a session that another one replaces; its `sid` ends with it unless the other one has the same `sid`. Of
/// concurrent calls one gets the session.
pub async fn end_replaced(
    store: &dyn Store,
    id: SessionId,
    sid: Uuid,
) -> Result<Option<Session>, StoreError> {
    match store.read(&id.key(), Consistency::Strong).await? {
        Some(session) if session.sid == sid => remove(store, id).await,
        Some(_) => end(store, id).await,
        None => Ok(None),
    }
}

/// Removes a session's record and index entries, but not its `sid`.
async fn remove(store: &dyn Store, id: SessionId) -> Result<Option<Session>, StoreError> {
    let Some(session) = store.consume(&id.key()).await? else { return Ok(None) };
    store.index_remove(&index(), &session.index_entry()).await?;
    by_subject::index_remove(store, &session).await?;
    Ok(Some(session))
}

/// Extends the idle end of a session that was used. It is written at most ten times in an idle lifetime, so that a
/// busy session does not cost a write for each request.
///
/// The compare-and-swap starts from the session as the caller has it, and its index entry is moved at the same
/// time: one round trip, unless another request was faster.
pub async fn touch(
    store: &dyn Store,
    session: &Session,
    idle: Duration,
    now: UnixTime,
) -> Result<(), StoreError> {
    let next_end = now.plus(idle).min(session.absolute_end);
    if next_end.since(session.idle_end) < idle / 10 {
        return Ok(());
    }
    let (before, after) =
        (session.index_entry(), Session { idle_end: next_end, ..session.clone() }.index_entry());
    let moved =
        store.update_from(Versioned::assume_current(session.clone()), |held: &mut Session| {
            let before = held.index_entry();
            // Another request may just have extended it nearly as far.
            if next_end.since(held.idle_end) >= idle / 10 {
                held.idle_end = next_end;
            }
            (before, held.index_entry())
        });
    let listed = [before.as_str()];
    let (moved, listed) = join!(moved, reindex(store, &listed, Some(&after)));
    let moved = moved?;
    listed?;
    match &moved {
        Some((held, now)) if (held, now) == (&before, &after) => Ok(()),
        // Another request extended it further, or it is gone.
        Some((held, now)) => reindex(store, &[&after, held], Some(now)).await,
        None => reindex(store, &[&after], None).await,
    }
}

/// Replaces index entries of a session in one transaction.
async fn reindex(store: &dyn Store, out: &[&str], into: Option<&str>) -> Result<(), StoreError> {
    let mut change = Transaction::within(index().partition().clone());
    for name in out {
        change = change.index_remove(index(), *name);
    }
    if let Some(name) = into {
        change = change.index_add(index(), name);
    }
    store.commit(change).await.map(|_outcome| ())
}

/// The number of live sessions, at most 100 000; prunes those that ended.
pub async fn count_live(store: &dyn Store, now: UnixTime) -> Result<usize, StoreError> {
    const PAGE: usize = 1_000;
    prune_index(store, PAGE, now).await?;
    let (mut count, mut after) = (0, first_live_entry(now));
    for _ in 0..100 {
        let names = store.scan_index(&index(), &after, PAGE).await?;
        count += names.len();
        match names.last() {
            Some(last) if names.len() == PAGE => after.clone_from(last),
            Some(_) | None => break,
        }
    }
    Ok(count)
}

/// Removes up to `most` ended sessions from the index.
async fn prune_index(store: &dyn Store, most: usize, now: UnixTime) -> Result<(), StoreError> {
    let ended = first_live_entry(now);
    let names = store.scan_index(&index(), "", most).await?;
    for name in names.iter().take_while(|name| ***name < *ended) {
        store.index_remove(&index(), name).await?;
    }
    Ok(())
}

/// The index entry before which sessions have ended.
fn first_live_entry(now: UnixTime) -> String {
    format!("{:016x}", now.as_millis().saturating_add(1))
}

#[cfg(test)]
mod tests;
