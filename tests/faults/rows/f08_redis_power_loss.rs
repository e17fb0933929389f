//! F08: redis loses its power, and with it what it wrote in the last two seconds.
//!
//! That cannot be had here, so the end of its append-only file is cut off, in the middle of a command, as
//! a file system may leave it. A refresh token is its generation under a MAC, so a family that was rolled
//! back goes on with the newest token its client holds. What was new in those seconds is gone, what was
//! revoked in them may live again, and a code used in them may be used again by who has its verifier and
//! the client's secret: all of that is printed, and has no bound.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use crate::checker::{WorkloadResult, check_families};
use crate::client::Tokens;
use crate::context::RunContext;
use crate::parts::http::send;
use crate::parts::installation::Installation;
use crate::parts::redis::{RedisServer, ServerSignal};
use crate::report::Report;
use crate::workload::{Family, Load, Workload};

/// `lost_rotated=0 forks=0 double_code=0`; the rest is printed.
pub async fn run(context: RunContext) -> Vec<Report> {
    let redis = RedisServer::start();
    let installation = Installation::new().await;
    let servers = installation.start_servers(2, &redis.url()).await;
    let load = Load {
        families: context.pick(60, 300),
        refreshes_per_s: 200.0,
        codes_per_s: 20.0,
        revoked: 0.005,
    };
    let workload = Workload::start(&installation, &servers, load, context.seed).await;
    let cuts = context.pick(2, 20);
    let (mut bytes, mut unrepaired) = (0, 0);
    for _ in 0..cuts {
        context.random_delay(2000..3000).await;
        let before = size(&redis);
        context.random_delay(200..2000).await;
        redis.signal(ServerSignal::Kill);
        let cut = before.saturating_sub(context.random(0..30));
        bytes += size(&redis) - cut;
        let file = File::options().write(true).open(incremental(&redis)).expect("the file");
        file.set_len(cut).expect("shorter");
        unrepaired += usize::from(!is_repaired(&redis));
        redis.restart();
    }
    context.random_delay(1500..2000).await;
    let after = workload.stop_and_collect().await;

    let (old, new): (Vec<_>, Vec<_>) =
        after.families.iter().cloned().partition(|family| family.number < load.families);
    let (rotated, fresh) =
        (check_families(&old, &servers).await, check_families(&new, &servers).await);
    let mut report = Report::new();
    report
        .figure("cuts", cuts)
        .figure("cut_kb", bytes / 1024)
        .never("unrepaired", unrepaired)
        .figure("families", old.len())
        .never("forks", after.history.forks())
        .never("lost_rotated", rotated.lost)
        .figure("codes", after.history.codes())
        .figure("lost_new", fresh.lost)
        .never("double_code", after.history.double_codes())
        .figure("zombie", rotated.zombie + fresh.zombie)
        .figure("revived_codes", revived(&new, &after).await)
        .never("mix", rotated.mixed + fresh.mixed);
    after.report_measurements(&mut report);
    vec![report]
}

/// How many codes that were used can be used again.
async fn revived(families: &[Family], after: &WorkloadResult) -> usize {
    let mut count = 0;
    for family in families {
        let Some(code) = &family.code else { continue };
        let reply = send(family.client.redeem_request(after.servers[0].client(), code)).await;
        count += usize::from(Tokens::of(&reply).is_some());
    }
    count
}

fn incremental(redis: &RedisServer) -> PathBuf {
    let files = std::fs::read_dir(redis.folder().join("appendonlydir")).expect("a folder");
    let paths = files.filter_map(|entry| Some(entry.ok()?.path()));
    let mut paths: Vec<_> =
        paths.filter(|path| path.to_string_lossy().ends_with(".incr.aof")).collect();
    paths.sort();
    paths.pop().expect("an incremental file")
}

fn size(redis: &RedisServer) -> u64 {
    incremental(redis).metadata().expect("a file").len()
}

/// As an operator would.
fn is_repaired(redis: &RedisServer) -> bool {
    let manifest = redis.folder().join("appendonlydir/appendonly.aof.manifest");
    let script = "yes | redis-check-aof --fix \"$0\"";
    let output = Command::new("sh").args(["-c", script]).arg(manifest).output().expect("a shell");
    output.status.success()
}
