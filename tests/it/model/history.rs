//! The history of a run as an outside observer saw it: every request and every response. The invariants read
//! nothing else.

use std::collections::BTreeSet;

use serde_json::Value;

/// Seconds on the servers' clock.
pub type Seconds = u64;

/// Everything that happened, in order.
#[derive(Clone, Debug, Default)]
pub struct History(pub Vec<TimedEvent>);

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct TimedEvent {
    pub at: Seconds,
    pub what: Observation,
}

/// A scope as a set.
pub type Scopes = BTreeSet<String>;

/// What the token endpoint said.
#[derive(Clone, Debug)]
pub enum TokenReply {
    Tokens(Tokens),
    /// 400 or 401.
    Refused,
    /// 503: it may have been done or not.
    Broken,
}

/// A token response.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub scope: Scopes,
    /// Of the refresh token.
    pub generation: u64,
    pub refresh: String,
    /// Of the ID token.
    pub claims: Value,
    /// What the client was registered for at that moment.
    pub registered: Scopes,
}

/// What a code stands for: who had signed in, how, and what was asked.
#[derive(Clone, Debug)]
pub struct IssuedCode {
    pub flow: usize,
    pub code: usize,
    pub browser: usize,
    pub client: usize,
    pub scope: Scopes,
    pub registered: Scopes,
    pub nonce: String,
    pub wants_acr: bool,
    /// The sign-in that browser had, if the watcher saw one.
    pub login: Option<Login>,
    /// Whether it ends with the session.
    pub bound: bool,
}

/// A sign-in as it was seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Login {
    pub person: usize,
    /// What the session goes by; the same after the same person signed in again.
    pub name: usize,
    pub at: Seconds,
}

/// What the reference says about everyone behind a grant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    Accepted,
    Rejected,
    /// A failure left it open whether, or the moment is too close to call.
    Either,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PresentedToken {
    Access(usize),
    Refresh(u64),
}

#[derive(Clone, Debug)]
pub enum Observation {
    Asked {
        flow: usize,
        browser: usize,
        login_anew: bool,
        max_age: Option<u64>,
        consent_anew: bool,
    },
    SignedIn {
        browser: usize,
        login: Login,
    },
    Agreed {
        flow: usize,
        person: Option<usize>,
        client: usize,
        scope: Scopes,
    },
    Coded(IssuedCode),
    /// Any `Location` of any answer, and the client of the request it answers, if there is one.
    Sent {
        client: Option<usize>,
        to: String,
    },
    Redeemed {
        code: usize,
        by: usize,
        gate: Expected,
        told: TokenReply,
    },
    Refreshed {
        code: usize,
        by: usize,
        presented: u64,
        newest_held: u64,
        in_time: bool,
        gate: Expected,
        told: TokenReply,
    },
    /// `access`: that token alone.
    Revoked {
        code: usize,
        access: Option<usize>,
    },
    SignedOut {
        name: usize,
    },
    CutOff {
        person: usize,
    },
    ClientOff {
        client: usize,
    },
    ClientOn {
        client: usize,
    },
    /// Everything the client had is over, whoever goes by its id later.
    ClientRemoved {
        client: usize,
    },
    Asks {
        code: usize,
        by: usize,
        token: PresentedToken,
        active: bool,
        scope: Scopes,
    },
    /// The store went back to where it was after so many facts.
    RolledBack {
        to: usize,
    },
}

impl History {
    pub fn record(&mut self, at: Seconds, what: Observation) {
        self.0.push(TimedEvent { at, what });
    }

    /// The facts that the store has not forgotten in a rollback, with their place.
    pub fn standing(&self) -> Vec<(usize, &TimedEvent)> {
        let mut standing: Vec<(usize, &TimedEvent)> = Vec::new();
        for (place, fact) in self.0.iter().enumerate() {
            if let Observation::RolledBack { to } = fact.what {
                standing.retain(|(place, _)| *place < to);
            }
            standing.push((place, fact));
        }
        standing
    }

    /// How a code came to be, whether or not the store still knows.
    pub fn issue(&self, code: usize) -> Option<&IssuedCode> {
        self.0.iter().find_map(|fact| match &fact.what {
            Observation::Coded(issue) if issue.code == code => Some(issue),
            _ => None,
        })
    }

    /// Every answer with tokens: its place, code, the client that got it.
    pub fn tokens(&self) -> impl Iterator<Item = (usize, usize, usize, &Tokens)> {
        self.0.iter().enumerate().filter_map(|(place, fact)| match &fact.what {
            Observation::Redeemed { code, by, told: TokenReply::Tokens(tokens), .. }
            | Observation::Refreshed { code, by, told: TokenReply::Tokens(tokens), .. } => {
                Some((place, *code, *by, tokens))
            }
            _ => None,
        })
    }

    /// When the code's flow was asked for, and what it asked of the login.
    pub fn asked(&self, place: usize, issue: &IssuedCode) -> Option<(Seconds, bool, Option<u64>)> {
        self.0[..place].iter().find_map(|fact| match fact.what {
            Observation::Asked { flow, login_anew, max_age, .. } if flow == issue.flow => {
                Some((fact.at, login_anew, max_age))
            }
            _ => None,
        })
    }
}

impl TimedEvent {
    /// Whether the fact shows that something of the code was worth something: which code.
    pub fn proves_active(&self) -> Option<usize> {
        match &self.what {
            Observation::Redeemed { code, told: TokenReply::Tokens(_), .. }
            | Observation::Refreshed { code, told: TokenReply::Tokens(_), .. }
            | Observation::Asks { code, active: true, .. } => Some(*code),
            _ => None,
        }
    }
}
