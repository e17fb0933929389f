//! F14: redis has no memory left, and throws nothing away for it (`noeviction`).
//!
//! Nothing new begins, and that is a "not now". What is there can still end: revocation and logout work.
//! A code that could not be redeemed is as good as before, once lifetimes have run out or there is more
//! memory.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::checker::{request_until_conclusive, still_works};
use crate::client::{Browser, Code, Tokens};
use crate::context::RunContext;
use crate::parts::http::send;
use crate::parts::installation::{Installation, username};
use crate::parts::redis::RedisServer;
use crate::parts::server::Server;
use crate::report::Report;
use crate::workload::{Family, Load, Workload, new_families};

/// `burnt=0 500=0 revoke_ok=100% logout_ok=100%`, and it frees itself.
pub async fn run(context: RunContext) -> Vec<Report> {
    let redis = RedisServer::start();
    let installation = Installation::new().await;
    let servers = installation.start_servers(2, &redis.url()).await;
    let load = Load {
        families: context.pick(40, 100),
        refreshes_per_s: 100.0,
        codes_per_s: 20.0,
        revoked: 0.002,
    };
    let workload = Workload::start(&installation, &servers, load, context.seed).await;
    let count = context.pick(12, 60);
    let mut reports = Vec::new();
    for cure in [Cure::Lifetimes, Cure::Memory] {
        let ready = Prepared::make(&installation, &servers, count).await;
        let lifetime = Duration::from_secs(context.pick(6, 20));
        let filled = Instant::now();
        fill(&redis, (cure == Cure::Lifetimes).then_some(lifetime));
        let mut report = Report::of(match cure {
            Cure::Lifetimes => "cure=lifetimes",
            Cure::Memory => "cure=memory",
        });
        report.must("ready_red", servers[0].wait_for_status("/ready", 503, SOON).await.is_some());
        let held = ready.tries(&servers, &mut report).await;
        let red = servers[0].client().status("/ready").await == Some(503);
        report.must("still_full", red && (cure == Cure::Memory || filled.elapsed() < lifetime));
        match cure {
            Cure::Lifetimes => tokio::time::sleep_until((filled + lifetime).into()).await,
            Cure::Memory => {
                redis.command(&[b"CONFIG", b"SET", b"maxmemory", b"0"]);
            }
        }
        let cured = Instant::now();
        let green = servers[0].wait_for_status("/ready", 200, Duration::from_secs(10)).await;
        let green = green.map_or(f64::INFINITY, |it| it.as_secs_f64());
        report.within("ready_again_s", green, 2.0, 5.0);
        ready.checks(&servers, &held, &mut report).await;
        tokio::time::sleep_until((cured + Duration::from_secs(3)).into()).await;
        let trouble = workload.history().errors_after(cured, Instant::now()).as_secs_f64();
        report.within("recover_s", trouble, 2.0, 2.8);
        reports.push(report);
    }
    let after = workload.stop_and_collect().await;
    let mut report = Report::of("storm");
    after.report(&mut report).await;
    report.never("burnt_codes", after.history.burnt.load(Ordering::Relaxed)).at_least(
        "new_state_503",
        i32::try_from(after.history.answers(503)).unwrap_or(0),
        1,
    );
    reports.push(report);
    reports
}

const SOON: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Eq, PartialEq)]
enum Cure {
    Lifetimes,
    Memory,
}

/// Much more than fits: one script is let through to its end. With a lifetime, or for ever.
fn fill(redis: &RedisServer, lifetime: Option<Duration>) {
    let memory = redis.command(&[b"INFO", b"memory"]);
    let used = memory.lines().find_map(|line| line.strip_prefix("used_memory:"));
    let used: u64 = used.and_then(|digits| digits.trim().parse().ok()).expect("a size");
    let most = (used + 500_000).to_string();
    redis.command(&[b"CONFIG", b"SET", b"maxmemory", most.as_bytes()]);
    let script = "local text = string.rep('x', 10000) for n = 1, 300 do \
                  redis.call('SET', 'filler:' .. n, text) \
                  if ARGV[1] ~= '0' then redis.call('PEXPIRE', 'filler:' .. n, ARGV[1]) end end \
                  return 1";
    let millis = lifetime.map_or(0, |it| it.as_millis()).to_string();
    let said = redis.command(&[b"EVAL", script.as_bytes(), b"0", millis.as_bytes()]);
    assert!(said.starts_with(":1"), "it does not fill: {said}");
}

/// What was begun in good times and goes on in bad ones.
struct Prepared {
    codes: Vec<Code>,
    revoked: Vec<Family>,
    signed_in: Vec<(Browser, String)>,
}

impl Prepared {
    async fn make(installation: &Installation, servers: &[Arc<Server>], count: usize) -> Self {
        let (http, shop) = (servers[0].client(), installation.client(0));
        let revoked = new_families(installation, servers, count).await;
        let (mut codes, mut signed_in) = (Vec::new(), Vec::new());
        for number in 0..4 {
            let browser = Browser::sign_in(http, shop, &username(number)).await;
            let browser = browser.expect("signed in");
            let code = browser.code_for(http, shop, "openid").await.expect("a code");
            let reply = send(shop.redeem_request(http, &code)).await;
            for _ in 0..count / 4 {
                codes.push(browser.code(http, shop).await.expect("a code"));
            }
            signed_in.push((browser, reply.text("id_token").expect("an ID token")));
        }
        Self { codes, revoked, signed_in }
    }

    /// Redeems, revokes, signs out; answers the codes that were told "not now".
    async fn tries(&self, servers: &[Arc<Server>], report: &mut Report) -> Vec<Code> {
        let http = |turn: usize| servers[turn % servers.len()].client();
        let (mut held, mut burnt, mut redeemed) = (Vec::new(), 0, 0);
        for (turn, code) in self.codes.iter().enumerate() {
            let reply = send(code.client.redeem_request(http(turn), code)).await;
            match reply.status() {
                Some(200) => redeemed += 1,
                Some(503) => held.push(code.clone()),
                _ => burnt += 1,
            }
        }
        let mut revoked = 0;
        for (turn, family) in self.revoked.iter().enumerate() {
            let reply =
                send(family.client.revoke_request(http(turn), &family.newest.refresh)).await;
            revoked += usize::from(reply.has_status(200));
        }
        let mut signed_out = 0;
        for (turn, (browser, hint)) in self.signed_in.iter().enumerate() {
            let reply = browser.open(http(turn), &format!("/logout?id_token_hint={hint}")).await;
            signed_out += usize::from(reply.has_status(200));
        }
        report
            .figure("codes", self.codes.len())
            .figure("redeemed_meanwhile", redeemed)
            .never("burnt", burnt)
            .equals("revoke_ok", revoked, self.revoked.len())
            .equals("logout_ok", signed_out, self.signed_in.len());
        held
    }

    /// What was held back goes on, and what was ended has ended.
    async fn checks(&self, servers: &[Arc<Server>], held: &[Code], report: &mut Report) {
        let wires: Vec<_> = servers.iter().map(|it| it.client().clone()).collect();
        let mut lost = 0;
        for code in held {
            let reply =
                request_until_conclusive(&wires, |http| code.client.redeem_request(http, code))
                    .await;
            lost += usize::from(Tokens::of(&reply).is_none());
        }
        let mut zombie = 0;
        for family in &self.revoked {
            zombie += usize::from(still_works(family, &wires).await);
        }
        let mut still_in = 0;
        for (browser, _) in &self.signed_in {
            let (code, _) = browser.try_code(&wires[0], &self.revoked[0].client, "openid").await;
            still_in += usize::from(code.is_some());
        }
        report
            .never("burnt_after", lost)
            .never("zombie", zombie)
            .never("still_signed_in", still_in);
    }
}
