//! The table of faults. A row is a file here, a `mod` line and a line of the table.

use std::pin::Pin;
use std::time::{Duration, Instant};

use crate::context::RunContext;
use crate::report::Report;

mod concurrent_logins;
mod f00_fault_bench;
mod f01_code_race;
mod f02_refresh_race;
mod f03_refresh_during_revocation;
mod f04_single_use;
mod f05_password_guessing;
mod f06_server_crash;
mod f07_redis_crash;
mod f08_redis_power_loss;
mod f09_redis_default_config;
mod f10_redis_paused;
mod f11_redis_slow;
mod f12_redis_disconnect;
mod f13_redis_loading;
mod f14_redis_out_of_memory;
mod f15_redis_eviction_policy;
mod f16_disk_full;
mod f17_redis_demoted;
mod f18_sentinel_failover;
mod f19_lagging_failover;
mod f20_split_brain;
mod f21_cluster_resharding;
mod f22_clock_jump;
mod f23_rolling_restart;
mod f24_shutdown_with_slow_clients;
mod f25_newer_records;
mod f26_login_burst;
mod f28_slowloris;
mod f29_huge_input;
mod f30_fd_exhaustion;
mod f31_memory_limit;
mod f32_key_files;
mod f33_environment;
mod f34_key_rotation;
mod f35_hostile_client_hosts;
pub mod f36_redis_flushall;
mod f37_corrupt_records;
mod f38_client_aborts;
mod f39_file_store;
mod f40_soak;

type Run = fn(RunContext) -> Pin<Box<dyn Future<Output = Vec<Report>> + Send>>;

/// One fault.
pub struct Row {
    /// `f07_redis_crash`: its id in docs/faults.md, and its name.
    module: &'static str,
    /// Whether the quick set has it.
    quick: bool,
    /// How many runs the long set makes of it, each with a seed of its own.
    pub runs: u64,
    /// The bounds, for whoever reads the table.
    bounds: &'static str,
    run: Run,
}

macro_rules! rows {
    ($($module:ident $quick:literal $runs:literal $bounds:literal;)+) => {
        &[$(Row {
            module: stringify!($module), quick: $quick, runs: $runs, bounds: $bounds,
            run: |context| Box::pin($module::run(context)),
        }),+]
    };
}

/// `workload` stands for the bounds of [`WorkloadResult::report`](crate::checker::WorkloadResult::report): `lost` and the
/// like are 0.
#[rustfmt::skip]
const TABLE: &[Row] = rows![
    // module                      quick runs  bounds
    f00_fault_bench                true   1  "every network fault of the proxy is what it says";
    f01_code_race                  true   5  "winners=all double_code=0 5xx=0";
    f02_refresh_race               true   5  "forks=0 distinct_successors_max=1 lost=0 refused=0 5xx=0";
    f03_refresh_during_revocation  true   5  "zombie=0 by revoke, logout, disable";
    f04_single_use                 true   5  "double_*=0 for login, consent, code, jti";
    f05_password_guessing          true   5  "checked<=5 right_won_early=0 locked_out=0";
    f06_server_crash               true   1  "workload; restart_to_ready_s<=1 (ci 5)";
    f07_redis_crash                true   1  "workload; gap_s<=restart+1 (ci +3)";
    f08_redis_power_loss           true   1  "lost_rotated=0 forks=0 double_code=0; prints lost_new, zombie, revived";
    f09_redis_default_config       true   1  "refused=yes 5xx_after=0 all_sign_in=yes";
    f10_redis_paused               true   1  "workload; p99_during_s<=1.5 (ci 4) recover_s<=1 (ci 5) ready_red_s<=2 (ci 4) rss_growth_mb<=50";
    f11_redis_slow                 true   1  "workload; in_flight_max<=cap (ci rate*calls*1s), the rest is printed";
    f12_redis_disconnect           true   1  "workload; recover_s<=2 (ci 3) for each kind of cut";
    f13_redis_loading              true   1  "workload; invalid_grant_during_loading=0 loading_s>=0.5 recover_s<=2 (ci 2.8)";
    f14_redis_out_of_memory        true   1  "workload; burnt=0 revoke_ok=all logout_ok=all recover_s<=2 (ci 2.8)";
    f15_redis_eviction_policy      true   1  "refused=all, allowed and changed ones are loud";
    f16_disk_full                  true   1  "workload; 500=0 recover_s<=2 (ci 3) lost_by_kill<=1";
    f17_redis_demoted              true   1  "workload; recover_s<=2 (ci 3), a replica is refused; sentinels told to fail over: lost is printed, or 0 with care";
    f18_sentinel_failover          true   3  "workload; gap_s<=down_after+3 (ci +7)";
    f19_lagging_failover           true   3  "off: lost_rotated=0 forks=0; on: lost=0 double_code=0 zombie=0";
    f20_split_brain                true   3  "workload; zombie=0 forks=0";
    f21_cluster_resharding         true   3  "workload; crossslot=0 lost=0";
    f22_clock_jump                 true   1  "immortal=0 accepted_future_>60s=0 logged_out=0 lost=0";
    f23_rolling_restart            true   1  "resets=0 5xx=0 drain_s<=20 lost=0";
    f24_shutdown_with_slow_clients true   1  "exit_s<=25 code=0";
    f25_newer_records              true   1  "workload; unreadable=0";
    f26_login_burst                true   1  "ok+503=all errors_other=0 mix=0 token_p99_s<=0.2 (ci 4) rss_max_mb<=600";
    f28_slowloris                  true   1  "normal_p99_s<=1 (ci 4) cut_s<=timeout+1 (ci +2.5) fds_leaked=0";
    f29_huge_input                 true   1  "500=0 rss_growth_mb<=20 cpu_per_req_ms<=5 (ci 40)";
    f30_fd_exhaustion              true   1  "cpu<=50% recover=yes fd_leak=0";
    f31_memory_limit               true   1  "alive=yes mix=0 rss_max_mb<=300";
    f32_key_files                  true   1  "refused=all; replaced while running: the old one stays";
    f33_environment                true   1  "rows_ok=all: exit 78, one line, nothing bound";
    f34_key_rotation               true   1  "verify_fail=0";
    f35_hostile_client_hosts       true   1  "canary_hits=0 logout_p99_s<=1 (ci 3) connections_max<=12";
    f36_redis_flushall             true   1  "ready_red=yes 500=0 all_sign_in=yes healed_s<=6 (ci 15)";
    f37_corrupt_records            true   1  "panics=0 500=0 alerts=yes";
    f38_client_aborts              true   1  "mix=0 fd_leak=0 lost=0";
    f39_file_store                 true   1  "workload; torn=0 lost=0 500=0";
    f40_soak                       false  1  "workload; rss_slope~0 keys_slope~0 fd_slope=0 keys_without_ttl=0; --soak";
];

/// The longest that one run may take before it is given up.
const MAX_RUN_TIME: Duration = Duration::from_mins(40);

impl Row {
    /// `F07`.
    fn id(&self) -> String {
        self.module[..3].to_uppercase()
    }

    /// `redis-crash`.
    fn name(&self) -> String {
        self.module[4..].replace('_', "-")
    }

    /// Runs it and prints its lines; answers whether all is well.
    pub async fn run(&self, context: RunContext) -> bool {
        let words = format!("{} {} seed={}", self.id(), self.name(), context.seed);
        let (since, longest) = (Instant::now(), MAX_RUN_TIME + context.soak);
        // A task of its own, so that a panic ends only this row; and ended with this future.
        let mut task = Task(tokio::spawn((self.run)(context)));
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
pub fn select(names: &[String], quick: bool) -> Result<Vec<&'static Row>, String> {
    if names.is_empty() {
        return Ok(TABLE.iter().filter(|row| row.quick || !quick).collect());
    }
    let find = |name: &String| {
        let found = TABLE.iter().find(|row| row.id().eq_ignore_ascii_case(name));
        found.ok_or_else(|| name.clone())
    };
    names.iter().map(find).collect()
}

/// Prints the table.
pub fn print() {
    for row in TABLE {
        let sets = if row.quick { "quick,long" } else { "long" };
        let (id, name, runs) = (row.id(), row.name(), row.runs);
        println!("{id} {name:<27} {sets:<10} runs={runs} {}", row.bounds);
    }
}
