//! The same requests twice, once with Bob and his client there and once without: no answer may differ.

use latchkey::domain::clients::{self, ClientId};
use latchkey::domain::grants;
use latchkey::domain::users;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::backends::BackendKind;
use super::harness::{APPLICATIONS, Harness, USERNAMES};
use super::traces::{runner, runtime};
use crate::support::browser::AuthorizationResponse;
use crate::support::http::{self, HttpResponse};
use crate::support::test_server::PASSWORD;

/// What can be told from outside, and what an eye on the store's line would see.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Observed {
    pub what: &'static str,
    pub status: u16,
    pub length: usize,
    pub commands: usize,
}

/// **10, non-interference.** What a request by A returns does not depend on B's secrets or existence: status,
/// length, and how often the store is asked.
pub fn nobody_else_shows(with: &[Observed], without: &[Observed]) -> Result<(), String> {
    match with.iter().zip(without).find(|(one, other)| one != other) {
        Some((one, other)) => {
            Err(format!("invariant 10 is broken: {one:?} with, {other:?} without"))
        }
        None if with.len() == without.len() => Ok(()),
        None => Err("invariant 10 is broken: one of them has more to tell".to_owned()),
    }
}

/// What Ada and her application, or somebody who knows nobody's secrets, ask.
#[derive(Clone, Copy, Debug)]
enum Ask {
    /// With a wrong password, under Bob's name.
    LoginAsBob,
    LoginAsAda,
    /// A page that Bob is named to.
    HintOfBob,
    /// As Bob's application, with a wrong secret.
    TokenAsForum,
    RevokeAsForum,
    IntrospectAsForum,
    /// What looks like a token of Bob's, made up.
    LookAtGuess,
    RefreshGuess,
    RevokeGuess,
    RedeemGuess,
    UserinfoGuess,
    AdaGoesOn,
}

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    use Ask::{
        AdaGoesOn, HintOfBob, IntrospectAsForum, LoginAsAda, LoginAsBob, LookAtGuess, RedeemGuess,
        RefreshGuess, RevokeAsForum, RevokeGuess, TokenAsForum, UserinfoGuess,
    };
    let all = vec![
        AdaGoesOn,
        HintOfBob,
        IntrospectAsForum,
        LoginAsAda,
        LoginAsBob,
        LookAtGuess,
        RedeemGuess,
        RefreshGuess,
        RevokeAsForum,
        RevokeGuess,
        TokenAsForum,
        UserinfoGuess,
    ];
    prop::collection::vec(prop::sample::select(all), 1..8)
}

/// A guess of the right shape at the credentials of the grant before the last.
const GUESS: &str = "00000000000040008000000000000000";

impl Harness {
    async fn observes(&mut self, ask: Ask) -> Observed {
        let before = self.recorder.count();
        let mac = "A".repeat(43);
        let refresh = format!("rt1.{GUESS}.0.{mac}");
        let access = format!("at1.{GUESS}.{mac}");
        let code = format!("ac1.{GUESS}.{mac}");
        let verifier = "v".repeat(43);
        let uri = self.applications[0].redirect_uri.clone();
        #[rustfmt::skip]
        let (what, answer) = match ask {
            Ask::LoginAsBob => ("login as bob", self.tries(USERNAMES[1], "not the password").await),
            Ask::LoginAsAda => ("login as ada", self.tries(USERNAMES[0], PASSWORD).await),
            Ask::HintOfBob => ("hint", {
                let request = self.applications[0].authorization_request("openid").with("login_hint", USERNAMES[1]);
                self.at_home(&request.url()).await
            }),
            Ask::TokenAsForum => ("token", self.impostor("/token", &[("grant_type", "client_credentials")]).await),
            Ask::RevokeAsForum => ("revoke", self.impostor("/revoke", &[("token", &refresh)]).await),
            Ask::IntrospectAsForum => ("introspect", self.impostor("/introspect", &[("token", &refresh)]).await),
            Ask::LookAtGuess => ("look", self.post(0, 0, "/introspect", &[("token", &access)]).await),
            Ask::RefreshGuess => ("refresh", {
                let fields = [("grant_type", "refresh_token"), ("refresh_token", &*refresh)];
                self.post(0, 0, "/token", &fields).await
            }),
            Ask::RevokeGuess => ("give back", self.post(0, 0, "/revoke", &[("token", &refresh)]).await),
            Ask::RedeemGuess => ("redeem", {
                let fields = [("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", &*uri), ("code_verifier", &*verifier)];
                self.post(0, 0, "/token", &fields).await
            }),
            Ask::UserinfoGuess => ("userinfo", self.userinfo(0, &access).await),
            Ask::AdaGoesOn => ("ada", {
                let request = self.applications[0].authorization_request("openid").with("prompt", "none");
                self.at_home(&request.url()).await
            }),
        };
        let commands = self.recorder.count() - before;
        // Where a browser is sent to has a code or an error in it.
        let length = answer.body.len() + answer.location().map_or(0, str::len);
        Observed { what, status: answer.status, length, commands }
    }

    async fn at_home(&mut self, url: &str) -> HttpResponse {
        let path = url.strip_prefix(self.issuer()).expect("at home").to_owned();
        self.open(0, 0, &path).await.answer
    }

    /// Fills in a login form.
    async fn tries(&mut self, name: &str, password: &str) -> HttpResponse {
        let url =
            self.applications[0].authorization_request("openid").with("prompt", "login").url();
        let page = self.at_home(&url).await;
        let hidden = page.hidden_fields_beside("#login-submit");
        let hidden = hidden.iter().map(|(name, value)| (&**name, &**value));
        let typed = [("username", name), ("password", password)];
        let fields: Vec<_> = hidden.chain(typed).collect();
        self.submit(0, 0, "/login", &fields).await.answer
    }

    async fn impostor(&self, path: &str, fields: &[(&str, &str)]) -> HttpResponse {
        let forum = self.servers[0].client_with_secret(APPLICATIONS[1], "a secret that nobody has");
        let request =
            http::form(self.servers[0].http(), &format!("{}{path}", self.issuer()), fields);
        http::send(forum.with_basic_auth(request)).await
    }

    /// Bob is signed in, and his application has what he gave it.
    pub async fn has_bob(&mut self) -> [String; 3] {
        let request = self.applications[1].authorization_request("openid offline_access");
        let bob = self.servers[0].browser(USERNAMES[1]);
        let code = bob.authorize(&request.url()).await.code();
        let body = self.applications[1].redeem(&code, &request).await.success_json();
        let pending = self.applications[1].authorization_request("openid");
        let pending =
            AuthorizationResponse::from_redirect(&bob.open(&pending.url()).await).param("code");
        let text = |name: &str| body[name].as_str().expect("a token").to_owned();
        [text("access_token"), text("refresh_token"), pending.unwrap_or_default()]
    }

    /// Neither he nor his application ever was.
    async fn has_no_bob(&self) {
        let server = &self.servers[0];
        let bob = server.user(USERNAMES[1]).await;
        grants::revoke_all_for_subject(server.store(), &bob.sub, server.app().now())
            .await
            .expect("a store");
        users::remove(server.store(), &bob).await.expect("a store");
        let forum = ClientId::parse(APPLICATIONS[1]).expect("an id");
        clients::remove(server.store(), &forum).await.expect("a store");
    }
}

#[test]
fn nothing_that_ada_or_a_stranger_asks_tells_whether_bob_exists() {
    let runtime = runtime();
    let played = runner(12).run(&asks(), |asks| {
        let compared = runtime.block_on(async {
            let (mut with, mut without) = (
                Harness::start(BackendKind::Memory).await,
                Harness::start(BackendKind::Memory).await,
            );
            with.has_bob().await;
            without.has_no_bob().await;
            let (mut seen, mut seen_without) = (Vec::new(), Vec::new());
            for ask in asks {
                seen.push(with.observes(ask).await);
                seen_without.push(without.observes(ask).await);
            }
            nobody_else_shows(&seen, &seen_without)
        });
        compared.map_err(TestCaseError::fail)
    });
    played.unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn whoever_holds_a_credential_of_bobs_learns_as_much_as_from_a_made_up_one() {
    runtime().block_on(async {
        let mut rig = Harness::start(BackendKind::Memory).await;
        let [access, refresh, code] = rig.has_bob().await;
        for real in [&access, &refresh, &code] {
            let (head, tail) = real.split_at(real.len() - 4);
            let made_up = format!("{head}{}", if tail == "AAAA" { "BBBB" } else { "AAAA" });
            let uri = rig.applications[0].redirect_uri.clone();
            for (path, fields) in [
                ("/introspect", vec![("token", "")]),
                ("/revoke", vec![("token", "")]),
                ("/token", vec![("grant_type", "refresh_token"), ("refresh_token", "")]),
                (
                    "/token",
                    vec![
                        ("grant_type", "authorization_code"),
                        ("redirect_uri", &*uri),
                        ("code_verifier", "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"),
                        ("code", ""),
                    ],
                ),
            ] {
                let with = |text: &str| -> Vec<(String, String)> {
                    let value = |it: &str| if it.is_empty() { text } else { it }.to_owned();
                    fields.iter().map(|(name, it)| ((*name).to_owned(), value(it))).collect()
                };
                let mut answers = Vec::new();
                for text in [real, &made_up] {
                    let fields = with(text);
                    let fields: Vec<_> = fields.iter().map(|(name, it)| (&**name, &**it)).collect();
                    let answer = rig.post(0, 0, path, &fields).await;
                    answers.push((answer.status, answer.body));
                }
                assert_eq!(answers[0], answers[1], "{path}");
            }
        }
        assert_eq!(rig.userinfo(0, &access).await.status, 200, "and it does no harm");
        let forum = &rig.applications[1];
        assert_eq!(forum.refresh(&refresh).await.status, 200);
    });
}
