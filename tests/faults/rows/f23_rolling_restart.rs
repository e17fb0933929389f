//! F23: both servers are restarted, one after the other, while clients are at work that go by `/ready`.
//!
//! Nobody notices: no request is reset or refused, and nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::process::Signal;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::checker::check_families;
use crate::client::Tokens;
use crate::context::RunContext;
use crate::history::increment;
use crate::parts::http::{HttpOutcome, send};
use crate::parts::installation::Installation;
use crate::parts::redis::RedisServer;
use crate::parts::server::Server;
use crate::report::Report;
use crate::workload::{self, Family, FamilyState};

/// How often a load balancer looks, and how long the servers wait for it to see.
const LOOKS: Duration = Duration::from_millis(250);
const DRAIN_DELAY: &str = "2s";

/// `resets=0 5xx=0 drain_s<=20 lost=0`.
pub async fn run(context: RunContext) -> Vec<Report> {
    let redis = RedisServer::start();
    let installation = Installation::new().await;
    let mut servers = Vec::new();
    for _ in 0..2 {
        servers.push(installation.plan(&redis.url()).set("DRAIN_DELAY", DRAIN_DELAY).start().await);
    }
    let families = workload::new_families(&installation, &servers, context.pick(60, 250)).await;
    let balancer = Arc::new(Balancer::before(&servers));
    let rate = context.pick(100.0, 500.0);
    let pause = Duration::from_secs_f64(number(families.len()) / rate);
    let (watching, begun) = (balancer.watches(), Instant::now());
    let mut rng = StdRng::seed_from_u64(context.seed);
    let hands: Vec<_> = families
        .into_iter()
        .map(|family| tokio::spawn(Arc::clone(&balancer).at_work(family, pause, rng.random())))
        .collect();

    let (mut drain, mut codes) = (Duration::ZERO, 0);
    let rounds = context.pick(1, 5);
    for _ in 0..rounds {
        for server in &servers {
            sleep(Duration::from_secs(1)).await;
            server.signal(Signal::TERM);
            let ended = server.wait_for_exit(Duration::from_secs(40)).await;
            codes += usize::from(ended.is_some_and(|(code, _)| code == 0));
            drain = drain.max(ended.map_or(Duration::from_secs(40), |(_, took)| took));
            server.restart().await;
        }
    }
    sleep(Duration::from_secs(1)).await;
    balancer.stopped.store(true, Ordering::Relaxed);
    let mut after = Vec::new();
    for hand in hands {
        after.push(hand.await.expect("a hand that does not panic"));
    }
    let seconds = begun.elapsed().as_secs_f64();
    watching.iter().for_each(JoinHandle::abort);
    let settled = check_families(&after, &servers).await;
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    let requests = count(&balancer.requests);
    let mut report = Report::new();
    report
        .figure("requests", requests)
        .measurement("rps", number(requests) / seconds)
        .never("resets", count(&balancer.resets))
        .never("5xx", count(&balancer.bad))
        .equals("exits_0", codes, 2 * rounds)
        .at_most("drain_s", drain.as_secs_f64(), 20.0)
        .figure("families", after.len())
        .never("lost", settled.lost)
        .never("mix", settled.mixed)
        .never("panics", servers.iter().map(|server| server.panics()).sum());
    vec![report]
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Sends everybody to a server that was ready when it was last asked.
struct Balancer {
    servers: Vec<(Arc<Server>, AtomicBool)>,
    stopped: AtomicBool,
    requests: AtomicUsize,
    resets: AtomicUsize,
    bad: AtomicUsize,
}

impl Balancer {
    fn before(servers: &[Arc<Server>]) -> Self {
        let servers = servers.iter().map(|it| (Arc::clone(it), AtomicBool::new(true))).collect();
        let none = AtomicUsize::default;
        Self {
            servers,
            stopped: AtomicBool::default(),
            requests: none(),
            resets: none(),
            bad: none(),
        }
    }

    fn watches(self: &Arc<Self>) -> Vec<JoinHandle<()>> {
        let watch = |number: usize| {
            let balancer = Arc::clone(self);
            tokio::spawn(async move {
                let (server, ready) = &balancer.servers[number];
                let asks = server.new_client(Duration::from_secs(1));
                loop {
                    ready.store(send(asks.get("/ready")).await.has_status(200), Ordering::Relaxed);
                    sleep(LOOKS).await;
                }
            })
        };
        (0..self.servers.len()).map(watch).collect()
    }

    fn pick(&self, any: usize) -> Arc<Server> {
        let ready = |at: &usize| self.servers[*at].1.load(Ordering::Relaxed);
        let order = (0..self.servers.len()).map(|turn| (any + turn) % self.servers.len());
        let at = order.clone().find(ready).unwrap_or(any % self.servers.len());
        Arc::clone(&self.servers[at].0)
    }

    fn counts(&self, reply: &HttpOutcome) {
        increment(&self.requests);
        match reply.status() {
            None => increment(&self.resets),
            Some(status) if status >= 500 => increment(&self.bad),
            Some(_) => {}
        }
    }

    /// Refreshes, and asks for a token of the client's own in between.
    async fn at_work(self: Arc<Self>, mut family: Family, pause: Duration, seed: u64) -> Family {
        let mut rng = StdRng::seed_from_u64(seed);
        while !self.stopped.load(Ordering::Relaxed) && family.state == FamilyState::Active {
            sleep(pause.mul_f64(rng.random_range(0.0..2.0))).await;
            let server = self.pick(rng.random_range(0..2));
            if rng.random_bool(0.5) {
                self.counts(&send(family.client.client_credentials_request(server.client())).await);
                continue;
            }
            let request = family.client.refresh_request(server.client(), &family.newest.refresh);
            let reply = send(request).await;
            self.counts(&reply);
            if let Some(next) = Tokens::of(&reply) {
                family.previous = Some(std::mem::replace(&mut family.newest, next));
            } else if !reply.is_inconclusive() {
                family.state = FamilyState::Refused;
            }
        }
        family
    }
}
