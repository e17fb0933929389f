//! F40: a mix of everything for a long while (`--soak SECONDS`, a minute if nothing is said).
//!
//! With lifetimes of a minute everything that is made is also forgotten. Nothing grows that is not in use,
//! and no key stays for ever that is not on the list of those that may.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::context::RunContext;
use crate::parts::installation::Installation;
use crate::parts::redis::RedisServer;
use crate::parts::redis_keys::census;
use crate::report::Report;
use crate::workload::{Load, Workload};

/// Clients, people, the keys and the lists of them stay, and so do the lists of what each person has,
/// which are cleared as they are added to; whatever else does is a leak.
const PERMANENT: [&str; 9] = [
    "client.v1",
    "user.v1",
    "username.v1",
    "keyring.v1",
    "index.v1",
    "index.v2",
    "sessions.v1",
    "grants.v1",
    "consents.v1",
];

/// What is remembered for longer than it lives: a grant for a day, so that a replay is told from a guess,
/// and an interaction that came to its end for an hour. Their number is that of what people did.
const REMEMBERED: [&str; 2] = ["grant.v1", "interaction.v1"];
/// The longest that anything may have to live still: a minute, another for its tokens, and that day.
const LONGEST_S: u64 = 24 * 3600 + 180;

/// From here on the number of all other keys has to stand still.
const STEADY: Duration = Duration::from_mins(10);

/// `rss_slope≈0 keys_slope≈0 fd_slope=0 keys_without_ttl=0`, all of them a minute.
pub async fn run(context: RunContext) -> Vec<Report> {
    let redis = RedisServer::start();
    let installation = Installation::new().await;
    let mut servers = Vec::new();
    for _ in 0..2 {
        let mut plan = installation.plan(&redis.url());
        for name in [
            "ACCESS_TOKEN_LIFETIME",
            "ID_TOKEN_LIFETIME",
            "REFRESH_TOKEN_IDLE_LIFETIME",
            "REFRESH_TOKEN_LIFETIME",
            "SESSION_IDLE_LIFETIME",
            "SESSION_LIFETIME",
            "INTERACTION_LIFETIME",
        ] {
            plan = plan.set(name, "1m");
        }
        servers.push(plan.set("CODE_LIFETIME", "10s").start().await);
    }
    // Families end after a minute; what goes on are codes, sign-ins and what comes of them.
    let load = Load { families: 50, refreshes_per_s: 50.0, codes_per_s: 30.0, revoked: 0.01 };
    let workload = Workload::start(&installation, &servers, load, context.seed).await;
    let (begun, mut samples) = (Instant::now(), Vec::new());
    while begun.elapsed() < context.soak {
        sleep(Duration::from_secs(1)).await;
        let minutes = begun.elapsed().as_secs_f64() / 60.0;
        let rss: f64 = servers.iter().map(|server| server.rss_mb()).sum();
        let files: usize = servers.iter().map(|server| server.fds()).sum();
        let kinds = census(&redis);
        let others = kinds.iter().filter(|(name, _)| !REMEMBERED.contains(&name.as_str()));
        let keys: usize = others.map(|(_, kind)| kind.count).sum();
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        samples.push((minutes, [rss, files as f64, keys as f64]));
    }
    let after = workload.stop_and_collect().await;
    let kinds = census(&redis);
    let endless = kinds
        .iter()
        .filter(|(name, kind)| kind.without_ttl > 0 && !PERMANENT.contains(&name.as_str()));
    let endless: Vec<_> =
        endless.map(|(name, kind)| format!("{name}:{}", kind.without_ttl)).collect();

    let second_half = &samples[samples.len() / 2..];
    let slope = |of: usize| slope(second_half.iter().map(|(at, values)| (*at, values[of])));
    let last = samples.last().map_or([0.0; 3], |(_, values)| *values);
    let mut report = Report::new();
    report
        .measurement("minutes", begun.elapsed().as_secs_f64() / 60.0)
        .figure("codes", after.history.codes())
        .never("double_code", after.history.double_codes())
        .never("forks", after.history.forks());
    after.report_measurements(&mut report);
    report.measurement("rss_mb", last[0]).measurement("fds", last[1]).measurement("keys", last[2]);
    // In the first minutes every cache and pool still fills.
    if context.soak >= STEADY {
        report.at_most("rss_slope_mb", slope(0), 0.5).at_most("fd_slope", slope(1), 0.5).at_most(
            "keys_slope",
            slope(2),
            5.0,
        );
    } else {
        report
            .measurement("rss_slope_mb", slope(0))
            .measurement("fd_slope", slope(1))
            .measurement("keys_slope", slope(2));
    }
    let grants = kinds.get("grant.v1").copied().unwrap_or_default();
    let longest = kinds.values().map(|kind| kind.longest_ms / 1000).max().unwrap_or_default();
    let made = after.history.codes() + load.families;
    report
        // One for each code, and for each that was not redeemed.
        .at_most("grants_per_code", ratio(grants.count, made), 1.1)
        .figure("longest_ttl_s", longest)
        .never("longer_than_a_day", usize::from(longest > LONGEST_S))
        .never("keys_without_ttl", endless.len());
    if !endless.is_empty() {
        report.figure("kinds", endless.join(","));
    }
    vec![report]
}

fn ratio(one: usize, other: usize) -> f64 {
    let number = |count| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    number(one) / number(other.max(1))
}

/// Of the straight line that is closest to these points; flat if there are none.
fn slope(points: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a count of seconds")]
    let count = points.clone().count().max(1) as f64;
    let sum = |of: fn((f64, f64)) -> f64| points.clone().map(of).sum::<f64>();
    let (x, y) = (sum(|it| it.0) / count, sum(|it| it.1) / count);
    let (mut above, mut below) = (0.0, 0.0);
    for (at, value) in points {
        above += (at - x) * (value - y);
        below += (at - x) * (at - x);
    }
    if below > 0.0 { above / below } else { 0.0 }
}
