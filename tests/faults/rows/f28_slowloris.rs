//! F28: many clients that hold connections: heads that never end, bodies that never end, responses that are never
//! read.
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
use crate::context::RunContext;
use crate::history::quantile;
use crate::parts::installation::{Installation, username};
use crate::parts::server::Server;
use crate::parts::slow_clients::SlowClient;
use crate::report::Report;

/// From the first byte of a head to its last; from the first of a body to its last; and what a whole answer has, or a
/// connection that rests and then says goodbye.
const HEAD_S: f64 = 5.0;
const BODY_S: f64 = 10.0;
const READER_S: f64 = 60.0;

/// `normal_p99<=1s cut_after<=timeout+1s fds_leaked=0`.
pub async fn run(context: RunContext) -> Vec<Report> {
    let installation = Installation::new().await;
    let server = installation.plan("memory:").set("MAX_CONNECTIONS", "8192").start().await;
    let warm = server.new_client(Duration::from_secs(5));
    Browser::sign_in(&warm, installation.client(0), "p0").await.expect("signed in");
    drop(warm);
    sleep(Duration::from_millis(100)).await;
    let files = server.fds();
    let seconds = context.pick(18, 64);
    let until = Instant::now() + Duration::from_secs(seconds);
    let over = Arc::new(AtomicBool::new(false));
    let normal = tokio::spawn(normal(installation, Arc::clone(&server), Arc::clone(&over)));

    let (heads, bodies) = (context.pick(200, 2000), context.pick(200, 2000));
    let readers = context.pick(50, 500);
    let host = server.client().host().to_owned();
    let (cutting, reading) =
        ([(SlowClient::Head, heads), (SlowClient::Body, bodies)], [(SlowClient::Reader, readers)]);
    let held = hold(&server, &host, &cutting, until);
    let reading = hold(&server, &host, &reading, until);
    let gone = readers_gone(&server, files, readers, until);
    let (cut, _, readers_gone) = tokio::join!(held, reading, gone);
    over.store(true, Ordering::Relaxed);
    let (took, failed) = normal.await.expect("a person that does not panic");

    let mut report = Report::new();
    report.figure("heads", heads).figure("bodies", bodies).figure("readers", readers);
    for (name, kind, timeout) in
        [("heads_cut_s", SlowClient::Head, HEAD_S), ("bodies_cut_s", SlowClient::Body, BODY_S)]
    {
        let of_kind: Vec<_> =
            cut.iter().filter(|(it, _)| *it == kind).map(|(_, cut)| cut).collect();
        let last = of_kind.iter().filter_map(|it| **it).max().unwrap_or_default().as_secs_f64();
        report.never(
            &name.replace("cut_s", "kept"),
            of_kind.iter().filter(|it| it.is_none()).count(),
        );
        report.within(name, last, timeout + 1.0, timeout + 2.5);
    }
    if context.long {
        let last = readers_gone.map_or(f64::INFINITY, |it| it.as_secs_f64());
        report.within("readers_cut_s", last, READER_S + 1.0, READER_S + 2.5);
    }
    report
        .figure("normal", took.len())
        .never("normal_failed", failed)
        .within("normal_p99_s", quantile(took, 0.99).as_secs_f64(), 1.0, 4.0)
        .never("fds_leaked", server.leaked_fds(files).await)
        .never("panics", server.panics());
    vec![report]
}

/// Begins them and waits for their ends.
async fn hold(
    server: &Arc<Server>,
    host: &str,
    kinds: &[(SlowClient, usize)],
    until: Instant,
) -> Vec<(SlowClient, Option<Duration>)> {
    let mut slow = JoinSet::new();
    for &(kind, count) in kinds {
        for _ in 0..count {
            let (at, host) = (server.at(), host.to_owned());
            slow.spawn(async move {
                let Ok(mut line) = kind.connect(at, &host).await else {
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
    installation: Installation,
    server: Arc<Server>,
    over: Arc<AtomicBool>,
) -> (Vec<Duration>, usize) {
    let (mut took, mut failed, mut number) = (Vec::new(), 0, 0);
    while !over.load(Ordering::Relaxed) {
        let since = Instant::now();
        let http = server.new_client(Duration::from_secs(10));
        let signed_in =
            Browser::sign_in(&http, installation.client(number), &username(number)).await;
        failed += usize::from(signed_in.is_err());
        took.push(since.elapsed());
        number += 1;
        sleep(Duration::from_millis(200)).await;
    }
    (took, failed)
}
