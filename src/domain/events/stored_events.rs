//! Events of the last week, stored so that an operator can look them up (`latchkey events`).
//!
//! The audit log has every event and is what to ship and archive. Token requests and single authorizations are in
//! the log only: they would be most of what is stored. Queued events are written once a second, five minutes to a
//! record of a bounded size. A flood of failed sign-ins fills the part for frequent events and no more, and the record
//! counts what was left out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{Actor, Event, SignInAccount};
use crate::infra::clock::UnixTime;
use crate::infra::store::{Key, Partition, Record, Store, StoreError};

pub const EVENT_RETENTION: Duration = Duration::from_secs(7 * 86_400);
/// The words of the events that are stored.
pub const STORED_KINDS: &[&str] = &[
    "signed_in",
    "sign_in_failed",
    "account_locked",
    "account_unlocked",
    "signed_out",
    "consent_given",
    "consent_withdrawn",
    "consent_denied",
    "reuse_detected",
    "client_auth_failed",
    "revoked",
    "client_changed",
    "user_changed",
    "scope_changed",
    "resource_changed",
    "key_changed",
];
/// The words of the events that are in the audit log only.
pub const LOGGED_KINDS: &[&str] = &["authorized", "tokens_issued", "token_refused", "logout_told"];
/// The time one record covers.
const PAGE_MILLIS: u64 = 5 * 60 * 1000;
/// How many events that anybody can cause fit into a record.
const MAX_FREQUENT_PER_PAGE: usize = 200;
/// How many events fit into a record in all.
const MAX_PER_PAGE: usize = 300;

/// An event as it is stored, with the words of the audit log.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct StoredEvent {
    pub at: UnixTime,
    pub event: String,
    #[serde(default, deserialize_with = "deserialize_strings")]
    pub fields: BTreeMap<String, String>,
}

impl StoredEvent {
    /// `None` for the kinds that are in the audit log only.
    pub(super) fn of(event: &Event<'_>, address: Option<IpAddr>, at: UnixTime) -> Option<Self> {
        let (word, fields) = stored_fields(event)?;
        let mut fields: BTreeMap<_, _> =
            fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        if let Some(address) = address {
            fields.insert("from".to_owned(), address.to_string());
        }
        Some(Self { at, event: word.to_owned(), fields })
    }

    /// Whether anybody can cause as many of these as they like.
    fn is_frequent(&self) -> bool {
        let is_own = matches!(
            &*self.event,
            "account_locked"
                | "account_unlocked"
                | "user_changed"
                | "scope_changed"
                | "resource_changed"
                | "key_changed"
        );
        let by = self.fields.get("by").and_then(|word| Actor::parse(word));
        let by_operator = by.is_some_and(Actor::is_operator);
        !is_own && !by_operator
    }
}

/// Leaves out fields that are not strings: a later release may have some.
fn deserialize_strings<'de, D: Deserializer<'de>>(
    reader: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let fields = BTreeMap::<String, Value>::deserialize(reader)?;
    let text = |(name, value)| match value {
        Value::String(text) => Some((name, text)),
        _ => None,
    };
    Ok(fields.into_iter().filter_map(text).collect())
}

type Fields<'a> = Vec<(&'static str, &'a str)>;

/// The word and the fields of an event that is stored.
fn stored_fields<'a>(event: &Event<'a>) -> Option<(&'static str, Fields<'a>)> {
    Some(match *event {
        Event::Authorized { .. }
        | Event::TokensIssued { .. }
        | Event::TokenRefused { .. }
        | Event::LogoutNotified { .. } => return None,
        Event::SignedIn { sub, username, client } => {
            ("signed_in", vec![("sub", sub), ("username", username), ("client", client)])
        }
        Event::SignInFailed { client, reason, account } => {
            let account = match account {
                SignInAccount::Sub(sub) => ("sub", sub),
                SignInAccount::UnknownName { digest } => ("name_digest", digest),
            };
            ("sign_in_failed", vec![("client", client), ("reason", reason.as_str()), account])
        }
        Event::AccountLocked { sub } => ("account_locked", vec![("sub", sub)]),
        Event::AccountUnlocked { sub, by } => {
            ("account_unlocked", vec![("sub", sub), ("by", by.as_str())])
        }
        Event::SignedOut { sub, how } => ("signed_out", vec![("sub", sub), ("how", how.as_str())]),
        Event::ConsentGiven { sub, client, scope } => {
            ("consent_given", vec![("sub", sub), ("client", client), ("scope", scope)])
        }
        Event::ConsentWithdrawn { sub, client, by } => {
            ("consent_withdrawn", vec![("sub", sub), ("client", client), ("by", by.as_str())])
        }
        Event::ConsentDenied { sub, client } => {
            ("consent_denied", vec![("sub", sub), ("client", client)])
        }
        Event::ReuseDetected { client, grant } => {
            ("reuse_detected", vec![("client", client), ("reason", grant.as_str())])
        }
        Event::ClientAuthFailed { client, reason, hint: _ } => {
            ("client_auth_failed", vec![("client", client), ("reason", reason.as_str())])
        }
        Event::Revoked { client, what } => {
            ("revoked", vec![("client", client), ("what", what.as_str())])
        }
        Event::ClientChanged { client, change, by } => (
            "client_changed",
            vec![("client", client), ("change", change.as_str()), ("by", by.as_str())],
        ),
        Event::UserChanged { sub, change, by } => {
            ("user_changed", vec![("sub", sub), ("change", change.as_str()), ("by", by.as_str())])
        }
        Event::ResourceChanged { resource, change, by } => (
            "resource_changed",
            vec![("resource", resource), ("change", change.as_str()), ("by", by.as_str())],
        ),
        Event::ScopeChanged { scope, change, by } => (
            "scope_changed",
            vec![("scope", scope), ("change", change.as_str()), ("by", by.as_str())],
        ),
        Event::KeyChanged { kid, purpose, phase } => {
            let (alg, phase) = (purpose.as_str(), Event::phase_word(phase));
            ("key_changed", vec![("kid", kid), ("alg", alg), ("phase", phase)])
        }
    })
}

/// Events waiting to be written to the store.
#[derive(Debug, Default)]
pub(super) struct EventQueue(Mutex<Vec<StoredEvent>>);

impl EventQueue {
    /// Drops the event if so many wait that the store is far behind; the audit log has it.
    pub fn push(&self, event: StoredEvent) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < 4 * MAX_PER_PAGE {
            waiting.push(event);
        }
    }

    pub fn drain(&self) -> Vec<StoredEvent> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Five minutes of events.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct EventPage {
    span: u64,
    events: Vec<StoredEvent>,
    /// How many events did not fit.
    #[serde(default)]
    left_out: u64,
}

impl Record for EventPage {
    const KIND: &'static str = "events.v1";

    fn key(&self) -> Key<Self> {
        page_key(self.span)
    }

    fn delete_after(&self) -> Option<UnixTime> {
        Some(UnixTime::from_millis((self.span + 1) * PAGE_MILLIS).plus(EVENT_RETENTION))
    }
}

fn page_key(span: u64) -> Key<EventPage> {
    Key::single(Partition::new(format!("events:{span}")))
}

impl EventPage {
    fn append(&mut self, new: &[StoredEvent]) {
        let mut frequent = self.events.iter().filter(|it| it.is_frequent()).count();
        for event in new {
            let is_frequent = event.is_frequent();
            if self.events.len() >= MAX_PER_PAGE
                || (is_frequent && frequent >= MAX_FREQUENT_PER_PAGE)
            {
                self.left_out += 1;
                continue;
            }
            frequent += usize::from(is_frequent);
            self.events.push(event.clone());
        }
    }
}

/// Appends events to the records of their time.
pub async fn store_events(store: &dyn Store, events: &[StoredEvent]) -> Result<(), StoreError> {
    let span = |event: &StoredEvent| event.at.as_millis() / PAGE_MILLIS;
    for new in events.chunk_by(|one, other| span(one) == span(other)) {
        let span = span(&new[0]);
        let blank = EventPage { span, events: Vec::new(), left_out: 0 };
        store.upsert(&blank, |page| page.append(new)).await?;
    }
    Ok(())
}

/// The stored events since `since`, the oldest first, and how many were left out.
pub async fn events_since(
    store: &dyn Store,
    since: UnixTime,
    now: UnixTime,
) -> Result<(Vec<StoredEvent>, u64), StoreError> {
    let since = since.max(now.minus(EVENT_RETENTION));
    let (mut events, mut left_out) = (Vec::new(), 0);
    // One record more: another server's clock may be ahead.
    for span in since.as_millis() / PAGE_MILLIS..=now.as_millis() / PAGE_MILLIS + 1 {
        let Some(page) = store.load(&page_key(span)).await? else { continue };
        left_out += page.record.left_out;
        events.extend(page.record.events.into_iter().filter(|event| event.at >= since));
    }
    // Servers append when they flush, so a record is not in order.
    events.sort_by_key(|event| event.at);
    Ok((events, left_out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infra::clock::Clock;
    use crate::infra::store::MemoryStore;

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

    fn event(word: &str, at: UnixTime) -> StoredEvent {
        StoredEvent { at, event: word.to_owned(), fields: BTreeMap::new() }
    }

    #[tokio::test]
    async fn events_are_found_in_their_order_for_a_week_and_then_forgotten() {
        let clock = Clock::manual(NOW);
        let store: Box<dyn Store> = Box::new(MemoryStore::new(clock.clone()));
        let later = NOW.plus(Duration::from_secs(600));
        store_events(&*store, &[event("b", later)]).await.unwrap();
        store_events(&*store, &[event("a", NOW), event("c", later)]).await.unwrap();
        let found = async |since| {
            let (found, left_out) = events_since(&*store, since, clock.now()).await.unwrap();
            assert_eq!(left_out, 0);
            found.into_iter().map(|it| it.event).collect::<Vec<_>>()
        };
        clock.advance(Duration::from_secs(601));
        assert_eq!(found(NOW).await, ["a", "b", "c"]);
        assert_eq!(found(later).await, ["b", "c"]);
        clock.advance(EVENT_RETENTION);
        assert_eq!(found(UnixTime::from_secs(0)).await, [""; 0]);
        clock.advance(Duration::from_secs(600));
        assert!(store.load(&page_key(NOW.as_millis() / PAGE_MILLIS)).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_flood_of_sign_ins_leaves_room_for_what_the_operator_did_and_is_counted() {
        let store: Box<dyn Store> = Box::new(MemoryStore::new(Clock::manual(NOW)));
        let flood = vec![event("sign_in_failed", NOW); 1000];
        store_events(&*store, &flood).await.unwrap();
        store_events(&*store, &[event("user_changed", NOW)]).await.unwrap();
        let (found, left_out) = events_since(&*store, NOW, NOW).await.unwrap();
        assert_eq!(
            (found.len(), left_out),
            (MAX_FREQUENT_PER_PAGE + 1, 1000 - MAX_FREQUENT_PER_PAGE as u64)
        );
        assert_eq!(found.last().map(|it| &*it.event), Some("user_changed"));
    }
}
