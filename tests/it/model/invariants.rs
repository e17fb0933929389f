//! What must be true of every history, one function for each promise. They know nothing of how the server
//! works inside, and nothing of the reference but what it says of a gate.

use std::collections::{BTreeMap, BTreeSet};

use super::harness::{APPLICATIONS, USERNAMES};
use super::history::{
    Expected, History, IssuedCode, Observation, PresentedToken, Scopes, Seconds, TimedEvent,
    TokenReply,
};
use super::reference::{GRACE, REMEMBERED};

/// What a history is held against.
pub struct Truth {
    pub issuer: String,
    /// The moment 0 of the history, as tokens write it.
    pub began: u64,
}

pub type Verdict = Result<(), String>;
pub type Law = fn(&History, &Truth) -> Verdict;

/// Those that are about a history, by their number.
pub const INVARIANTS: [(u8, Law); 9] = [
    (1, a_code_is_redeemed_once),
    (2, a_generation_has_one_successor),
    (3, nobody_honest_is_locked_out),
    (4, tokens_are_bound_to_their_client),
    (5, scopes_only_shrink),
    (6, what_is_ended_stays_ended),
    (7, claims_tell_the_truth),
    (8, no_step_is_skipped),
    (9, browsers_go_only_where_they_may),
];

/// All of them.
pub fn check_all(history: &History, truth: &Truth) -> Verdict {
    for (number, law) in INVARIANTS {
        law(history, truth).map_err(|why| format!("invariant {number} is broken: {why}"))?;
    }
    Ok(())
}

/// **1, code.** Successful redemptions per code ≤ 1; after a second try by the owner no token of that grant
/// is active.
pub fn a_code_is_redeemed_once(history: &History, _: &Truth) -> Verdict {
    let (mut redeemed, mut replayed) = (BTreeSet::new(), BTreeSet::new());
    for (_, fact) in history.standing() {
        if let Some(code) = fact.proves_active()
            && replayed.contains(&code)
        {
            return Err(format!("code {code} was tried twice, and yet {fact:?}"));
        }
        let Observation::Redeemed { code, by, gate, told, .. } = &fact.what else { continue };
        match told {
            TokenReply::Tokens(_) if !redeemed.insert(*code) => {
                return Err(format!("code {code} was redeemed twice"));
            }
            TokenReply::Refused if redeemed.contains(code) && *gate == Expected::Accepted => {
                if history.issue(*code).is_some_and(|issue| issue.client == *by) {
                    replayed.insert(*code);
                }
            }
            TokenReply::Tokens(_) | TokenReply::Refused | TokenReply::Broken => {}
        }
    }
    Ok(())
}

/// A family as the answers tell of it. Those that never came may have told it sooner.
#[derive(Default)]
struct Family {
    newest: u64,
    made_at: Seconds,
    tolerated: Option<u64>,
    replaced: BTreeMap<u64, Seconds>,
}

impl Family {
    fn takes(&self, presented: u64, now: Seconds) -> bool {
        let mut last = self.replaced.iter().rev().take(REMEMBERED);
        presented == self.newest
            || self.tolerated == Some(presented)
            || last.any(|(held, at)| *held == presented && now < at + GRACE)
    }

    fn answered(&mut self, presented: u64, newest: u64, now: Seconds) {
        let (lost, made_at) = (self.newest..presented, self.made_at);
        self.replaced.extend(lost.map(|generation| (generation, made_at)));
        self.replaced.insert(presented, now);
        (self.newest, self.made_at, self.tolerated) = (newest, now, Some(presented));
    }
}

/// **2, family.** For each family and generation at most one value was ever returned; the set of accepted
/// generations is the newest, the one before it that is tolerated, those of the last eight that were replaced
/// within the grace, and what a rolled back store cannot know.
pub fn a_generation_has_one_successor(history: &History, _: &Truth) -> Verdict {
    let mut texts: BTreeMap<(usize, u64), &str> = BTreeMap::new();
    for (_, code, _, tokens) in history.tokens() {
        let text = *texts.entry((code, tokens.generation)).or_insert(&tokens.refresh);
        if text != tokens.refresh {
            return Err(format!("generation {} of code {code} has two values", tokens.generation));
        }
    }
    let rolled_back =
        history.0.iter().any(|fact| matches!(fact.what, Observation::RolledBack { .. }));
    let mut families: BTreeMap<usize, Family> = BTreeMap::new();
    for (_, fact) in history.standing() {
        let (code, presented, told) = match &fact.what {
            Observation::Redeemed { code, told, .. } => (code, None, told),
            Observation::Refreshed { code, presented, told, .. } => (code, Some(*presented), told),
            _ => continue,
        };
        let TokenReply::Tokens(tokens) = told else { continue };
        let family = families.entry(*code).or_default();
        let Some(presented) = presented else {
            let (newest, made_at) = (tokens.generation, fact.at);
            *family = Family { newest, made_at, ..Family::default() };
            continue;
        };
        let rolled_away = rolled_back && presented > family.newest;
        if !family.takes(presented, fact.at) && !rolled_away {
            let newest = family.newest;
            return Err(format!(
                "generation {presented} of code {code} was taken, {newest} is the newest"
            ));
        }
        if tokens.generation > family.newest {
            family.answered(presented, tokens.generation, fact.at);
        }
    }
    Ok(())
}

/// **3, no lock-out.** If the client never presented a token older than its newest, then a refresh with it
/// succeeds – also after a crash, a lost answer, a duplicate, a rollback.
pub fn nobody_honest_is_locked_out(history: &History, _: &Truth) -> Verdict {
    let mut dishonest = BTreeSet::new();
    for (_, fact) in history.standing() {
        match &fact.what {
            // Whoever tried a code again may have ended what came of it.
            Observation::Redeemed {
                code, told: TokenReply::Refused | TokenReply::Broken, ..
            }
            | Observation::Revoked { code, .. } => {
                dishonest.insert(*code);
            }
            Observation::Refreshed { code, by, presented, newest_held, in_time, gate, told } => {
                let Some(issue) = history.issue(*code) else { continue };
                if issue.client != *by {
                    continue;
                }
                if presented < newest_held {
                    dishonest.insert(*code);
                }
                let refused =
                    matches!(told, TokenReply::Refused) && *in_time && *gate == Expected::Accepted;
                if refused && !dishonest.contains(code) {
                    return Err(format!(
                        "code {code}: the newest generation {presented} is refused"
                    ));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// **4, binding.** Any token accepted from a client was issued to it.
pub fn tokens_are_bound_to_their_client(history: &History, _: &Truth) -> Verdict {
    for fact in &history.0 {
        let (code, by) = match &fact.what {
            Observation::Redeemed { code, by, told: TokenReply::Tokens(_), .. }
            | Observation::Refreshed { code, by, told: TokenReply::Tokens(_), .. }
            | Observation::Asks { code, by, active: true, .. } => (*code, *by),
            _ => continue,
        };
        if history.issue(code).is_none_or(|issue| issue.client != by) {
            return Err(format!("client {by} got something for code {code}, another's"));
        }
    }
    Ok(())
}

/// **5, monotone scopes.** scope(access) ⊆ scope(grant) ⊆ consented ⊆ client-registered.
pub fn scopes_only_shrink(history: &History, _: &Truth) -> Verdict {
    let within = |small: &Scopes, large: &Scopes, what: &str| {
        let more: Vec<_> = small.difference(large).collect();
        if more.is_empty() { Ok(()) } else { Err(format!("{what}: {more:?} is too much")) }
    };
    let standing = history.standing();
    for (place, fact) in &standing {
        match &fact.what {
            Observation::Coded(issue) => {
                let agreed = agreed(&standing, *place, issue);
                within(&issue.scope, &agreed, "the grant has more than was agreed to")?;
                within(&issue.scope, &issue.registered, "the grant has more than was registered")?;
            }
            Observation::Asks { code, scope, .. } => {
                if let Some(issue) = history.issue(*code) {
                    within(scope, &issue.scope, "what is described has more than the grant")?;
                }
            }
            _ => {}
        }
    }
    for (_, code, _, tokens) in history.tokens() {
        if let Some(issue) = history.issue(code) {
            within(&tokens.scope, &issue.scope, "a token has more than the grant")?;
        }
        within(&tokens.scope, &tokens.registered, "a token has more than was registered")?;
    }
    Ok(())
}

/// **6, kill is final.** After an acknowledged revocation, logout or disabling nothing derived from it is ever
/// active again, except where the store itself went back to before it.
pub fn what_is_ended_stays_ended(history: &History, _: &Truth) -> Verdict {
    let (mut codes, mut access, mut off) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut issued: Vec<&IssuedCode> = Vec::new();
    for (_, fact) in history.standing() {
        if let Some(code) = fact.proves_active() {
            let client = history.issue(code).map(|issue| issue.client);
            if codes.contains(&code) || client.is_some_and(|client| off.contains(&client)) {
                return Err(format!("code {code} was ended, and yet {fact:?}"));
            }
        }
        let mut end = |is_over: &dyn Fn(&IssuedCode) -> bool| {
            codes.extend(issued.iter().filter(|issue| is_over(issue)).map(|issue| issue.code));
        };
        match &fact.what {
            Observation::Coded(issue) => issued.push(issue),
            Observation::Revoked { code, access: None } => end(&|issue| issue.code == *code),
            Observation::Revoked { access: Some(token), .. } => {
                access.insert(*token);
            }
            Observation::SignedOut { name } => {
                end(&|issue| issue.bound && issue.login.is_some_and(|it| it.name == *name));
            }
            Observation::CutOff { person } => {
                end(&|issue| issue.login.is_some_and(|it| it.person == *person));
            }
            Observation::ClientRemoved { client } => {
                off.remove(client);
                end(&|issue| issue.client == *client);
            }
            Observation::ClientOff { client } => {
                off.insert(*client);
            }
            Observation::ClientOn { client } => {
                off.remove(client);
            }
            Observation::Asks { token: PresentedToken::Access(token), active: true, .. }
                if access.contains(token) =>
            {
                return Err(format!("access token {token} was given back, and is active"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// **7, truth of claims.** `auth_time`, `amr`, `acr`, `sid`, `nonce`, `sub` in a token equal the login event
/// that produced the grant; after `prompt=login` or `max_age` the login is not older than the request.
pub fn claims_tell_the_truth(history: &History, truth: &Truth) -> Verdict {
    let mut names: BTreeMap<usize, &str> = BTreeMap::new();
    for (place, code, by, tokens) in history.tokens() {
        let Some(issue) = history.issue(code) else { continue };
        // A refreshed ID token has none (OpenID Connect Core §12.2).
        let first = matches!(history.0[place].what, Observation::Redeemed { .. });
        let nonce = first.then_some(issue.nonce.as_str());
        let Some(login) = issue.login else { continue };
        let claims = &tokens.claims;
        let acr = issue.wants_acr.then_some("1");
        let right = claims["sub"] == format!("sub-of-{}", USERNAMES[login.person])
            && claims["auth_time"] == truth.began + login.at
            && claims["amr"] == serde_json::json!(["pwd"])
            && claims["acr"].as_str() == acr
            && claims["nonce"].as_str() == nonce
            && claims["aud"] == APPLICATIONS[by]
            && claims["iss"] == truth.issuer.as_str();
        let sid = claims["sid"].as_str().unwrap_or_default();
        let held = *names.entry(login.name).or_insert(sid);
        if !right || held != sid || sid.is_empty() {
            return Err(format!("{claims} does not tell of {issue:?}"));
        }
    }
    for (place, fact) in history.0.iter().enumerate() {
        let Observation::Coded(issue) = &fact.what else { continue };
        let Some((asked, login_anew, max_age)) = history.asked(place, issue) else { continue };
        let Some(login) = issue.login else { continue };
        let age = fact.at.saturating_sub(login.at);
        let fresh = login.at >= asked;
        if !fresh && (login_anew || max_age.is_some_and(|most| age > most)) {
            return Err(format!("a sign-in of {} will not do for {issue:?}", login.at));
        }
    }
    Ok(())
}

/// **8, steps.** A code exists ⇒ the trace has a login and a consent to all scopes, in the browser in which
/// it was asked for, and after it was asked where it had to be.
pub fn no_step_is_skipped(history: &History, _: &Truth) -> Verdict {
    let standing = history.standing();
    for (place, fact) in &standing {
        let Observation::Coded(issue) = &fact.what else { continue };
        let skipped = |what: &str| Err(format!("{issue:?} {what}"));
        let Some(login) = issue.login else { return skipped("has no login") };
        let before =
            || standing.iter().take_while(|(at, _)| at < place).map(|(at, it)| (*at, &it.what));
        let asked = before().find_map(|(at, it)| match it {
            Observation::Asked { flow, browser, login_anew, consent_anew, .. }
                if *flow == issue.flow =>
            {
                Some((at, *browser, *login_anew, *consent_anew))
            }
            _ => None,
        });
        let Some((asked, browser, login_anew, consent_anew)) = asked else {
            return skipped("was never asked for");
        };
        if browser != issue.browser {
            return skipped("was asked for in another browser");
        }
        let signed_in = before().any(|(at, it)| {
            matches!(it, Observation::SignedIn { browser, login: seen } if *browser == issue.browser && *seen == login)
                && (!login_anew || at > asked)
        });
        if !signed_in {
            return skipped("has no login in that browser");
        }
        if before()
            .any(|(_, it)| matches!(it, Observation::SignedOut { name } if *name == login.name))
        {
            return skipped("came after the logout");
        }
        let agreed = before().any(|(_, it)| match it {
            Observation::Agreed { flow, person, client, scope } => {
                *person == Some(login.person)
                    && *client == issue.client
                    && issue.scope.is_subset(scope)
                    && (!consent_anew || *flow == issue.flow)
            }
            _ => false,
        });
        // Several answers may add up to it.
        if !agreed
            && (consent_anew || !issue.scope.is_subset(&self::agreed(&standing, *place, issue)))
        {
            return skipped("has no consent");
        }
    }
    Ok(())
}

/// **9, redirects.** Every `Location` is our own origin or a registered URI of the client of that interaction.
pub fn browsers_go_only_where_they_may(history: &History, truth: &Truth) -> Verdict {
    for fact in &history.0 {
        let Observation::Sent { client, to } = &fact.what else { continue };
        let at_home = (to.starts_with('/') && !to.starts_with("//") && !to.starts_with("/\\"))
            || to.strip_prefix(&truth.issuer).is_some_and(|rest| rest.starts_with('/'));
        let registered = client.is_some_and(|client| {
            let uri = format!("https://{}.example/cb", APPLICATIONS[client]);
            to.strip_prefix(&uri).is_some_and(|rest| rest.starts_with('?'))
        });
        if !at_home && !registered {
            return Err(format!("client {client:?} had somebody sent to {to}"));
        }
    }
    Ok(())
}

/// Everything that person had agreed to with that client.
fn agreed(standing: &[(usize, &TimedEvent)], place: usize, issue: &IssuedCode) -> Scopes {
    let before = standing.iter().take_while(|(at, _)| *at < place);
    let yes = before.filter_map(|(_, fact)| match &fact.what {
        Observation::Agreed { person, client, scope, .. }
            if *client == issue.client && *person == issue.login.map(|it| it.person) =>
        {
            Some(scope)
        }
        _ => None,
    });
    yes.flatten().cloned().collect()
}
