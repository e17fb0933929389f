//! Counts what the traces reached, and fails if they missed something that matters.

use std::collections::BTreeMap;

use super::history::{Expected, Login, Observation, TokenReply};
use super::runner::Runner;

/// How often each thing was seen.
#[derive(Debug, Default)]
pub struct Coverage(BTreeMap<&'static str, usize>);

/// What every run has to come across.
const WANTED: [&str; 22] = [
    "a code",
    "a code after a sign-in of before",
    "a code after a sign-in by somebody else",
    "a redemption",
    "a replayed code",
    "a wrong proof",
    "a rotation",
    "the same successor again",
    "a successor of a skipped one",
    "reuse",
    "a generation from before a rollback",
    "a refresh in another's name",
    "a refresh that is shut out",
    "less scope than was granted",
    "a fault that shows",
    "a grant given back",
    "an access token given back",
    "a logout",
    "a person cut off",
    "a client disabled",
    "a client removed",
    "a rollback",
];

impl Coverage {
    pub fn count(&mut self, player: &Runner) {
        // What the store knows of each family: its newest generation, and for which one that was given.
        let mut newest: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
        let mut before = Vec::new();
        for fact in &player.history.0 {
            before.push(newest.clone());
            let what = match &fact.what {
                Observation::Coded(issue) => {
                    let old = |login: Login| login.at < fact.at;
                    if issue.login.is_some_and(old) {
                        self.saw("a code after a sign-in of before");
                    }
                    if issue.login.is_some_and(|login| login.person == 1) {
                        self.saw("a code after a sign-in by somebody else");
                    }
                    "a code"
                }
                Observation::Redeemed { told: TokenReply::Broken, .. }
                | Observation::Refreshed { told: TokenReply::Broken, .. } => "a fault that shows",
                Observation::Redeemed { code, told: TokenReply::Tokens(_), .. } => {
                    newest.insert(*code, (0, 0));
                    "a redemption"
                }
                Observation::Redeemed {
                    code,
                    gate: Expected::Accepted,
                    told: TokenReply::Refused,
                    ..
                } => {
                    if newest.contains_key(code) {
                        "a replayed code"
                    } else {
                        "a wrong proof"
                    }
                }
                Observation::Redeemed { .. } => "a redemption that is shut out",
                Observation::Refreshed {
                    code,
                    presented,
                    told: TokenReply::Tokens(tokens),
                    ..
                } => {
                    let issue = player.history.issue(*code);
                    if issue.is_some_and(|issue| tokens.scope.len() < issue.scope.len()) {
                        self.saw("less scope than was granted");
                    }
                    let held = newest.insert(*code, (tokens.generation, *presented));
                    row(held.unwrap_or_default(), *presented, tokens.generation)
                }
                Observation::Refreshed { code, by, .. } if player.codes[*code].client != *by => {
                    "a refresh in another's name"
                }
                Observation::Refreshed { gate: Expected::Accepted, in_time: true, .. } => "reuse",
                Observation::Refreshed { .. } => "a refresh that is shut out",
                Observation::Revoked { access: None, .. } => "a grant given back",
                Observation::Revoked { access: Some(_), .. } => "an access token given back",
                Observation::SignedOut { .. } => "a logout",
                Observation::CutOff { .. } => "a person cut off",
                Observation::ClientRemoved { .. } => "a client removed",
                Observation::ClientOff { .. } => "a client disabled",
                Observation::RolledBack { to } => {
                    newest.clone_from(&before[*to]);
                    "a rollback"
                }
                Observation::Asked { .. }
                | Observation::SignedIn { .. }
                | Observation::Agreed { .. }
                | Observation::Sent { .. }
                | Observation::ClientOn { .. }
                | Observation::Asks { .. } => continue,
            };
            self.saw(what);
        }
    }

    fn saw(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    /// What was never seen.
    pub fn misses(&self) -> Vec<&'static str> {
        WANTED.into_iter().filter(|what| !self.0.contains_key(what)).collect()
    }
}

/// Which row of the table it was, by the newest generation and the one it had been given for.
fn row((newest, given_for): (u64, u64), presented: u64, answered: u64) -> &'static str {
    if presented > newest {
        "a generation from before a rollback"
    } else if answered == newest {
        "the same successor again"
    } else if presented == given_for && presented < newest {
        "a successor of a skipped one"
    } else {
        "a rotation"
    }
}
