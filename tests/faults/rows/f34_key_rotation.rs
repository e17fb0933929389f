//! F34: the signing key is rotated under load, before the eyes of verifiers that keep the JWK Set for as
//! long as its `max-age` allows and ask for nothing in between.
//!
//! A new key is published for an hour before it signs, so the day passes quickly here: the clocks of the
//! servers and of the verifiers are one, and it is set forward half a minute at a time. An urgent rotation
//! happens in real time; there a verifier asks again when it meets a key it does not know.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use rustix::process::Signal;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::context::RunContext;
use crate::history::increment;
use crate::parts::fake_clock::FakeClock;
use crate::parts::http::send;
use crate::parts::installation::Installation;
use crate::parts::redis::RedisServer;
use crate::parts::server::Server;
use crate::report::Report;

const STEP: i64 = 30;
/// The hour of announcement, and some.
const LONG_ENOUGH: i64 = 3600 + 1200;

/// `verify_fail=0`, and the new key does sign in the end.
pub async fn run(context: RunContext) -> Vec<Report> {
    let mut reports = vec![announced().await];
    if context.long {
        reports.push(urgent().await);
    }
    reports
}

struct Scene {
    installation: Installation,
    servers: Vec<Arc<Server>>,
    /// How far the clock of all of them is ahead, in seconds.
    ahead: AtomicI64,
    over: AtomicBool,
    verified: AtomicUsize,
    failed: AtomicUsize,
    fetched: AtomicUsize,
    unanswered: AtomicUsize,
    /// Whether a verifier may ask before its set is too old.
    asks_again: bool,
}

async fn announced() -> Report {
    let (redis, installation) = (RedisServer::start(), Installation::new().await);
    let clock = FakeClock::new(installation.folder(), "clock");
    let mut servers = Vec::new();
    for _ in 0..2 {
        servers.push(clock.applied_to(installation.plan(&redis.url())).start().await);
    }
    let scene = Arc::new(Scene::of(installation, servers, false));
    let before = kids(&scene.servers[0]).await;
    let mut verifiers = scene.verifiers(6);
    sleep(Duration::from_millis(300)).await;

    let mut rotate = scene.servers[0].plan().command(&["keys", "rotate"]);
    let rotated = tokio::task::spawn_blocking(move || rotate.output()).await.expect("a thread");
    let mut report = Report::of("announced");
    report.must("rotated", rotated.is_ok_and(|it| it.status.success()));
    // Servers look every five seconds, which is nothing beside an hour.
    report.must("seen_by_all", seen_by_all(&scene.servers, before.len() + 1).await);
    while scene.ahead.load(Ordering::Relaxed) < LONG_ENOUGH {
        clock.jump(scene.ahead.fetch_add(STEP, Ordering::Relaxed) + STEP);
        sleep(Duration::from_millis(40)).await;
    }
    scene.ends(&mut verifiers, &before, &mut report).await;
    report
}

async fn urgent() -> Report {
    let (redis, installation) = (RedisServer::start(), Installation::new().await);
    let servers = installation.start_servers(2, &redis.url()).await;
    let scene = Arc::new(Scene::of(installation, servers, true));
    let before = kids(&scene.servers[0]).await;
    let mut verifiers = scene.verifiers(6);
    sleep(Duration::from_millis(300)).await;
    scene.servers[0].signal(Signal::USR1);
    // It signs after 45 of them.
    sleep(Duration::from_secs(55)).await;
    let mut report = Report::of("urgent");
    scene.ends(&mut verifiers, &before, &mut report).await;
    report
}

impl Scene {
    fn of(installation: Installation, servers: Vec<Arc<Server>>, asks_again: bool) -> Self {
        let none = AtomicUsize::default;
        let (verified, failed, fetched, unanswered) = (none(), none(), none(), none());
        let (ahead, over) = (AtomicI64::default(), AtomicBool::default());
        Self {
            installation,
            servers,
            ahead,
            over,
            verified,
            failed,
            fetched,
            unanswered,
            asks_again,
        }
    }

    fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX) + self.ahead.load(Ordering::Relaxed)
    }

    fn verifiers(self: &Arc<Self>, count: usize) -> JoinSet<String> {
        (0..count).map(|number| Arc::clone(self).verifies(number)).collect()
    }

    /// Gets tokens from one server or the other and verifies them, those of a while ago too. Answers with
    /// the key of the last.
    async fn verifies(self: Arc<Self>, number: usize) -> String {
        let shop = self.installation.client(number);
        let (mut set, mut fresh_until) = (None, 0);
        let (mut before, mut last) = (None::<String>, String::new());
        let mut turn = number;
        while !self.over.load(Ordering::Relaxed) {
            turn += 1;
            let server = &self.servers[turn % 2];
            let reply = send(shop.client_credentials_request(server.client())).await;
            let Some(token) = reply.text("access_token") else {
                increment(&self.unanswered);
                continue;
            };
            for token in [Some(&token), before.as_ref()].into_iter().flatten() {
                if self.now() >= fresh_until {
                    (set, fresh_until) = self.fetches(turn / 2).await;
                }
                let mut good = is_good(set.as_ref(), token);
                if !good && self.asks_again {
                    (set, fresh_until) = self.fetches(turn / 2).await;
                    good = is_good(set.as_ref(), token);
                }
                increment(if good { &self.verified } else { &self.failed });
            }
            last = decode_header(&token).ok().and_then(|it| it.kid).unwrap_or_default();
            if turn.is_multiple_of(8) || before.is_none() {
                before = Some(token);
            }
            sleep(Duration::from_millis(5)).await;
        }
        last
    }

    /// The set, and until when it may be kept.
    async fn fetches(&self, turn: usize) -> (Option<JwkSet>, i64) {
        increment(&self.fetched);
        let asked = self.now();
        let reply = send(self.servers[turn % 2].client().get("/jwks.json")).await;
        let age =
            reply.header("cache-control").and_then(|it| it.split("max-age=").nth(1)?.parse().ok());
        (serde_json::from_str(reply.body()).ok(), asked + age.unwrap_or(0))
    }

    async fn ends(&self, verifiers: &mut JoinSet<String>, before: &[String], report: &mut Report) {
        self.over.store(true, Ordering::Relaxed);
        let mut by_new = 0;
        let all = verifiers.len();
        while let Some(last) = verifiers.join_next().await {
            by_new += usize::from(!before.contains(&last.expect("a verifier that does not panic")));
        }
        let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        report
            .figure("verified", count(&self.verified))
            .figure("fetched", count(&self.fetched))
            .never("verify_fail", count(&self.failed))
            .never("unanswered", count(&self.unanswered))
            .equals("new_key_signs", by_new, all)
            .never("panics", self.servers.iter().map(|server| server.panics()).sum());
    }
}

fn is_good(set: Option<&JwkSet>, token: &str) -> bool {
    let Ok(header) = decode_header(token) else { return false };
    let key = header.kid.and_then(|kid| set?.find(&kid));
    let Some(key) = key.and_then(|key| DecodingKey::from_jwk(key).ok()) else { return false };
    let mut rules = Validation::new(Algorithm::RS256);
    // When it ends is looked at by the clock of this row, which is not that of the machine.
    rules.validate_exp = false;
    rules.validate_aud = false;
    decode::<Value>(token, &key, &rules).is_ok()
}

async fn kids(server: &Server) -> Vec<String> {
    let reply = send(server.client().get("/jwks.json")).await.json();
    let keys = reply["keys"].as_array().cloned().unwrap_or_default();
    keys.iter().filter_map(|key| Some(key["kid"].as_str()?.to_owned())).collect()
}

async fn seen_by_all(servers: &[Arc<Server>], count: usize) -> bool {
    let since = Instant::now();
    for server in servers {
        while kids(server).await.len() < count {
            if since.elapsed() > Duration::from_secs(20) {
                return false;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
    true
}
