//! Runs a trace on the harness: performs each action, records what was observed, and compares every response with
//! the reference.

use std::collections::BTreeMap;

use latchkey::domain::clients::{self, ClientId};
use latchkey::domain::grants;
use latchkey::domain::users;

use super::actions::{Action, ActionKind, CLIENTS, Change, Disturbance, PERSONS};
use super::backends::{BackendKind, Snapshot};
use super::harness::{APPLICATIONS, CookieJar, Harness, OPAQUE, USERNAMES};
use super::history::{Expected, History, Observation, PresentedToken, Scopes, Seconds};
use super::reference::{self, Client, Reference};
use crate::support::failing_store::Fault;
use crate::support::http::HttpResponse;

/// What went wrong, in words.
pub type Violation = String;

pub struct Runner {
    pub harness: Harness,
    pub history: History,
    pub reference: Reference,
    pub flows: Vec<Flow>,
    pub codes: Vec<Code>,
    pub tokens: Vec<Token>,
    /// The session each browser has, as far as was seen.
    pub signed_in: Vec<Option<usize>>,
    /// Everything that must never be printed or stored.
    pub secrets: Vec<String>,
    pub names: usize,
    marks: Vec<(Option<Snapshot>, Reference, usize)>,
    /// Status and kind of every answer, in order.
    pub decisions: Vec<String>,
    /// Whether how long something is left has to be told.
    pub faulty: bool,
}

/// An authorization request on its way.
pub struct Flow {
    pub browser: usize,
    pub client: usize,
    pub scope: Scopes,
    pub nonce: String,
    pub verifier: String,
    pub wants_acr: bool,
    pub page: Option<HttpResponse>,
}

/// A code, and the refresh tokens that came of it.
pub struct Code {
    pub text: String,
    pub verifier: String,
    pub client: usize,
    pub refresh: BTreeMap<u64, String>,
    /// The newest refresh token that reached the client.
    pub held: Option<u64>,
}

/// An access token.
pub struct Token {
    pub text: String,
    pub code: usize,
    pub opaque: bool,
    pub ends: Seconds,
    pub scope: Scopes,
}

/// The words of a scope.
pub fn scopes(text: &str) -> Scopes {
    text.split_whitespace().map(str::to_owned).collect()
}

impl Runner {
    pub async fn start(kind: BackendKind) -> Self {
        Self::on(Harness::start(kind).await)
    }

    pub fn on(rig: Harness) -> Self {
        let ceiling = scopes(super::actions::CEILINGS[0]);
        let client = Client { enabled: true, ceiling, life: 0 };
        let reference = Reference {
            persons: vec![true; PERSONS],
            clients: vec![client; CLIENTS],
            ..Reference::default()
        };
        let signed_in = vec![None; rig.browsers.len()];
        Self {
            harness: rig,
            reference,
            signed_in,
            history: History::default(),
            flows: Vec::new(),
            codes: Vec::new(),
            tokens: Vec::new(),
            secrets: Vec::new(),
            names: 0,
            marks: Vec::new(),
            decisions: Vec::new(),
            faulty: false,
        }
    }

    pub fn now(&self) -> Seconds {
        self.harness.now()
    }

    pub fn record(&mut self, what: Observation) {
        let now = self.now();
        self.history.record(now, what);
    }

    pub fn decided(&mut self, answer: &HttpResponse, kind: &str) {
        let (status, error) = answer.error();
        self.decisions.push(format!("{kind} {status} {error}"));
    }

    /// Does one move.
    pub async fn run_action(&mut self, it: &Action) -> Result<(), Violation> {
        if self.marks.len() < 64 && self.has_rollbacks() {
            let mark = self.harness.backend.mark().await;
            self.marks.push((mark, self.reference.clone(), self.history.0.len()));
        }
        match it.how {
            Disturbance::None | Disturbance::ReplyLost => {
                self.step(it, it.how == Disturbance::ReplyLost).await
            }
            Disturbance::Twice => {
                self.step(it, false).await?;
                self.step(it, false).await
            }
            Disturbance::Concurrent => self.together(it).await,
            Disturbance::Fault { spared, runs } => {
                let fault = if runs { Fault::ReplyLost } else { Fault::NotRun };
                self.harness.servers[0].failing_store().fail_once(spared, fault);
                self.faulty = true;
                let done = Box::pin(self.step(it, false)).await;
                self.faulty = false;
                self.harness.servers[0].failing_store().heal();
                done
            }
        }
    }

    fn has_rollbacks(&self) -> bool {
        !matches!(self.harness.backend, super::backends::ModelBackend::File { .. })
    }

    async fn step(&mut self, it: &Action, unheard: bool) -> Result<(), Violation> {
        let server = it.server % 2;
        match &it.what {
            ActionKind::Authorize(wish) => {
                self.authorizes(server, *wish).await?;
                self.forgets(unheard, wish.browser);
            }
            ActionKind::Login { flow, browser, person, right } => {
                let sat = self.logs_in(server, *flow, *browser, *person, *right).await?;
                self.forgets(unheard && sat.is_some(), sat.unwrap_or_default());
            }
            ActionKind::Consent { flow, browser, yes } => {
                let sat = self.consents(server, *flow, *browser, *yes).await?;
                self.forgets(unheard && sat.is_some(), sat.unwrap_or_default());
            }
            ActionKind::SignIn { wish, person } => {
                if let Some(code) = self.signs_in(server, *wish, *person).await? {
                    let proof = super::actions::Proof::Right;
                    self.redeems(server, (code, false, proof), unheard).await?;
                }
            }
            ActionKind::Ask { wish, person } => {
                self.signs_in(server, *wish, *person).await?;
            }
            ActionKind::RefreshRepeatedly { grant, times } => {
                for _ in 0..*times {
                    self.refreshes(server, (*grant, 0, false, false), unheard).await?;
                    self.harness.advance_time(61);
                }
            }
            ActionKind::Redeem { code, stranger, proof } => {
                self.redeems(server, (*code, *stranger, *proof), unheard).await?;
            }
            ActionKind::Refresh { grant, back, stranger, narrow } => {
                self.refreshes(server, (*grant, *back, *stranger, *narrow), unheard).await?;
            }
            ActionKind::RevokeRefresh { grant, stranger } => {
                self.gives_back_grant(server, *grant, *stranger).await?;
            }
            ActionKind::RevokeAccess { token, stranger } => {
                self.gives_back_token(server, *token, *stranger).await?;
            }
            ActionKind::Introspect { token, stranger, userinfo } => {
                self.looks(server, *token, *stranger, *userinfo).await?;
            }
            ActionKind::IntrospectRefresh { grant, back, stranger } => {
                self.looks_at_refresh(server, *grant, *back, *stranger).await?;
            }
            ActionKind::Logout { browser } => self.logs_out(server, *browser).await?,
            ActionKind::CutOffBehind { wish } => self.is_cut_off_behind(server, *wish).await?,
            ActionKind::SecondSession { browser } => self.opens_second_session(*browser).await,
            ActionKind::SetUserEnabled { person, enabled } => {
                self.person(person % PERSONS, *enabled).await;
            }
            ActionKind::ChangeClient { client, change } => {
                self.client(client % CLIENTS, *change).await;
            }
            ActionKind::AdvanceTime { seconds } => self.harness.advance_time(*seconds),
            ActionKind::Crash => {
                self.harness.servers[0].failing_store().heal();
                self.harness.crash(server).await;
            }
            ActionKind::Rollback { moves } => self.rolls_back(*moves).await,
        }
        Ok(())
    }

    /// The answer never came: whoever sits there opens the browser anew, and what it had is in doubt.
    pub fn forgets(&mut self, unheard: bool, browser: usize) {
        if !unheard {
            return;
        }
        let now = self.now();
        let browser = browser % self.harness.browsers.len();
        self.harness.browsers[browser] = CookieJar::new();
        if let Some(name) = self.signed_in[browser].take()
            && let Some(name) = self.reference.names.get_mut(&name)
        {
            name.doubt(now);
        }
    }

    /// What an operator does to a person: the same as the command line.
    async fn person(&mut self, person: usize, enabled: bool) {
        self.harness.servers[0].failing_store().heal();
        let provider = &self.harness.servers[0];
        let sub = provider.user(USERNAMES[person]).await.sub;
        let changed = users::update(provider.store(), &sub, |user| user.enabled = enabled).await;
        assert_eq!(changed.expect("a store"), Some(()));
        self.reference.persons[person] = enabled;
        if enabled {
            return;
        }
        grants::revoke_all_for_subject(provider.store(), &sub, provider.app().now())
            .await
            .expect("a store");
        self.was_cut_off(person);
    }

    /// Nothing goes on of what a person has.
    pub fn was_cut_off(&mut self, person: usize) {
        for name in self.reference.names.values_mut().filter(|name| name.person == person) {
            name.end();
        }
        for grant in self.reference.grants.values_mut().filter(|grant| grant.person == person) {
            for world in &mut grant.worlds {
                *world = world.revoked(None);
            }
        }
        self.record(Observation::CutOff { person });
    }

    /// What an operator does to a client.
    async fn client(&mut self, number: usize, change: Change) {
        self.harness.servers[0].failing_store().heal();
        let provider = &self.harness.servers[0];
        let id = ClientId::parse(APPLICATIONS[number]).expect("an id");
        let held = &mut self.reference.clients[number];
        let note = match change {
            Change::Enable | Change::Disable => {
                held.enabled = change == Change::Enable;
                let step = |client: &mut clients::Client| client.enabled = held.enabled;
                clients::update(provider.store(), &id, step).await.expect("a store");
                if held.enabled {
                    Observation::ClientOn { client: number }
                } else {
                    let now = provider.app().now();
                    clients::revoke_all(provider.store(), &id, now).await.expect("a store");
                    held.life += 1;
                    self.record(Observation::ClientOff { client: number });
                    // What it had does not come back with it.
                    Observation::ClientRemoved { client: number }
                }
            }
            Change::Rename => {
                let name = format!("Number {}", self.history.0.len());
                let step =
                    |client: &mut clients::Client| client.metadata.client_name = Some(name.clone());
                clients::update(provider.store(), &id, step).await.expect("a store");
                return;
            }
            Change::Scope(which) => {
                let text = super::actions::CEILINGS[which % super::actions::CEILINGS.len()];
                held.ceiling = scopes(text);
                let step = |client: &mut clients::Client| client.metadata.scope = text.parse().ok();
                clients::update(provider.store(), &id, step).await.expect("a store");
                return;
            }
            Change::Remove => {
                let client = clients::find(provider.store(), &id).await.expect("a store");
                let mut client = client.expect("a client");
                clients::remove(provider.store(), &id).await.expect("a store");
                // At another moment, however close.
                client.enabled = true;
                client.created_at = client.created_at.plus(std::time::Duration::from_millis(1));
                let _ = clients::add(provider.store(), &client).await.expect("a store");
                held.enabled = true;
                held.life += 1;
                Observation::ClientRemoved { client: number }
            }
        };
        self.record(note);
    }

    async fn rolls_back(&mut self, moves: usize) {
        if !self.has_rollbacks() {
            return;
        }
        self.harness.servers[0].failing_store().heal();
        // The last mark is of this very move.
        let Some(place) = self.marks.len().checked_sub(moves + 1) else { return };
        let (mark, reference, facts) = &self.marks[place];
        self.harness.backend.rewind(mark.as_ref().expect("a mark")).await;
        self.reference = reference.clone();
        let to = *facts;
        self.marks.truncate(place);
        self.record(Observation::RolledBack { to });
    }

    /// Two of the same at once, where that can be told apart from one after the other.
    async fn together(&mut self, it: &Action) -> Result<(), Violation> {
        match it.what {
            ActionKind::Refresh { grant, back, .. } => self.refreshes_together(grant, back).await,
            ActionKind::Redeem { code, .. } => self.redeems_together(code).await,
            _ => self.step(it, false).await,
        }
    }

    /// Looks at everything there is: what the reference is sure of must be so.
    pub async fn sweeps(&mut self) -> Result<(), Violation> {
        for token in 0..self.tokens.len() {
            self.looks(token % 2, token, false, false).await?;
        }
        for code in 0..self.codes.len() {
            if self.codes[code].held.is_some() {
                self.looks_at_refresh(code % 2, code, 0, false).await?;
            }
        }
        Ok(())
    }

    /// Holds what introspection said against the reference.
    pub fn check_active(
        &self,
        code: usize,
        token: PresentedToken,
        active: bool,
    ) -> Result<(), Violation> {
        let now = self.now();
        let worth = match token {
            PresentedToken::Access(number) => {
                let it = &self.tokens[number];
                if now >= it.ends {
                    Expected::Rejected
                } else {
                    self.reference.worth(code, now, |world| world.bears(number, it.opaque))
                }
            }
            PresentedToken::Refresh(generation) => {
                self.reference.worth(code, now, |world| world.answers(generation, now))
            }
        };
        let wrong =
            (worth == Expected::Accepted && !active) || (worth == Expected::Rejected && active);
        if wrong {
            return Err(format!(
                "{token:?} of code {code} is {}active, and should be {worth:?}: {:?} (client of {})",
                if active { "" } else { "in" },
                self.reference.grants.get(&code),
                OPAQUE,
            ));
        }
        Ok(())
    }

    /// So long a grant's code may be redeemed.
    pub fn code_in_time(&self, code: usize) -> bool {
        self.reference.grants.get(&code).is_some_and(|grant| self.now() < grant.code_ends)
    }

    pub fn token_ends(&self) -> Seconds {
        self.now() + reference::ACCESS
    }
}
