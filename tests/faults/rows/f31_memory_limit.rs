//! F31: the crowd of F26 at a server that has 300 MB.
//!
//! A limit on the address space would say little: threads and hashes reserve far more of it than they
//! touch. So no limit is set, and the most that the server had resident, as the kernel has counted it, is
//! held to what it would have been killed for.

use std::sync::Arc;

use super::concurrent_logins;
use crate::context::Bench;
use crate::parts::fd_limit;
use crate::parts::installation::House;
use crate::report::Report;

/// `alive=yes rss_max_mb<=300`, with everything in the server's own memory and the usual settings.
pub async fn run(bench: Bench) -> Vec<Report> {
    fd_limit::as_many_as_allowed();
    let count = bench.pick(400, 10_000);
    let house = Arc::new(House::new().await);
    let server = house.starts("memory:").await;
    let crowd = concurrent_logins::comes(&house, &server, count).await;
    let mut report = Report::new();
    report
        .says("logins", count)
        .says("ok", crowd.ok)
        .says("503", crowd.busy)
        .says("redialled", crowd.redialled);
    if !crowd.what.is_empty() {
        report.says("what", crowd.what.join(","));
    }
    report
        .says("errors_other", crowd.other)
        .never("mix", crowd.mixed)
        .at_most("rss_max_mb", server.rss_peak_mb().round(), 300.0)
        .must("alive", server.exit_code().is_none())
        .never("panics", server.panics());
    vec![report]
}
