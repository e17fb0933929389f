//! F03: a refresh at the same moment as a revocation, a sign-out, or the end of an account.
//!
//! When the end is acknowledged, no token of the family works: not the one that was held, and not one
//! that was handed out in the very same moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::burst::at_once;
use crate::checker::still_works;
use crate::client::{Browser, ConfidentialClient, Tokens};
use crate::context::RunContext;
use crate::parts::http::{HttpClient, HttpOutcome, send};
use crate::parts::installation::{Installation, USER_COUNT, username};
use crate::parts::redis::RedisServer;
use crate::parts::server::Server;
use crate::report::Report;
use crate::workload::{Family, FamilyState};

/// What ends families.
#[derive(Clone, Copy, Debug)]
enum How {
    /// RFC 7009, by the client.
    Revoke,
    /// The person signs out; the tokens are not for `offline_access`, so they end with the session.
    Logout,
    /// `latchkey user disable`, by the operator.
    Disable,
}

impl How {
    /// Who refreshes each family meanwhile. A command takes its time to start, so there one hand goes on
    /// until it is through; several would run into each other's older tokens.
    fn hands(self) -> usize {
        match self {
            Self::Revoke | Self::Logout => 3,
            Self::Disable => 1,
        }
    }
}

/// `zombie=0` for each way to end.
pub async fn run(context: RunContext) -> Vec<Report> {
    let redis = RedisServer::start();
    let installation = Installation::new().await;
    let servers = installation.start_servers(2, &redis.url()).await;
    let mut report = Report::new();
    // An end takes one family along, or all that came of a session or of a person.
    for (how, name, rounds, families) in [
        (How::Revoke, "revoke", context.pick(30, 80), 1),
        (How::Logout, "logout", context.pick(4, 12), 5),
        (How::Disable, "disable", context.pick(3, 6), 10),
    ] {
        let (mut raced, mut late, mut zombie) = (0, 0, 0);
        for turn in 0..rounds {
            let one = Round { installation: &installation, servers: &servers, how, turn, families };
            let (all, won, undead) = one.goes().await;
            raced += all;
            late += won;
            zombie += undead;
        }
        report
            .figure(name, raced)
            .figure(&format!("{name}_won_refreshes"), late)
            .never(&format!("{name}_zombie"), zombie);
    }
    vec![report]
}

struct Round<'a> {
    installation: &'a Installation,
    servers: &'a [Arc<Server>],
    how: How,
    turn: usize,
    families: usize,
}

/// What one hand brought.
enum Brought {
    Refreshed(usize, Option<Tokens>),
    Ended(bool),
}

impl Round<'_> {
    /// How many families there were, how many refreshes still won, and how many families are undead.
    async fn goes(&self) -> (usize, usize, usize) {
        let shop = self.installation.client(self.turn);
        let name = username(self.turn % USER_COUNT);
        let http = self.servers[0].client();
        let browser = Browser::sign_in(http, shop, &name).await.expect("signed in");
        let browser = Arc::new(browser);
        let mut families = self.begin(&browser, shop).await;
        let hands = self.how.hands() * families.len() + 1;
        let over = Arc::new(AtomicBool::new(false));
        let brought = at_once(hands, |hand| {
            let server = Arc::clone(&self.servers[(hand + self.turn) % 2]);
            let (shop, browser, how) = (Arc::clone(shop), Arc::clone(&browser), self.how);
            let family = families.get(hand % families.len()).cloned().expect("a family");
            let over = Arc::clone(&over);
            async move {
                if hand + 1 == hands {
                    let done = ends(how, &server, &shop, &browser, &family.newest).await;
                    over.store(true, Ordering::Relaxed);
                    return Brought::Ended(done);
                }
                refreshes(&family, server.client(), how, &over).await
            }
        })
        .await;

        let mut won = 0;
        for one in brought {
            match one {
                Brought::Ended(acknowledged) => assert!(acknowledged, "{:?} fails", self.how),
                Brought::Refreshed(_, None) => {}
                Brought::Refreshed(number, Some(tokens)) => {
                    won += 1;
                    let family = &mut families[number];
                    family.previous = Some(std::mem::replace(&mut family.newest, tokens));
                }
            }
        }
        let mut undead = 0;
        if let How::Disable = self.how {
            undead += self.count_undead(&families).await;
            // What was ended stays so when the account comes back.
            operates(&self.servers[0], "enable", &name).await;
        }
        undead += self.count_undead(&families).await;
        if let How::Logout = self.how {
            let still = browser.code(self.servers[1].client(), shop).await;
            undead += usize::from(still.is_ok());
        }
        (families.len(), won, undead)
    }

    async fn begin(&self, browser: &Browser, shop: &Arc<ConfidentialClient>) -> Vec<Family> {
        let scope = match self.how {
            How::Revoke | How::Disable => crate::client::SCOPE,
            How::Logout => "openid",
        };
        let http = self.servers[0].client();
        let mut families = Vec::new();
        for number in 0..self.families {
            let code = browser.code_for(http, shop, scope).await.expect("a code");
            let reply = send(shop.redeem_request(http, &code)).await;
            let held = Tokens::of(&reply).expect("tokens");
            let (shop, person) = (Arc::clone(shop), code.person);
            let state = FamilyState::Active;
            families.push(Family {
                number,
                client: shop,
                person,
                newest: held,
                previous: None,
                state,
                code: None,
            });
        }
        families
    }

    async fn count_undead(&self, families: &[Family]) -> usize {
        let wires: Vec<HttpClient> =
            self.servers.iter().map(|server| server.client().clone()).collect();
        let mut undead = 0;
        for family in families {
            undead += usize::from(still_works(family, &wires).await);
        }
        undead
    }
}

/// Once, or until it is over. Answers the newest that came of it.
async fn refreshes(family: &Family, http: &HttpClient, how: How, over: &AtomicBool) -> Brought {
    let mut newest = None;
    loop {
        let held = newest.as_ref().unwrap_or(&family.newest);
        let reply = send(family.client.refresh_request(http, &held.refresh)).await;
        let Some(tokens) = Tokens::of(&reply) else { break };
        newest = Some(tokens);
        if matches!(how, How::Revoke | How::Logout) || over.load(Ordering::Relaxed) {
            break;
        }
    }
    Brought::Refreshed(family.number, newest)
}

/// Whether the end was acknowledged.
async fn ends(
    how: How,
    server: &Server,
    shop: &ConfidentialClient,
    browser: &Browser,
    held: &Tokens,
) -> bool {
    match how {
        How::Revoke => {
            send(shop.revoke_request(server.client(), &held.refresh)).await.has_status(200)
        }
        How::Logout => signs_out(server.client(), browser, held).await.has_status(200),
        How::Disable => operates(server, "disable", &browser.person).await,
    }
}

async fn signs_out(http: &HttpClient, browser: &Browser, held: &Tokens) -> HttpOutcome {
    let hint = held.id.as_deref().expect("an ID token");
    browser.open(http, &format!("/logout?id_token_hint={hint}")).await
}

async fn operates(server: &Server, what: &str, name: &str) -> bool {
    let mut command = server.plan().command(&["user", what, name]);
    let done = tokio::task::spawn_blocking(move || command.output()).await;
    done.expect("a thread").expect("the program").status.success()
}
