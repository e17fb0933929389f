//! F31: the crowd of F26 at a server that has 300 MB.
//!
//! A limit on the address space would say little: threads and hashes reserve far more of it than they
//! touch. So no limit is set, and the most that the server had resident, as the kernel has counted it, is
//! held to what it would have been killed for.

use std::sync::Arc;

use super::concurrent_logins;
use crate::context::RunContext;
use crate::parts::fd_limit;
use crate::parts::installation::Installation;
use crate::report::Report;

/// `alive=yes rss_max_mb<=300`, with everything in the server's own memory and the usual settings.
pub async fn run(context: RunContext) -> Vec<Report> {
    fd_limit::raise_to_maximum();
    let count = context.pick(400, 10_000);
    let installation = Arc::new(Installation::new().await);
    let server = installation.start_server("memory:").await;
    let crowd = concurrent_logins::run_burst(&installation, &server, count).await;
    let mut report = Report::new();
    report
        .figure("logins", count)
        .figure("ok", crowd.ok)
        .figure("503", crowd.busy)
        .figure("redialled", crowd.redialled);
    if !crowd.what.is_empty() {
        report.figure("what", crowd.what.join(","));
    }
    report
        .figure("errors_other", crowd.other)
        .never("mix", crowd.mixed)
        .at_most("rss_max_mb", server.rss_peak_mb().round(), 300.0)
        .must("alive", server.exit_code().is_none())
        .never("panics", server.panics());
    vec![report]
}
