//! F19: a failover to a replica that was 200 ms behind, right after clients were told that codes are
//! redeemed, tokens rotated and grants revoked.
//!
//! Without `WAIT` what was acknowledged in that moment is lost. What must hold all the same is that a
//! token that was rotated too late to be copied still refreshes: its generation is newer than the one
//! that is known. With `WAIT` nothing is lost, and everything takes as long as the replicas do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::f18_sentinel_failover::promotes;
use crate::burst::at_once;
use crate::checker::{CheckCounts, check_families, request_until_conclusive, still_works};
use crate::client::{Browser, Code, Tokens};
use crate::context::RunContext;
use crate::parts::http::{HttpClient, send};
use crate::parts::installation::{Installation, username};
use crate::parts::lagging_replicas::LaggingReplicas;
use crate::parts::server::Server;
use crate::report::Report;
use crate::workload::{Family, Load, Workload, new_families};

const LAG: Duration = Duration::from_millis(200);
const DOWN_AFTER: Duration = Duration::from_secs(1);

/// Off: `lost_rotated=0`, the others are printed. On: `lost=0 double_code=0 zombie=0`.
pub async fn run(context: RunContext) -> Vec<Report> {
    // Both mostly wait, and they have nothing in common.
    let (off, on) = tokio::join!(fails_over(&context, false), fails_over(&context, true));
    vec![off, on]
}

async fn fails_over(context: &RunContext, waits: bool) -> Report {
    let lagging = LaggingReplicas::start(DOWN_AFTER).await;
    let installation = Installation::new().await;
    let servers = starts(&installation, &lagging, waits).await;
    // Each of a server's few lanes waits as long as the replicas are behind.
    let load = Load {
        families: context.pick(20, 60),
        refreshes_per_s: if waits { 20.0 } else { 150.0 },
        codes_per_s: if waits { 6.0 } else { 15.0 },
        revoked: 0.0,
    };
    let last = LastMoment::prepares(&installation, &servers, context.pick(8, 12)).await;
    let workload = Workload::start(&installation, &servers, load, context.seed).await;
    lagging.lags(LAG);
    context.random_delay(if waits { 4500..5500 } else { 1500..2500 }).await;
    let acked = last.comes(&servers).await;
    lagging.loses_its_primary();
    let gone = Instant::now();
    let promoted = promotes(|| lagging.has_promoted()).await;
    tokio::time::sleep(Duration::from_millis(3000)).await;

    let over = Instant::now();
    let after = workload.stop_and_collect().await;
    let (rotated, new): (Vec<_>, Vec<_>) =
        after.families.iter().cloned().partition(|family| family.number < load.families);
    let rotated = check_families(&rotated, &after.servers).await;
    let new = check_families(&new, &after.servers).await;
    let (double, zombie, lost) = acked.are_looked_at(&servers).await;

    let mut report = Report::of(if waits { "wait=on" } else { "wait=off" });
    report
        .figure("acked_codes", acked.redeemed.len())
        .figure("acked_revocations", acked.revoked.len())
        .figure("families", after.families.len())
        .never("forks", after.history.forks())
        .never("lost_rotated", rotated.lost);
    if waits {
        let CheckCounts { lost: lost_new, zombie: undead, mixed } = new;
        report
            .never("lost", lost_new + lost)
            .never("double_code", double + after.history.double_codes())
            .never("zombie", zombie + undead + rotated.zombie)
            .never("mix", mixed + rotated.mixed);
    } else {
        report
            .figure("lost_new", new.lost + lost)
            .figure("double_code", double)
            .figure("zombie", zombie)
            .never("mix", new.mixed + rotated.mixed);
    }
    after.report_measurements(&mut report);
    let gap = after.history.gap_within(gone, over).as_secs_f64();
    let most = DOWN_AFTER.as_secs_f64() + 3.0;
    report.measurement("promoted_s", promoted.as_secs_f64()).within("gap_s", gap, most, most + 5.0);
    report
}

async fn starts(
    installation: &Installation,
    lagging: &LaggingReplicas,
    waits: bool,
) -> Vec<Arc<Server>> {
    let mut servers = Vec::new();
    for _ in 0..2 {
        let plan = installation.plan(&lagging.url());
        let acks = if waits { "1" } else { "0" };
        servers.push(plan.set("REDIS_MIN_REPLICAS_ACK", acks).start().await);
    }
    servers
}

/// What is done as late as can be.
struct LastMoment {
    codes: Vec<Code>,
    families: Vec<Family>,
}

/// What was acknowledged in the last moment.
struct Acked {
    redeemed: Vec<(Code, Tokens)>,
    revoked: Vec<Family>,
}

impl LastMoment {
    async fn prepares(installation: &Installation, servers: &[Arc<Server>], count: usize) -> Self {
        let (http, shop) = (servers[0].client(), installation.client(0));
        let families = new_families(installation, servers, count).await;
        let browser = Browser::sign_in(http, shop, &username(0)).await.expect("signed in");
        let mut codes = Vec::new();
        for _ in 0..count {
            codes.push(browser.code(http, shop).await.expect("a code"));
        }
        Self { codes, families }
    }

    /// All of it at once; answers what was said to be done.
    async fn comes(self, servers: &[Arc<Server>]) -> Acked {
        let (codes, families) = (Arc::new(self.codes), Arc::new(self.families));
        let hands = codes.len() + families.len();
        let replies = at_once(hands, |hand| {
            let http = servers[hand % servers.len()].client().clone();
            let (codes, families) = (Arc::clone(&codes), Arc::clone(&families));
            async move {
                if let Some(code) = codes.get(hand) {
                    send(code.client.redeem_request(&http, code)).await
                } else {
                    let family = &families[hand - codes.len()];
                    send(family.client.revoke_request(&http, &family.newest.refresh)).await
                }
            }
        })
        .await;
        let (of_codes, of_families) = replies.split_at(codes.len());
        let redeemed = codes.iter().zip(of_codes);
        let redeemed =
            redeemed.filter_map(|(code, reply)| Some((code.clone(), Tokens::of(reply)?)));
        let revoked = families.iter().zip(of_families).filter(|(_, reply)| reply.has_status(200));
        Acked {
            redeemed: redeemed.collect(),
            revoked: revoked.map(|(family, _)| family.clone()).collect(),
        }
    }
}

impl Acked {
    /// How many codes can be redeemed once more, how many revoked grants still work, and how many of
    /// the redeemed ones have been forgotten.
    async fn are_looked_at(&self, servers: &[Arc<Server>]) -> (usize, usize, usize) {
        let wires: Vec<HttpClient> = servers.iter().map(|it| it.client().clone()).collect();
        let (mut double, mut zombie, mut lost) = (0, 0, 0);
        // The second use of a code ends its grant; so half of them are refreshed, and half used again.
        for (turn, (code, tokens)) in self.redeemed.iter().enumerate() {
            if turn % 2 == 0 {
                let reply = request_until_conclusive(&wires, |http| {
                    code.client.refresh_request(http, &tokens.refresh)
                })
                .await;
                lost += usize::from(Tokens::of(&reply).is_none());
            } else {
                let reply =
                    request_until_conclusive(&wires, |http| code.client.redeem_request(http, code))
                        .await;
                double += usize::from(!reply.is_error("invalid_grant"));
            }
        }
        for family in &self.revoked {
            zombie += usize::from(still_works(family, &wires).await);
        }
        (double, zombie, lost)
    }
}
