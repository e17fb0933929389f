//! The single sign-on session: who is signed in with this browser, since when, and how.
//!
//! The cookie holds 256 random bits; the store is keyed by their digest. A session has an idle and an
//! absolute end, both in the record, judged by our clock ([NIST SP 800-63B §5.2]).
//!
//! Each is listed twice: among all, by its idle end, and with its person, by its absolute end. It counts as
//! long as its name does ([`name`]) and its person's [`epoch`](crate::domain::epoch) is the one it began in.
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

/// What the store knows a session by: the digest of the cookie.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct SessionId(Digest);

impl SessionId {
    /// The session a cookie opens.
    pub fn of(cookie: &Secret) -> Self {
        Self(cookie.digest())
    }

    /// Where the session's record is.
    pub fn key(self) -> Key<Session> {
        Key::single(Partition::new(format!("session:{}", self.0.to_hex())))
    }
}

/// One sign-in with one browser.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Session {
    /// Its key.
    pub id: SessionId,
    /// Its name in ID tokens (`sid`); worth nothing as a cookie.
    pub sid: Uuid,
    /// Who signed in.
    pub sub: Subject,
    /// When they proved it ([`auth_time`](https://openid.net/specs/openid-connect-core-1_0.html#IDToken)).
    pub authenticated_at: UnixTime,
    /// How ([RFC 8176](https://www.rfc-editor.org/rfc/rfc8176)).
    pub amr: Vec<String>,
    /// The authentication context class.
    #[serde(default, skip_serializing_if = "Acr::is_default")]
    pub acr: Acr,
    /// Ends then without use.
    pub idle_end: UnixTime,
    /// Ends then in any case.
    pub absolute_end: UnixTime,
    /// The epoch of its person when they proved it; absent from a release that did not know epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
}

/// How long sessions live.
#[derive(Clone, Copy, Debug)]
pub struct SessionLifetimes {
    /// Without use.
    pub idle: Duration,
    /// In any case.
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

    /// Whether it still stands.
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

/// Sessions by the moment they end: what the gauge counts.
fn index() -> RawKey {
    RawKey::new(Partition::new("sessions"), "index.v1", None)
}

/// The live session of that id, if nothing has ended it: neither its name nor its person's cut-off.
///
/// Two sign-ins at the same moment leave two sessions of one name, and the browser keeps either of them. The
/// name is that one's, or it would be over as soon as the one that nobody uses is.
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

/// Whether neither the name of the session has ended nor its person was cut off since it began.
pub async fn is_current(store: &dyn Store, session: &Session) -> Result<bool, StoreError> {
    let (owner, admitted) = find_owner_of_sid(store, session).await?;
    Ok(owner.is_some() && admitted)
}

/// Which session goes by the name of this one, and whether the person's epoch is still that of this one.
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

/// The live session that goes by this name.
pub async fn find_by_sid(
    store: &dyn Store,
    sid: Uuid,
    now: UnixTime,
) -> Result<Option<Session>, StoreError> {
    find_by_sid_as_of(store, sid, now, Consistency::Strong).await
}

/// The live session that goes by this name, for a reader who may be content with what was so a moment ago.
/// Whether its person was cut off is for the caller to ask.
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

/// Files a new session, and ends the one it takes the place of: after a sign-in the old cookie opens
/// nothing. Answers the session as it is filed: a name that has ended in the meantime is replaced.
pub async fn begin(
    store: &dyn Store,
    session: &Session,
    replaces: Option<SessionId>,
) -> Result<Session, StoreError> {
    let mut session = session.clone();
    by_subject::index_add(store, &session).await?;
    store.index_add(&index(), &session.index_entry()).await?;
    // Each new session clears up to four that ended, so the index is as long as the sessions that live.
    prune_index(store, 4, session.authenticated_at).await?;
    // Before it gets its name: what is bound to the name never finds it without a session.
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

/// Makes the store hold this very record, its name and its listings.
pub async fn restore(store: &dyn Store, session: &Session) -> Result<(), StoreError> {
    by_subject::index_add(store, session).await?;
    store.index_add(&index(), &session.index_entry()).await?;
    store.put(session).await?;
    sid::restore(store, session).await
}

/// Ends a session and its name, for good: whatever goes by that name is over, another session of the same
/// browser included. Of several who try, one is told which it was.
pub async fn end(store: &dyn Store, id: SessionId) -> Result<Option<Session>, StoreError> {
    let Some(session) = store.read(&id.key(), Consistency::Strong).await? else { return Ok(None) };
    // The name first: a store that fails in between leaves records that open nothing.
    let other = sid::end(store, &session).await?;
    if let Some(other) = other.filter(|other| *other != id) {
        remove(store, other).await?;
    }
    remove(store, id).await
}

/// Ends a session that another has taken the place of: with its name, unless that goes on as `sid`. Of
/// several who try, one is told which it was.
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

/// Removes a session's record and listings, and leaves its name alone.
async fn remove(store: &dyn Store, id: SessionId) -> Result<Option<Session>, StoreError> {
    let Some(session) = store.consume(&id.key()).await? else { return Ok(None) };
    store.index_remove(&index(), &session.index_entry()).await?;
    by_subject::index_remove(store, &session).await?;
    Ok(Some(session))
}

/// Notes that the session was used. Written at most ten times in an idle span, so that a busy session
/// costs no write at each request.
///
/// The session is taken to be filed as the caller has it, and its place in the index is changed at the same
/// time: one round trip, unless somebody was faster.
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
            // Somebody else may have moved it just now, as far as this one would but for a moment.
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
        // Somebody else moved it further, or it is gone.
        Some((held, now)) => reindex(store, &[&after, held], Some(now)).await,
        None => reindex(store, &[&after], None).await,
    }
}

/// Changes what is listed of a session, all at once.
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

/// How many sessions are live, pruning those that ended. Counts at most 100 000.
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

/// Takes up to `most` sessions that ended out of the index.
async fn prune_index(store: &dyn Store, most: usize, now: UnixTime) -> Result<(), StoreError> {
    let ended = first_live_entry(now);
    let names = store.scan_index(&index(), "", most).await?;
    for name in names.iter().take_while(|name| ***name < *ended) {
        store.index_remove(&index(), name).await?;
    }
    Ok(())
}

/// Where the index goes from sessions that ended to those that live.
fn first_live_entry(now: UnixTime) -> String {
    format!("{:016x}", now.as_millis().saturating_add(1))
}

#[cfg(test)]
mod tests;
