//! The actions of browsers: authorization requests, sign-in, consent, logout.

use std::sync::Arc;

use latchkey::domain::grants;
use latchkey::domain::sessions::{self, Session, SessionId};
use latchkey::infra::secret::Secret;
use serde_json::Value;

use super::actions::{Again, AuthorizationParams, BROWSERS, PERSONS, SCOPES};
use super::harness::{BrowserResponse, USERNAMES};
use super::history::{Expected, IssuedCode, Login, Observation, Scopes};
use super::reference::{self, Grant, PossibleState, SessionName};
use super::runner::{Code, Flow, Runner, Violation, scopes};
use crate::support::browser::AuthorizationResponse;
use crate::support::test_server::PASSWORD;

/// The browser in which a flow began.
const OWN: usize = 0;

impl Runner {
    /// A new flow, and its number.
    pub async fn authorizes(
        &mut self,
        server: usize,
        wish: AuthorizationParams,
    ) -> Result<usize, Violation> {
        let (flow, path) = self.begins(wish);
        let came = self.harness.open(server, wish.browser, &path).await;
        self.comes(flow, wish.browser, came)?;
        Ok(flow)
    }

    /// A request that needs no page is answered while its person is cut off: their grants are listed, then
    /// this one is stored.
    pub async fn is_cut_off_behind(
        &mut self,
        server: usize,
        wish: AuthorizationParams,
    ) -> Result<(), Violation> {
        let name = self.signed_in[wish.browser].and_then(|name| self.reference.names.get(&name));
        let Some(person) = name.map(|name| name.person) else { return Ok(()) };
        let provider = &self.harness.servers[0];
        provider.failing_store().heal();
        let (store, now) = (Arc::clone(&provider.app().store), provider.app().now());
        let sub = provider.user(USERNAMES[person]).await.sub;
        let faults = provider.failing_store().clone();
        let held = faults.pause_next_commit("grant.v1");
        let (flow, path) = self.begins(wish);
        let cut_off = async {
            held.wait_until_reached().await;
            grants::revoke_all_for_subject(&*store, &sub, now).await.expect("a store");
            held.resume();
            std::future::pending::<()>().await;
        };
        let came = tokio::select! {
            came = self.harness.open(server, wish.browser, &path) => came,
            () = cut_off => unreachable!("it never ends"),
        };
        let was_cut_off = !faults.cancel_pause();
        self.comes(flow, wish.browser, came)?;
        if was_cut_off {
            self.was_cut_off(person);
        }
        Ok(())
    }

    /// As another tab leaves it that was signed in with the same cookies.
    pub async fn opens_second_session(&mut self, browser: usize) {
        let browser = browser % BROWSERS;
        let Some(name) = self.signed_in[browser] else { return };
        let cookie = self.session_cookie(browser).and_then(|cookie| Secret::parse(&cookie));
        let Some(cookie) = cookie else { return };
        let provider = &self.harness.servers[0];
        provider.failing_store().heal();
        let (store, now) = (provider.store(), provider.app().now());
        let found = sessions::find(store, SessionId::of(&cookie), now).await.expect("a store");
        let Some(first) = found else { return };
        let id = SessionId::of(&Secret::random());
        let second = Session { id, idle_end: first.absolute_end, ..first };
        sessions::begin(store, &second, None).await.expect("a store");
        if let Some(held) = self.reference.names.get_mut(&name) {
            held.split();
        }
    }

    /// A new flow, its number, and where the browser is sent.
    fn begins(&mut self, wish: AuthorizationParams) -> (usize, String) {
        let AuthorizationParams { browser, client, scope, again } = wish;
        let nonce = Secret::random().reveal();
        let wants_acr = scope % 2 == 1;
        let mut request = self.harness.applications[client]
            .authorization_request(SCOPES[scope])
            .with("nonce", &nonce);
        if wants_acr {
            request = request.with("acr_values", "1");
        }
        request = match again {
            Again::Nothing => request,
            Again::Login => request.with("prompt", "login"),
            Again::Consent => request.with("prompt", "consent"),
            Again::Silent => request.with("prompt", "none"),
            Again::MaxAge(most) => request.with("max_age", &most.to_string()),
        };
        let flow = self.flows.len();
        self.secrets.push(request.verifier.clone());
        let verifier = request.verifier.clone();
        let may_have = &self.reference.clients[client].ceiling;
        let scope = scopes(SCOPES[scope]).intersection(may_have).cloned().collect();
        self.flows.push(Flow { browser, client, scope, nonce, verifier, wants_acr, page: None });
        let max_age = if let Again::MaxAge(most) = again { Some(most) } else { None };
        let (login_anew, consent_anew) = (again == Again::Login, again == Again::Consent);
        self.record(Observation::Asked { flow, browser, login_anew, max_age, consent_anew });
        let url = request.url();
        (flow, url.strip_prefix(self.harness.issuer()).expect("at home").to_owned())
    }

    /// Somebody submits the login form of the flow; in which browser, if there was one.
    pub async fn logs_in(
        &mut self,
        server: usize,
        flow: usize,
        browser: usize,
        person: usize,
        right: bool,
    ) -> Result<Option<usize>, Violation> {
        let Some(flow) = self.pick(flow) else { return Ok(None) };
        let (browser, person) = (self.sits(flow, browser), person % PERSONS);
        let page = self.flows[flow].page.clone().filter(|page| page.has_element("#login-submit"));
        let Some(page) = page else { return Ok(None) };
        let mut fields = page.hidden_fields_beside("#login-submit");
        fields.push(("username".to_owned(), USERNAMES[person].to_owned()));
        let password = if right { PASSWORD } else { "not the password" };
        fields.push(("password".to_owned(), password.to_owned()));
        let before = self.session_cookie(browser);
        let came = self.posts_form(server, browser, "/login", &fields).await;
        let now = self.now();
        if self.session_cookie(browser) != before {
            if !right || !self.reference.persons[person] {
                return Err(format!("{} got in with {password:?}", USERNAMES[person]));
            }
            self.signed(browser, person, now);
        }
        self.comes(flow, browser, came)?;
        Ok(Some(browser))
    }

    /// A browser has a new session.
    fn signed(&mut self, browser: usize, person: usize, now: u64) {
        let before = self.signed_in[browser].take();
        let same = before.filter(|name| {
            let held = self.reference.names.get(name);
            held.is_some_and(|held| held.person == person && held.gate(now) == Expected::Accepted)
        });
        if let Some(before) = before
            && same.is_none()
            && let Some(held) = self.reference.names.get_mut(&before)
        {
            // If it may have been alive, it may go on under another session.
            if held.person == person && held.gate(now) == Expected::Either {
                held.doubt(now);
            } else {
                held.end();
            }
        }
        let name = same.unwrap_or_else(|| {
            self.names += 1;
            self.names
        });
        self.reference
            .names
            .entry(name)
            .and_modify(|held| held.again(now))
            .or_insert_with(|| SessionName::new(person, now));
        self.signed_in[browser] = Some(name);
        let login = Login { person, name, at: now };
        self.record(Observation::SignedIn { browser, login });
    }

    pub async fn consents(
        &mut self,
        server: usize,
        flow: usize,
        browser: usize,
        yes: bool,
    ) -> Result<Option<usize>, Violation> {
        let Some(flow) = self.pick(flow) else { return Ok(None) };
        let browser = self.sits(flow, browser);
        let page = self.flows[flow].page.clone().filter(|page| page.has_element("#consent-accept"));
        let Some(page) = page else { return Ok(None) };
        let mut fields = page.hidden_fields_beside("#consent-accept");
        fields.push(("decision".to_owned(), if yes { "accept" } else { "deny" }.to_owned()));
        let name = self.signed_in[browser].and_then(|name| self.reference.names.get(&name));
        let person = name.map(|name| name.person);
        let client = self.flows[flow].client;
        let scope = self.may_have(flow);
        if yes && self.flows[flow].browser == browser {
            self.record(Observation::Agreed { flow, person, client, scope });
        }
        let came = self.posts_form(server, browser, "/consent", &fields).await;
        self.comes(flow, browser, came)?;
        Ok(Some(browser))
    }

    /// Whatever the pages ask for; the number of the code, if there is one.
    pub async fn signs_in(
        &mut self,
        server: usize,
        wish: AuthorizationParams,
        person: usize,
    ) -> Result<Option<usize>, Violation> {
        let codes = self.codes.len();
        let flow = self.authorizes(server, wish).await?;
        for _ in 0..3 {
            let Some(page) = &self.flows[flow].page else { break };
            if page.has_element("#login-submit") {
                self.logs_in(server, 0, OWN, person, true).await?;
            } else if page.has_element("#consent-accept") {
                self.consents(server, 0, OWN, true).await?;
            }
        }
        Ok((self.codes.len() > codes).then_some(codes))
    }

    pub async fn logs_out(&mut self, server: usize, browser: usize) -> Result<(), Violation> {
        let browser = browser % BROWSERS;
        let page = self.harness.open(server, browser, "/logout").await;
        self.sent(None, &page.sent);
        let Some(name) = self.signed_in[browser] else { return Ok(()) };
        if page.answer.has_element("#logout-confirm") {
            let fields = page.answer.hidden_fields_beside("#logout-confirm");
            let came = self.posts_form(server, browser, "/logout/confirm", &fields).await;
            self.sent(None, &came.sent);
            self.decided(&came.answer, "logout");
            if came.answer.status == 200 {
                if let Some(held) = self.reference.names.get_mut(&name) {
                    held.end();
                }
                self.signed_in[browser] = None;
                self.record(Observation::SignedOut { name });
                return Ok(());
            }
        }
        self.forgets(true, browser);
        Ok(())
    }

    /// What a browser got at the end of its way.
    fn comes(
        &mut self,
        flow: usize,
        browser: usize,
        came: BrowserResponse,
    ) -> Result<(), Violation> {
        let client = self.flows[flow].client;
        self.sent(Some(client), &came.sent);
        let now = self.now();
        if let Some(name) = self.signed_in[browser]
            && let Some(name) = self.reference.names.get_mut(&name)
        {
            name.used(now);
        }
        let BrowserResponse { answer, .. } = came;
        self.decided(&answer, "page");
        if answer.status >= 500 && !(self.faulty && answer.status == 503) {
            return Err(format!("a browser reads {}: {}", answer.status, answer.body));
        }
        let broken = answer.status >= 500;
        let code = answer
            .location()
            .and_then(|_| AuthorizationResponse::from_redirect(&answer).param("code"));
        match code {
            Some(code) => self.coded(flow, browser, code),
            None => self.flows[flow].page = Some(answer),
        }
        self.forgets(broken, browser);
        Ok(())
    }

    fn coded(&mut self, flow: usize, browser: usize, text: String) {
        let (now, code) = (self.now(), self.codes.len());
        self.flows[flow].page = None;
        let it = &self.flows[flow];
        let login = self.signed_in[browser].and_then(|name| {
            let held = self.reference.names.get(&name)?;
            Some(Login { person: held.person, name, at: held.login_at })
        });
        let scope = self.may_have(flow);
        let bound = !scope.contains("offline_access");
        let issue = IssuedCode {
            flow,
            code,
            browser,
            client: it.client,
            scope,
            registered: self.reference.clients[it.client].ceiling.clone(),
            nonce: it.nonce.clone(),
            wants_acr: it.wants_acr,
            login,
            bound,
        };
        let (client, verifier) = (it.client, it.verifier.clone());
        if let Some(login) = login {
            if let Some(name) = self.reference.names.get_mut(&login.name) {
                name.proved(now);
            }
            let life = self.reference.clients[client].life;
            let grant = Grant {
                client,
                life,
                person: login.person,
                bound_to: bound.then_some(login.name),
                code_ends: now + reference::CODE,
                worlds: vec![PossibleState::default()],
            };
            self.reference.grants.insert(code, grant);
        }
        self.secrets.push(text.clone());
        let refresh = std::collections::BTreeMap::new();
        self.codes.push(Code { text, verifier, client, refresh, held: None });
        self.record(Observation::Coded(issue));
    }

    fn sent(&mut self, client: Option<usize>, places: &[String]) {
        for to in places {
            self.record(Observation::Sent { client, to: to.clone() });
        }
    }

    async fn posts_form(
        &mut self,
        server: usize,
        browser: usize,
        path: &str,
        fields: &[(String, String)],
    ) -> BrowserResponse {
        let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        self.harness.submit(server, browser, path, &fields).await
    }

    /// Of what was asked, as far as the client may have it now.
    fn may_have(&self, flow: usize) -> Scopes {
        let Flow { client, scope, .. } = &self.flows[flow];
        scope.intersection(&self.reference.clients[*client].ceiling).cloned().collect()
    }

    /// One of the last three.
    fn pick(&self, flow: usize) -> Option<usize> {
        let last = self.flows.len().checked_sub(1)?;
        Some(last - flow % self.flows.len().min(3))
    }

    /// Three times out of four the browser in which the flow began.
    pub fn sits(&self, flow: usize, browser: usize) -> usize {
        if browser < 48 { self.flows[flow].browser } else { browser % BROWSERS }
    }

    fn session_cookie(&self, browser: usize) -> Option<String> {
        let jar = &self.harness.browsers[browser];
        jar.iter().find(|(name, _)| name.ends_with("session")).map(|(_, value)| value.clone())
    }
}

/// The claims of a token; its signature is looked at elsewhere.
pub fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("a JWT");
    let bytes = latchkey::infra::secret::from_base64url(part).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}
