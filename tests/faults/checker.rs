//! When all is well again: is everything that clients hold still good, and everything that was ended dead?

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::{Tokens, userinfo};
use crate::history::Ledger;
use crate::parts::http::{Reply, Wire, send};
use crate::parts::server::Server;
use crate::report::Report;
use crate::workload::{Family, State};

/// How long everything may take to be well again before it is said not to be.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a storm leaves behind.
pub struct Aftermath {
    pub ledger: Arc<Ledger>,
    /// Those that were there at the beginning, and those that came of codes.
    pub families: Vec<Family>,
    pub servers: Vec<Arc<Server>>,
    /// The most that any of the servers had.
    pub rss_max_mb: f64,
}

/// What the server says of what clients hold.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Settled {
    /// Families that no token their client holds refreshes any more, or whose fresh token is worth nothing.
    pub lost: usize,
    /// Families of which something still works although their end was acknowledged.
    pub zombie: usize,
    /// Families of another client or person than they were.
    pub mixed: usize,
}

impl Aftermath {
    /// Settles every family with the servers.
    pub async fn settle(&self) -> Settled {
        settle(&self.families, &self.servers).await
    }

    /// Settles, and puts the figures of SECURITY's ledger into the report, with the bounds that hold
    /// whatever happens: nothing doubled, forked, lost, undead, mixed up; no 500.
    pub async fn tells(&self, report: &mut Report) {
        let settled = self.settle().await;
        self.tells_of(settled, report);
    }

    /// The same, when it is settled already.
    pub fn tells_of(&self, settled: Settled, report: &mut Report) {
        let ledger = &self.ledger;
        report
            .says("codes", ledger.codes())
            .never("double_code", ledger.double_codes())
            .says("families", self.families.len())
            .never("forks", ledger.forks())
            .never("lost", settled.lost)
            .never("zombie", settled.zombie)
            .never("mix", settled.mixed + ledger.mixed.load(Ordering::Relaxed));
        self.tells_of_times(report);
    }

    /// The figures that have no bound by themselves.
    pub fn tells_of_times(&self, report: &mut Report) {
        let ledger = &self.ledger;
        let panics: usize = self.servers.iter().map(|server| server.panics()).sum();
        report
            .says("attempts", ledger.count(|_| true))
            .says("ambiguous", ledger.ambiguous())
            .says("burnt", ledger.burnt.load(Ordering::Relaxed))
            .says("relogins", ledger.relogins.load(Ordering::Relaxed))
            .never("500", ledger.answers(500))
            .never("panics", panics)
            .says("503", ledger.answers(503))
            .measures("5xx_s", ledger.trouble().as_secs_f64())
            .says("rss_max_mb", format!("{:.0}", self.rss_max_mb));
    }
}

/// Settles these families: sixteen at a time.
pub async fn settle(families: &[Family], servers: &[Arc<Server>]) -> Settled {
    let turns = Arc::new(Semaphore::new(16));
    let wires: Arc<[Wire]> = servers.iter().map(|server| server.wire().clone()).collect();
    let mut looks = JoinSet::new();
    for family in families {
        let (family, turns, wires) = (family.clone(), Arc::clone(&turns), Arc::clone(&wires));
        looks.spawn(async move {
            let _turn = turns.acquire().await.expect("a semaphore that stays open");
            look(&family, &wires).await
        });
    }
    let mut sum = Settled::default();
    while let Some(one) = looks.join_next().await {
        let one = one.expect("a look that does not panic");
        sum.lost += one.lost;
        sum.zombie += one.zombie;
        sum.mixed += one.mixed;
    }
    sum
}

async fn look(family: &Family, wires: &[Wire]) -> Settled {
    match family.state {
        State::Alive => look_at_living(family, wires).await,
        State::Refused => Settled { lost: 1, ..Settled::default() },
        State::Revoked => {
            let zombie = usize::from(is_undead(family, wires).await);
            Settled { zombie, ..Settled::default() }
        }
        State::PerhapsRevoked => Settled::default(),
    }
}

/// With the newest token, else with the one before.
async fn look_at_living(family: &Family, wires: &[Wire]) -> Settled {
    let shop = &family.shop;
    let lost = Settled { lost: 1, ..Settled::default() };
    let mut fresh = None;
    for held in [Some(&family.held), family.before.as_ref()].into_iter().flatten() {
        let reply = asks(wires, |wire| shop.refreshing(wire, &held.refresh)).await;
        fresh = Tokens::of(&reply);
        if fresh.is_some() {
            break;
        }
    }
    let Some(fresh) = fresh else { return lost };
    let told = asks(wires, |wire| shop.introspecting(wire, &fresh.access)).await;
    if told.json()["active"] != true {
        return lost;
    }
    let mixed = usize::from(!fresh.belong_to(&family.person, shop));
    Settled { mixed, ..Settled::default() }
}

/// Whether anything of it still works. No answer is not a proof of death.
pub async fn is_undead(family: &Family, wires: &[Wire]) -> bool {
    let shop = &family.shop;
    for held in [Some(&family.held), family.before.as_ref()].into_iter().flatten() {
        let reply = asks(wires, |wire| shop.refreshing(wire, &held.refresh)).await;
        let told = asks(wires, |wire| shop.introspecting(wire, &held.access)).await;
        let opened = asks(wires, |wire| userinfo(wire, &held.access)).await;
        let dead =
            reply.is_error("invalid_grant") && told.json()["active"] == false && opened.is(401);
        if !dead {
            return true;
        }
    }
    false
}

/// Asks one after the other until there is something to conclude from.
pub async fn asks(wires: &[Wire], ask: impl Fn(&Wire) -> RequestBuilder) -> Reply {
    let since = Instant::now();
    let mut turn = 0;
    loop {
        let reply = send(ask(&wires[turn % wires.len()])).await;
        if !reply.is_inconclusive() || since.elapsed() > PATIENCE {
            return reply;
        }
        turn += 1;
        sleep(Duration::from_millis(50)).await;
    }
}
