//! Fault injection: real servers and a real Redis, broken on purpose while well-behaved clients are at work.
//!
//! ```text
//! make faults                    the whole long set, with a release build
//! make faults F=F06,F07          some rows of it
//! make faults SET=quick          smaller counts of the same; this is what `make test` runs
//! cargo test --test faults -- F06 --set quick --seed 7
//! cargo test --test faults -- F40 --soak 3600
//! cargo test --test faults -- --list
//! ```
//!
//! One line per run with its figures, which ends in `ok`, or in `BROKEN` and the bound that does not hold; then the
//! exit code is 1. `LATCHKEY_BIN` names the server to test; without it, it is the one that cargo built.
//!
//! `cargo clippy --test faults` checks this target; `--all-targets` does not, since `cargo test` alone does not run it.
//!
//! # How to write a row
//!
//! A row is one file in `rows/`, named after its id and its fault, a `mod` line and a line of the table in
//! `rows/mod.rs`, and a line of `docs/faults.md`. Its function gets a [`RunContext`] and returns one
//! [`Report`](report::Report), or several for several cases:
//!
//! ```text
//! pub async fn run(context: RunContext) -> Vec<Report> {
//!     let redis = RedisServer::start();                             // parts::redis, as Latchkey wants it
//!     let installation = Installation::new().await;                 // issuer, users, clients
//!     let servers = installation.start_servers(2, &redis.url()).await;   // two processes, ready
//!     let load = Load { families: context.pick(50, 500), ..Load::default() };
//!     let workload = Workload::start(&installation, &servers, load, context.seed).await;
//!     for _ in 0..context.pick(3, 20) {
//!         context.random_delay(500..1500).await;                    // seeded
//!         redis.signal(ServerSignal::Kill);
//!         redis.restart();
//!     }
//!     let after = workload.stop_and_collect().await;                // the history, and what clients hold
//!     let mut report = Report::new();
//!     after.report(&mut report).await;                              // checks; the figures and bounds of all rows
//!     report.within("gap_s", after.history.gap().as_secs_f64(), 1.0, 3.0);
//!     vec![report]
//! }
//! ```
//!
//! - `parts/` is what can be broken. [`Installation`](parts::installation::Installation) is what servers of one issuer
//!   share; [`Server`](parts::server::Server) is one process (`kill`, `signal`, `restart`, `rss_mb`, `fds`, `log`);
//!   `installation.plan(url).set(NAME, value).under(&["prlimit", …])` is one that is not started yet, and
//!   `.run_to_exit()` one that should not start. [`parts::redis`] and [`parts::topologies`] are those of `tests/it`;
//!   [`LaggingReplicas`](parts::lagging_replicas::LaggingReplicas) is sentinels over replicas that lag, and
//!   [`SmallDisk`](parts::small_disk::SmallDisk) a Redis that can fill its disk. A
//!   [`Proxy`](parts::proxy::Proxy) stands in between and makes a [`NetworkFault`](parts::proxy::NetworkFault).
//! - [`client`] is the OAuth client; every request returns an [`HttpOutcome`](parts::http::HttpOutcome), also when there
//!   was no response.
//! - [`history`] has every attempt of a [`workload`]; [`checker`] finds out afterwards what still works.
//! - [`burst`] starts many tasks at one moment.
//! - [`report`] has the bounds: `never`, `equals`, `at_most`, `at_least`, `must`, and `within` for timings, which CI
//!   holds to a laxer figure than the one that is promised; both stand in the row.

#![allow(
    clippy::disallowed_methods,
    reason = "the clients here are outside and look at the real clock"
)]
#![allow(dead_code, reason = "the parts offer what a fault may need, and no fault needs all of it")]

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

mod burst;
mod checker;
mod client;
mod context;
mod history;
mod parts;
mod report;
mod rows;
mod workload;

use context::RunContext;

/// What is asked for on the command line.
#[derive(Parser)]
struct Args {
    /// Rows to run (F06, several also with commas); all of the set if none is named.
    #[arg(value_delimiter = ',')]
    rows: Vec<String>,
    /// How much of it.
    #[arg(long, value_enum, default_value = "quick")]
    set: Set,
    /// The first seed; further runs count on from there.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many runs of each row; what the row says if not given.
    #[arg(long)]
    runs: Option<u64>,
    /// How many seconds F40 goes on.
    #[arg(long, default_value_t = 60)]
    soak: u64,
    /// Print the table and end.
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
enum Set {
    Quick,
    Long,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.list {
        rows::print();
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        tokio::select! {
            code = run(&args) => code,
            // What was started ends with the values that hold it.
            () = context::shutdown_signal() => ExitCode::from(130),
        }
    })
}

async fn run(args: &Args) -> ExitCode {
    let chosen = match rows::select(&args.rows, args.set == Set::Quick) {
        Ok(chosen) => chosen,
        Err(unknown) => {
            eprintln!("there is no row {unknown}; --list says which there are");
            return ExitCode::from(2);
        }
    };
    let mut broken = 0;
    for row in chosen {
        let runs = args.runs.unwrap_or(if args.set == Set::Long { row.runs } else { 1 });
        for seed in args.seed..args.seed + runs {
            let mut context = RunContext::new(args.set == Set::Long, seed);
            context.soak = Duration::from_secs(args.soak);
            broken += usize::from(!row.run(context).await);
        }
    }
    if broken > 0 {
        println!("{broken} BROKEN");
    }
    ExitCode::from(u8::from(broken > 0))
}
