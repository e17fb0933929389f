//! F13: redis is started again and loads a big append-only file; meanwhile it answers `LOADING`.
//!
//! What it has not loaded yet is not what there is not: everybody is told "not now", and nobody that a
//! token, a code or a session does not exist.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::context::RunContext;
use crate::parts::installation::Installation;
use crate::parts::redis::{RedisServer, ServerSignal, send_command};
use crate::report::Report;
use crate::workload::{Load, Workload};

/// Writes so many keys, in steps that redis does not notice.
const FILL: &str = "for n = ARGV[1], ARGV[1] + ARGV[2] - 1 do \
                    redis.call('SET', 'filler:' .. n, 'nothing of ours') end return 1";

/// `invalid_grant_during_loading=0`, and it has been seen to load.
pub async fn run(context: RunContext) -> Vec<Report> {
    // Loading is stretched where there is little to load.
    let redis = RedisServer::start_with_extra(&["--key-load-delay", context.pick("20", "0")]);
    let (redis, keys) = (Arc::new(redis), context.pick(40_000, 1_000_000));
    for first in (0..keys).step_by(5_000) {
        let (first, count) = (first.to_string(), 5_000_usize.to_string());
        redis.command(&[b"EVAL", FILL.as_bytes(), b"0", first.as_bytes(), count.as_bytes()]);
    }
    let installation = Installation::new().await;
    let servers = installation.start_servers(2, &redis.url()).await;
    let load = Load {
        families: context.pick(60, 100),
        refreshes_per_s: 150.0,
        codes_per_s: 20.0,
        revoked: 0.002,
    };
    let workload = Workload::start(&installation, &servers, load, context.seed).await;
    context.random_delay(800..1500).await;

    let down = Instant::now();
    redis.signal(ServerSignal::Kill);
    let starting = Arc::clone(&redis);
    let start = tokio::task::spawn_blocking(move || starting.restart());
    let (began, loaded) = loading(redis.port(), &start).await;
    start.await.expect("redis starts again");
    tokio::time::sleep(Duration::from_millis(3000)).await;

    let after = workload.stop_and_collect().await;
    let refused = after
        .history
        .count(|it| it.has_status(400) && it.end.as_ref().is_some_and(|end| end.at >= down));
    let seen: usize = servers.iter().map(|it| it.log().matches("LOADING").count()).sum();
    let mut report = Report::new();
    report.figure("keys", keys);
    after.report(&mut report).await;
    report
        .never("invalid_grant_during_loading", refused)
        .never("signed_out", after.history.relogins.load(Ordering::Relaxed))
        .never("burnt_codes", after.history.burnt.load(Ordering::Relaxed))
        .at_least("loading_s", (loaded - began).as_secs_f64(), 0.5)
        .at_least("loading_seen", i32::try_from(seen).unwrap_or(i32::MAX), 1)
        .within(
            "recover_s",
            after.history.errors_after(loaded, Instant::now()).as_secs_f64(),
            2.0,
            2.8,
        );
    vec![report]
}

/// When it began to say `LOADING`, and when it ceased to.
async fn loading(port: u16, start: &JoinHandle<()>) -> (Instant, Instant) {
    let mut began = None;
    loop {
        let said = send_command(port, &[b"PING"]).unwrap_or_default();
        if said.starts_with("-LOADING") {
            began.get_or_insert_with(Instant::now);
        } else if said.starts_with('+') || start.is_finished() {
            let now = Instant::now();
            return (began.unwrap_or(now), now);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
