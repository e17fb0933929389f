//! F22: the clock of one of two servers jumps.
//!
//! Up to ten seconds nothing happens. Farther, `/ready` says so, what comes from the future is refused,
//! and nothing lives longer than it should. What the server whose clock is right has given out stays
//! good, also where it was shown to the other one meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::checker::check_families;
use crate::client::{Browser, Tokens, userinfo};
use crate::context::RunContext;
use crate::parts::fake_clock::FakeClock;
use crate::parts::http::send;
use crate::parts::installation::{Installation, username};
use crate::parts::redis::RedisServer;
use crate::parts::redis_keys::{KindCounts, census};
use crate::parts::server::Server;
use crate::report::Report;
use crate::workload::{self, Family};

/// What is said of by `/ready`.
const TOLERATED: i64 = 10;

struct Scene {
    installation: Installation,
    redis: RedisServer,
    good: Arc<Server>,
    off: Arc<Server>,
    clock: FakeClock,
}

/// `immortal=0 accepted_future_>60s=0 logged_out=0 lost=0`, for each jump.
pub async fn run(context: RunContext) -> Vec<Report> {
    let mut reports = Vec::new();
    for seconds in [5, -5, 90, -90, 3600, -3600] {
        let (redis, installation) = (RedisServer::start(), Installation::new().await);
        let clock = FakeClock::new(installation.folder(), "clock");
        let good = installation.start_server(&redis.url()).await;
        let off = clock.applied_to(installation.plan(&redis.url())).start().await;
        let scene = Scene { installation, redis, good, off, clock };
        reports.push(scene.jumps(seconds, context.pick(20, 200)).await);
    }
    reports
}

impl Scene {
    async fn jumps(&self, seconds: i64, count: usize) -> Report {
        let mut report = Report::of(format!("{seconds:+}s"));
        let mut families =
            workload::new_families(&self.installation, &[Arc::clone(&self.good)], count).await;
        let mut browsers = Vec::new();
        for number in 0..6 {
            let (name, shop) = (username(number), self.installation.client(number));
            let signed_in = Browser::sign_in(self.good.client(), shop, &name);
            browsers.push(signed_in.await.expect("signed in"));
        }
        // So that each kind of record there will be is there already.
        self.goes_round(&self.good).await.expect("all is well");
        let before = census(&self.redis);

        self.clock.jump(seconds);
        let far = seconds.abs() > TOLERATED;
        let ready = send(self.off.client().get("/ready")).await;
        let said = ready.json()["checks"]["clock"].clone();
        report.must("jumped", is_off(&ready.json(), seconds));
        report.must("told", ready.has_status(200) && said == if far { "off" } else { "ok" });
        let unmoved = send(self.good.client().get("/ready")).await;
        report.must(
            "other_well",
            unmoved.has_status(200) && unmoved.json()["checks"]["clock"] == "ok",
        );

        let issued = self.goes_round(&self.off).await;
        self.tells_of_the_future(seconds, &families[0], issued.as_ref(), &mut report).await;
        let refused = self.refreshes(&mut families).await;
        let shut_out = self.shows(&browsers, &self.off).await;
        let immortal = immortal(&before, &census(&self.redis), seconds.unsigned_abs());
        report.figure("off_refresh_refused", refused).figure("off_session_over", shut_out);
        report.never("immortal", immortal.len());
        if !immortal.is_empty() {
            report.figure("kinds", immortal.join(","));
        }

        self.clock.jump(0);
        report.never("logged_out", self.shows(&browsers, &self.good).await);
        let settled =
            check_families(&families, &[Arc::clone(&self.good), Arc::clone(&self.off)]).await;
        let panics = self.good.panics() + self.off.panics();
        report
            .figure("families", families.len())
            .never("lost", settled.lost)
            .never("mix", settled.mixed)
            .never("panics", panics);
        if !far {
            report.never("noticed", refused + shut_out);
        }
        report
    }

    /// A sign-in, a code, its redemption and a refresh, all at one server.
    async fn goes_round(&self, server: &Arc<Server>) -> Option<Tokens> {
        let (http, shop) = (server.client(), self.installation.client(0));
        let browser = Browser::sign_in(http, shop, &username(7)).await.ok()?;
        let code = browser.code(http, shop).await.ok()?;
        let first = Tokens::of(&send(shop.redeem_request(http, &code)).await)?;
        Tokens::of(&send(shop.refresh_request(http, &first.refresh)).await)
    }

    /// Shows the tokens of the server that is ahead to the one that is behind.
    async fn tells_of_the_future(
        &self,
        seconds: i64,
        of_good: &Family,
        of_off: Option<&Tokens>,
        report: &mut Report,
    ) {
        report.must("off_serves", of_off.is_some());
        let shown = match of_off {
            Some(tokens) if seconds > 0 => Some((tokens, &self.good)),
            _ if seconds < 0 => Some((&of_good.newest, &self.off)),
            _ => None,
        };
        let Some((tokens, server)) = shown else { return };
        let opened = send(userinfo(server.client(), &tokens.access)).await;
        let shop = self.installation.client(0);
        let told = send(shop.introspect_request(server.client(), &tokens.access)).await;
        let accepted =
            usize::from(opened.has_status(200)) + usize::from(told.json()["active"] == true);
        if seconds.abs() > 60 {
            report.never("accepted_future_>60s", accepted);
        } else {
            report.equals("accepted_future_<=60s", accepted, 2);
        }
    }

    /// Every other family goes to the server that is off; answers how many it refused.
    async fn refreshes(&self, families: &mut [Family]) -> usize {
        let mut refused = 0;
        for (number, family) in families.iter_mut().enumerate() {
            let server = if number % 2 == 0 { &self.off } else { &self.good };
            let reply =
                send(family.client.refresh_request(server.client(), &family.newest.refresh)).await;
            match Tokens::of(&reply) {
                Some(next) => family.previous = Some(std::mem::replace(&mut family.newest, next)),
                None => refused += 1,
            }
        }
        refused
    }

    /// How many of them are not signed in there.
    async fn shows(&self, browsers: &[Browser], server: &Arc<Server>) -> usize {
        let mut not = 0;
        for browser in browsers {
            not += usize::from(
                browser.code(server.client(), self.installation.client(0)).await.is_err(),
            );
        }
        not
    }
}

/// Whether the clock that was jumped is the one the server looks at.
fn is_off(ready: &Value, seconds: i64) -> bool {
    let told = ready["timestamp"].as_str().and_then(|it| humantime::parse_rfc3339(it).ok());
    let Some(told) = told else { return false };
    let now = std::time::SystemTime::now();
    let ahead = match told.duration_since(now) {
        Ok(ahead) => ahead.as_secs_f64(),
        Err(behind) => -behind.duration().as_secs_f64(),
    };
    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    let jumped = seconds as f64;
    (ahead - jumped).abs() < 3.0
}

/// The kinds of which something would be kept longer than any of them was when all was well.
///
/// When a record is over stands in the record. It is kept until then by the clock of whoever wrote it
/// last, so one that is behind keeps what others have made for as much longer, and no more.
fn immortal(
    before: &BTreeMap<String, KindCounts>,
    after: &BTreeMap<String, KindCounts>,
    skew_s: u64,
) -> Vec<String> {
    let slack = 1000 * (skew_s + 60);
    let longer = |(name, kind): (&String, &KindCounts)| {
        let known = before.get(name).copied().unwrap_or_default();
        let endless = kind.without_ttl > known.without_ttl;
        let long = known.longest_ms > 0 && kind.longest_ms > known.longest_ms + slack;
        (endless || long).then(|| name.clone())
    };
    after.iter().filter_map(longer).collect()
}
