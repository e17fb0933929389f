//! What declaring a user and declaring a client have in common: the outcome, the errors, and which declared value
//! takes effect.
//!
//! A declaration creates a record or makes it what was declared. A password, a client secret or `enabled` takes
//! effect only when the record is created and when the declared value itself changes. An operator may have changed
//! it by command line since, perhaps because the declared secret had leaked, and the next start must not undo that.
//! So the record remembers what was declared last (`User::declared`, `Client::declared`).

use crate::infra::store::StoreError;

/// What applying a declaration did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeclareOutcome {
    Created,
    Changed,
    Unchanged,
}

impl DeclareOutcome {
    pub(super) fn of_update<C>(changes: &[C]) -> Self {
        if changes.is_empty() { Self::Unchanged } else { Self::Changed }
    }
}

/// Takes what an operator should hear of values that took effect only now, or did not. It is called as soon as the
/// record is stored: a later step may fail, and the next declaration finds nothing to remark.
pub type OnRemark<'a> = dyn FnMut(Remark) + Send + 'a;

/// How a stored value relates to the declared one, where that may surprise the operator.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Remark {
    /// Declared enabled, disabled since, and left so.
    KeptDisabled,
    /// Declared disabled, enabled since, and left so.
    KeptEnabled,
    /// The client has other secrets than the declared ones, and keeps them.
    KeptSecrets,
    /// The password was changed since it was declared, and is kept.
    KeptPassword,
    /// The stored password is not the declared one and is kept, for nothing is known of what was declared before.
    KeptUnknownPassword,
    /// The declared password is new, and was set.
    NewPassword,
}

/// Why a record could not be made what was declared.
#[derive(Debug, thiserror::Error)]
pub enum DeclareError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No password could be hashed in time.
    #[error("no password could be hashed: the machine is too busy")]
    HasherBusy,
    /// What the store holds contradicts the declaration.
    #[error("{0}")]
    Conflict(&'static str),
}

/// A declared value beside the one that was declared before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum DeclaredValue<'a, T> {
    /// Nothing is declared.
    Absent,
    /// The same was declared before.
    Same(&'a T),
    /// Something else, or nothing, was declared before.
    New(&'a T),
    /// What was declared before is not known: the record is of a release that did not remember it.
    Unknown(&'a T),
}

/// The declaration that was applied before.
#[derive(Clone, Copy, Debug)]
pub(super) enum PreviousValue<'a, T> {
    /// It was not remembered.
    Unknown,
    /// Nothing was declared.
    Absent,
    Declared(&'a T),
}

impl<'a, T> PreviousValue<'a, T> {
    /// One value of what the record remembers, if it remembers anything.
    pub fn of<R>(remembered: Option<&'a R>, value: fn(&R) -> Option<&T>) -> Self {
        match remembered.map(value) {
            None => Self::Unknown,
            Some(None) => Self::Absent,
            Some(Some(declared)) => Self::Declared(declared),
        }
    }
}

impl<'a, T: PartialEq> DeclaredValue<'a, T> {
    pub fn of(declared: Option<&'a T>, previous: PreviousValue<'_, T>) -> Self {
        match (declared, previous) {
            (None, _) => Self::Absent,
            (Some(declared), PreviousValue::Unknown) => Self::Unknown(declared),
            (Some(declared), PreviousValue::Declared(previous)) if declared == previous => {
                Self::Same(declared)
            }
            (Some(declared), PreviousValue::Declared(_) | PreviousValue::Absent) => {
                Self::New(declared)
            }
        }
    }
}

impl DeclaredValue<'_, bool> {
    /// Whether the record is enabled from now on, and what to remark. Where the previous value is not known, off
    /// wins, so that no disabled account is enabled by mistake.
    pub fn enabled(self, stored: bool) -> (bool, Option<Remark>) {
        let kept = |declared: bool| match (declared, stored) {
            (true, false) => Some(Remark::KeptDisabled),
            (false, true) => Some(Remark::KeptEnabled),
            (true, true) | (false, false) => None,
        };
        match self {
            Self::Absent => (stored, None),
            Self::Same(declared) => (stored, kept(*declared)),
            Self::New(declared) => (*declared, None),
            Self::Unknown(declared) => {
                let next = stored && *declared;
                (next, kept(*declared).filter(|_| next == stored))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_counts_when_it_is_new_and_off_wins_where_nothing_is_known() {
        use PreviousValue::{Absent, Declared, Unknown};
        use Remark::{KeptDisabled, KeptEnabled};
        #[rustfmt::skip]
        let table = [
            // declared,  previously,       stored, becomes, and the remark
            (None,        Unknown,          true,  (true,  None)),
            (None,        Declared(&false), false, (false, None)),
            (Some(true),  Declared(&true),  false, (false, Some(KeptDisabled))),
            (Some(true),  Declared(&true),  true,  (true,  None)),
            (Some(false), Declared(&false), true,  (true,  Some(KeptEnabled))),
            (Some(true),  Declared(&false), false, (true,  None)),
            (Some(false), Declared(&true),  true,  (false, None)),
            (Some(true),  Absent,           false, (true,  None)),
            (Some(false), Absent,           true,  (false, None)),
            (Some(true),  Unknown,          false, (false, Some(KeptDisabled))),
            (Some(false), Unknown,          true,  (false, None)),
            (Some(true),  Unknown,          true,  (true,  None)),
        ];
        for (declared, previous, stored, expected) in table {
            let value = DeclaredValue::of(declared.as_ref(), previous);
            assert_eq!(value.enabled(stored), expected, "{declared:?} {previous:?} {stored}");
        }
    }
}
