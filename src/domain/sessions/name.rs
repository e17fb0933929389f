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
struct Named {
    sid: Uuid,
    /// [`ENDED`] once it is over; an older release finds no session there, which is as good.
    session: SessionId,
    until: UnixTime,
}

impl Named {
    fn has_ended(&self) -> bool {
        self.session == ended()
    }
}

/// No cookie has this digest, as far as anybody can tell.
fn ended() -> SessionId {
    SessionId(Digest::from_bytes([0; 32]))
}

impl Record for Named {
    const KIND: &'static str = "sid.v1";

    fn key(&self) -> Key<Self> {
        key(self.sid)
    }

    fn delete_after(&self) -> Option<UnixTime> {
        Some(self.until)
    }
}

fn key(sid: Uuid) -> Key<Named> {
    Key::single(Partition::new(format!("sid:{}", sid.simple())))
}

/// The session that goes by the name.
pub(super) async fn holder(
    store: &dyn Store,
    sid: Uuid,
    as_of: Consistency,
) -> Result<Option<SessionId>, StoreError> {
    let named = store.read(&key(sid), as_of).await?;
    Ok(named.filter(|named| !named.has_ended()).map(|named| named.session))
}

/// Gives the name to this session, from whichever had it; answers `false` if the name has ended.
pub(super) async fn give(store: &dyn Store, session: &Session) -> Result<bool, StoreError> {
    let named = Named { sid: session.sid, session: session.id, until: session.absolute_end };
    loop {
        let step = |held: &mut Named| {
            let goes_on = !held.has_ended();
            if goes_on {
                held.session = named.session;
                held.until = held.until.max(named.until);
            }
            goes_on
        };
        if let Some(given) = store.update(&named.key(), step).await? {
            return Ok(given);
        }
        if store.create(&named).await? == CreateOutcome::Created {
            return Ok(true);
        }
        if store.load(&named.key()).await?.is_none() {
            // Unreadable, so it is nobody's.
            return store.put(&named).await.map(|()| true);
        }
    }
}

/// Makes the name this session's, whatever became of it; for a restore.
pub(super) async fn restore(store: &dyn Store, session: &Session) -> Result<(), StoreError> {
    store.put(&Named { sid: session.sid, session: session.id, until: session.absolute_end }).await
}

/// Ends the name of this session for good, and answers which session went by it.
pub(super) async fn end(
    store: &dyn Store,
    session: &Session,
) -> Result<Option<SessionId>, StoreError> {
    let over =
        Named { sid: session.sid, session: ended(), until: session.absolute_end.plus(RETENTION) };
    loop {
        let step = |held: &mut Named| {
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
const RETENTION: Duration = Duration::from_secs(3600);
