//! The name of a session (`sid`): which session goes by it now, and that none ever will again.
//!
//! Signing in again keeps the name and changes the session, so that what is bound to the name goes on. Two
//! sign-ins of one browser at the same moment leave two sessions under one name. So it is the name that ends:
//! its record stays, naming no session, until none could go by it any more, and whoever begins a session under
//! it in between is refused by the same compare-and-swap. A session counts only as long as its name does.

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
    /// [`ENDED`] once it is over; an older release finds no session there, which is as good.
    session: SessionId,
    until: UnixTime,
}

impl SidRecord {
    fn has_ended(&self) -> bool {
        self.session == ended_marker()
    }
}

/// No cookie has this digest, as far as anybody can tell.
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

/// The session that goes by the name.
pub(super) async fn find_session(
    store: &dyn Store,
    sid: Uuid,
    as_of: Consistency,
) -> Result<Option<SessionId>, StoreError> {
    let sid_record = store.read(&key(sid), as_of).await?;
    Ok(sid_record.filter(|sid_record| !sid_record.has_ended()).map(|sid_record| sid_record.session))
}

/// Gives the name to this session, from whichever had it; answers `false` if the name has ended.
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
            // Unreadable, so it is nobody's.
            return store.put(&sid_record).await.map(|()| true);
        }
    }
}

/// Makes the name this session's, whatever became of it; for a restore.
pub(super) async fn restore(store: &dyn Store, session: &Session) -> Result<(), StoreError> {
    store
        .put(&SidRecord { sid: session.sid, session: session.id, until: session.absolute_end })
        .await
}

/// Ends the name of this session for good, and answers which session went by it.
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

/// A sign-in that found the name in use just before the end files its session well within this.
const ENDED_SID_RETENTION: Duration = Duration::from_secs(3600);
