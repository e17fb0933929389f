//! F24: told to stop with a hundred slow clients at the door, and redis gone.
//!
//! What cannot be finished is cut when its time is over, and the process ends as one that ended well.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::task::JoinSet;

use crate::context::Bench;
use crate::parts::http::send;
use crate::parts::installation::House;
use crate::parts::redis::{Blow, RedisServer};
use crate::parts::server::Server;
use crate::parts::slow_clients::Slow;
use crate::report::Report;

const LONGEST: Duration = Duration::from_secs(60);

/// `exit_s<=25 code=0`: redis stopped in the middle of a word, and redis gone.
pub async fn run(_: Bench) -> Vec<Report> {
    let (stopped, killed) = tokio::join!(
        stops_with("redis_stopped", Blow::Stop),
        stops_with("redis_killed", Blow::Kill)
    );
    vec![stopped, killed]
}

async fn stops_with(case: &str, blow: Blow) -> Report {
    let redis = RedisServer::start();
    let house = House::new().await;
    let server = house.starts(&redis.url()).await;
    let mut slow = begin(&server, house.host()).await;
    redis.signal(blow);
    // Whoever needs redis now.
    for number in 0..20 {
        let (shop, wire) = (Arc::clone(house.shop(number)), server.wire().clone());
        slow.spawn(async move { drop(send(shop.acting_alone(&wire)).await) });
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.signal(Signal::TERM);
    let ended = server.ends_within(LONGEST).await;
    let (code, took) = ended.unwrap_or((-1, LONGEST));
    let mut report = Report::of(case);
    report
        .says("slow", slow.len())
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
        let kind = [Slow::Head, Slow::Body, Slow::Reader][number % 3];
        let mut line = kind.begins(server.at(), host).await.expect("a connection");
        slow.spawn(async move {
            kind.goes_on(&mut line, Instant::now(), until).await;
        });
    }
    slow
}
