//! The `sid` of a session: a record that says which session owns it, or that it has ended.
//!
//! Authenticating again keeps the `sid` and changes the session, so that grants bound to the `sid` continue. Two
//! sign-ins of one browser at the same moment leave two sessions with one `sid`. Therefore it is the `sid` that
//! ends: its record stays, naming no session, until no session could have it any more, and a session that begins
//! with it in between is refused by the same compare-and-swap. A session is valid only as long as its `sid` is.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Session, SessionId};
use crate::infra::clock::UnixTime;
use crate::infra::secret::Digest;
use crate::infra::store::{Consistency, CreateOutcome, Key, Partition, Record, Store, StoreError};

#[derive(Clone, Debug, Deserialize, Serialize)]
struct SidRecord {
    sid: Uuid,
    /// [`ended_marker`] once it has ended; an older release finds no session of that id, which comes to the same.
    session: SessionId,
    until: UnixTime,
}

impl SidRecord {
    fn has_ended(&self) -> bool {
        self.session == ended_marker()
    }
}

/// The digest of no cookie that could be found.
fn ended_marker() -> SessionId {
    SessionId(Digest::from_bytes([0; 32]))
}

impl Record for SidRecord {
    const KIND: &'static str = "sid.v1";

    fn key(&self) -> Key<Self> {
        key(self.sid)
    }

    fn delete_after(&self) -> Option<UnixTime> {
        Some(self.until)
    }
}

fn key(sid: Uuid) -> Key<SidRecord> {
    Key::single(Partition::new(format!("sid:{}", sid.simple())))
}

/// The session that owns the `sid`.
pub(super) async fn find_session(
    store: &dyn Store,
    sid: Uuid,
    as_of: Consistency,
) -> Result<Option<SessionId>, StoreError> {
    let sid_record = store.read(&key(sid), as_of).await?;
    Ok(sid_record.filter(|sid_record| !sid_record.has_ended()).map(|sid_record| sid_record.session))
}

/// Makes this session the owner of its `sid`; `false` if the `sid` has ended.
pub(super) async fn assign(store: &dyn Store, session: &Session) -> Result<bool, StoreError> {
    let sid_record =
        SidRecord { sid: session.sid, session: session.id, until: session.absolute_end };
    loop {
        let step = |held: &mut SidRecord| {
            let goes_on = !held.has_ended();
            if goes_on {
                held.session = sid_record.session;
                held.until = held.until.max(sid_record.until);
            }
            goes_on
        };
        if let Some(given) = store.update(&sid_record.key(), step).await? {
            return Ok(given);
        }
        if store.create(&sid_record).await? == CreateOutcome::Created {
            return Ok(true);
        }
        if store.load(&sid_record.key()).await?.is_none() {
            // Unreadable: it names no owner.
            return store.put(&sid_record).await.map(|()| true);
        }
    }
}

/// Makes this session the owner of its `sid` even if that has ended; for a restore.
pub(super) async fn restore(store: &dyn Store, session: &Session) -> Result<(), StoreError> {
    store
        .put(&SidRecord { sid: session.sid, session: session.id, until: session.absolute_end })
        .await
}

/// Ends the `sid` of this session for good, and returns the session that owned it.
pub(super) async fn end(
    store: &dyn Store,
    session: &Session,
) -> Result<Option<SessionId>, StoreError> {
    let over = SidRecord {
        sid: session.sid,
        session: ended_marker(),
        until: session.absolute_end.plus(ENDED_SID_RETENTION),
    };
    loop {
        let step = |held: &mut SidRecord| {
            let before = (!held.has_ended()).then_some(held.session);
            held.session = over.session;
            held.until = held.until.max(over.until);
            before
        };
        if let Some(before) = store.update(&over.key(), step).await? {
            return Ok(before);
        }
        if store.create(&over).await? == CreateOutcome::Created {
            return Ok(None);
        }
        if store.load(&over.key()).await?.is_none() {
            return store.put(&over).await.map(|()| None);
        }
    }
}

/// A sign-in that read the `sid` just before its end stores its session well within this.
const ENDED_SID_RETENTION: Duration = Duration::from_secs(3600);
