//! F30: more connections than there may be open files.
//!
//! The server lets no more in than it has files for, and whoever comes after waits. Where files run out
//! all the same, because the limit sank while it ran, it does not ask again and again; and as soon as
//! there is room, all is well.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::context::RunContext;
use crate::parts::http::send;
use crate::parts::installation::Installation;
use crate::parts::raw_http;
use crate::parts::server::Server;
use crate::report::Report;

/// `cpu<=50% recover=yes`, with a limit that was there from the start and with one that sank.
pub async fn run(context: RunContext) -> Vec<Report> {
    let mut reports = Vec::new();
    let installation = Installation::new().await;
    for (case, under, sinks) in
        [("nofile=200", "--nofile=200", false), ("sinks_to_30", "--nofile=1000", true)]
    {
        let server = installation.plan("memory:").under(&["prlimit", under]).start().await;
        let mut report = Report::of(case);
        let files = server.fds();
        if sinks {
            let pid = server.pid().unwrap_or_default().to_string();
            let sunk = Command::new("prlimit").args(["--pid", &pid, "--nofile=30:1000"]).status();
            report.must("sunk", sunk.is_ok_and(|it| it.success()));
        }
        crowd(&server, context.pick(5, 30), &mut report).await;
        if sinks {
            let pid = server.pid().unwrap_or_default().to_string();
            let _ = Command::new("prlimit").args(["--pid", &pid, "--nofile=1000"]).status();
        }
        let since = Instant::now();
        let well = send(
            installation
                .client(0)
                .client_credentials_request(&server.new_client(Duration::from_secs(10))),
        );
        report
            .must("recover", well.await.has_status(200))
            .within("recover_s", since.elapsed().as_secs_f64(), 1.0, 5.0)
            .never("fd_leak", server.leaked_fds(files).await)
            .never("panics", server.panics())
            .must("alive", server.exit_code().is_none());
        reports.push(report);
    }
    reports
}

/// A thousand that say nothing, and say it again when they are sent away.
async fn crowd(server: &Arc<Server>, seconds: u64, report: &mut Report) {
    let until = Instant::now() + Duration::from_secs(seconds);
    let (cpu, at) = (server.cpu_s(), server.at());
    let hands: Vec<_> = (0..1000)
        .map(|_| {
            tokio::spawn(async move {
                let mut dialled = 0;
                while Instant::now() < until {
                    let Ok(Ok(mut line)) =
                        timeout(Duration::from_secs(1), TcpStream::connect(at)).await
                    else {
                        sleep(Duration::from_millis(100)).await;
                        continue;
                    };
                    dialled += 1;
                    let _ = line.write_all(b"GET /live HTTP/1.1\r\n").await;
                    let left = until.saturating_duration_since(Instant::now());
                    raw_http::is_closed_after(&mut line, left).await;
                }
                dialled
            })
        })
        .collect();
    let mut files_max = 0;
    while Instant::now() < until {
        files_max = files_max.max(server.fds());
        sleep(Duration::from_millis(100)).await;
    }
    let used = server.cpu_s() - cpu;
    let mut dialled = 0;
    for hand in hands {
        dialled += hand.await.unwrap_or(0);
    }
    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    let share = 100.0 * used / seconds as f64;
    report.figure("dialled", dialled).figure("files_max", files_max).at_most(
        "cpu_percent",
        share,
        50.0,
    );
}
