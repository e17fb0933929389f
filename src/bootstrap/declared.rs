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

impl<'a, T: PartialEq> Word<'a, T> {
    /// `before` is what the file said before, if it said something, and nothing where that was not
    /// remembered.
    pub(super) fn of(declared: Option<&'a T>, before: Option<Option<&T>>) -> Self {
        match (declared, before) {
            (None, _) => Self::Silent,
            (Some(declared), None) => Self::Unknown(declared),
            (Some(declared), Some(Some(before))) if declared == before => Self::Same(declared),
            (Some(declared), Some(_)) => Self::New(declared),
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
            // file,        before,            stored, becomes, and is said to be kept
            (None,          None,              true,   (true,  None)),
            (None,          Some(Some(false)), false,  (false, None)),
            (Some(true),    Some(Some(true)),  false,  (false, Some(Disabled))),
            (Some(true),    Some(Some(true)),  true,   (true,  None)),
            (Some(false),   Some(Some(false)), true,   (true,  Some(Enabled))),
            (Some(true),    Some(Some(false)), false,  (true,  None)),
            (Some(false),   Some(Some(true)),  true,   (false, None)),
            (Some(true),    Some(None),        false,  (true,  None)),
            (Some(false),   Some(None),        true,   (false, None)),
            (Some(true),    None,              false,  (false, Some(Disabled))),
            (Some(false),   None,              true,   (false, None)),
            (Some(true),    None,              true,   (true,  None)),
        ];
        for (file, before, stored, expected) in table {
            let before_ref = before.as_ref().map(Option::as_ref);
            let word = Word::of(file.as_ref(), before_ref);
            assert_eq!(word.enabled(stored), expected, "{file:?} {before:?} {stored}");
        }
    }
}
