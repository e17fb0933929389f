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

use crate::checker::settle;
use crate::client::Tokens;
use crate::context::Bench;
use crate::history::note;
use crate::parts::http::{Reply, send};
use crate::parts::installation::House;
use crate::parts::redis::RedisServer;
use crate::parts::server::Server;
use crate::report::Report;
use crate::workload::{self, Family, State};

/// How often a load balancer looks, and how long the servers wait for it to see.
const LOOKS: Duration = Duration::from_millis(250);
const DRAIN_DELAY: &str = "2s";

/// `resets=0 5xx=0 drain_s<=20 lost=0`.
pub async fn run(bench: Bench) -> Vec<Report> {
    let redis = RedisServer::start();
    let house = House::new().await;
    let mut servers = Vec::new();
    for _ in 0..2 {
        servers.push(house.plan(&redis.url()).set("DRAIN_DELAY", DRAIN_DELAY).start().await);
    }
    let families = workload::families(&house, &servers, bench.pick(60, 250)).await;
    let balancer = Arc::new(Balancer::before(&servers));
    let rate = bench.pick(100.0, 500.0);
    let pause = Duration::from_secs_f64(number(families.len()) / rate);
    let (watching, begun) = (balancer.watches(), Instant::now());
    let mut rng = StdRng::seed_from_u64(bench.seed);
    let hands: Vec<_> = families
        .into_iter()
        .map(|family| tokio::spawn(Arc::clone(&balancer).at_work(family, pause, rng.random())))
        .collect();

    let (mut drain, mut codes) = (Duration::ZERO, 0);
    let rounds = bench.pick(1, 5);
    for _ in 0..rounds {
        for server in &servers {
            sleep(Duration::from_secs(1)).await;
            server.signal(Signal::TERM);
            let ended = server.ends_within(Duration::from_secs(40)).await;
            codes += usize::from(ended.is_some_and(|(code, _)| code == 0));
            drain = drain.max(ended.map_or(Duration::from_secs(40), |(_, took)| took));
            server.starts_again().await;
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
    let settled = settle(&after, &servers).await;
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    let requests = count(&balancer.requests);
    let mut report = Report::new();
    report
        .says("requests", requests)
        .measures("rps", number(requests) / seconds)
        .never("resets", count(&balancer.resets))
        .never("5xx", count(&balancer.bad))
        .counts("exits_0", codes, 2 * rounds)
        .at_most("drain_s", drain.as_secs_f64(), 20.0)
        .says("families", after.len())
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
                let asks = server.fresh_wire(Duration::from_secs(1));
                loop {
                    ready.store(send(asks.get("/ready")).await.is(200), Ordering::Relaxed);
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

    fn counts(&self, reply: &Reply) {
        note(&self.requests);
        match reply.status() {
            None => note(&self.resets),
            Some(status) if status >= 500 => note(&self.bad),
            Some(_) => {}
        }
    }

    /// Refreshes, and asks for a token of the client's own in between.
    async fn at_work(self: Arc<Self>, mut family: Family, pause: Duration, seed: u64) -> Family {
        let mut rng = StdRng::seed_from_u64(seed);
        while !self.stopped.load(Ordering::Relaxed) && family.state == State::Alive {
            sleep(pause.mul_f64(rng.random_range(0.0..2.0))).await;
            let server = self.pick(rng.random_range(0..2));
            if rng.random_bool(0.5) {
                self.counts(&send(family.shop.acting_alone(server.wire())).await);
                continue;
            }
            let request = family.shop.refreshing(server.wire(), &family.held.refresh);
            let reply = send(request).await;
            self.counts(&reply);
            if let Some(next) = Tokens::of(&reply) {
                family.before = Some(std::mem::replace(&mut family.held, next));
            } else if !reply.is_inconclusive() {
                family.state = State::Refused;
            }
        }
        family
    }
}
