//! Checks after a run: every token that clients hold still works, and everything that was revoked does not.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::{Tokens, userinfo};
use crate::history::History;
use crate::parts::http::{HttpClient, HttpOutcome, send};
use crate::parts::server::Server;
use crate::report::Report;
use crate::workload::{Family, FamilyState};

/// How long everything may take to be well again before it is said not to be.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(15);

/// What a workload leaves behind.
pub struct WorkloadResult {
    pub history: Arc<History>,
    /// Those that were there at the beginning, and those that came of codes.
    pub families: Vec<Family>,
    pub servers: Vec<Arc<Server>>,
    /// The most that any of the servers had.
    pub rss_max_mb: f64,
}

/// What the server says of what clients hold.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CheckCounts {
    /// Families that no token their client holds refreshes any more, or whose fresh token is worth nothing.
    pub lost: usize,
    /// Families of which something still works although their end was acknowledged.
    pub zombie: usize,
    /// Families of another client or person than they were.
    pub mixed: usize,
}

impl WorkloadResult {
    /// Settles every family with the servers.
    pub async fn check(&self) -> CheckCounts {
        check_families(&self.families, &self.servers).await
    }

    /// Settles, and puts the figures of the history into the report, with the bounds that hold
    /// whatever happens: nothing doubled, forked, lost, undead, mixed up; no 500.
    pub async fn report(&self, report: &mut Report) {
        let settled = self.check().await;
        self.report_counts(settled, report);
    }

    /// The same, when it is settled already.
    pub fn report_counts(&self, settled: CheckCounts, report: &mut Report) {
        let history = &self.history;
        report
            .figure("codes", history.codes())
            .never("double_code", history.double_codes())
            .figure("families", self.families.len())
            .never("forks", history.forks())
            .never("lost", settled.lost)
            .never("zombie", settled.zombie)
            .never("mix", settled.mixed + history.mixed.load(Ordering::Relaxed));
        self.report_measurements(report);
    }

    /// The figures that have no bound by themselves.
    pub fn report_measurements(&self, report: &mut Report) {
        let history = &self.history;
        let panics: usize = self.servers.iter().map(|server| server.panics()).sum();
        report
            .figure("attempts", history.count(|_| true))
            .figure("ambiguous", history.ambiguous())
            .figure("burnt", history.burnt.load(Ordering::Relaxed))
            .figure("relogins", history.relogins.load(Ordering::Relaxed))
            .never("500", history.answers(500))
            .never("panics", panics)
            .figure("503", history.answers(503))
            .measurement("5xx_s", history.error_period().as_secs_f64())
            .figure("rss_max_mb", format!("{:.0}", self.rss_max_mb));
    }
}

/// Settles these families: sixteen at a time.
pub async fn check_families(families: &[Family], servers: &[Arc<Server>]) -> CheckCounts {
    let turns = Arc::new(Semaphore::new(16));
    let wires: Arc<[HttpClient]> = servers.iter().map(|server| server.client().clone()).collect();
    let mut looks = JoinSet::new();
    for family in families {
        let (family, turns, wires) = (family.clone(), Arc::clone(&turns), Arc::clone(&wires));
        looks.spawn(async move {
            let _turn = turns.acquire().await.expect("a semaphore that stays open");
            check_family(&family, &wires).await
        });
    }
    let mut sum = CheckCounts::default();
    while let Some(one) = looks.join_next().await {
        let one = one.expect("a look that does not panic");
        sum.lost += one.lost;
        sum.zombie += one.zombie;
        sum.mixed += one.mixed;
    }
    sum
}

async fn check_family(family: &Family, wires: &[HttpClient]) -> CheckCounts {
    match family.state {
        FamilyState::Active => check_active(family, wires).await,
        FamilyState::Refused => CheckCounts { lost: 1, ..CheckCounts::default() },
        FamilyState::Revoked => {
            let zombie = usize::from(still_works(family, wires).await);
            CheckCounts { zombie, ..CheckCounts::default() }
        }
        FamilyState::MaybeRevoked => CheckCounts::default(),
    }
}

/// With the newest token, else with the one before.
async fn check_active(family: &Family, wires: &[HttpClient]) -> CheckCounts {
    let shop = &family.client;
    let lost = CheckCounts { lost: 1, ..CheckCounts::default() };
    let mut fresh = None;
    for held in [Some(&family.newest), family.previous.as_ref()].into_iter().flatten() {
        let reply =
            request_until_conclusive(wires, |http| shop.refresh_request(http, &held.refresh)).await;
        fresh = Tokens::of(&reply);
        if fresh.is_some() {
            break;
        }
    }
    let Some(fresh) = fresh else { return lost };
    let told =
        request_until_conclusive(wires, |http| shop.introspect_request(http, &fresh.access)).await;
    if told.json()["active"] != true {
        return lost;
    }
    let mixed = usize::from(!fresh.belong_to(&family.person, shop));
    CheckCounts { mixed, ..CheckCounts::default() }
}

/// Whether anything of it still works. No answer is not a proof of death.
pub async fn still_works(family: &Family, wires: &[HttpClient]) -> bool {
    let shop = &family.client;
    for held in [Some(&family.newest), family.previous.as_ref()].into_iter().flatten() {
        let reply =
            request_until_conclusive(wires, |http| shop.refresh_request(http, &held.refresh)).await;
        let told =
            request_until_conclusive(wires, |http| shop.introspect_request(http, &held.access))
                .await;
        let opened = request_until_conclusive(wires, |http| userinfo(http, &held.access)).await;
        let dead = reply.is_error("invalid_grant")
            && told.json()["active"] == false
            && opened.has_status(401);
        if !dead {
            return true;
        }
    }
    false
}

/// Asks one after the other until there is something to conclude from.
pub async fn request_until_conclusive(
    wires: &[HttpClient],
    ask: impl Fn(&HttpClient) -> RequestBuilder,
) -> HttpOutcome {
    let since = Instant::now();
    let mut turn = 0;
    loop {
        let reply = send(ask(&wires[turn % wires.len()])).await;
        if !reply.is_inconclusive() || since.elapsed() > RECOVERY_TIMEOUT {
            return reply;
        }
        turn += 1;
        sleep(Duration::from_millis(50)).await;
    }
}
