//! F24: SIGTERM with a hundred slow clients connected, and Redis gone.
//!
//! What cannot be finished is cut when its time is over, and the process ends as one that ended well.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::task::JoinSet;

use crate::context::RunContext;
use crate::parts::http::send;
use crate::parts::installation::Installation;
use crate::parts::redis::{RedisServer, ServerSignal};
use crate::parts::server::Server;
use crate::parts::slow_clients::SlowClient;
use crate::report::Report;

const LONGEST: Duration = Duration::from_secs(60);

/// `exit_s<=25 code=0`: redis stopped in the middle of a word, and redis gone.
pub async fn run(_: RunContext) -> Vec<Report> {
    let (stopped, killed) = tokio::join!(
        stops_with("redis_stopped", ServerSignal::Stop),
        stops_with("redis_killed", ServerSignal::Kill)
    );
    vec![stopped, killed]
}

async fn stops_with(case: &str, blow: ServerSignal) -> Report {
    let redis = RedisServer::start();
    let installation = Installation::new().await;
    let server = installation.start_server(&redis.url()).await;
    let mut slow = begin(&server, installation.host()).await;
    redis.signal(blow);
    // Whoever needs redis now.
    for number in 0..20 {
        let (shop, http) = (Arc::clone(installation.client(number)), server.client().clone());
        slow.spawn(async move { drop(send(shop.client_credentials_request(&http)).await) });
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.signal(Signal::TERM);
    let ended = server.wait_for_exit(LONGEST).await;
    let (code, took) = ended.unwrap_or((-1, LONGEST));
    let mut report = Report::of(case);
    report
        .figure("slow", slow.len())
        .at_most("exit_s", took.as_secs_f64(), 25.0)
        .must("code_0", code == 0)
        .never("panics", server.panics());
    report
}

/// A third of each kind.
async fn begin(server: &Arc<Server>, host: &str) -> JoinSet<()> {
    let mut slow = JoinSet::new();
    let until = Instant::now() + LONGEST;
    for number in 0..100 {
        let kind = [SlowClient::Head, SlowClient::Body, SlowClient::Reader][number % 3];
        let mut line = kind.connect(server.at(), host).await.expect("a connection");
        slow.spawn(async move {
            kind.goes_on(&mut line, Instant::now(), until).await;
        });
    }
    slow
}
