use std::time::Duration;

use super::{ClientId, Family, Grant, Refusal, Standing, Why};
use crate::clock::UnixTime;

/// What a client shows to trade a refresh token for the next one: the MAC was checked before.
#[derive(Clone, Copy, Debug)]
pub struct Rotation<'a> {
    /// Who asks, authenticated.
    pub client: &'a ClientId,
    /// p: the generation it holds.
    pub presented: u64,
    /// How long the one before the newest is tolerated.
    pub grace: Duration,
}

/// What the table says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rotated {
    /// Give out this generation, and the family becomes that.
    Answer {
        /// The generation to give out.
        generation: u64,
        /// The family from now on.
        family: Family,
    },
    /// Somebody holds a copy: the family ends.
    Reuse,
}

impl Family {
    /// A new family, of which generation 0 is about to be given out.
    pub fn begin(idle: Duration, absolute: Duration, now: UnixTime) -> Self {
        let absolute_end = now.plus(absolute);
        let idle_end = now.plus(idle).min(absolute_end);
        Self { current: 0, tolerated: None, rotated_at: now, idle_end, absolute_end, idle }
    }

    /// Refresh tokens that survive real networks ([RFC 9700 §4.14.2] asks for rotation; the rest is
    /// so that a lost answer, a retry or a second tab logs nobody out).
    ///
    /// With g the newest generation, q the one tolerated before it, p the one presented:
    ///
    /// | p | when | answer | family becomes |
    /// |---|---|---|---|
    /// | p = g | | g+1 | g+1, q := g |
    /// | p = q | within the grace | g again, the same bytes | unchanged |
    /// | p = q | later: g was never used, or q would not be q | g+1, g is void | g+1, q unchanged |
    /// | p = q | the grace is zero: nothing that was replaced is answered | refused | ended |
    /// | p > g | the store was rolled back by a failover | p+1 | p+1, q := p |
    /// | else | | refused | ended |
    ///
    /// There is never more than one live successor, and theft shows when thief and victim diverge.
    ///
    /// [RFC 9700 §4.14.2]: https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2
    pub fn rotate(self, presented: u64, grace: Duration, now: UnixTime) -> Rotated {
        let step = |generation: u64, tolerated| {
            let idle_end = now.plus(self.idle).min(self.absolute_end);
            let next = Self {
                current: generation,
                tolerated: Some(tolerated),
                rotated_at: now,
                idle_end,
                ..self
            };
            Rotated::Answer { generation, family: next }
        };
        if presented >= self.current {
            return step(presented.saturating_add(1), presented);
        }
        if self.tolerated != Some(presented) || grace.is_zero() {
            return Rotated::Reuse;
        }
        if now < self.rotated_at.plus(grace) {
            return Rotated::Answer { generation: self.current, family: self };
        }
        step(self.current.saturating_add(1), presented)
    }
}

impl Grant {
    /// Rotates the refresh token, and answers the generation to give out.
    ///
    /// The client first, so that nobody ends another's family; then whether the grant stands and the
    /// family lives; only then the table.
    pub fn rotate(&mut self, shown: Rotation<'_>, now: UnixTime) -> Result<u64, Refusal> {
        if self.client != *shown.client {
            return Err(Refusal::WrongClient);
        }
        if self.standing != Standing::Good {
            return Err(Refusal::Revoked);
        }
        let Some(family) = self.refresh else { return Err(Refusal::NoRefresh) };
        if now >= family.idle_end || now >= family.absolute_end {
            return Err(Refusal::Expired);
        }
        match family.rotate(shown.presented, shown.grace, now) {
            Rotated::Answer { generation, family } => {
                self.refresh = Some(family);
                Ok(generation)
            }
            Rotated::Reuse => {
                self.revoke(now, Why::RefreshReplayed);
                Err(Refusal::Replayed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixTime = UnixTime::from_millis(1_700_000_000_000);
    const GRACE: Duration = Duration::from_secs(30);
    const IDLE: Duration = Duration::from_secs(7 * 86_400);
    const ABSOLUTE: Duration = Duration::from_secs(30 * 86_400);

    fn family(current: u64, tolerated: Option<u64>) -> Family {
        Family { current, tolerated, ..Family::begin(IDLE, ABSOLUTE, NOW) }
    }

    #[test]
    fn every_row_of_the_table() {
        let soon = NOW.plus(GRACE.checked_sub(Duration::from_millis(1)).unwrap());
        let late = NOW.plus(GRACE);
        #[rustfmt::skip]
        let rows = [
            // g, q,       p, when, answered   becomes (g, q)
            (5, Some(4), 5, soon, Some(6), (6, Some(5))),
            (5, Some(4), 5, late, Some(6), (6, Some(5))),
            (0, None,    0, late, Some(1), (1, Some(0))),
            (5, Some(4), 4, soon, Some(5), (5, Some(4))),
            (5, Some(4), 4, late, Some(6), (6, Some(4))),
            (5, Some(4), 9, soon, Some(10), (10, Some(9))),
            (5, Some(4), 3, soon, None,    (5, Some(4))),
            (5, Some(3), 4, late, None,    (5, Some(3))),
        ];
        for (g, q, p, now, answered, becomes) in rows {
            let held = family(g, q);
            let (got, after) = match held.rotate(p, GRACE, now) {
                Rotated::Answer { generation, family } => (Some(generation), family),
                Rotated::Reuse => (None, held),
            };
            assert_eq!(got, answered, "g={g} q={q:?} p={p}");
            assert_eq!((after.current, after.tolerated), becomes, "g={g} q={q:?} p={p}");
        }
    }

    #[test]
    fn without_any_grace_what_was_replaced_is_a_copy_and_nothing_else_changes() {
        let rotated = |p| family(5, Some(4)).rotate(p, Duration::ZERO, NOW);
        for (presented, answered) in [(3, None), (4, None), (5, Some(6)), (9, Some(10))] {
            let got = match rotated(presented) {
                Rotated::Answer { generation, .. } => Some(generation),
                Rotated::Reuse => None,
            };
            assert_eq!(got, answered, "{presented}");
        }
    }

    #[test]
    fn a_family_never_outlives_its_absolute_end() {
        let mut held = family(0, None);
        let mut now = NOW;
        while let Rotated::Answer { family, .. } = held.rotate(held.current, GRACE, now) {
            if now >= held.absolute_end {
                break;
            }
            assert!(family.idle_end <= held.absolute_end);
            held = family;
            now = now.plus(IDLE / 2);
        }
        assert!(now >= NOW.plus(ABSOLUTE));
    }

    proptest! {
        /// A client that keeps the newest token it was given, and may lose any answer, is never
        /// locked out; and at most one successor of each generation is ever alive.
        #[test]
        fn an_honest_client_on_a_bad_network_is_never_locked_out(
            steps in proptest::collection::vec((any::<bool>(), 0u64..90), 1..60)
        ) {
            let mut held = family(0, None);
            let mut mine = 0;
            let mut now = NOW;
            for (lost, wait) in steps {
                now = now.plus(Duration::from_secs(wait));
                let Rotated::Answer { generation, family } = held.rotate(mine, GRACE, now) else {
                    panic!("locked out with {mine} of {held:?}");
                };
                prop_assert!(generation > mine);
                held = family;
                if !lost {
                    mine = generation;
                }
            }
        }

        /// Thief and victim share a token; as soon as both have used what they got, it shows.
        #[test]
        fn a_copied_token_is_found_out(waits in proptest::collection::vec(31u64..90, 6)) {
            let mut held = family(0, None);
            let (mut thief, mut victim) = (0, 0);
            let mut now = NOW;
            let mut found = false;
            for (turn, wait) in waits.into_iter().enumerate() {
                now = now.plus(Duration::from_secs(wait));
                let who = if turn % 2 == 0 { &mut thief } else { &mut victim };
                match held.rotate(*who, GRACE, now) {
                    Rotated::Answer { generation, family } => { *who = generation; held = family; }
                    Rotated::Reuse => { found = true; break; }
                }
            }
            prop_assert!(found);
        }
    }
}
