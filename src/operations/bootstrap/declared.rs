//! Whether a value of the file counts, where somebody may have changed what it set.
//!
//! A password, a client secret or `enabled` that was changed by command line was changed for a reason,
//! perhaps because the one in the file had leaked. The file must not undo that at the next start: such a
//! value counts when something is created, and when the file's own word changes. So what the file said last
//! is remembered with the record.

/// The file's value beside what it was when it was last looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Word<'a, T> {
    /// The file says nothing.
    Silent,
    /// It says what it said before.
    Same(&'a T),
    /// It says something else.
    New(&'a T),
    /// What it said before was not remembered: the record is of a release that did not.
    Unknown(&'a T),
}

/// A switch that stays otherwise than the file has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kept {
    /// Off, though the file says on.
    Disabled,
    /// On, though the file says off.
    Enabled,
}

/// What the file said before.
#[derive(Clone, Copy, Debug)]
pub(super) enum Before<'a, T> {
    /// That was not remembered.
    Unknown,
    /// It said nothing.
    Silent,
    /// It said this.
    Said(&'a T),
}

impl<'a, T> Before<'a, T> {
    /// Of what is remembered with the record, if anything is.
    pub(super) fn of<R>(remembered: Option<&'a R>, value: fn(&R) -> Option<&T>) -> Self {
        match remembered.map(value) {
            None => Self::Unknown,
            Some(None) => Self::Silent,
            Some(Some(said)) => Self::Said(said),
        }
    }
}

impl<'a, T: PartialEq> Word<'a, T> {
    pub(super) fn of(declared: Option<&'a T>, before: Before<'_, T>) -> Self {
        match (declared, before) {
            (None, _) => Self::Silent,
            (Some(declared), Before::Unknown) => Self::Unknown(declared),
            (Some(declared), Before::Said(before)) if declared == before => Self::Same(declared),
            (Some(declared), Before::Said(_) | Before::Silent) => Self::New(declared),
        }
    }
}

impl Word<'_, bool> {
    /// Whether it is enabled from now on, and what there is to be said about it. Where nothing is known,
    /// off wins: nobody is let in again by mistake.
    pub(super) fn enabled(self, stored: bool) -> (bool, Option<Kept>) {
        let kept = |declared: bool| match (declared, stored) {
            (true, false) => Some(Kept::Disabled),
            (false, true) => Some(Kept::Enabled),
            (true, true) | (false, false) => None,
        };
        match self {
            Self::Silent => (stored, None),
            Self::Same(declared) => (stored, kept(*declared)),
            Self::New(declared) => (*declared, None),
            Self::Unknown(declared) => {
                let next = stored && *declared;
                (next, kept(*declared).filter(|_| next == stored))
            }
        }
    }
}

impl Kept {
    /// For the log.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => {
                "was disabled since, and stays so although the bootstrap file says enabled = true; the \
                 file's word counts again when it changes"
            }
            Self::Enabled => {
                "was enabled since, and stays so although the bootstrap file says enabled = false; the \
                 file's word counts again when it changes"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_counts_when_it_is_new_and_off_wins_where_nothing_is_known() {
        use Kept::{Disabled, Enabled};
        #[rustfmt::skip]
        let table = [
            // file,      before,              stored, becomes, and is said to be kept
            (None,        Before::Unknown,      true,  (true,  None)),
            (None,        Before::Said(&false), false, (false, None)),
            (Some(true),  Before::Said(&true),  false, (false, Some(Disabled))),
            (Some(true),  Before::Said(&true),  true,  (true,  None)),
            (Some(false), Before::Said(&false), true,  (true,  Some(Enabled))),
            (Some(true),  Before::Said(&false), false, (true,  None)),
            (Some(false), Before::Said(&true),  true,  (false, None)),
            (Some(true),  Before::Silent,       false, (true,  None)),
            (Some(false), Before::Silent,       true,  (false, None)),
            (Some(true),  Before::Unknown,      false, (false, Some(Disabled))),
            (Some(false), Before::Unknown,      true,  (false, None)),
            (Some(true),  Before::Unknown,      true,  (true,  None)),
        ];
        for (file, before, stored, expected) in table {
            let word = Word::of(file.as_ref(), before);
            assert_eq!(word.enabled(stored), expected, "{file:?} {before:?} {stored}");
        }
    }
}
