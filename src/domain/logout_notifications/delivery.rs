//! The notification of one client of one logout: three attempts with growing pauses.
//!
//! ```text
//! Waiting ──claim──▶ Sending ──delivered──▶ (removed)
//!    ▲                  │ ├─refused, or the third attempt failed──▶ Failed
//!    └──failed, again───┘ └─the lease ends: any server may claim it
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::clients::ClientId;
use crate::infra::clock::UnixTime;
use crate::infra::random;
use crate::infra::store::{Key, Partition, Record};

/// The notification of one logout for one client.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Delivery {
    /// Random.
    pub id: Uuid,
    /// The client to notify.
    pub client: ClientId,
    /// The `sub` that this client sees.
    pub sub: String,
    /// The session that ended; what the client sees may be pairwise.
    pub sid: Uuid,
    pub queued_at: UnixTime,
    /// Attempts so far, the running one included.
    pub tries: u8,
    pub state: DeliveryState,
}

/// The state of a delivery.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum DeliveryState {
    /// To be sent at that moment or later.
    Waiting {
        /// Not before.
        at: UnixTime,
    },
    /// A server is sending it. If that server crashes, any other may claim it when the lease ends.
    Sending {
        /// The end of the lease.
        until: UnixTime,
    },
    /// Given up. Kept for a day, so that the operator can list it.
    Failed {
        /// When.
        at: UnixTime,
        /// The client refused it; otherwise it could not be reached.
        refused: bool,
    },
}

/// The outcome of an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeliveryOutcome {
    /// The client accepted it.
    Delivered,
    /// The client answered 400 ([Back-Channel Logout §2.8]). The next token would be the same, so it is not sent again.
    ///
    /// [Back-Channel Logout §2.8]: https://openid.net/specs/openid-connect-backchannel-1_0.html#BCResponse
    Refused,
    /// No response, or any other.
    Unreachable,
}

impl Delivery {
    /// A delivery that is due at once.
    pub(super) fn new(client: ClientId, sub: String, sid: Uuid, now: UnixTime) -> Self {
        let state = DeliveryState::Waiting { at: now };
        Self { id: random::uuid(), client, sub, sid, queued_at: now, tries: 0, state }
    }

    /// When the next attempt may begin; `None` where it was given up.
    pub fn due_at(&self) -> Option<UnixTime> {
        match self.state {
            DeliveryState::Waiting { at } => Some(at),
            DeliveryState::Sending { until } => Some(until),
            DeliveryState::Failed { .. } => None,
        }
    }

    /// Begins an attempt, if one is due. Of several servers that call this, one gets `true`.
    pub(super) fn claim(&mut self, now: UnixTime) -> bool {
        if self.due_at().is_none_or(|due| now < due) {
            return false;
        }
        if self.tries >= MAX_TRIES {
            // The server with the last attempt crashed.
            self.state = DeliveryState::Failed { at: now, refused: false };
            return false;
        }
        self.tries += 1;
        self.state = DeliveryState::Sending { until: now.plus(CLAIM_LEASE) };
        true
    }

    /// Ends an attempt that failed.
    pub(super) fn reschedule(&mut self, refused: bool, now: UnixTime) {
        let pause = RETRY_BACKOFF.get(usize::from(self.tries.saturating_sub(1)));
        self.state = match pause {
            Some(pause) if !refused && self.tries < MAX_TRIES => {
                DeliveryState::Waiting { at: now.plus(*pause) }
            }
            Some(_) | None => DeliveryState::Failed { at: now, refused },
        };
    }
}

impl Record for Delivery {
    const KIND: &'static str = "logout-delivery.v1";

    fn key(&self) -> Key<Self> {
        key(self.id)
    }

    fn delete_after(&self) -> Option<UnixTime> {
        Some(match self.state {
            DeliveryState::Waiting { .. } | DeliveryState::Sending { .. } => {
                self.queued_at.plus(FAILED_RETENTION)
            }
            DeliveryState::Failed { at, .. } => at.plus(FAILED_RETENTION),
        })
    }
}

pub(super) fn key(id: Uuid) -> Key<Delivery> {
    Key::single(Partition::new(format!("logout-delivery:{}", id.simple())))
}

const MAX_TRIES: u8 = 3;

/// After the first attempt, and after the second.
const RETRY_BACKOFF: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(60)];

/// An attempt takes three seconds at most, and its outcome has to be stored.
pub(super) const CLAIM_LEASE: Duration = Duration::from_secs(15);

/// How long any delivery is kept.
pub(super) const FAILED_RETENTION: Duration = Duration::from_secs(24 * 3600);
