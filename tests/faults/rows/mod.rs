//! The table of faults. A row is a file here, a `mod` line and a line of the table.

use std::pin::Pin;
use std::time::{Duration, Instant};

use crate::bench::Bench;
use crate::report::Report;

mod crowd;
mod f00;
mod f01;
mod f02;
mod f03;
mod f04;
mod f05;
mod f06;
mod f07;
mod f08;
mod f09;
mod f10;
mod f11;
mod f12;
mod f13;
mod f14;
mod f15;
mod f16;
mod f17;
mod f18;
mod f19;
mod f20;
mod f21;
mod f22;
mod f23;
mod f24;
mod f25;
mod f26;
mod f28;
mod f29;
mod f30;
mod f31;
mod f32;
mod f33;
mod f34;
mod f35;
pub mod f36;
mod f37;
mod f38;
mod f39;
mod f40;

type Run = fn(Bench) -> Pin<Box<dyn Future<Output = Vec<Report>> + Send>>;

/// One fault.
pub struct Row {
    id: &'static str,
    name: &'static str,
    /// Whether the quick set has it.
    quick: bool,
    /// How many runs the long set makes of it, each with a seed of its own.
    pub runs: u64,
    /// The bounds, for whoever reads the table.
    bounds: &'static str,
    run: Run,
}

macro_rules! rows {
    ($($id:literal $name:literal $quick:literal $runs:literal $bounds:literal $run:path;)+) => {
        &[$(Row {
            id: $id, name: $name, quick: $quick, runs: $runs, bounds: $bounds,
            run: |bench| Box::pin($run(bench)),
        }),+]
    };
}

/// `lost` and the like are 0 wherever there is a storm: see `Aftermath::tells`.
#[rustfmt::skip]
const TABLE: &[Row] = rows![
    // id   name                 quick runs  bounds
    "F00" "bench-itself"         true  1 "every weather of the proxy is what it says" f00::run;
    "F01" "code-race"            true  5 "winners=all double_code=0 5xx=0" f01::run;
    "F02" "refresh-race"         true  5 "forks=0 distinct_successors_max=1 lost=0 refused=0 5xx=0" f02::run;
    "F03" "refresh-against-end"  true  5 "zombie=0 by revoke, logout, disable" f03::run;
    "F04" "one-time-things"      true  5 "double_*=0 for login, consent, code, jti" f04::run;
    "F05" "guessing"             true  5 "checked<=5 right_won_early=0 locked_out=0" f05::run;
    "F06" "server-kill9"         true  1 "storm; restart_to_ready_s<=1 (ci 5)" f06::run;
    "F07" "redis-kill9"          true  1 "storm; gap_s<=restart+1 (ci +3)" f07::run;
    "F08" "redis-power-loss"     true  1 "lost_rotated=0 forks=0 double_code=0; prints lost_new, zombie, revived" f08::run;
    "F09" "redis-default-config" true  1 "refused=yes 5xx_after=0 all_sign_in=yes" f09::run;
    "F10" "redis-stands-still"   true  1 "storm; p99_during_s<=1.5 (ci 4) recover_s<=1 (ci 5) ready_red_s<=2 (ci 4) rss_growth_mb<=50" f10::run;
    "F11" "redis-slow"           true  1 "storm; in_flight_max<=cap (ci rate*calls*1s), the rest is printed" f11::run;
    "F12" "redis-cut-off"        true  1 "storm; recover_s<=2 (ci 3) for each kind of cut" f12::run;
    "F13" "redis-loading"        true  1 "storm; invalid_grant_during_loading=0 loading_s>=0.5 recover_s<=2 (ci 2.8)" f13::run;
    "F14" "redis-full"           true  1 "storm; burnt=0 revoke_ok=all logout_ok=all recover_s<=2 (ci 2.8)" f14::run;
    "F15" "eviction-policy"      true  1 "refused=all, allowed and changed ones are loud" f15::run;
    "F16" "disk-full"            true  1 "storm; 500=0 recover_s<=2 (ci 3) lost_by_kill<=1" f16::run;
    "F17" "redis-demoted"        true  1 "storm; recover_s<=2 (ci 3), a replica is refused; sentinels told to fail over: lost is printed, or 0 with care" f17::run;
    "F18" "sentinel-failover"    true  3 "storm; gap_s<=down_after+3 (ci +7)" f18::run;
    "F19" "lagging-failover"     true  3 "off: lost_rotated=0 forks=0; on: lost=0 double_code=0 zombie=0" f19::run;
    "F20" "split-brain"          true  3 "storm; zombie=0 forks=0" f20::run;
    "F21" "cluster"              true  3 "storm; crossslot=0 lost=0" f21::run;
    "F22" "clock-jump"           true  1 "immortal=0 accepted_future_>60s=0 logged_out=0 lost=0" f22::run;
    "F23" "rolling-restart"      true  1 "resets=0 5xx=0 drain_s<=20 lost=0" f23::run;
    "F24" "term-slow-clients"    true  1 "exit_s<=25 code=0" f24::run;
    "F25" "next-version-records" true  1 "storm; unreadable=0" f25::run;
    "F26" "crowd-of-logins"      true  1 "ok+503=all errors_other=0 mix=0 token_p99_s<=0.2 (ci 4) rss_max_mb<=600" f26::run;
    "F28" "slowloris"            true  1 "normal_p99_s<=1 (ci 4) cut_s<=timeout+1 (ci +2.5) fds_leaked=0" f28::run;
    "F29" "huge-input"           true  1 "500=0 rss_growth_mb<=20 cpu_per_req_ms<=5 (ci 40)" f29::run;
    "F30" "fd-exhaustion"        true  1 "cpu<=50% recover=yes fd_leak=0" f30::run;
    "F31" "memory-of-a-crowd"    true  1 "alive=yes mix=0 rss_max_mb<=300" f31::run;
    "F32" "key-files"            true  1 "refused=all; replaced while running: the old one stays" f32::run;
    "F33" "environment"          true  1 "rows_ok=all: exit 78, one line, nothing bound" f33::run;
    "F34" "key-rotation"         true  1 "verify_fail=0" f34::run;
    "F35" "hostile-hosts"        true  1 "canary_hits=0 logout_p99_s<=1 (ci 3) connections_max<=12" f35::run;
    "F36" "flushall"             true  1 "ready_red=yes 500=0 all_sign_in=yes healed_s<=6 (ci 15)" f36::run;
    "F37" "poisoned-records"     true  1 "panics=0 500=0 alerts=yes" f37::run;
    "F38" "client-aborts"        true  1 "mix=0 fd_leak=0 lost=0" f38::run;
    "F39" "file-store"           true  1 "storm; torn=0 lost=0 500=0" f39::run;
    "F40" "soak"                 false 1 "storm; rss_slope~0 keys_slope~0 fd_slope=0 keys_without_ttl=0; --soak" f40::run;
];

/// The longest that one run may take before it is given up.
const LONGEST: Duration = Duration::from_mins(40);

impl Row {
    /// Runs it and prints its lines; answers whether all is well.
    pub async fn run(&self, bench: Bench) -> bool {
        let words = format!("{} {} seed={}", self.id, self.name, bench.seed);
        let (since, longest) = (Instant::now(), LONGEST + bench.soak);
        // A task of its own, so that a panic ends only this row; and ended with this future.
        let mut task = Task(tokio::spawn((self.run)(bench)));
        let reports = match tokio::time::timeout(longest, &mut task.0).await {
            Ok(Ok(reports)) => reports,
            Ok(Err(_)) => {
                println!("{words} BROKEN the row itself panicked, see above");
                return false;
            }
            Err(_) => {
                println!("{words} BROKEN not over after {longest:?}");
                return false;
            }
        };
        let took = since.elapsed().as_secs();
        for report in &reports {
            println!("{} ({took} s)", report.line(&words));
        }
        !reports.iter().any(Report::is_broken)
    }
}

struct Task(tokio::task::JoinHandle<Vec<Report>>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The rows of these names, or all of the set; the error is a name that is none.
pub fn chosen(names: &[String], quick: bool) -> Result<Vec<&'static Row>, String> {
    if names.is_empty() {
        return Ok(TABLE.iter().filter(|row| row.quick || !quick).collect());
    }
    let find = |name: &String| {
        let found = TABLE.iter().find(|row| row.id.eq_ignore_ascii_case(name));
        found.ok_or_else(|| name.clone())
    };
    names.iter().map(find).collect()
}

/// Prints the table.
pub fn print() {
    for Row { id, name, quick, runs, bounds, .. } in TABLE {
        let sets = if *quick { "quick,long" } else { "long" };
        println!("{id} {name:<22} {sets:<10} runs={runs} {bounds}");
    }
}
