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

use crate::checker::{Aftermath, settle};
use crate::client::Tokens;
use crate::context::Bench;
use crate::parts::http::send;
use crate::parts::installation::House;
use crate::parts::redis::{Blow, RedisServer};
use crate::report::Report;
use crate::workload::{Family, Load, Storm};

/// `lost_rotated=0 forks=0 double_code=0`; the rest is printed.
pub async fn run(bench: Bench) -> Vec<Report> {
    let redis = RedisServer::start();
    let house = House::new().await;
    let servers = house.start_many(2, &redis.url()).await;
    let load = Load {
        families: bench.pick(60, 300),
        refreshes_per_s: 200.0,
        codes_per_s: 20.0,
        revoked: 0.005,
    };
    let storm = Storm::begins(&house, &servers, load, bench.seed).await;
    let cuts = bench.pick(2, 20);
    let (mut bytes, mut unrepaired) = (0, 0);
    for _ in 0..cuts {
        bench.somewhen(2000..3000).await;
        let before = size(&redis);
        bench.somewhen(200..2000).await;
        redis.signal(Blow::Kill);
        let cut = before.saturating_sub(bench.random(0..30));
        bytes += size(&redis) - cut;
        let file = File::options().write(true).open(incremental(&redis)).expect("the file");
        file.set_len(cut).expect("shorter");
        unrepaired += usize::from(!is_repaired(&redis));
        redis.restart();
    }
    bench.somewhen(1500..2000).await;
    let after = storm.ends().await;

    let (old, new): (Vec<_>, Vec<_>) =
        after.families.iter().cloned().partition(|family| family.number < load.families);
    let (rotated, fresh) = (settle(&old, &servers).await, settle(&new, &servers).await);
    let mut report = Report::new();
    report
        .says("cuts", cuts)
        .says("cut_kb", bytes / 1024)
        .never("unrepaired", unrepaired)
        .says("families", old.len())
        .never("forks", after.ledger.forks())
        .never("lost_rotated", rotated.lost)
        .says("codes", after.ledger.codes())
        .says("lost_new", fresh.lost)
        .never("double_code", after.ledger.double_codes())
        .says("zombie", rotated.zombie + fresh.zombie)
        .says("revived_codes", revived(&new, &after).await)
        .never("mix", rotated.mixed + fresh.mixed);
    after.tells_of_times(&mut report);
    vec![report]
}

/// How many codes that were used can be used again.
async fn revived(families: &[Family], after: &Aftermath) -> usize {
    let mut count = 0;
    for family in families {
        let Some(code) = &family.code else { continue };
        let reply = send(family.shop.redeeming(after.servers[0].wire(), code)).await;
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
