//! The actions of clients: redeem, refresh, revoke, introspect.

use serde_json::Value;

use super::actions::{CLIENTS, Proof};
use super::browser_actions::claims;
use super::harness::OPAQUE;
use super::history::{Expected, Observation, PresentedToken, TokenReply, Tokens};
use super::reference::Verdict;
use super::runner::{Runner, Token, Violation, scopes};
use crate::support::http::{self, HttpResponse};

impl Runner {
    /// `(code, by a stranger, what is shown)`
    pub async fn redeems(
        &mut self,
        server: usize,
        (code, stranger, proof): (usize, bool, Proof),
        unheard: bool,
    ) -> Result<(), Violation> {
        let Some(code) = self.some_code(code) else { return Ok(()) };
        let by = self.whose(code, stranger);
        let fields = self.redemption(code, by, proof);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, &**value)).collect();
        let answer = self.harness.post(server, by, "/token", &fields).await;
        self.redeemed((code, by, proof), &answer, unheard)
    }

    pub async fn redeems_together(&mut self, code: usize) -> Result<(), Violation> {
        let Some(code) = self.some_code(code) else { return Ok(()) };
        let by = self.codes[code].client;
        let fields = self.redemption(code, by, Proof::Right);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, &**value)).collect();
        let one = http::send(self.harness.post_request(0, by, "/token", &fields));
        let other = http::send(self.harness.post_request(1, by, "/token", &fields));
        let (one, other) = tokio::join!(one, other);
        // Whichever got something was first.
        let (first, second) = if other.status == 200 { (other, one) } else { (one, other) };
        self.redeemed((code, by, Proof::Right), &first, false)?;
        self.redeemed((code, by, Proof::Right), &second, false)
    }

    fn redemption(&self, code: usize, by: usize, proof: Proof) -> Vec<(&'static str, String)> {
        let held = &self.codes[code];
        let wrong = "w".repeat(43);
        let verifier = if proof == Proof::WrongVerifier { wrong } else { held.verifier.clone() };
        let uri = self.harness.applications[by].redirect_uri.clone();
        let uri = if proof == Proof::WrongRedirectUri { format!("{uri}/other") } else { uri };
        vec![
            ("grant_type", "authorization_code".to_owned()),
            ("code", held.text.clone()),
            ("redirect_uri", uri),
            ("code_verifier", verifier),
        ]
    }

    fn redeemed(
        &mut self,
        (code, by, proof): (usize, usize, Proof),
        answer: &HttpResponse,
        unheard: bool,
    ) -> Result<(), Violation> {
        let (now, in_time) = (self.now(), self.code_in_time(code));
        let gate = self.reference.gate(code, now);
        let (own, token) = (self.is_own(code, by), self.tokens.len());
        let told = self.told(code, by, answer, unheard)?;
        let fits = self.reference.sees(code, verdict(&told), |world| {
            if !own {
                return vec![(None, world.clone())];
            }
            let after = world.redeem(gate, proof, in_time, now);
            after
                .into_iter()
                .map(|(verdict, world)| (verdict, world.keeping_if(verdict, token)))
                .collect()
        });
        let shown = format!("code {code} redeemed by {by} with {proof:?}: {answer:?}");
        self.writes(Observation::Redeemed { code, by, gate, told }, fits, shown)
    }

    /// `(grant, so many generations back, by a stranger, with less scope)`
    pub async fn refreshes(
        &mut self,
        server: usize,
        (grant, back, stranger, narrow): (usize, usize, bool, bool),
        unheard: bool,
    ) -> Result<(), Violation> {
        let Some((code, presented)) = self.some_refresh(grant, back) else { return Ok(()) };
        let by = self.whose(code, stranger);
        let token = self.codes[code].refresh[&presented].clone();
        let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", &*token)];
        if narrow {
            fields.push(("scope", "openid"));
        }
        let answer = self.harness.post(server, by, "/token", &fields).await;
        self.refreshed((code, by, presented), &answer, unheard)
    }

    pub async fn refreshes_together(&mut self, grant: usize, back: usize) -> Result<(), Violation> {
        let Some((code, presented)) = self.some_refresh(grant, back) else { return Ok(()) };
        let by = self.codes[code].client;
        let token = self.codes[code].refresh[&presented].clone();
        let fields = [("grant_type", "refresh_token"), ("refresh_token", &*token)];
        let one = http::send(self.harness.post_request(0, by, "/token", &fields));
        let other = http::send(self.harness.post_request(1, by, "/token", &fields));
        let (one, other) = tokio::join!(one, other);
        self.refreshed((code, by, presented), &one, false)?;
        // The table answers the same again, but for the first row: then the second was the first.
        self.refreshed((code, by, presented), &other, false)
    }

    fn refreshed(
        &mut self,
        (code, by, presented): (usize, usize, u64),
        answer: &HttpResponse,
        unheard: bool,
    ) -> Result<(), Violation> {
        let now = self.now();
        let gate = self.reference.gate(code, now);
        let in_time =
            self.reference.worth(code, now, |world| world.is_in_time(now)) == Expected::Accepted;
        let newest_held = self.codes[code].held.unwrap_or_default();
        let (own, token) = (self.is_own(code, by), self.tokens.len());
        let told = self.told(code, by, answer, unheard)?;
        let fits = self.reference.sees(code, verdict(&told), |world| {
            if !own {
                return vec![(None, world.clone())];
            }
            let after = world.refresh(gate, presented, now);
            after
                .into_iter()
                .map(|(verdict, world)| (verdict, world.keeping_if(verdict, token)))
                .collect()
        });
        if let Some(name) = self.reference.grants.get(&code).and_then(|grant| grant.bound_to)
            && let Some(name) = self.reference.names.get_mut(&name)
        {
            match told {
                TokenReply::Tokens(_) => name.proved(now),
                TokenReply::Refused | TokenReply::Broken => name.perhaps_used(now),
            }
        }
        let shown = format!("generation {presented} of code {code} by {by}: {answer:?}");
        let seen = Observation::Refreshed { code, by, presented, newest_held, in_time, gate, told };
        self.writes(seen, fits, shown)
    }

    /// Reads a token response, and files what it brought.
    fn told(
        &mut self,
        code: usize,
        by: usize,
        answer: &HttpResponse,
        unheard: bool,
    ) -> Result<TokenReply, Violation> {
        self.decided(answer, "token");
        match answer.error() {
            (200, _) => {}
            (503, _) if self.faulty => return Ok(TokenReply::Broken),
            (400, error) if error == "invalid_grant" || error == "invalid_scope" => {
                return Ok(TokenReply::Refused);
            }
            (401, error) if error == "invalid_client" && !self.reference.clients[by].enabled => {
                return Ok(TokenReply::Refused);
            }
            _ => return Err(format!("the token endpoint says {answer:?}")),
        }
        let body = answer.json();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let (access, refresh) = (text("access_token"), text("refresh_token"));
        let generation = refresh.split('.').nth(2).and_then(|number| number.parse().ok());
        let generation = generation.ok_or_else(|| format!("no refresh token: {answer:?}"))?;
        self.secrets.extend([access.clone(), refresh.clone()]);
        let scope = scopes(&text("scope"));
        let ends = self.token_ends();
        let opaque = by == OPAQUE;
        self.tokens.push(Token { text: access, code, opaque, ends, scope: scope.clone() });
        let held = &mut self.codes[code];
        held.refresh.entry(generation).or_insert_with(|| refresh.clone());
        if !unheard {
            held.held = Some(held.held.map_or(generation, |newest| newest.max(generation)));
        } else if held.held.is_none() {
            // The client never got any: whoever listened in has the first.
        }
        let claims =
            if body["id_token"].is_string() { claims(&text("id_token")) } else { Value::Null };
        let registered = self.reference.clients[by].ceiling.clone();
        let tokens = Tokens { scope, generation, refresh, claims, registered };
        Ok(TokenReply::Tokens(tokens))
    }

    fn writes(&mut self, seen: Observation, fits: bool, shown: String) -> Result<(), Violation> {
        self.record(seen);
        if fits { Ok(()) } else { Err(format!("no state of the grant explains this: {shown}")) }
    }

    pub async fn gives_back_grant(
        &mut self,
        server: usize,
        grant: usize,
        stranger: bool,
    ) -> Result<(), Violation> {
        let Some((code, generation)) = self.some_refresh(grant, 0) else { return Ok(()) };
        let by = self.whose(code, stranger);
        let token = self.codes[code].refresh[&generation].clone();
        self.gives_back(server, (code, by), &token, None).await
    }

    pub async fn gives_back_token(
        &mut self,
        server: usize,
        token: usize,
        stranger: bool,
    ) -> Result<(), Violation> {
        if self.tokens.is_empty() {
            return Ok(());
        }
        let token = token % self.tokens.len();
        let Token { text, code, .. } = &self.tokens[token];
        let (text, code) = (text.clone(), *code);
        let by = self.whose(code, stranger);
        self.gives_back(server, (code, by), &text, Some(token)).await
    }

    async fn gives_back(
        &mut self,
        server: usize,
        (code, by): (usize, usize),
        text: &str,
        access: Option<usize>,
    ) -> Result<(), Violation> {
        let answer = self.harness.post(server, by, "/revoke", &[("token", text)]).await;
        self.decided(&answer, "revoke");
        if !self.reference.clients[by].enabled {
            return Ok(());
        }
        let done = match answer.status {
            200 => true,
            503 if self.faulty => false,
            _ => return Err(format!("the revocation endpoint says {answer:?}")),
        };
        if !self.is_own(code, by) {
            return Ok(());
        }
        let ended = |world: &super::reference::PossibleState| vec![(None, world.revoked(access))];
        // Without a 200 it may or may not be.
        self.reference.sees(code, done.then_some(None), ended);
        if done {
            self.record(Observation::Revoked { code, access });
        }
        Ok(())
    }

    pub async fn looks(
        &mut self,
        server: usize,
        token: usize,
        stranger: bool,
        userinfo: bool,
    ) -> Result<(), Violation> {
        if self.tokens.is_empty() {
            return Ok(());
        }
        let token = token % self.tokens.len();
        let Token { text, code, .. } = &self.tokens[token];
        let (text, code) = (text.clone(), *code);
        if !userinfo {
            return self
                .asks(
                    server,
                    (code, self.whose(code, stranger)),
                    &text,
                    PresentedToken::Access(token),
                )
                .await;
        }
        let answer = self.harness.userinfo(server, &text).await;
        self.decided(&answer, "userinfo");
        let active = match answer.status {
            200 => true,
            401 => false,
            503 if self.faulty => return Ok(()),
            _ => return Err(format!("userinfo says {answer:?}")),
        };
        let (by, scope) = (self.codes[code].client, self.tokens[token].scope.clone());
        self.record(Observation::Asks {
            code,
            by,
            token: PresentedToken::Access(token),
            active,
            scope,
        });
        self.check_active(code, PresentedToken::Access(token), active)
    }

    pub async fn looks_at_refresh(
        &mut self,
        server: usize,
        grant: usize,
        back: usize,
        stranger: bool,
    ) -> Result<(), Violation> {
        let Some((code, generation)) = self.some_refresh(grant, back) else { return Ok(()) };
        let token = self.codes[code].refresh[&generation].clone();
        self.asks(
            server,
            (code, self.whose(code, stranger)),
            &token,
            PresentedToken::Refresh(generation),
        )
        .await
    }

    async fn asks(
        &mut self,
        server: usize,
        (code, by): (usize, usize),
        text: &str,
        token: PresentedToken,
    ) -> Result<(), Violation> {
        let answer = self.harness.post(server, by, "/introspect", &[("token", text)]).await;
        self.decided(&answer, "introspect");
        if !self.reference.clients[by].enabled || (answer.status == 503 && self.faulty) {
            return Ok(());
        }
        if answer.status != 200 {
            return Err(format!("introspection says {answer:?}"));
        }
        let body = answer.json();
        let active = body["active"] == true;
        let scope = scopes(body["scope"].as_str().unwrap_or_default());
        self.record(Observation::Asks { code, by, token, active, scope });
        if by == self.codes[code].client { self.check_active(code, token, active) } else { Ok(()) }
    }

    fn some_code(&self, code: usize) -> Option<usize> {
        (!self.codes.is_empty()).then(|| code % self.codes.len())
    }

    /// Among the grants that have refresh tokens, and the generations there are.
    fn some_refresh(&self, grant: usize, back: usize) -> Option<(usize, u64)> {
        let with: Vec<usize> =
            (0..self.codes.len()).filter(|code| self.codes[*code].held.is_some()).collect();
        let code = *with.get(grant % with.len().max(1))?;
        let back = u64::try_from(back).expect("small");
        let newest = self.codes[code].held?;
        let wanted = newest.saturating_sub(back);
        self.codes[code].refresh.contains_key(&wanted).then_some((code, wanted))
    }

    fn whose(&self, code: usize, stranger: bool) -> usize {
        (self.codes[code].client + usize::from(stranger)) % CLIENTS
    }

    /// Whether the client is let in at all, and the grant was given to it.
    fn is_own(&self, code: usize, by: usize) -> bool {
        by == self.codes[code].client && self.reference.clients[by].enabled
    }
}

fn verdict(told: &TokenReply) -> Option<Verdict> {
    match told {
        TokenReply::Tokens(tokens) => Some(Some(tokens.generation)),
        TokenReply::Refused => Some(None),
        TokenReply::Broken => None,
    }
}
