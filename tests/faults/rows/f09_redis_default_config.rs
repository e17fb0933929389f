//! F09: redis as Debian configures it, without an append-only file, and `kill -9`.
//!
//! Latchkey does not start on it. Where the operator insists (`ALLOW_VOLATILE_STORE`), everything is gone
//! when redis comes back, and that is all: no 500, nothing half there, and who is declared in the
//! bootstrap file can sign in again, without anybody restarting the servers.

use crate::context::RunContext;
use crate::parts::installation::Installation;
use crate::parts::redis::{RedisServer, ServerSignal};
use crate::report::Report;
use crate::rows::f36_redis_flushall::{Emptied, signs_everybody_in};
use crate::workload::{Load, Workload};

/// What `/etc/redis/redis.conf` says of keeping things.
const DEBIAN: [&str; 6] =
    ["--appendonly", "no", "--save", "3600 1 300 100 60 10000", "--maxmemory-policy", "noeviction"];

/// `refused=yes 5xx_after=0`.
pub async fn run(context: RunContext) -> Vec<Report> {
    let redis = RedisServer::start_with(&DEBIAN);
    let installation = Installation::new().await;
    let (code, said) = installation.plan(&redis.url()).run_to_exit().await;
    let mut refusal = Report::of("start");
    refusal.must("refused", code == Some(69) && said.contains("append-only"));
    let mut reports = vec![refusal];

    let insists = || installation.plan(&redis.url()).set("ALLOW_VOLATILE_STORE", "true");
    let servers = [insists().start().await, insists().start().await];
    let load = Load { families: context.pick(40, 200), ..Load::default() };
    for _ in 0..context.pick(1, 5) {
        let workload = Workload::start(&installation, &servers, load, context.seed).await;
        context.random_delay(1000..2000).await;
        redis.signal(ServerSignal::Kill);
        redis.restart();
        let emptied = Emptied::watch(&servers).await;
        context.random_delay(500..600).await;
        let after = workload.stop_and_collect().await;
        let (people, trouble) = signs_everybody_in(&installation, &servers).await;
        let mut report = Report::of("kill9");
        emptied.tells(&mut report).must("all_sign_in", people).never("5xx_after", trouble);
        after.report_measurements(&mut report);
        reports.push(report);
    }
    reports
}
