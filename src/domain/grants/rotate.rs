use std::time::Duration;

use super::{
    ClientId, Grant, GrantError, GrantStatus, RefreshTokenFamily, ReplacedGeneration,
    RevocationReason,
};
use crate::infra::clock::UnixTime;

/// A token request with a refresh token whose MAC was verified.
#[derive(Clone, Copy, Debug)]
pub struct RefreshRequest<'a> {
    /// The authenticated client.
    pub client: &'a ClientId,
    /// The generation of the token (p).
    pub presented: u64,
    /// `REFRESH_TOKEN_GRACE`: how long a replaced token is still answered.
    pub grace: Duration,
}

/// What the table of [`RefreshTokenFamily::rotate`] says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RotationOutcome {
    /// A token is answered.
    Answer {
        /// The generation of that token.
        generation: u64,
        /// What to store.
        family: RefreshTokenFamily,
    },
    /// The token was replaced too long ago, so there is a copy of it: the family ends.
    Reuse,
}

impl RefreshTokenFamily {
    /// How many are stored beside q: a client that refreshes in each of ten calls at once presents tokens of several
    /// generations.
    const MAX_EARLIER: u8 = 7;

    /// A new family, of which generation 0 is about to be issued.
    pub fn new(idle: Duration, absolute: Duration, now: UnixTime) -> Self {
        let absolute_end = now.plus(absolute);
        let idle_end = now.plus(idle).min(absolute_end);
        let earlier = Vec::new();
        Self { current: 0, tolerated: None, earlier, rotated_at: now, idle_end, absolute_end, idle }
    }

    /// Decides what a presented refresh token is answered with ([RFC 9700 §4.14.2] asks for rotation; the rest is so
    /// that a lost answer, a retry, a second tab or a burst of calls signs nobody out).
    ///
    /// With g the newest generation, q the one tolerated before it, p the one presented:
    ///
    /// | p | when | answer | family becomes |
    /// |---|---|---|---|
    /// | p = g | | g+1 | g+1, q := g |
    /// | p < g | the grace is zero: nothing that was replaced is answered | refused | ended |
    /// | p is q or one of the seven before it | replaced less than the grace ago | g again, the same bytes | unchanged |
    /// | p = q | later: g was never used, or q would not be q | g+1, g is void | g+1, q unchanged |
    /// | p > g | the store was rolled back by a failover | p+1 | p+1, q := p |
    /// | else | | refused | ended |
    ///
    /// There is never more than one live successor, and theft shows when thief and victim diverge. One that
    /// is void was given up, not replaced: it is answered no more, however soon.
    ///
    /// [RFC 9700 §4.14.2]: https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2
    pub fn rotate(self, presented: u64, grace: Duration, now: UnixTime) -> RotationOutcome {
        if presented >= self.current {
            return self.advance(presented.saturating_add(1), presented, grace, now);
        }
        if grace.is_zero() {
            return RotationOutcome::Reuse;
        }
        if self.replaced_at(presented).is_some_and(|at| now < at.plus(grace)) {
            return RotationOutcome::Answer { generation: self.current, family: self };
        }
        if self.tolerated == Some(presented) {
            let next = self.current.saturating_add(1);
            return self.advance(next, presented, grace, now);
        }
        RotationOutcome::Reuse
    }

    /// The family of which `next` is the newest, given for `shown`.
    fn advance(self, next: u64, shown: u64, grace: Duration, now: UnixTime) -> RotationOutcome {
        let idle_end = now.plus(self.idle).min(self.absolute_end);
        let earlier = self.remembered_before(shown, grace, now);
        let tolerated = Some(shown);
        let family = Self { current: next, tolerated, earlier, rotated_at: now, idle_end, ..self };
        RotationOutcome::Answer { generation: next, family }
    }

    /// What was replaced before `shown` and is still answered.
    fn remembered_before(
        &self,
        shown: u64,
        grace: Duration,
        now: UnixTime,
    ) -> Vec<ReplacedGeneration> {
        let before = self.tolerated.filter(|q| *q != shown);
        // What the store lost in a failover was replaced after g was issued, at an unknown time.
        let lost = self.current.max(shown.saturating_sub(Self::MAX_EARLIER.into()))..shown;
        let at = self.rotated_at;
        let replaced =
            before.into_iter().chain(lost).map(|generation| ReplacedGeneration { generation, at });
        let mut earlier: Vec<_> = self.earlier.iter().copied().chain(replaced).collect();
        earlier.retain(|held| now < held.at.plus(grace));
        earlier.drain(..earlier.len().saturating_sub(Self::MAX_EARLIER.into()));
        earlier
    }

    fn replaced_at(&self, generation: u64) -> Option<UnixTime> {
        if self.tolerated == Some(generation) {
            return Some(self.rotated_at);
        }
        let held = self.earlier.iter().find(|held| held.generation == generation)?;
        Some(held.at)
    }
}

impl Grant {
    /// Rotates the refresh token, and answers the generation to issue.
    ///
    /// The client is checked first, so that no client ends another's family; then whether the grant is active and the
    /// family has not expired; only then the table.
    pub fn rotate(&mut self, shown: RefreshRequest<'_>, now: UnixTime) -> Result<u64, GrantError> {
        if self.client != *shown.client {
            return Err(GrantError::WrongClient);
        }
        if self.status != GrantStatus::Active {
            return Err(GrantError::Revoked);
        }
        let Some(family) = self.refresh_tokens.clone() else { return Err(GrantError::NoRefresh) };
        if now >= family.idle_end || now >= family.absolute_end {
            return Err(GrantError::Expired);
        }
        match family.rotate(shown.presented, shown.grace, now) {
            RotationOutcome::Answer { generation, family } => {
                self.refresh_tokens = Some(family);
                Ok(generation)
            }
            RotationOutcome::Reuse => {
                self.revoke(now, RevocationReason::RefreshReplayed);
                Err(GrantError::Replayed)
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

    fn family(current: u64, tolerated: Option<u64>) -> RefreshTokenFamily {
        RefreshTokenFamily { current, tolerated, ..RefreshTokenFamily::new(IDLE, ABSOLUTE, NOW) }
    }

    fn after(seconds: u64) -> UnixTime {
        NOW.plus(Duration::from_secs(seconds))
    }

    /// Generations, and the second at which each was replaced.
    type Earlier<'a> = &'a [(u64, u64)];

    fn replaced(earlier: Earlier<'_>) -> Vec<ReplacedGeneration> {
        earlier
            .iter()
            .map(|(generation, at)| ReplacedGeneration { generation: *generation, at: after(*at) })
            .collect()
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
            let (got, after) = match held.clone().rotate(p, GRACE, now) {
                RotationOutcome::Answer { generation, family } => (Some(generation), family),
                RotationOutcome::Reuse => (None, held),
            };
            assert_eq!(got, answered, "g={g} q={q:?} p={p}");
            assert_eq!((after.current, after.tolerated), becomes, "g={g} q={q:?} p={p}");
        }
    }

    /// What happens to what was replaced before q, each with the second it was replaced at.
    #[test]
    fn every_row_of_the_table_for_the_generations_before_the_tolerated_one() {
        let held = || RefreshTokenFamily {
            earlier: replaced(&[(1, 10), (2, 20), (3, 29)]),
            rotated_at: after(30),
            ..family(5, Some(4))
        };
        #[rustfmt::skip]
        let rows: [(u64, u64, Option<u64>, Earlier<'_>); 13] = [
            // p, second, answered, becomes
            (1, 39, Some(5),  &[(1, 10), (2, 20), (3, 29)]),
            (1, 40, None,     &[]),
            (2, 49, Some(5),  &[(1, 10), (2, 20), (3, 29)]),
            (2, 50, None,     &[]),
            (3, 58, Some(5),  &[(1, 10), (2, 20), (3, 29)]),
            (0, 30, None,     &[]),
            (4, 59, Some(5),  &[(1, 10), (2, 20), (3, 29)]),
            (4, 60, Some(6),  &[]),
            (5, 31, Some(6),  &[(1, 10), (2, 20), (3, 29), (4, 30)]),
            (5, 55, Some(6),  &[(3, 29), (4, 30)]),
            (5, 60, Some(6),  &[]),
            // 5 and 6 were replaced after 5 was made, in what the store lost.
            (7, 55, Some(8),  &[(3, 29), (4, 30), (5, 30), (6, 30)]),
            (7, 60, Some(8),  &[]),
        ];
        for (presented, second, answered, becomes) in rows {
            let (got, earlier) = match held().rotate(presented, GRACE, after(second)) {
                RotationOutcome::Answer { generation, family } => {
                    (Some(generation), family.earlier)
                }
                RotationOutcome::Reuse => (None, Vec::new()),
            };
            assert_eq!(got, answered, "p={presented} at {second}");
            assert_eq!(earlier, replaced(becomes), "p={presented} at {second}");
        }
    }

    #[test]
    fn eight_generations_are_remembered_and_the_ninth_is_a_copy() {
        let mut held = family(0, None);
        for presented in 0..20 {
            let RotationOutcome::Answer { family, .. } = held.rotate(presented, GRACE, NOW) else {
                panic!("the newest");
            };
            held = family;
        }
        for presented in 0..20 {
            let got = held.clone().rotate(presented, GRACE, NOW);
            let answered = RotationOutcome::Answer { generation: 20, family: held.clone() };
            let expected = if presented < 12 { RotationOutcome::Reuse } else { answered };
            assert_eq!(got, expected, "{presented}");
        }
        let RotationOutcome::Answer { family, .. } = held.rotate(1000, GRACE, NOW) else {
            panic!("the store was rolled back");
        };
        assert_eq!(family.earlier.len(), 7);
        assert!(matches!(family.clone().rotate(993, GRACE, NOW), RotationOutcome::Answer { .. }));
        assert_eq!(family.rotate(992, GRACE, NOW), RotationOutcome::Reuse);
    }

    #[test]
    fn one_that_was_given_up_is_void_however_soon_it_is_shown() {
        let RotationOutcome::Answer { family, .. } =
            family(5, Some(4)).rotate(4, GRACE, NOW.plus(GRACE))
        else {
            panic!("5 never arrived");
        };
        assert_eq!((family.current, family.tolerated), (6, Some(4)));
        let RotationOutcome::Answer { family, .. } = family.rotate(6, GRACE, NOW.plus(GRACE))
        else {
            panic!("the newest");
        };
        assert_eq!(family.clone().rotate(5, GRACE, NOW.plus(GRACE)), RotationOutcome::Reuse);
        let again = family.clone().rotate(4, GRACE, NOW.plus(GRACE));
        assert_eq!(again, RotationOutcome::Answer { generation: 7, family });
    }

    /// The release before writes a family without what it does not know, and reads one past it.
    #[test]
    fn a_family_of_the_release_before_is_read_and_it_reads_ours() {
        let plain = r#"{"current":5,"tolerated":4,"rotated_at":1,"idle_end":2,"absolute_end":3,"idle":{"secs":4,"nanos":0}}"#;
        let read: RefreshTokenFamily = serde_json::from_str(plain).unwrap();
        assert_eq!(read.earlier, []);
        assert_eq!(serde_json::to_string(&read).unwrap(), plain);
        let more = RefreshTokenFamily { earlier: replaced(&[(3, 0)]), ..read };
        let text = serde_json::to_string(&more).unwrap();
        assert_eq!(serde_json::from_str::<RefreshTokenFamily>(&text).unwrap(), more);
        let member = r#""earlier":[{"generation":3,"at":1700000000000}],"#;
        assert_eq!(text.replace(member, ""), plain, "what is dropped leaves what it was");
    }

    #[test]
    fn without_any_grace_what_was_replaced_is_a_copy_and_nothing_else_changes() {
        let held = RefreshTokenFamily { earlier: replaced(&[(3, 0)]), ..family(5, Some(4)) };
        for (presented, answered) in [(3, None), (4, None), (5, Some(6)), (9, Some(10))] {
            let got = match held.clone().rotate(presented, Duration::ZERO, NOW) {
                RotationOutcome::Answer { generation, family } => {
                    assert_eq!(family.earlier, [], "nothing is remembered");
                    Some(generation)
                }
                RotationOutcome::Reuse => None,
            };
            assert_eq!(got, answered, "{presented}");
        }
    }

    #[test]
    fn a_family_never_outlives_its_absolute_end() {
        let mut held = family(0, None);
        let mut now = NOW;
        while let RotationOutcome::Answer { family, .. } =
            held.clone().rotate(held.current, GRACE, now)
        {
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
                let RotationOutcome::Answer { generation, family } = held.rotate(mine, GRACE, now) else {
                    panic!("locked out with {mine}");
                };
                prop_assert!(generation > mine);
                held = family;
                if !lost {
                    mine = generation;
                }
            }
        }

        /// Hands that refresh in each of their calls, without a lock, with the newest token they had read when
        /// the call began: within the grace all of them go on, and nobody gets anything but the newest.
        #[test]
        fn a_burst_is_answered_with_the_newest_whatever_generation_each_call_began_with(
            steps in proptest::collection::vec((0usize..4, any::<bool>(), 0u64..2), 1..80)
        ) {
            let mut held = family(0, None);
            let mut hands = [0; 4];
            let mut now = NOW;
            for (hand, reads, wait) in steps {
                now = now.plus(Duration::from_secs(wait));
                let lags = held.current - hands[hand];
                if reads || lags > 8 {
                    hands[hand] = held.current;
                }
                let newest = held.current;
                let since = held.replaced_at(hands[hand]).map(|at| now.since(at));
                if since.is_some_and(|since| since >= GRACE) {
                    hands[hand] = newest;
                }
                let RotationOutcome::Answer { generation, family } = held.rotate(hands[hand], GRACE, now)
                else {
                    panic!("{} of {newest} was refused", hands[hand]);
                };
                let is_newest = hands[hand] == newest;
                prop_assert_eq!(generation, newest + u64::from(is_newest));
                prop_assert_eq!(family.current, generation);
                held = family;
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
                match held.clone().rotate(*who, GRACE, now) {
                    RotationOutcome::Answer { generation, family } => { *who = generation; held = family; }
                    RotationOutcome::Reuse => { found = true; break; }
                }
            }
            prop_assert!(found);
        }
    }
}
