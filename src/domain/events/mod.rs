//! What happened: each event is reported once, then logged, counted and kept.
//!
//! An event holds ids and words of a fixed list ([`words`]), never a token, a secret or what a user typed. The one
//! exception is the id that a client claims and fails to prove, escaped and cut.
//!
//! - `event.rs`, `words.rs`: the events and the words in them.
//! - `audit_log.rs`: a line of the audit log (`target: "audit"`) for each.
//! - `counters.rs`, `store_counters.rs`, `cache_counters.rs`: the metrics.
//! - `stored_events.rs`: the events of the last week, in the store.

mod audit_log;
mod cache_counters;
mod counters;
mod event;
mod store_counters;
mod stored_events;
mod words;

use std::net::IpAddr;

pub use self::cache_counters::CacheCounters;
pub use self::counters::Counters;
pub use self::event::{Event, SignInAccount};
pub use self::store_counters::StoreCounters;
use self::stored_events::EventQueue;
pub use self::stored_events::{
    EVENT_RETENTION, EventPage, LOGGED_KINDS, STORED_KINDS, StoredEvent, events_since, store_events,
};
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
    queue: EventQueue,
}

impl Events {
    /// With all counts at zero.
    ///
    /// # Panics
    /// Never: the names are constants that do not clash.
    pub fn new(clock: Clock) -> Self {
        let counters = Counters::new().expect("constant metric names");
        Self { counters, clock, queue: EventQueue::default() }
    }

    /// Counts the event, queues it for [`flush`](Self::keep_waiting) and writes its line of the audit
    /// log. The request id is on the surrounding span.
    pub fn record(&self, address: Option<IpAddr>, event: &Event<'_>) {
        self.counters.count(event);
        if let Some(kept) = StoredEvent::of(event, address, self.clock.now()) {
            self.queue.push(kept);
        }
        audit_log::write(address, event);
    }

    /// Writes the queued events to the store, where they can be looked up.
    pub async fn flush(&self, store: &dyn Store) -> Result<(), StoreError> {
        let waiting = self.queue.drain();
        if waiting.is_empty() { Ok(()) } else { store_events(store, &waiting).await }
    }
}
