use super::words::{
    Actor, AuthorizationOutcome, ClientAuthFailure, ClientChange, LogoutDeliveryOutcome,
    ResourceChange, RevokedKind, ScopeChange, SignInFailure, SignOutCause, UserChange,
};
use crate::domain::grants::GrantError;
use crate::domain::keys::{KeyUse, Phase};
use crate::protocol::GrantType;

/// Something that happened, to be logged, counted and in most cases kept ([`super::Events::record`]).
///
/// The words that reach the audit log and the metrics come from `as_str` of each field's type, so that
/// renaming a variant changes nothing an operator's alert depends on.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    SignedIn {
        sub: &'a str,
        username: &'a str,
        client: &'a str,
    },
    SignInFailed {
        client: &'a str,
        reason: SignInFailure,
        account: SignInAccount<'a>,
    },
    /// An account is locked because too many sign-ins failed.
    AccountLocked {
        sub: &'a str,
    },
    AccountUnlocked {
        sub: &'a str,
        by: Actor,
    },
    SignedOut {
        sub: &'a str,
        how: SignOutCause,
    },
    /// One attempt to notify a client that a session ended.
    LogoutNotified {
        client: &'a str,
        outcome: LogoutDeliveryOutcome,
    },
    ConsentGiven {
        sub: &'a str,
        client: &'a str,
        scope: &'a str,
    },
    ConsentWithdrawn {
        sub: &'a str,
        client: &'a str,
        by: Actor,
    },
    ConsentDenied {
        sub: &'a str,
        client: &'a str,
    },
    /// An authorization request was answered.
    Authorized {
        client: &'a str,
        outcome: AuthorizationOutcome,
    },
    TokensIssued {
        client: &'a str,
        sub: Option<&'a str>,
        grant: GrantType,
    },
    /// A token request was refused; `reason` is the exact check, which the client is not told.
    TokenRefused {
        client: &'a str,
        reason: &'a GrantError,
    },
    /// A used code or a replaced refresh token came back: there may be a copy of it.
    ReuseDetected {
        client: &'a str,
        grant: GrantType,
    },
    /// A client failed to authenticate. `client` is what the request claimed, if anything, escaped and cut.
    /// `hint` helps to repair the client and goes into the log only.
    ClientAuthFailed {
        client: &'a str,
        reason: ClientAuthFailure,
        hint: Option<&'a str>,
    },
    Revoked {
        client: &'a str,
        what: RevokedKind,
    },
    ClientChanged {
        client: &'a str,
        change: ClientChange,
        by: Actor,
    },
    ScopeChanged {
        scope: &'a str,
        change: ScopeChange,
        by: Actor,
    },
    ResourceChanged {
        resource: &'a str,
        change: ResourceChange,
        by: Actor,
    },
    UserChanged {
        sub: &'a str,
        change: UserChange,
        by: Actor,
    },
    /// A key entered another phase; `Phase::Gone` is logged as `removed`.
    KeyChanged {
        kid: &'a str,
        purpose: KeyUse,
        phase: Phase,
    },
}

/// The account of a failed sign-in.
#[derive(Clone, Copy, Debug)]
pub enum SignInAccount<'a> {
    Sub(&'a str),
    /// A keyed digest of a user name that does not exist: what was typed there may be a password.
    UnknownName {
        digest: &'a str,
    },
}

impl Event<'_> {
    /// The word for a key's phase in the audit log.
    pub(super) const fn phase_word(phase: Phase) -> &'static str {
        match phase {
            Phase::Published | Phase::Signing | Phase::Retired => phase.as_str(),
            Phase::Gone => "removed",
        }
    }
}
