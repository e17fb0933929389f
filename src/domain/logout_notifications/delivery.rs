//! One client to be told of one logout: three tries with growing pauses, then it is given up.
//!
//! ```text
//! Waiting ──claim──▶ Sending ──told──▶ (gone)
//!    ▲                  │ ├─refused, or the third try failed──▶ Failed
//!    └──failed, again───┘ └─no word by the end of the lease: anybody may claim it
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::clients::ClientId;
use crate::infra::clock::UnixTime;
use crate::infra::random;
use crate::infra::store::{Key, Partition, Record};

/// Word of one logout for one client.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Delivery {
    /// Its name.
    pub id: Uuid,
    /// Whom to tell.
    pub client: ClientId,
    /// Who signed out, as this client knows them.
    pub sub: String,
    /// Which session.
    pub sid: Uuid,
    /// Since when.
    pub queued_at: UnixTime,
    /// How often it was tried.
    pub tries: u8,
    /// How it stands.
    pub state: State,
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum State {
    /// To be sent at that moment or later.
    Waiting {
        /// Not before.
        at: UnixTime,
    },
    /// A server is at it. Should it go under, anybody may try again when its time is over.
    Sending {
        /// When its time is over.
        until: UnixTime,
    },
    /// Given up; kept for a day, to be seen.
    Failed {
        /// When.
        at: UnixTime,
        /// The client's own no; else it could not be reached.
        refused: bool,
    },
}

/// How a try went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The client knows.
    Told,
    /// The client says that it cannot: "400 Bad Request" ([Back-Channel Logout §2.8]). The next token
    /// would say the same, so it is not tried again.
    ///
    /// [Back-Channel Logout §2.8]: https://openid.net/specs/openid-connect-backchannel-1_0.html#BCResponse
    Refused,
    /// No answer, or another one.
    NotReached,
}

impl Delivery {
    /// To be sent at once.
    pub(super) fn new(client: ClientId, sub: String, sid: Uuid, now: UnixTime) -> Self {
        let state = State::Waiting { at: now };
        Self { id: random::uuid(), client, sub, sid, queued_at: now, tries: 0, state }
    }

    /// From when on a try may begin; none any more where it was given up.
    pub fn due_at(&self) -> Option<UnixTime> {
        match self.state {
            State::Waiting { at } => Some(at),
            State::Sending { until } => Some(until),
            State::Failed { .. } => None,
        }
    }

    /// Begins a try, if it is time for one. Of several servers that try, one is told `true`.
    pub(super) fn claim(&mut self, now: UnixTime) -> bool {
        if self.due_at().is_none_or(|due| now < due) {
            return false;
        }
        if self.tries >= TRIES {
            // Whoever had the last try has gone under with it.
            self.state = State::Failed { at: now, refused: false };
            return false;
        }
        self.tries += 1;
        self.state = State::Sending { until: now.plus(LEASE) };
        true
    }

    /// Ends a try that did not get through.
    pub(super) fn put_off(&mut self, refused: bool, now: UnixTime) {
        let pause = PAUSES.get(usize::from(self.tries.saturating_sub(1)));
        self.state = match pause {
            Some(pause) if !refused && self.tries < TRIES => {
                State::Waiting { at: now.plus(*pause) }
            }
            Some(_) | None => State::Failed { at: now, refused },
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
            State::Waiting { .. } | State::Sending { .. } => self.queued_at.plus(KEPT),
            State::Failed { at, .. } => at.plus(KEPT),
        })
    }
}

pub(super) fn key(id: Uuid) -> Key<Delivery> {
    Key::single(Partition::new(format!("logout-delivery:{}", id.simple())))
}

const TRIES: u8 = 3;

/// After the first try, and after the second.
const PAUSES: [Duration; 2] = [Duration::from_secs(10), Duration::from_secs(60)];

/// A try takes three seconds at most, and its server has to note how it went.
pub(super) const LEASE: Duration = Duration::from_secs(15);

/// How long anything is remembered here.
pub(super) const KEPT: Duration = Duration::from_secs(24 * 3600);
