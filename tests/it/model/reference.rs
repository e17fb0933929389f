//! A reference implementation: which users and sessions are good, and for each grant every state it may be in. A
//! failed request leaves several states possible until a response tells them apart; a response that fits none is a
//! bug.

use std::collections::{BTreeMap, BTreeSet};

use super::actions::Proof;
use super::history::{Expected, Scopes, Seconds};

pub const CODE: Seconds = 60;
pub const ACCESS: Seconds = 600;
pub const GRACE: Seconds = 30;
pub const REMEMBERED: usize = 8;
pub const REFRESH_IDLE: Seconds = 7 * 86_400;
pub const REFRESH_ABSOLUTE: Seconds = 30 * 86_400;
const SESSION_IDLE: Seconds = 3_600;
const SESSION_ABSOLUTE: Seconds = 12 * 3_600;
const MOST_FAILURES: u8 = 5;

/// All of it, as the store knows it.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    pub persons: Vec<bool>,
    pub clients: Vec<Client>,
    pub names: BTreeMap<usize, SessionName>,
    pub grants: BTreeMap<usize, Grant>,
}

#[derive(Clone, Debug)]
pub struct Client {
    pub enabled: bool,
    pub ceiling: Scopes,
    /// How often it was registered.
    pub life: usize,
}

/// A session, by what it goes by in tokens.
#[derive(Clone, Debug)]
pub struct SessionName {
    pub person: usize,
    pub login_at: Seconds,
    absolute_end: Seconds,
    /// It was used at the first moment for certain, and at the second perhaps.
    used: (Seconds, Seconds),
    over: bool,
    unsure: bool,
    /// Two sessions go by it, each with its own use: how long they live is not told, only that they end.
    split: bool,
}

#[derive(Clone, Debug)]
pub struct Grant {
    pub client: usize,
    /// Which registration of the client it was given to.
    pub life: usize,
    pub person: usize,
    /// The session it ends with, if it is bound to one.
    pub bound_to: Option<usize>,
    pub code_ends: Seconds,
    pub worlds: Vec<PossibleState>,
}

/// One state a grant may be in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PossibleState {
    redeemed: bool,
    failures: u8,
    family: Option<Family>,
    ended: bool,
    /// Access tokens that were given back.
    back: BTreeSet<usize>,
    /// Opaque access tokens the store knows.
    kept: BTreeSet<usize>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Family {
    newest: u64,
    tolerated: Option<u64>,
    /// Each that was answered with a newer one, and when that was.
    replaced: BTreeMap<u64, Seconds>,
    rotated_at: Seconds,
    idle_end: Seconds,
    absolute_end: Seconds,
}

/// What an answer says about a grant: nothing given, or tokens with that generation.
pub type Verdict = Option<u64>;

impl SessionName {
    pub fn new(person: usize, now: Seconds) -> Self {
        let absolute_end = now + SESSION_ABSOLUTE;
        let (over, unsure, split) = (false, false, false);
        Self { person, login_at: now, absolute_end, used: (now, now), over, unsure, split }
    }

    /// A sitting is noted ten times in an idle span, so the very end of it is open.
    pub fn gate(&self, now: Seconds) -> Expected {
        let (surely, perhaps) = self.used;
        if self.over || now >= self.absolute_end {
            Expected::Rejected
        } else if self.split {
            Expected::Either
        } else if now >= perhaps + SESSION_IDLE {
            Expected::Rejected
        } else if self.unsure || now >= surely + SESSION_IDLE - SESSION_IDLE / 10 {
            Expected::Either
        } else {
            Expected::Accepted
        }
    }

    /// Somebody used it, if it was there.
    pub fn used(&mut self, now: Seconds) {
        match self.gate(now) {
            Expected::Accepted => self.used = (now, now),
            Expected::Either => self.used.1 = now,
            Expected::Rejected => {}
        }
    }

    /// Somebody may have used it.
    pub fn perhaps_used(&mut self, now: Seconds) {
        if self.gate(now) != Expected::Rejected {
            self.used.1 = now;
        }
    }

    /// An answer proved that it is there.
    pub fn proved(&mut self, now: Seconds) {
        self.unsure = false;
        self.used = (now, now);
    }

    /// The same person signed in again with the same browser.
    pub fn again(&mut self, now: Seconds) {
        *self = Self::new(self.person, now);
    }

    pub fn end(&mut self) {
        self.over = true;
    }

    pub fn split(&mut self) {
        self.split = true;
    }

    /// A failure left open what became of it.
    pub fn doubt(&mut self, now: Seconds) {
        self.unsure = true;
        if !self.over && now < self.used.1 + SESSION_IDLE {
            self.used.1 = now;
            // It may have been signed in to anew, which lasts longer.
            self.absolute_end = self.absolute_end.max(now + SESSION_ABSOLUTE);
        }
    }
}

impl Reference {
    /// Whether everyone behind the grant is let in; nobody is behind one that the store forgot.
    pub fn gate(&self, code: usize, now: Seconds) -> Expected {
        let Some(grant) = self.grants.get(&code) else { return Expected::Rejected };
        let client = &self.clients[grant.client];
        if !client.enabled || client.life != grant.life || !self.persons[grant.person] {
            return Expected::Rejected;
        }
        match grant.bound_to {
            Some(name) => self.names.get(&name).map_or(Expected::Rejected, |name| name.gate(now)),
            None => Expected::Accepted,
        }
    }

    /// Lets every world of the grant take the step, and keeps those whose answer is the one that was seen;
    /// without one, the step may have been taken or not. `false` if no world is left.
    pub fn sees(
        &mut self,
        code: usize,
        seen: Option<Verdict>,
        step: impl Fn(&PossibleState) -> Vec<(Verdict, PossibleState)>,
    ) -> bool {
        // What the store forgot gives nothing.
        let Some(grant) = self.grants.get_mut(&code) else { return !matches!(seen, Some(Some(_))) };
        let mut next: Vec<PossibleState> = Vec::new();
        if seen.is_none() {
            next.clone_from(&grant.worlds);
        }
        for (verdict, world) in grant.worlds.iter().flat_map(step) {
            if seen.is_none_or(|seen| seen == verdict) && !next.contains(&world) {
                next.push(world);
            }
        }
        let fits = !next.is_empty();
        if fits {
            grant.worlds = next;
        }
        fits
    }

    /// Whether the token is worth something: in all worlds, in none, or it depends.
    pub fn worth(
        &self,
        code: usize,
        now: Seconds,
        good: impl Fn(&PossibleState) -> bool,
    ) -> Expected {
        let Some(grant) = self.grants.get(&code) else { return Expected::Rejected };
        let worlds = &grant.worlds;
        match self.gate(code, now) {
            Expected::Rejected => Expected::Rejected,
            _ if !worlds.iter().any(&good) => Expected::Rejected,
            Expected::Accepted if worlds.iter().all(&good) => Expected::Accepted,
            Expected::Accepted | Expected::Either => Expected::Either,
        }
    }
}

impl Family {
    /// One of the last eight that were replaced, and lately.
    fn in_grace(&self, generation: u64, now: Seconds) -> bool {
        let mut last = self.replaced.iter().rev().take(REMEMBERED);
        last.any(|(held, at)| *held == generation && now < at + GRACE)
    }

    fn rotated(&self, newest: u64, shown: u64, now: Seconds) -> Self {
        let mut replaced = self.replaced.clone();
        // What a rolled back store does not know was replaced after what it knows was made.
        replaced.extend((self.newest..shown).map(|lost| (lost, self.rotated_at)));
        replaced.insert(shown, now);
        let tolerated = Some(shown);
        let idle_end = (now + REFRESH_IDLE).min(self.absolute_end);
        Self { newest, tolerated, replaced, rotated_at: now, idle_end, ..self.clone() }
    }
}

/// Where a gate may be open or shut, both are possible.
fn through(
    gate: Expected,
    world: &PossibleState,
    step: impl Fn(&PossibleState) -> (Verdict, PossibleState),
) -> Vec<(Verdict, PossibleState)> {
    let refused = || (None, world.clone());
    match gate {
        Expected::Accepted => vec![step(world)],
        Expected::Rejected => vec![refused()],
        Expected::Either => vec![step(world), refused()],
    }
}

impl PossibleState {
    /// A code is shown by its own client.
    pub fn redeem(
        &self,
        gate: Expected,
        proof: Proof,
        in_time: bool,
        now: Seconds,
    ) -> Vec<(Verdict, Self)> {
        through(gate, self, |world| {
            let mut next = world.clone();
            if world.ended {
                return (None, next);
            }
            if world.redeemed {
                next.ended = true;
                return (None, next);
            }
            if !in_time {
                return (None, next);
            }
            if proof != Proof::Right {
                next.failures += 1;
                next.ended = next.failures >= MOST_FAILURES;
                return (None, next);
            }
            next.redeemed = true;
            next.family = Some(Family {
                newest: 0,
                tolerated: None,
                replaced: BTreeMap::new(),
                rotated_at: now,
                idle_end: now + REFRESH_IDLE,
                absolute_end: now + REFRESH_ABSOLUTE,
            });
            (Some(0), next)
        })
    }

    /// A refresh token is shown by its own client: the table.
    pub fn refresh(&self, gate: Expected, shown: u64, now: Seconds) -> Vec<(Verdict, Self)> {
        through(gate, self, |world| {
            let mut next = world.clone();
            let Some(held) = world
                .family
                .clone()
                .filter(|held| !world.ended && now < held.idle_end && now < held.absolute_end)
            else {
                return (None, next);
            };
            let family = if shown >= held.newest {
                held.rotated(shown + 1, shown, now)
            } else if held.in_grace(shown, now) {
                held
            } else if held.tolerated == Some(shown) {
                held.rotated(held.newest + 1, shown, now)
            } else {
                next.ended = true;
                return (None, next);
            };
            let newest = family.newest;
            next.family = Some(family);
            (Some(newest), next)
        })
    }

    /// A refresh token that would be answered.
    pub fn answers(&self, generation: u64, now: Seconds) -> bool {
        self.family.as_ref().is_some_and(|held| {
            (held.newest == generation
                || held.tolerated == Some(generation)
                || held.in_grace(generation, now))
                && now < held.idle_end
                && now < held.absolute_end
        }) && !self.ended
    }

    /// An access token that was not given back, alone or with everything.
    pub fn bears(&self, token: usize, opaque: bool) -> bool {
        !self.ended && !self.back.contains(&token) && (!opaque || self.kept.contains(&token))
    }

    #[must_use]
    pub fn revoked(&self, token: Option<usize>) -> Self {
        let mut next = self.clone();
        match token {
            None => next.ended = true,
            Some(token) => {
                next.back.insert(token);
            }
        }
        next
    }

    /// Knows the opaque access token that came with an answer.
    #[must_use]
    pub fn keeping_if(mut self, verdict: Verdict, token: usize) -> Self {
        if verdict.is_some() {
            self.kept.insert(token);
        }
        self
    }

    /// Neither ended, nor run out: its newest refresh token has to be answered.
    pub fn is_in_time(&self, now: Seconds) -> bool {
        let in_time = |held: &Family| now < held.idle_end && now < held.absolute_end;
        !self.ended && self.family.as_ref().is_some_and(in_time)
    }
}
