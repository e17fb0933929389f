//! What happened, told once: an audit line and a count. Rooms tell; audit and metrics listen.
//!
//! An event holds ids and words of ours, never a token, a secret or what somebody typed; the one
//! exception is the id a client claims that then fails to prove it, escaped and cut.

mod cache_counters;
mod counters;
mod kept;
mod store_counters;

use std::net::IpAddr;

pub use self::cache_counters::CacheCounters;
pub use self::counters::Counters;
use self::kept::Waiting;
pub use self::kept::{
    EVENT_RETENTION, EventPage, KEPT_KINDS, KeptEvent, LOGGED_KINDS, keep, kept_since,
};
pub use self::store_counters::StoreCounters;
use crate::infra::clock::Clock;
use crate::infra::store::{Store, StoreError};
use crate::protocol::GrantType;

/// One thing worth remembering.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// Somebody signed in.
    SignedIn { sub: &'a str, username: &'a str, client: &'a str },
    /// Somebody did not; `reason` is one of a fixed list of words. Of a name that nobody has there is a keyed
    /// digest, for what was typed there may be a password.
    SignInFailed { client: &'a str, reason: &'static str, whose: Result<&'a str, &'a str> },
    /// So many failed at one account that it is locked.
    AccountLocked { sub: &'a str },
    /// It is not any more; `by` is one of a fixed list of words.
    AccountUnlocked { sub: &'a str, by: &'static str },
    /// Somebody signed out; `how` is one of a fixed list of words.
    SignedOut { sub: &'a str, how: &'static str },
    /// A try to tell a client that a session ended; `outcome` is one of a fixed list of words.
    LogoutTold { client: &'a str, outcome: &'static str },
    /// A person agreed to something.
    ConsentGiven { sub: &'a str, client: &'a str, scope: &'a str },
    /// A person's consent was taken back; `by` says who asked for it.
    ConsentWithdrawn { sub: &'a str, client: &'a str, by: &'static str },
    /// A person said no.
    ConsentDenied { sub: &'a str, client: &'a str },
    /// An authorization request came to an end.
    Authorized { client: &'a str, outcome: &'static str },
    /// Tokens were issued.
    TokensIssued { client: &'a str, sub: Option<&'a str>, grant: GrantType },
    /// A token request was refused; `reason` is the exact check.
    TokenRefused { client: &'a str, reason: &'a str },
    /// A used code or a replaced refresh token came back: somebody may hold a copy.
    ReuseDetected { client: &'a str, reason: &'a str },
    /// A client failed to prove itself. `client` is what it claimed, if anything, fit to be printed.
    /// `hint` is for who mends it, and only in the log.
    ClientAuthFailed { client: &'a str, reason: &'a str, hint: Option<&'a str> },
    /// A token was revoked.
    Revoked { client: &'a str, what: &'static str },
    /// A client was added, changed or removed; `change` and `by` are words of fixed lists.
    ClientChanged { client: &'a str, change: &'static str, by: &'static str },
    /// A scope was added.
    ScopeChanged { scope: &'a str, change: &'static str, by: &'static str },
    /// An API was declared, changed or removed; `change` and `by` are words of fixed lists.
    ResourceChanged { resource: &'a str, change: &'static str, by: &'static str },
    /// An operator changed an account; `change` and `by` are words of fixed lists.
    UserChanged { sub: &'a str, change: &'static str, by: &'static str },
    /// A key of ours entered another phase.
    KeyChanged { kid: &'a str, alg: &'a str, phase: &'static str },
}

/// Who listens.
pub struct Events {
    /// What is counted.
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

    /// Writes to where they can be looked up what was told since the last time.
    pub async fn keep_waiting(&self, store: &dyn Store) -> Result<(), StoreError> {
        let waiting = self.waiting.take();
        if waiting.is_empty() { Ok(()) } else { keep(store, &waiting).await }
    }

    /// Tells everybody who listens. The request id is on the surrounding span.
    pub fn tell(&self, address: Option<IpAddr>, event: &Event<'_>) {
        self.counters.count(event);
        if let Some(kept) = KeptEvent::of(event, address, self.clock.now()) {
            self.waiting.push(kept);
        }
        let from = address.map(tracing::field::display);
        match *event {
            Event::SignedIn { sub, username, client } => {
                tracing::info!(target: "audit", event = "signed_in", sub, username, client, from);
            }
            Event::SignInFailed { client, reason, whose } => {
                let (sub, name_digest) = (whose.ok(), whose.err());
                tracing::warn!(
                    target: "audit", event = "sign_in_failed", client, reason, sub, name_digest, from
                );
            }
            Event::AccountLocked { sub } => {
                tracing::warn!(target: "audit", event = "account_locked", sub, from);
            }
            Event::AccountUnlocked { sub, by } => {
                tracing::info!(target: "audit", event = "account_unlocked", sub, by, from);
            }
            Event::SignedOut { sub, how } => {
                tracing::info!(target: "audit", event = "signed_out", sub, how, from);
            }
            Event::LogoutTold { client, outcome } => {
                tracing::info!(target: "audit", event = "logout_told", client, outcome, from);
            }
            Event::ConsentGiven { sub, client, scope } => {
                tracing::info!(target: "audit", event = "consent_given", sub, client, scope, from);
            }
            Event::ConsentWithdrawn { sub, client, by } => {
                tracing::info!(target: "audit", event = "consent_withdrawn", sub, client, by, from);
            }
            Event::ConsentDenied { sub, client } => {
                tracing::info!(target: "audit", event = "consent_denied", sub, client, from);
            }
            Event::Authorized { client, outcome } => {
                tracing::info!(target: "audit", event = "authorized", client, outcome, from);
            }
            Event::TokensIssued { client, sub, grant } => {
                let grant = grant.as_str();
                tracing::info!(target: "audit", event = "tokens_issued", client, sub, grant, from);
            }
            Event::TokenRefused { client, reason } => {
                tracing::info!(target: "audit", event = "token_refused", client, reason, from);
            }
            Event::ReuseDetected { client, reason } => {
                tracing::warn!(target: "audit", event = "reuse_detected", client, reason, from);
            }
            Event::ClientAuthFailed { client, reason, hint } => {
                tracing::warn!(target: "audit", event = "client_auth_failed", client, reason, hint, from);
            }
            Event::Revoked { client, what } => {
                tracing::info!(target: "audit", event = "revoked", client, what, from);
            }
            Event::ClientChanged { client, change, by } => {
                tracing::info!(target: "audit", event = "client_changed", client, change, by, from);
            }
            Event::ResourceChanged { resource, change, by } => {
                tracing::info!(target: "audit", event = "resource_changed", resource, change, by, from);
            }
            Event::ScopeChanged { scope, change, by } => {
                tracing::info!(target: "audit", event = "scope_changed", scope, change, by, from);
            }
            Event::UserChanged { sub, change, by } => {
                tracing::info!(target: "audit", event = "user_changed", sub, change, by, from);
            }
            Event::KeyChanged { kid, alg, phase } => {
                tracing::info!(target: "audit", event = "key_changed", kid, alg, phase, from);
            }
        }
    }
}
