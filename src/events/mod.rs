//! What happened, told once: an audit line and a count. Rooms tell; audit and metrics listen.
//!
//! An event holds ids and words of ours, never a token, a secret or what somebody typed; the one
//! exception is the id a client claims that then fails to prove it, escaped and cut.

mod cache_counters;
mod counters;
mod store_counters;

use std::net::IpAddr;

pub use self::cache_counters::CacheCounters;
pub use self::counters::Counters;
pub use self::store_counters::StoreCounters;
use crate::protocol::GrantType;

/// One thing worth remembering.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// Somebody signed in.
    SignedIn { sub: &'a str, client: &'a str },
    /// Somebody did not; `reason` is one of a fixed list of words.
    SignInFailed { client: &'a str, reason: &'static str },
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
    ClientAuthFailed { client: &'a str, reason: &'a str },
    /// A token was revoked.
    Revoked { client: &'a str, what: &'static str },
    /// A client registered, changed or removed itself.
    ClientChanged { client: &'a str, change: &'static str },
    /// An operator changed an account; `change` and `by` are words of fixed lists.
    UserChanged { sub: &'a str, change: &'static str, by: &'static str },
    /// A key of ours entered another phase.
    KeyChanged { kid: &'a str, alg: &'a str, phase: &'static str },
}

/// Who listens.
pub struct Events {
    /// What is counted.
    pub counters: Counters,
}

impl Events {
    /// With all counts at zero.
    ///
    /// # Panics
    /// Never: the names are constants that do not clash.
    pub fn new() -> Self {
        Self { counters: Counters::new().expect("constant metric names") }
    }

    /// Tells everybody who listens. The request id is on the surrounding span.
    pub fn tell(&self, address: Option<IpAddr>, event: &Event<'_>) {
        self.counters.count(event);
        let from = address.map(tracing::field::display);
        match *event {
            Event::SignedIn { sub, client } => {
                tracing::info!(target: "audit", event = "signed_in", sub, client, from);
            }
            Event::SignInFailed { client, reason } => {
                tracing::warn!(target: "audit", event = "sign_in_failed", client, reason, from);
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
            Event::ClientAuthFailed { client, reason } => {
                tracing::warn!(target: "audit", event = "client_auth_failed", client, reason, from);
            }
            Event::Revoked { client, what } => {
                tracing::info!(target: "audit", event = "revoked", client, what, from);
            }
            Event::ClientChanged { client, change } => {
                tracing::info!(target: "audit", event = "client_changed", client, change, from);
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

impl Default for Events {
    fn default() -> Self {
        Self::new()
    }
}
