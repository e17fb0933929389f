//! F36: `FLUSHALL` while the servers run.
//!
//! Everybody has to sign in again, and that is all: no 500. A server notices at once that its keys are
//! gone from the store (`/ready` says no); within seconds it puts back what it has in its memory or in its
//! bootstrap file: keys, declared people and applications.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::client::{Browser, Tokens};
use crate::context::RunContext;
use crate::parts::http::send;
use crate::parts::installation::{Installation, USER_COUNT, username};
use crate::parts::redis::RedisServer;
use crate::parts::server::Server;
use crate::report::Report;
use crate::workload::{Load, Workload};

/// `500=0`, `/ready` red, and everybody can sign in again.
pub async fn run(context: RunContext) -> Vec<Report> {
    let redis = RedisServer::start();
    let installation = Installation::new().await;
    let servers = installation.start_servers(2, &redis.url()).await;
    let load = Load { families: context.pick(40, 200), ..Load::default() };
    let mut reports = Vec::new();
    for _ in 0..context.pick(1, 5) {
        let workload = Workload::start(&installation, &servers, load, context.seed).await;
        context.random_delay(1000..2000).await;
        redis.command(&[b"FLUSHALL"]);
        let emptied = Emptied::watch(&servers).await;
        context.random_delay(500..600).await;
        let after = workload.stop_and_collect().await;
        let (people, trouble) = signs_everybody_in(&installation, &servers).await;
        let mut report = Report::new();
        emptied.tells(&mut report).must("all_sign_in", people).never("5xx_after", trouble);
        after.report_measurements(&mut report);
        reports.push(report);
    }
    reports
}

/// What the servers made of a store that was emptied.
pub struct Emptied {
    red: bool,
    green: Option<Duration>,
}

impl Emptied {
    /// Looks at `/ready` of all of them until they are well again, or for twenty seconds.
    pub async fn watch(servers: &[Arc<Server>]) -> Self {
        let since = Instant::now();
        let mut looks = JoinSet::new();
        for server in servers {
            let server = Arc::clone(server);
            looks.spawn(async move {
                let red =
                    server.wait_for_status("/ready", 503, Duration::from_secs(1)).await.is_some();
                // It may look by itself, and put everything back, before anybody has asked.
                let red = red || server.log().contains("the store was emptied");
                (
                    red,
                    server.wait_for_status("/ready", 200, Duration::from_secs(20)).await.is_some(),
                )
            });
        }
        let seen = looks.join_all().await;
        let green = seen.iter().all(|(_, green)| *green).then(|| since.elapsed());
        Self { red: seen.iter().all(|(red, _)| *red), green }
    }

    pub fn tells<'a>(&self, report: &'a mut Report) -> &'a mut Report {
        let green = self.green.unwrap_or(Duration::from_hours(1));
        report.must("ready_red", self.red).within("healed_s", green.as_secs_f64(), 6.0, 15.0)
    }
}

/// Whether everybody gets tokens that are good for something on every server; and how many answers on the
/// way were 5xx or none.
pub async fn signs_everybody_in(
    installation: &Installation,
    servers: &[Arc<Server>],
) -> (bool, usize) {
    let (mut all, mut trouble) = (true, 0);
    for number in 0..USER_COUNT {
        let (shop, http) = (installation.client(number), servers[number % servers.len()].client());
        let browser = match Browser::sign_in(http, shop, &username(number)).await {
            Ok(browser) => browser,
            Err(reply) => {
                trouble += usize::from(reply.is_inconclusive());
                all = false;
                continue;
            }
        };
        for server in servers {
            let Ok(code) = browser.code(server.client(), shop).await else {
                all = false;
                continue;
            };
            let reply = send(shop.redeem_request(http, &code)).await;
            trouble += usize::from(reply.is_inconclusive());
            all &= Tokens::of(&reply).is_some_and(|it| it.belong_to(&username(number), shop));
        }
    }
    (all, trouble)
}
