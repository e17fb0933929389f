//! F28: crowds that hold connections: heads that never end, bodies that never end, answers nobody reads.
//!
//! Each is cut when its time is over, and whoever comes with an honest request does not notice. At the
//! limit of connections the next ones wait, so `MAX_CONNECTIONS` has to be larger than such a crowd; an
//! address of its own has a hundred, but everybody here comes from loopback, which is not counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::Browser;
use crate::context::Bench;
use crate::history::quantile;
use crate::parts::installation::{House, person};
use crate::parts::server::Server;
use crate::parts::slow_clients::Slow;
use crate::report::Report;

/// From the first byte of a head to its last; from the first of a body to its last; and what a whole answer has, or a
/// connection that rests and then says goodbye.
const HEAD_S: f64 = 5.0;
const BODY_S: f64 = 10.0;
const READER_S: f64 = 60.0;

/// `normal_p99<=1s cut_after<=timeout+1s fds_leaked=0`.
pub async fn run(bench: Bench) -> Vec<Report> {
    let house = House::new().await;
    let server = house.plan("memory:").set("MAX_CONNECTIONS", "8192").start().await;
    let warm = server.fresh_wire(Duration::from_secs(5));
    Browser::signed_in(&warm, house.shop(0), "p0").await.expect("signed in");
    drop(warm);
    sleep(Duration::from_millis(100)).await;
    let files = server.fds();
    let seconds = bench.pick(18, 64);
    let until = Instant::now() + Duration::from_secs(seconds);
    let over = Arc::new(AtomicBool::new(false));
    let normal = tokio::spawn(normal(house, Arc::clone(&server), Arc::clone(&over)));

    let (heads, bodies) = (bench.pick(200, 2000), bench.pick(200, 2000));
    let readers = bench.pick(50, 500);
    let host = server.wire().host().to_owned();
    let (cutting, reading) =
        ([(Slow::Head, heads), (Slow::Body, bodies)], [(Slow::Reader, readers)]);
    let held = hold(&server, &host, &cutting, until);
    let reading = hold(&server, &host, &reading, until);
    let gone = readers_gone(&server, files, readers, until);
    let (cut, _, readers_gone) = tokio::join!(held, reading, gone);
    over.store(true, Ordering::Relaxed);
    let (took, failed) = normal.await.expect("a person that does not panic");

    let mut report = Report::new();
    report.says("heads", heads).says("bodies", bodies).says("readers", readers);
    for (name, kind, timeout) in
        [("heads_cut_s", Slow::Head, HEAD_S), ("bodies_cut_s", Slow::Body, BODY_S)]
    {
        let of_kind: Vec<_> =
            cut.iter().filter(|(it, _)| *it == kind).map(|(_, cut)| cut).collect();
        let last = of_kind.iter().filter_map(|it| **it).max().unwrap_or_default().as_secs_f64();
        report.never(
            &name.replace("cut_s", "kept"),
            of_kind.iter().filter(|it| it.is_none()).count(),
        );
        report.promises(name, last, timeout + 1.0, timeout + 2.5);
    }
    if bench.long {
        let last = readers_gone.map_or(f64::INFINITY, |it| it.as_secs_f64());
        report.promises("readers_cut_s", last, READER_S + 1.0, READER_S + 2.5);
    }
    report
        .says("normal", took.len())
        .never("normal_failed", failed)
        .promises("normal_p99_s", quantile(took, 0.99).as_secs_f64(), 1.0, 4.0)
        .never("fds_leaked", server.leaks(files).await)
        .never("panics", server.panics());
    vec![report]
}

/// Begins them and waits for their ends.
async fn hold(
    server: &Arc<Server>,
    host: &str,
    kinds: &[(Slow, usize)],
    until: Instant,
) -> Vec<(Slow, Option<Duration>)> {
    let mut slow = JoinSet::new();
    for &(kind, count) in kinds {
        for _ in 0..count {
            let (at, host) = (server.at(), host.to_owned());
            slow.spawn(async move {
                let Ok(mut line) = kind.begins(at, &host).await else {
                    return (kind, Some(Duration::MAX));
                };
                (kind, kind.goes_on(&mut line, Instant::now(), until).await)
            });
        }
    }
    slow.join_all().await
}

/// When no more than half of the readers can be there any more, by the server's own files: they cannot
/// tell. None if that does not happen.
async fn readers_gone(
    server: &Arc<Server>,
    files: usize,
    readers: usize,
    until: Instant,
) -> Option<Duration> {
    let since = Instant::now();
    sleep(Duration::from_secs(3)).await;
    while Instant::now() < until {
        // A sign-in or two may be under way.
        if server.fds() < files + readers.min(10) {
            return Some(since.elapsed());
        }
        sleep(Duration::from_millis(100)).await;
    }
    None
}

/// Somebody signs in again and again, each time with a new connection.
async fn normal(
    house: House,
    server: Arc<Server>,
    over: Arc<AtomicBool>,
) -> (Vec<Duration>, usize) {
    let (mut took, mut failed, mut number) = (Vec::new(), 0, 0);
    while !over.load(Ordering::Relaxed) {
        let since = Instant::now();
        let wire = server.fresh_wire(Duration::from_secs(10));
        let signed_in = Browser::signed_in(&wire, house.shop(number), &person(number)).await;
        failed += usize::from(signed_in.is_err());
        took.push(since.elapsed());
        number += 1;
        sleep(Duration::from_millis(200)).await;
    }
    (took, failed)
}
