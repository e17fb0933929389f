use std::net::IpAddr;

use super::{Event, SignInAccount};

/// Writes one line of the audit log. Its `event` and its fields are what operators search and alert on.
pub(super) fn write(address: Option<IpAddr>, event: &Event<'_>) {
    let from = address.map(tracing::field::display);
    match *event {
        Event::SignedIn { sub, username, client } => {
            tracing::info!(target: "audit", event = "signed_in", sub, username, client, from);
        }
        Event::SignInFailed { client, reason, account } => {
            let reason = reason.as_str();
            let (sub, name_digest) = match account {
                SignInAccount::Sub(sub) => (Some(sub), None),
                SignInAccount::UnknownName { digest } => (None, Some(digest)),
            };
            tracing::warn!(
                target: "audit", event = "sign_in_failed", client, reason, sub, name_digest, from
            );
        }
        Event::AccountLocked { sub } => {
            tracing::warn!(target: "audit", event = "account_locked", sub, from);
        }
        Event::AccountUnlocked { sub, by } => {
            let by = by.as_str();
            tracing::info!(target: "audit", event = "account_unlocked", sub, by, from);
        }
        Event::SignedOut { sub, how } => {
            let how = how.as_str();
            tracing::info!(target: "audit", event = "signed_out", sub, how, from);
        }
        Event::LogoutNotified { client, outcome } => {
            let outcome = outcome.as_str();
            tracing::info!(target: "audit", event = "logout_told", client, outcome, from);
        }
        Event::ConsentGiven { sub, client, scope } => {
            tracing::info!(target: "audit", event = "consent_given", sub, client, scope, from);
        }
        Event::ConsentWithdrawn { sub, client, by } => {
            let by = by.as_str();
            tracing::info!(target: "audit", event = "consent_withdrawn", sub, client, by, from);
        }
        Event::ConsentDenied { sub, client } => {
            tracing::info!(target: "audit", event = "consent_denied", sub, client, from);
        }
        Event::Authorized { client, outcome } => {
            let outcome = outcome.as_str();
            tracing::info!(target: "audit", event = "authorized", client, outcome, from);
        }
        Event::TokensIssued { client, sub, grant } => {
            let grant = grant.as_str();
            tracing::info!(target: "audit", event = "tokens_issued", client, sub, grant, from);
        }
        Event::TokenRefused { client, reason } => {
            let reason = &*reason.as_str();
            tracing::info!(target: "audit", event = "token_refused", client, reason, from);
        }
        Event::ReuseDetected { client, grant } => {
            let reason = grant.as_str();
            tracing::warn!(target: "audit", event = "reuse_detected", client, reason, from);
        }
        Event::ClientAuthFailed { client, reason, hint } => {
            let reason = reason.as_str();
            tracing::warn!(target: "audit", event = "client_auth_failed", client, reason, hint, from);
        }
        Event::Revoked { client, what } => {
            let what = what.as_str();
            tracing::info!(target: "audit", event = "revoked", client, what, from);
        }
        Event::ClientChanged { client, change, by } => {
            let (change, by) = (change.as_str(), by.as_str());
            tracing::info!(target: "audit", event = "client_changed", client, change, by, from);
        }
        Event::ResourceChanged { resource, change, by } => {
            let (change, by) = (change.as_str(), by.as_str());
            tracing::info!(target: "audit", event = "resource_changed", resource, change, by, from);
        }
        Event::ScopeChanged { scope, change, by } => {
            let (change, by) = (change.as_str(), by.as_str());
            tracing::info!(target: "audit", event = "scope_changed", scope, change, by, from);
        }
        Event::UserChanged { sub, change, by } => {
            let (change, by) = (change.as_str(), by.as_str());
            tracing::info!(target: "audit", event = "user_changed", sub, change, by, from);
        }
        Event::KeyChanged { kid, purpose, phase } => {
            let (alg, phase) = (purpose.as_str(), Event::phase_word(phase));
            tracing::info!(target: "audit", event = "key_changed", kid, alg, phase, from);
        }
    }
}
