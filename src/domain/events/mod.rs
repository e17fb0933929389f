//! What happened: each event is reported once, then logged, counted and kept.
//!
//! An event holds ids and words of a fixed list ([`words`]), never a token, a secret or what a user typed. The one
//! exception is the id that a client claims and fails to prove, escaped and cut.
//!
//! - `event.rs`, `words.rs`: the events and the words in them.
//! - `audit_log.rs`: a line of the audit log (`target: "audit"`) for each.
//! - `counters.rs`, `store_counters.rs`, `cache_counters.rs`: the metrics.
//! - `kept.rs`: the events of the last week, in the store.

mod audit_log;
mod cache_counters;
mod counters;
mod event;
mod kept;
mod store_counters;
mod words;

use std::net::IpAddr;

pub use self::cache_counters::CacheCounters;
pub use self::counters::Counters;
pub use self::event::Event;
use self::kept::Waiting;
pub use self::kept::{
    EVENT_RETENTION, EventPage, KEPT_KINDS, KeptEvent, LOGGED_KINDS, keep, kept_since,
};
pub use self::store_counters::StoreCounters;
pub use self::words::{
    Actor, AuthorizationOutcome, ClientAuthFailure, ClientChange, LogoutDeliveryOutcome,
    ResourceChange, RevokedKind, ScopeChange, SignInFailure, SignOutCause, UserChange,
};
use crate::infra::clock::Clock;
use crate::infra::store::{Store, StoreError};

/// Receives every event of this process.
pub struct Events {
    pub counters: Counters,
    clock: Clock,
    waiting: Waiting,
}

impl Events {
    /// With all counts at zero.
    ///
    /// # Panics
    /// Never: the names are constants that do not clash.
    pub fn new(clock: Clock) -> Self {
        let counters = Counters::new().expect("constant metric names");
        Self { counters, clock, waiting: Waiting::default() }
    }

    /// Counts the event, queues it for [`keep_waiting`](Self::keep_waiting) and writes its line of the audit
    /// log. The request id is on the surrounding span.
    pub fn tell(&self, address: Option<IpAddr>, event: &Event<'_>) {
        self.counters.count(event);
        if let Some(kept) = KeptEvent::of(event, address, self.clock.now()) {
            self.waiting.push(kept);
        }
        audit_log::write(address, event);
    }

    /// Writes the queued events to the store, where they can be looked up.
    pub async fn keep_waiting(&self, store: &dyn Store) -> Result<(), StoreError> {
        let waiting = self.waiting.take();
        if waiting.is_empty() { Ok(()) } else { keep(store, &waiting).await }
    }
}
